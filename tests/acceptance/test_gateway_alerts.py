"""Alerts by the REST API over real Kafka; the test writes the records that other roles would."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from agents.gateway import models
from agents.gateway.api import alerts as alerts_api
from agents.history.app import run as history_run
from agents.history.settings import StorageSettings
from schemas import Control
from streams.history import ALERTS, NOTIFICATIONS
from streams.kafka import KafkaSettings
from streams.topics import create_topics
from streams.units import now_ms
from tests.acceptance.test_history import count
from tests.kit.gateway import answering, gateway
from tests.kit.records import alert, notification, writer
from tests.kit.role import PATIENCE_S, running, until


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


async def test_acknowledging_waits_for_the_alert_role(kafka: KafkaSettings, monkeypatch: pytest.MonkeyPatch) -> None:
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
                monkeypatch.setattr(alerts_api, "_ACK_TIMEOUT_S", PATIENCE_S)
                answer = await g.post("/api/alerts/a1/acknowledge", {"comment": "on it", "actor": "ada"})
                monkeypatch.setattr(alerts_api, "_ACK_TIMEOUT_S", 0.5)
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
                await until(lambda: len(seen) >= 2)
        finally:
            task.cancel()
        assert [(c.kind, c.id) for c in seen] == [("ack", "a1"), ("ack", "deaf")]
