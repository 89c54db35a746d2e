"""The gateway's REST API over real Kafka; the test writes the records that other roles would."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from agents.gateway import app as gateway_app
from agents.gateway import models
from agents.probe.settings import HttpCheck, Target
from schemas import Control, DeadLetter, encode
from streams.kafka import KafkaSettings, producer_options
from streams.topics import DEAD_LETTERS, NOTIFICATIONS
from streams.units import now_ms
from tests.kit.gateway import TARGETS, answering, gateway, receive_until
from tests.kit.reader import reading, settled
from tests.kit.records import alert, health, notification, writer
from tests.kit.role import PATIENCE_S, until


async def test_status_is_what_the_log_says(kafka: KafkaSettings) -> None:
    """Platforms group targets by label, take the worst status, and an active alert speaks for them (row P7)."""
    async with writer(kafka) as w:
        await w.write(
            health("shop", "unhealthy", latency_ms=100.0, error_rate=0.5, message="503"),
            health("api", latency_ms=10.0, metrics={"rate_limit.used": 5.0, "rate_limit.total": 10.0}),
            health("www", "degraded", latency_ms=30.0, error_rate=0.2),
            alert(number=1, state="pending"),
            alert(number=2, state="firing"),
        )
        async with gateway(kafka) as g:
            answer = await g.get("/api/health/status")
            models.Status.model_validate(answer)
            assert answer["success"] is True
            assert answer["status"] == "unhealthy"
            shop, both, jobs = answer["platforms"]
            assert shop["platform"] == "shop"
            assert shop["response_time"] == 100.0
            assert shop["analysis"] == {
                "should_alert": True,
                "severity": "critical",
                "message": "shop is down",
                "recommended_action": "see https://runbook.example/down",
            }
            assert (both["platform"], both["status"], both["response_time"]) == ("shop-platform", "degraded", 20.0)
            assert (both["rate_limit_used"], both["rate_limit_total"]) == (5.0, 10.0)
            assert both["error_rate"] == pytest.approx(0.1)
            assert (jobs["status"], jobs["last_check"]) == ("unknown", None)

            one = await g.get("/api/health/platform/shop-platform")
            assert one["platforms"] == [both]
            unknown = await g.get("/api/health/platform/nope", 404)
            assert unknown["success"] is False
            assert unknown["error"]["code"] == "unknown_platform"

            listed = await g.get("/api/targets")
            models.TargetList.model_validate(listed)
            assert [t["name"] for t in listed["targets"]] == ["shop", "api", "www", "jobs"]
            target = await g.get("/api/targets/shop")
            models.TargetAnswer.model_validate(target)
            assert target["target"]["active_alerts"] == 1
            assert target["alerts"][0]["state"] == "firing"
            await g.get("/api/targets/nope", 404)

            schedule = await g.get("/api/health/scheduler/status")
            models.Scheduler.model_validate(schedule)
            assert (schedule["running"], schedule["jobs"]) == (True, 3)


async def test_a_dead_probe_does_not_leave_targets_green(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target whose checks stay away is unknown, whatever its last status was."""
    targets = (Target(name="shop", every=5, timeout=1, http=HttpCheck(url="http://127.0.0.1:1/")),)
    ahead = {"ms": 0.0}
    monkeypatch.setattr(gateway_app, "now_ms", lambda: now_ms() + ahead["ms"])
    async with writer(kafka) as w:
        await w.write(health("shop"))
        async with gateway(kafka, targets=targets) as g, g.live() as ws:

            async def told(status: str) -> None:
                """Wait until the client is told that it is so."""
                await receive_until(ws, lambda m: m["type"] == "health_update" and m["targets"][0]["status"] == status)

            await receive_until(ws, lambda m: m["type"] == "history")  # from now on it is told what changes
            (target,) = (await g.get("/api/targets"))["targets"]
            assert target["status"] == "healthy"
            # Later it is overdue, with no record to say so.
            ahead["ms"] = 30_000.0
            await told("unknown")
            (target,) = (await g.get("/api/targets"))["targets"]
            assert target["status"] == "unknown"
            assert target["message"].startswith("no check since")
            assert (await g.get("/api/health/scheduler/status"))["running"] is False
            await w.write(health("shop", time=now_ms() + 30_000))
            await told("healthy")


