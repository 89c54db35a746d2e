"""Why somebody was, or was not, told: detect, alert, notify and gateway as processes on real Kafka, one system for all."""

from __future__ import annotations

import contextlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio
import yaml
from aiokafka import AIOKafkaProducer

from agents.gateway import explain_models as models
from agents.history.rows import alert_row, notification_row
from schemas import SampleBatch, encode
from streams.history import ALERTS as ALERTS_TABLE
from streams.history import NOTIFICATIONS as NOTIFICATIONS_TABLE
from streams.history import connect, create_tables, upsert
from streams.instants import iso
from streams.kafka import KafkaSettings, producer_options
from streams.partition import partition_of
from streams.topics import ALERTS, NOTIFICATIONS, SAMPLES, create_topics, full_name
from streams.units import now_ms
from tests.kit.cli import Cli
from tests.kit.gateway import gateway
from tests.kit.ports import free_port
from tests.kit.process import RoleProcess
from tests.kit.reader import Reader, reading
from tests.kit.receivers import WebhookServer
from tests.kit.records import alert, notification
from tests.kit.role import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from schemas import Alert

ROLES = ("detect", "alert", "notify", "gateway")
TARGETS = ("api", "shop", "blog", "queue", "mute", "few", "host-1", "bell")
RULES = """
- {name: down, metric: consecutive_failures, operator: ">=", value: 2, severity: critical}
- {name: errors, metric: error_rate, window: 5m, value: 5%, min_samples: 10, for: 2m, match: ['target=~"queue|few"']}
- {name: slow, metric: latency, value: 100ms, cooldown: 15m}
- {name: disk, metric: disk.used_percent, value: 90%, match: ['kind="host"']}
- {name: gone, metric: absent, value: 1h}
"""

pytestmark = [pytest.mark.timeout(600), pytest.mark.asyncio(loop_scope="module")]


