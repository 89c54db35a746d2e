"""The gateway's REST API over real Kafka; the test writes the records that other roles would."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from agents.gateway import models
from agents.history.app import run as history_run
from agents.history.settings import StorageSettings
from agents.probe.settings import HttpCheck, Target
from schemas import Control, DeadLetter, Rollup, decode, encode
from streams.history import ALERTS, NOTIFICATIONS
from streams.kafka import KafkaSettings, consumer_options, producer_options
from streams.topics import CONTROL, create_topics, full_name
from streams.units import now_ms
from tests.acceptance.test_history import count
from tests.kit.gateway import gateway, receive, receive_until
from tests.kit.records import alert, health, notification, rollup, writer
from tests.kit.role import running, until


async def answering(kafka: KafkaSettings, react: Any, seen: list[Control]) -> None:
    """Play the role that reads `control`."""
    consumer = AIOKafkaConsumer(full_name(kafka, CONTROL), **consumer_options(kafka, "test"))
    await consumer.start()
    try:
        async for message in consumer:
            control = decode(message.value, Control)
            seen.append(control)
            await react(control)
    finally:
        await consumer.stop()


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


async def test_a_dead_probe_does_not_leave_targets_green(kafka: KafkaSettings) -> None:
    """A target whose checks stay away is unknown, whatever its last status was."""
    targets = (Target(name="shop", every=1, timeout=1, http=HttpCheck(url="http://127.0.0.1:1/")),)
    async with writer(kafka) as w:
        await w.write(health("shop", time=now_ms() - 14_000))
        async with gateway(kafka, targets=targets) as g:
            (target,) = (await g.get("/api/targets"))["targets"]
            assert target["status"] == "unknown"
            assert target["message"].startswith("no check since")
            assert (await g.get("/api/health/scheduler/status"))["running"] is False
            async with g.live() as ws:
                await receive(ws)
                await receive(ws)
                await w.write(health("shop", time=now_ms() - 11_000))
                news = await receive_until(ws, lambda m: m["type"] == "health_update")
                assert news[-1]["targets"][0]["status"] == "healthy"
                # One and a half seconds later it is overdue, with no record to say so.
                news = await receive_until(ws, lambda m: m["type"] == "health_update")
                assert news[-1]["targets"][0]["status"] == "unknown"


async def test_series_come_from_memory_and_from_sql(kafka: KafkaSettings, tmp_path) -> None:
    """The last hour is answered from the topic, more from the history; later panes replace earlier ones."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    now = now_ms()
    pane = now // 10_000 * 10_000
    async with writer(kafka) as w, gateway(kafka, url=url) as g:
        assert (await g.get("/api/targets/shop/series?minutes=600"))["source"] == "none"
        await w.write(rollup(pane - 10_000, {"shop": (1, 0, 10), "api": (1, 0, 10)}))
        await w.write(rollup(pane - 10_000, {"shop": (4, 1, 90), "api": (4, 0, 80)}))
        await w.write(rollup(pane, {"shop": (1, 1, 0), "api": (4, 0, 80)}))
        await w.write(rollup(pane - 7_200_000, {"shop": (10, 5, 50)}))

        async def two_points() -> Any:
            answer = await g.get("/api/targets/shop/series?minutes=60")
            return answer if len(answer["points"]) == 2 and answer["points"][0]["count"] == 4 else None

        answer = await until(two_points)
        models.Series.model_validate(answer)
        assert (answer["source"], answer["step_s"]) == ("memory", 10.0)
        first, second = answer["points"]
        assert (first["errors"], first["error_rate"], first["latency_ms"]) == (
            1,
            0.25,
            {"mean": 30, "min": 1, "max": 100},
        )
        assert second["latency_ms"] is None
        joined = await g.get("/api/targets/shop/series?minutes=60&step_s=3600")
        assert sum(p["count"] for p in joined["points"]) == 5
        async with running(history_run, kafka=kafka, settings=StorageSettings(), url=url):

            async def from_sql() -> Any:
                found = await g.get("/api/targets/shop/series?minutes=600")
                return found if sum(p["count"] for p in found["points"]) == 15 else None

            longer = await until(from_sql)
            models.Series.model_validate(longer)
            assert longer["source"] == "history"
            up = await g.get("/api/targets/shop/uptime?hours=24")
            models.UptimeAnswer.model_validate(up)
            assert (up["count"], up["uptime"]) == (15, pytest.approx(1 - 7 / 15))
            # Long spans have steps that are whole panes of the history's long ones.
            for minutes in (1440, 2880, 10_080, 50_400):
                found = await g.get(f"/api/targets/shop/series?minutes={minutes}")
                assert found["step_s"] < 300 or found["step_s"] % 300 == 0, found["step_s"]
                assert minutes * 60 / found["step_s"] <= 400
        assert (await g.get("/api/targets/shop/uptime?hours=1"))["count"] == 5
        await g.get("/api/targets/nope/series", 404)
        await g.get("/api/targets/shop/series?minutes=nan", 422)


