"""Rules edited while their alerts fire, on real Kafka: what people hear of it, and where the end goes."""

from __future__ import annotations

import asyncio

import pytest
import yaml

from agents.alert.app import run
from agents.alert.settings import AlertSettings
from agents.crash import VARIABLE
from agents.notify.settings import Receiver
from agents.probe.settings import Target
from probestream.reload import FileWatch
from streams.control_client import ControlClient
from streams.routing import Route
from streams.rules import Rule
from streams.topics import ALERTS
from tests.kit import notify
from tests.kit.findings import Feed
from tests.kit.process import RoleProcess
from tests.kit.reader import reading
from tests.kit.receivers import WebhookServer
from tests.kit.role import running, until

SHOP = Target(name="shop", push={})
PLAIN = {"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": "warning", "labels": {"team": "web"}}
DOWN = Rule.model_validate(PLAIN)
EDITED = PLAIN | {"severity": "critical", "labels": {"team": "db"}, "runbook": "https://wiki.example/down"}
ROUTE = Route.model_validate({"routes": [{"matchers": [f"team={t}"], "receiver": t} for t in ("web", "db")]})


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer)


def alerting(kafka):
    return running(run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=(SHOP,), rules=(DOWN,))


async def test_a_raised_severity_pages_at_once_and_both_teams_hear_of_the_end(kafka, feed):
    """Severity and team edited while it fires: the new team is paged, and after a restart of everything both teams are
    told of the end, under the fingerprint and the id that the first of them was told."""
    async with WebhookServer() as web, WebhookServer() as db, reading(kafka, ALERTS) as seen:
        receivers = [Receiver(name=n, webhook_configs=[{"url": s.url}]) for n, s in (("web", web), ("db", db))]
        async with alerting(kafka), notify.running(kafka, ROUTE, *receivers):
            await feed.finding(DOWN, True)
            (page,) = await web.wait_for(1)
            await feed.control("rule", "down", **EDITED)
            (raised,) = await db.wait_for(1)
            # A delivery that is not on record when its role stops is made again.
            await notify.ledger_until(kafka, lambda steps: len(notify.outcomes(steps, "delivered")) == 2)
        async with alerting(kafka), notify.running(kafka, ROUTE, *receivers):
            await feed.finding(DOWN, False)
            ends = (await web.wait_for(2))[1], (await db.wait_for(2))[1]
            await seen.wait(ALERTS, 3)
        assert [post["status"] for post in (page, raised, *ends)] == ["firing", "firing", "resolved", "resolved"]
        shown = raised["alerts"][0]
        assert (shown["labels"]["severity"], shown["labels"]["team"]) == ("critical", "db")
        assert shown["annotations"]["runbook_url"] == "https://wiki.example/down"
        posts = (page, raised, *ends)
        assert len({post["alerts"][0]["fingerprint"] for post in posts}) == 1
        assert len({post["probestream"]["id"] for post in posts}) == 1
        assert len({post["groupKey"] for post in posts}) == 1
        assert (len(web.messages), len(db.messages)) == (2, 2)
    edit = seen[ALERTS][1]
    assert (edit.number, edit.reason, edit.actor, edit.comment, edit.rule_version) == (
        2, "rule_edited", "ada", "version 1", 1,
    )  # fmt: skip


async def test_a_lowered_severity_of_the_file_is_shown_and_pages_nobody(kafka, feed, tmp_path):
    """The file is saved with a milder severity and another text: a transition by the file, and no page."""
    path = tmp_path / "probestream.yaml"

    def save(**more):
        part = path.with_suffix(".new")
        part.write_text(yaml.safe_dump({"targets": [{"name": "shop", "push": {}}], "rules": [PLAIN | more]}))
        part.replace(path)  # at once: half a file would be read as one without the rule

    save(severity="critical")
    client = ControlClient(kafka, "reader")
    watch = asyncio.create_task(FileWatch(path, kafka, lambda *_: None).run())
    try:
        critical = running(
            run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=(SHOP,), rules=(Rule(**PLAIN | {"severity": "critical"}),)
        )  # fmt: skip
        async with reading(kafka, ALERTS) as seen, critical:
            await until(lambda: _knows_the_file(client))
            await feed.finding(DOWN, True)
            await seen.wait(ALERTS, 1)
            save(severity="info", annotations={"summary": "{{ target }} is away"})
            edited = (await seen.wait(ALERTS, 2))[1]
            assert (edited.actor, edited.reason, edited.severity, edited.notify) == (
                "file", "rule_edited", "info", False,
            )  # fmt: skip
            assert edited.annotations["summary"] == "shop is away"
            await feed.finding(DOWN, False)
            ended = (await seen.wait(ALERTS, 3))[2]
            assert (ended.id, ended.state, ended.notify) == (seen[ALERTS][0].id, "resolved", True)
    finally:
        watch.cancel()
        await asyncio.gather(watch, client.close(), return_exceptions=True)


async def _knows_the_file(client):
    return bool((await client.refresh()).live("file"))


@pytest.mark.parametrize("step", ["begun", "storing", "stored", "telling", "told", "let_go"])
async def test_killed_at_each_step_of_an_edit(kafka, feed, tmp_path, step, monkeypatch):
    """SIGKILL while the edit is stored and told: after the restart it is on `alerts` once, and so is the end."""
    config = tmp_path / "probestream.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "kafka": {"prefix": kafka.prefix, "partitions": kafka.partitions},
                "targets": [{"name": "shop", "push": {}}],
                "rules": [PLAIN],
                "alert": {"tick": "50ms"},
            }
        )
    )
    process = RoleProcess("alert", config, kafka, tmp_path / "data")
    monkeypatch.setenv(VARIABLE, f"alert.flush.{step}:2")
    async with reading(kafka, ALERTS) as seen:
        try:
            await process.start()
            await feed.finding(DOWN, True)
            await seen.wait(ALERTS, 1)
            await feed.control("rule", "down", **EDITED)
            await until(lambda: process.process.returncode is not None, why="it was not killed")
            assert process.process.returncode == -9
            monkeypatch.delenv(VARIABLE)
            await process.start()
            await seen.wait(ALERTS, 2)
            await feed.finding(DOWN, False)
            await seen.wait(ALERTS, 3)
            assert await process.stop() == 0
        finally:
            await process.kill()
    assert [(a.number, a.state, a.reason, a.severity, a.notify) for a in seen[ALERTS]] == [
        (1, "firing", "held_at_once", "warning", True),
        (2, "firing", "rule_edited", "critical", True),
        (3, "resolved", "rule_ceased", "critical", True),
    ]