async def test_check_on_demand_waits_for_fresh_results(kafka: KafkaSettings) -> None:
    """POST check asks on `control` and answers when every target was checked anew, or says which was not."""
    seen: list[Control] = []
    # An answer is waited for as long as a check may take: that of the one that answers is for a slow machine.
    targets = (TARGETS[0].model_copy(update={"timeout": PATIENCE_S}), *TARGETS[1:])
    async with writer(kafka) as w, gateway(kafka, targets=targets) as g:

        async def probe(control: Control) -> None:
            for name in ("shop", "api", "www") if control.id == "*" else (control.id,):
                if len(seen) < 3:
                    await w.write(health(name))

        task = asyncio.create_task(answering(kafka, probe, seen))
        try:
            await w.write(health("shop", "unhealthy", time=now_ms() - 5000))
            answer = await g.post("/api/health/check")
            models.CheckResult.model_validate(answer)
            assert answer["complete"] is True
            assert (answer["checked"], answer["not_checkable"]) == (["shop", "api", "www"], ["jobs"])
            assert answer["platforms"][0]["status"] == "healthy"
            one = await g.post("/api/health/check", {"targets": ["shop"]})
            assert [p["platform"] for p in one["platforms"]] == ["shop"]
            late = await g.post("/api/health/check", {"platform": "shop-platform"}, 202)
            assert (late["complete"], late["missing"]) == (False, ["api", "www"])
            await until(lambda: len(seen) >= 4)
        finally:
            task.cancel()
        assert [(c.kind, c.id, c.version) for c in seen] == [
            ("check", "*", 1), ("check", "shop", 1), ("check", "api", 1), ("check", "www", 1),
        ]  # fmt: skip
        await g.post("/api/health/check", {"targets": ["nope"]}, 404)
        await g.post("/api/health/check", {"targets": ["shop"], "platform": "shop"}, 400)
        await g.post("/api/health/check", {"tagets": ["shop"]}, 422)
        async with reading(kafka, DEAD_LETTERS) as letters:
            await w.raw("control", b"no avro", b"check/shop")
            assert [x.value for x in await letters.wait(DEAD_LETTERS, 1)] == [b"no avro"], "a demand is no fault"


async def test_dead_letters_and_metrics(kafka: KafkaSettings) -> None:
    """Dead letters are counted and shown without their bytes; Prometheus reads every number; garbage is counted."""
    letter = DeadLetter(
        hop="detect",
        reason="not_avro",
        error="bad",
        topic="samples",
        partition=0,
        offset=7,
        at=now_ms(),
        value=b"secret",
    )
    async with writer(kafka) as w:
        await w.write(letter, letter, alert(), health(latency_ms=12.5, error_rate=0.25), notification(repeat=True))
        await w.raw("alerts", b"garbage")
        async with gateway(kafka) as g:
            answer = await g.get("/api/dead-letters?limit=1")
            models.DeadLetterList.model_validate(answer)
            assert answer["counts"] == [{"hop": "detect", "reason": "not_avro", "count": 2}]
            assert answer["dead_letters"][0]["value_bytes"] == 6
            assert "secret" not in str(answer)
            text = (await g.http.get("/metrics")).text
            found = {
                (s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(text) for s in f.samples
            }
            assert found["probestream_target_up", "http", "shop", "shop"] == 1
            assert found["probestream_target_latency_ms", "http", "shop", "shop"] == 12.5
            assert found["probestream_target_error_rate", "http", "shop", "shop"] == 0.25
            assert found["probestream_alerts", "critical", "firing"] == 1
            assert found["probestream_notifications_total", "slack", "delivered"] == 1
            assert found["probestream_notification_repeats_total",] == 1
            assert found["probestream_dead_letters_total", "detect", "not_avro"] == 2
            assert found["probestream_view_undecodable_total", "alerts"] == 1
            assert found["probestream_view_lag_records", "alerts"] == 0


async def test_records_of_transactions_are_read(kafka: KafkaSettings) -> None:
    """A transaction's marker at the end of a topic does not keep the gateway from being ready."""
    producer = AIOKafkaProducer(**producer_options(kafka, "test"), transactional_id=f"{kafka.prefix}t")
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(f"{kafka.prefix}notifications", encode(notification()), key=b"k")
    await producer.stop()
    await settled(kafka, NOTIFICATIONS)
    async with gateway(kafka) as g:
        assert (await g.get("/api/notifications/stats"))["channels"] == {"slack": {"delivered": 1}}