async def test_a_metric_over_time_from_memory_and_from_sql(kafka: KafkaSettings, tmp_path) -> None:
    """Asked for a metric, each point has its value beside the checks; null where it was not measured."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    pane = now_ms() // 10_000 * 10_000

    def host(start: float, cpu: float) -> Rollup:
        made = rollup(start, {"shop": (2, 1, 10)})
        made.target, made.metric = ["shop", "shop"], ["", "cpu.used_percent"]
        for name, value in {
            "count": 2,
            "errors": 0,
            "value_count": 2,
            "value_sum": 2 * cpu,
            "value_min": cpu - 1,
            "value_max": cpu + 1,
        }.items():
            getattr(made, name).append(value)
        return made

    lonely = rollup(pane - 30_000, {"shop": (1, 0, 7)}, metric=["cpu.used_percent"])
    async with writer(kafka) as w, gateway(kafka, url=url) as g:
        await w.write(
            host(pane - 7_200_000, 11), lonely, rollup(pane - 20_000, {"shop": (4, 1, 90)}), host(pane - 10_000, 40)
        )

        async def three() -> Any:
            found = await g.get("/api/targets/shop/series?minutes=60&metric=cpu.used_percent")
            return found if len(found["points"]) == 3 else None

        answer = await until(three)
        models.Series.model_validate(answer)
        assert (answer["metric"], answer["source"]) == ("cpu.used_percent", "memory")
        seen = [
            (p["count"], p["error_rate"], p["latency_ms"] and p["latency_ms"]["mean"], p["value"])
            for p in answer["points"]
        ]
        assert seen == [
            (0, None, None, {"mean": 7, "min": 1, "max": 100}),
            (4, 0.25, 30, None),
            (2, 0.5, 10, {"mean": 40, "min": 39, "max": 41}),
        ]
        plain = await g.get("/api/targets/shop/series?minutes=60")
        assert "metric" not in plain
        assert all("value" not in p for p in plain["points"])
        none = await g.get("/api/targets/shop/series?minutes=60&metric=nope")
        assert [p["value"] for p in none["points"]] == [None, None]
        async with running(history_run, kafka=kafka, settings=StorageSettings(), url=url):

            async def from_sql() -> Any:
                found = await g.get("/api/targets/shop/series?minutes=600&step_s=600&metric=cpu.used_percent")
                return found if sum(p["count"] for p in found["points"]) == 8 else None

            longer = await until(from_sql)
            models.Series.model_validate(longer)
            assert longer["source"] == "history"
            assert longer["points"][0]["value"] == {"mean": 11, "min": 10, "max": 12}
            assert sum(p["value"] is not None for p in longer["points"]) in (2, 3)
        await g.get("/api/targets/shop/series?metric=" + "x" * 300, 422)


async def test_check_on_demand_waits_for_fresh_results(kafka: KafkaSettings) -> None:
    """POST check asks on `control` and answers when every target was checked anew, or says which was not."""
    seen: list[Control] = []
    async with writer(kafka) as w, gateway(kafka) as g:

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
        finally:
            task.cancel()
        assert [(c.kind, c.id, c.version) for c in seen[:3]] == [
            ("check", "*", 1), ("check", "shop", 1), ("check", "api", 1),
        ]  # fmt: skip
        await g.post("/api/health/check", {"targets": ["nope"]}, 404)
        await g.post("/api/health/check", {"targets": ["shop"], "platform": "shop"}, 400)
        await g.post("/api/health/check", {"tagets": ["shop"]}, 422)


async def test_alerts_are_listed_filtered_and_paged(kafka: KafkaSettings) -> None:
    """The list has each alert once with its latest transition; filters and pages lose and repeat none."""
    now = now_ms()
    async with writer(kafka) as w:
        for i in range(25):
            await w.write(alert(id=f"a{i:02}", target="shop" if i % 2 else "api", at=now + i, severity="warning"))
        for i in range(5):
            await w.write(alert(id=f"a{i:02}", number=2, state="resolved", at=now + 100 + i, severity="warning"))
        async with gateway(kafka) as g:
            seen: list[str] = []
            cursor: str | None = ""
            while cursor is not None:
                page = await g.get("/api/health/alerts", params={"limit": 10, "cursor": cursor})
                models.AlertList.model_validate(page)
                seen += [a["id"] for a in page["alerts"]]
                cursor = page["next_cursor"]
            assert len(seen) == 25
            assert len(set(seen)) == 25
            assert seen[0] == "a04"
            assert len((await g.get("/api/health/alerts?state=active"))["alerts"]) == 20
            assert len((await g.get("/api/health/alerts?state=resolved,pending"))["alerts"]) == 5
            assert (await g.get("/api/health/alerts?severity=critical"))["alerts"] == []
            assert {a["target"] for a in (await g.get("/api/health/alerts?target=api"))["alerts"]} == {"api"}
            await g.get("/api/health/alerts?state=burning", 400)
            await g.get("/api/health/alerts?cursor=nonsense", 400)
            await g.get("/api/health/alerts?limit=0", 422)


async def test_old_alerts_come_from_the_history(kafka: KafkaSettings, tmp_path) -> None:
    """What SQL alone still knows is listed, has its story, and fires on where it has not ended."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    now = now_ms()
    other = kafka.model_copy(update={"prefix": f"{kafka.prefix}old."})

    await create_topics(other)
    async with writer(other) as w, running(history_run, kafka=other, settings=StorageSettings(), url=url):
        await w.write(
            alert(id="ended", number=1, at=now - 9e5), alert(id="ended", number=2, state="resolved", at=now - 8e5),
            alert(id="fires", at=now - 9e5), notification("ended"),
        )  # fmt: skip
        await until(lambda: count(url, ALERTS) == 3 and count(url, NOTIFICATIONS) == 1)
    async with writer(kafka) as w, gateway(kafka, url=url) as g:
        await w.write(alert(id="new"))

        async def three() -> Any:
            page = await g.get("/api/health/alerts?limit=3")
            return page if len(page["alerts"]) == 3 else None

        page = await until(three)
        assert [a["id"] for a in page["alerts"]] == ["new", "ended", "fires"]
        assert page["next_cursor"] is None
        first = await g.get("/api/health/alerts?limit=1")
        second = await g.get("/api/health/alerts", params={"limit": 1, "cursor": first["next_cursor"]})
        assert second["alerts"][0]["id"] == "ended"
        story = await g.get("/api/alerts/ended")
        assert [t["state"] for t in story["transitions"]] == ["firing", "resolved"]
        assert [n["outcome"] for n in story["notifications"]] == ["delivered"]
        assert (await g.get("/api/targets/shop"))["target"]["active_alerts"] == 2
        refused = await g.post("/api/alerts/ended/acknowledge", status=409)
        assert refused["error"]["code"] == "already_resolved"