@dataclass
class System:
    """The processes, what they wrote so far, and a person at a terminal."""

    kafka: KafkaSettings
    folder: Path
    port: int
    reader: Reader
    producer: AIOKafkaProducer
    cli: Cli

    async def samples(self, target: str, *samples: tuple[bool, float], message: str = "") -> None:
        for ok, latency in samples:
            details = [{"row": 0, "status": "200" if ok else "503", "message": message}] if message else []
            batch = SampleBatch(
                probe="p", target=[target], time=[now_ms()], ok=[ok], latency_ms=[latency], details=details
            )
            partition = partition_of(target, self.kafka.partitions)
            await self.producer.send_and_wait(full_name(self.kafka, SAMPLES), encode(batch), partition=partition)

    async def alert(self, target: str, *, rule: str, state: str) -> Alert:
        """The first transition of this kind."""

        def of(got: list[Alert]) -> list[Alert]:
            return [a for a in got if (a.target, a.rule, a.state) == (target, rule, state)]

        return of(await self.reader.wait(ALERTS, lambda got: bool(of(got))))[0]

    async def heard(self) -> None:
        """Wait until the alert role has heard of every change so far: it takes them in one after the other."""
        await self.samples("bell", (False, 10.0), (False, 10.0))
        rings = await self.alert("bell", rule="down", state="firing")
        await self.cli("ack", rings.id)
        await self.alert("bell", rule="down", state="acknowledged")

    async def delivered(self, alert: Alert) -> None:
        key = (alert.id, alert.number)
        await self.reader.wait(
            NOTIFICATIONS,
            lambda got: any((n.alert_id, n.number) == key and n.outcome == "delivered" for n in got),
        )

    async def api(self, status: int = 200, **query: str) -> Any:
        async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
            url = f"http://127.0.0.1:{self.port}/api/v1/explain"
            answer = await http.get(url, params=query, headers={"Authorization": "Bearer sesame"})
        assert answer.status_code == status, answer.text
        if status == 200:
            models.Explained.model_validate_json(answer.text)  # every field as it is described, and none besides
        return answer.json()["explanation"] if status == 200 else answer.json()["error"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def system(broker: str, compiled: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    kafka = KafkaSettings(bootstrap=broker, prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=2)
    await create_topics(kafka)
    folder, port = tmp_path_factory.mktemp("explain"), free_port()
    async with contextlib.AsyncExitStack() as stack:
        webhook = await stack.enter_async_context(WebhookServer())
        config = {
            "targets": [{"name": t, "labels": {"team": "ops" if t == "blog" else "web"}, "push": {}} for t in TARGETS],
            "rules": yaml.safe_load(RULES),
            "route": {"receiver": "ops", "routes": [{"matchers": ['team="web"'], "receiver": "web"}]},
            "receivers": [{"name": n, "webhook_configs": [{"url": webhook.url}]} for n in ("ops", "web")],
            "gateway": {"port": port, "token": "sesame"},
            "kafka": {"prefix": kafka.prefix, "partitions": kafka.partitions},
            "detect": {"commit_every": "200ms"},
        }
        (folder / "probestream.yaml").write_text(yaml.safe_dump(config))
        roles = [RoleProcess(r, folder / "probestream.yaml", kafka, folder / "data") for r in ROLES]
        reader = await stack.enter_async_context(reading(kafka, ALERTS, NOTIFICATIONS))
        producer = await stack.enter_async_context(AIOKafkaProducer(**producer_options(kafka, "test")))
        try:
            for role in roles:
                await role.start(wait=False)
            for role in roles:
                await role.ready()
            yield System(kafka, folder, port, reader, producer, Cli(kafka, folder))
        finally:
            for role in roles:
                await role.kill()


GOOD, BAD, SLOW = (True, 10.0), (False, 10.0), (True, 900.0)


async def test_a_page_is_explained_from_the_sample_to_the_receiver(system):
    """The first line says who was told when and why; then come the sample, the decision, the route, the delivery."""
    before = now_ms()
    await system.samples("api", GOOD, BAD)
    await system.samples("api", BAD, message="connection refused")
    fired = await system.alert("api", rule="down", state="firing")
    await system.delivered(fired)
    text = await system.cli("explain", fired.id[:12])
    first = text.splitlines()[0]
    assert first.startswith("api was paged to web by webhook at ")
    assert first.endswith(" because down: consecutive_failures was 2 (>= 2)")
    assert "the sample said: 503 connection refused" in text
    assert f"decided by the sample in record samples/{partition_of('api', 2)}/" in text
    assert 'route.routes[0] matches: team="web"' in text
    assert "firing, told: the rule began to hold, and has no duration to wait for" in text
    assert "web by webhook was told: firing" in text

    story = await system.api(alert=fired.id)
    assert (story["told"], story["state"], story["rule"]) == (True, "firing", "down")
    assert story["conditions"][0] == {
        "text": "consecutive_failures >= 2", "value": 2.0, "threshold": 2.0, "count": 1.0, "window_s": 0.0,
        "min_samples": 1.0, "holds": True, "said": "consecutive_failures was 2 (>= 2)",
    }  # fmt: skip
    whats = [m["what"] for m in story["timeline"]]
    assert [w for w in whats if w != "finding"] == ["decision", "delivery"]
    assert whats.count("finding") == 1
    assert story["timeline"][whats.index("decision")]["facts"]["reason"] == "held_at_once"
    assert [(r["receiver"], r["channels"]) for r in story["routes"]] == [("web", ["webhook"])]

    now = await system.api(target="api")
    assert now["told"]
    assert now["answer"].startswith("api was paged to web by webhook at ")
    assert (now["status"], now["failures"]) == ("unhealthy", 2)
    assert now["samples"][-1]["message"] == "connection refused"
    assert now["source"]["whole"]

    past = await system.api(target="api", at=iso(before - 1000.0))
    assert not past["told"]
    assert "Nobody was told about api at " in past["answer"]
    assert "later down fired, told to web by webhook at " in past["answer"]


async def test_a_silence_is_named_with_author_end_and_comment(system):
    """Whoever was not told because of a silence reads whose it is, until when, and why."""
    await system.cli("silence", "add", "target=shop", "--for", "2h", "-m", "deploy 4711")
    await system.heard()
    await system.samples("shop", BAD, BAD)
    quiet = await system.alert("shop", rule="down", state="suppressed")
    text = await system.cli("explain", "shop")
    first = text.splitlines()[0]
    assert first.startswith("Nobody was told about shop (down): silenced until ")
    assert 'of ada (target=shop): "deploy 4711"' in first
    assert first.endswith("consecutive_failures was 2 (>= 2)")
    story = await system.api(alert=quiet.id)
    assert not story["told"]
    assert story["timeline"][-1]["said"].startswith("suppressed, not told: silenced until ")
    assert story["timeline"][-1]["facts"]["by"] == quiet.by


async def test_a_cooldown_says_when_it_was_told_and_until_when_it_waits(system):
    """The same alert again, soon after: pending, with the time of the last telling and the end of the cooldown."""
    await system.samples("blog", SLOW)
    fired = await system.alert("blog", rule="slow", state="firing")
    await system.delivered(fired)
    await system.samples("blog", GOOD)
    await system.alert("blog", rule="slow", state="resolved")
    await system.samples("blog", SLOW)
    pending = await system.alert("blog", rule="slow", state="pending")
    story = await system.api(target="blog")
    assert not story["told"]
    assert story["answer"].startswith(
        "Nobody was told about blog (slow): pending in cooldown: the same alert was told at "
    )
    assert "its cooldown of 15m lasts until" in story["answer"]
    (slow,) = [r for r in story["rules"] if r["rule"] == "slow"]
    assert (slow["holds"], slow["state"], slow["alert"]) == (True, "pending", pending.id)
    assert "latency was 900 ms (> 100 ms)" in slow["said"]
    # At the time of the first alert, the answer is that one's.
    past = await system.api(target="blog", at=str(fired.at / 1000.0))
    assert past["told"]
    assert past["answer"].startswith("blog was paged to ops by webhook")


async def test_a_duration_says_how_long_it_has_held(system):
    """A rule that has to hold for two minutes and has not yet: nobody was told, and how much is left."""
    await system.samples("queue", *[GOOD, BAD] * 6)
    await system.alert("queue", rule="errors", state="pending")
    first = (await system.cli("explain", "queue@now")).splitlines()[0]
    assert first.startswith("Nobody was told about queue (errors): pending: it had held for ")
    assert " of the 2m it has to; error_rate over 5m was " in first


async def test_too_few_samples_are_unknown_and_not_good(system):
    """A rule that wants ten samples and has two says so, with what it would be."""
    await system.samples("few", BAD, GOOD)
    before = await system.api(target="few")
    (errors,) = [r for r in before["rules"] if r["rule"] == "errors"]
    assert errors["conditions"][0]["holds"] is None
    assert errors["said"] == ("not known to hold: error_rate over 5m was unknown: 2 of 10 samples (it would be 0.5)")


async def test_a_target_without_samples_and_rules_that_do_not_apply(system):
    """Silence because nothing came is told apart from silence because all is well; a rule for others says for whom."""
    text = await system.cli("explain", "mute")
    assert text.splitlines()[0].startswith("Nobody was told about mute at ")
    assert " because no sample of it came since " in text.splitlines()[0]
    assert "not judged: no sample of the target was taken" in text
    assert "time since the latest sample was " in text  # what is about time alone is judged all the same
    assert 'disk: it is for kind="host", and kind is "push"' in text
    story = await system.api(target="mute")
    (disk,) = [r for r in story["rules"] if r["rule"] == "disk"]
    assert (disk["applies"], disk["why_not"]) == (False, 'kind="host", and kind is "push"')
    assert (story["known"], story["status"]) == (True, "unknown")


async def test_unknown_names_and_times_say_what_there_is(system):
    """A typo gets the name that was meant; a time that nobody can read, or before the log, is told as such."""
    assert "no target is named 'shpo'; did you mean shop" in await system.cli("explain", "shpo", code=1)
    assert "no alert on the log has an id that begins with 'abcdef123456'" in await system.cli(
        "explain", "abcdef123456", code=1
    )
    told = await system.cli("explain", "shop@yesterday", code=1)
    assert "no target is named 'shop@yesterday'" in told
    assert "if a time was meant: @now, @-10m," in told
    assert "the time of shop: '25:00' is no time of the day" in await system.cli("explain", "shop@25:00", code=2)
    error = await system.api(404, target="shpo")
    assert error["code"] == "unknown_target"
    assert (await system.api(400, target="shop", at="2199-01-01T00:00:00Z"))["message"].endswith("is yet to come")
    assert (await system.api(400))["message"].startswith("give alert, or target")
    old = json.loads(await system.cli("explain", "shop@2024-01-01T00:00:00Z", "--json"))
    assert not old["told"]
    assert "none of the time up to 2024-01-01 00:00:00" in old["source"]["said"]


async def test_the_token_is_wanted_as_everywhere(system):
    """Without the token nothing is explained."""
    async with httpx.AsyncClient(timeout=PATIENCE_S) as http:
        answer = await http.get(f"http://127.0.0.1:{system.port}/api/v1/explain", params={"target": "shop"})
    assert answer.status_code == 401


async def test_an_alert_that_is_no_longer_on_the_log_is_read_from_the_history(system, tmp_path):
    """The gateway explains what only the SQL history has, and notes what is gone."""
    url = f"sqlite:///{tmp_path / 'h.db'}"
    at = now_ms() - 40 * 86_400_000
    old = alert("feed0123", at=at, reason="held_at_once", source_offset=7, source_partition=1)
    told = notification("feed0123", receiver="web", channel="webhook", at=at + 90)
    engine = connect(url)
    create_tables(engine)
    with engine.begin() as connection:
        upsert(connection, ALERTS_TABLE, [alert_row(old)], replace=True)
        upsert(connection, NOTIFICATIONS_TABLE, [notification_row(told)], replace=True)
    engine.dispose()
    async with gateway(system.kafka, url=url) as g:
        story = (await g.get("/api/v1/explain?alert=feed0123"))["explanation"]
        assert (await g.get("/api/v1/explain?alert=feed0124", 404))["error"]["code"] == "unknown_alert"
    assert story["told"]
    assert story["answer"].startswith("shop was paged to web by webhook at ")
    # It fires still, so the silence of the test above, which hits it too, is part of its story.
    assert [m["what"] for m in story["timeline"] if m["what"] != "control"] == ["decision", "delivery"]
    assert "the findings are no longer on the log: values are those that the alert itself has kept" in story["notes"]