async def test_an_alert_has_its_story(kafka: KafkaSettings) -> None:
    """All transitions and all notifications of one alert, oldest first; a transition sent twice is there once."""
    async with writer(kafka) as w:
        await w.write(
            alert(number=1, state="pending"), alert(number=2), alert(number=2), alert(number=3, state="resolved")
        )
        await w.write(notification(outcome="intent"), notification(outcome="delivered", repeat=True))
        async with gateway(kafka) as g:
            story = await g.get("/api/alerts/a1")
            models.AlertStory.model_validate(story)
            assert [t["number"] for t in story["transitions"]] == [1, 2, 3]
            assert (story["alert"]["state"], story["alert"]["active"]) == ("resolved", False)
            assert [n["outcome"] for n in story["notifications"]] == ["intent", "delivered"]
            assert (await g.get("/api/alerts/nope", 404))["error"]["code"] == "unknown_alert"
            stats = await g.get("/api/notifications/stats")
            models.NotificationStats.model_validate(stats)
            assert (stats["channels"], stats["repeats"]) == ({"slack": {"intent": 1, "delivered": 1}}, 1)


async def test_acknowledging_waits_for_the_alert_role(kafka: KafkaSettings) -> None:
    """The acknowledgement goes over `control`, and the answer is the transition that it caused."""
    seen: list[Control] = []
    async with writer(kafka) as w:

        async def react(control: Control) -> None:
            if control.id == "a1":
                body = orjson.loads(control.body)
                more = {"actor": control.actor, "comment": body["comment"], "previous": "firing", "reason": "ack"}
                await w.write(alert(number=2, state="acknowledged", **more))

        await w.write(alert(), alert(id="ended", state="resolved"), alert(id="deaf"), alert(id="soon", state="pending"))
        task = asyncio.create_task(answering(kafka, react, seen))
        try:
            async with gateway(kafka) as g:
                answer = await g.post("/api/alerts/a1/acknowledge", {"comment": "on it", "actor": "ada"})
                models.AlertAnswer.model_validate(answer)
                got = answer["alert"]
                assert (got["state"], got["actor"], got["comment"], got["number"]) == (
                    "acknowledged",
                    "ada",
                    "on it",
                    2,
                )
                for alert_id, status, code in (
                    ("a1", 409, "already_acknowledged"),
                    ("ended", 409, "already_resolved"),
                    ("soon", 409, "not_firing"),
                    ("nope", 404, "unknown_alert"),
                    ("deaf", 504, "timeout"),
                ):
                    refused = await g.post(f"/api/alerts/{alert_id}/acknowledge", status=status)
                    assert refused["error"]["code"] == code
        finally:
            task.cancel()
        assert [(c.kind, c.id) for c in seen] == [("ack", "a1"), ("ack", "deaf")]


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
    async with gateway(kafka) as g:
        assert (await g.get("/api/notifications/stats"))["channels"] == {"slack": {"delivered": 1}}
