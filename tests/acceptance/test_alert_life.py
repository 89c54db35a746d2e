"""The whole life of an alert on real Kafka: silences, snoozes, escalation, groups, composites, deaths at each step."""

from __future__ import annotations

import pytest
import yaml

from agents.alert import app as alert_app
from agents.alert import worker as alert_worker
from agents.alert.app import run
from agents.alert.settings import AlertSettings
from agents.crash import VARIABLE
from agents.probe.settings import Target
from streams.rules import Rule
from streams.topics import ALERTS, CONTROL, DEAD_LETTERS
from streams.units import now_ms
from tests.kit.findings import Feed
from tests.kit.process import RoleProcess
from tests.kit.reader import everything, reading
from tests.kit.role import running, until

TARGETS = tuple(
    Target(name=n, labels={"region": "eu"}, http={"url": "http://127.0.0.1:1"}) for n in ("shop", "blog", "wiki")
)
DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical")
SLOW = Rule(name="slow", metric="latency", value=100)
RULES = (DOWN, SLOW)


@pytest.fixture
def feed(kafka, producer):
    return Feed(kafka, producer, {"region": "eu"})


@pytest.fixture
def ahead(monkeypatch):
    """By how many milliseconds the role's clock is ahead of the time."""
    by = {"ms": 0.0}
    for module in (alert_app, alert_worker):
        monkeypatch.setattr(module, "now_ms", lambda: now_ms() + by["ms"])
    return by


def role(kafka, *rules, **settings):
    return running(
        run, kafka=kafka, settings=AlertSettings(tick=0.05, **settings), targets=TARGETS, rules=rules or RULES
    )


def told(alerts) -> list[tuple[str, str, bool]]:
    return [(a.rule, a.state, a.notify) for a in alerts]


async def test_silence_read_before_anything_is_told(kafka, feed):
    """A silence written while the role was down hides what fires at its start; withdrawn, the alert is told."""
    until_ = now_ms() + 3_600_000
    await feed.control("silence", "s1", matchers=["rule=down"], starts=now_ms() - 1000, ends=until_, comment="deploy")
    await feed.finding(DOWN, True)
    async with reading(kafka, ALERTS) as seen, role(kafka):
        (hidden,) = await seen.wait(ALERTS, 1)
        assert (hidden.state, hidden.reason, hidden.by, hidden.until, hidden.notify) == (
            "suppressed", "silenced", "s1", until_, False,
        )  # fmt: skip
        await feed.control("silence", "s1", deleted=True)
        assert told((await seen.wait(ALERTS, 2))[1:]) == [("down", "firing", True)]


async def test_snooze_wakes_over_a_restart_and_hand_made_end_is_told(kafka, feed, ahead):
    """A snooze ends at its time though the role was restarted meanwhile; resolved by hand, people are told."""
    async with reading(kafka, ALERTS) as seen:
        async with role(kafka):
            await feed.finding(DOWN, True)
            (fired,) = await seen.wait(ALERTS, 1)
            await feed.control("snooze", fired.id, until=now_ms() + 600_000, comment="lunch")
            await seen.wait(ALERTS, 2)
        async with role(kafka):
            assert told(seen[ALERTS]) == [("down", "firing", True), ("down", "snoozed", False)]
            ahead["ms"] = 600_000.0
            woken = (await seen.wait(ALERTS, 3))[2]
            assert (woken.reason, woken.notify) == ("snooze_over", True)
            assert woken.at >= seen[ALERTS][1].until
            await feed.control("resolve", fired.id, comment="known")
            ended = (await seen.wait(ALERTS, 4))[3]
            assert (ended.state, ended.actor, ended.comment, ended.notify) == ("resolved", "ada", "known", True)


async def test_nobody_answers(kafka, feed):
    """Unacknowledged, it escalates step by step with the receivers of each step, and then reminds."""
    rule = Rule(
        name="down", metric="up", operator="==", value=0, severity="critical",
        escalate=[{"after": "200ms", "receivers": ["lead"]}, {"after": "400ms", "receivers": ["boss"]}],
    )  # fmt: skip
    async with reading(kafka, ALERTS) as seen, role(kafka, rule, remind="500ms"):
        await feed.finding(rule, True)
        alerts = await seen.wait(ALERTS, 4)
        assert [(a.state, a.reason, a.step, a.receivers) for a in alerts[:4]] == [
            ("firing", "held_at_once", 0, []),
            ("escalated", "not_acknowledged_in_time", 1, ["lead"]),
            ("escalated", "not_acknowledged_in_time", 2, ["lead", "boss"]),
            ("escalated", "reminder", 2, ["lead", "boss"]),
        ]
        assert all(a.notify for a in alerts[:4])


async def test_group_and_composite(kafka, feed):
    """Two of three targets are one alert with its members; a rule on two alerts fires while both do, over partitions."""
    most = Rule(name="most", metric="up", operator="==", value=0, at_least=2, group_by=["region"])
    both = Rule(name="both", alerts={"all": ["down", "slow"]}, severity="critical")
    rules = (DOWN, SLOW, most, both)
    async with reading(kafka, ALERTS) as seen:
        async with role(kafka, *rules):
            for target in ("shop", "blog"):
                await feed.finding(most, True, target)
            (group,) = await seen.wait(ALERTS, 1)
            assert (group.target, group.members, group.member_count, group.member_total) == (
                "group:region=eu", ["blog", "shop"], 2, 3,
            )  # fmt: skip
            await feed.finding(DOWN, True)
            await feed.finding(SLOW, True)
            alerts = await seen.wait(ALERTS, lambda got: any(a.rule == "both" for a in got))
            assert told(a for a in alerts if a.rule == "both") == [("both", "firing", True)]
        async with role(kafka, *rules):
            await feed.finding(SLOW, False)
            alerts = await seen.wait(ALERTS, lambda got: sum(a.rule == "both" for a in got) == 2)
            assert told(a for a in alerts if a.rule == "both")[1:] == [("both", "resolved", True)]


async def test_rule_of_the_control_topic_comes_and_goes(kafka, feed):
    """A rule written at run time is known to the role; withdrawn, its alert resolves and says why."""
    body = {"name": "hot", "metric": "up", "operator": "==", "value": 0, "severity": "critical"}
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.control("rule", "hot", **body)
        await feed.finding(Rule(**body), True)
        await seen.wait(ALERTS, 1)
        await feed.control("rule", "hot", deleted=True)
        ended = (await seen.wait(ALERTS, 2))[1]
        assert (ended.state, ended.reason, ended.notify) == ("resolved", "rule_removed", True)


async def test_a_finding_read_late_waits_for_its_rule_as_well(kafka, feed, ahead, monkeypatch):
    """A role that stood still reads both at once, in either order: no alert is lost, though the finding is old by then."""
    body = {"name": "hot", "metric": "up", "operator": "==", "value": 0, "severity": "critical"}
    monkeypatch.setattr(alert_worker, "_KNOWN_WITHIN_S", 30.0)
    ahead["ms"] = 40_000.0
    async with reading(kafka, ALERTS, DEAD_LETTERS) as seen, role(kafka):
        await feed.finding(Rule(**body), True)
        await feed.control("rule", "hot", **body)
        await until(lambda: seen[ALERTS] or seen[DEAD_LETTERS])
        assert told(seen[ALERTS]) == [("hot", "firing", True)], seen[DEAD_LETTERS]


async def test_two_workers_know_of_each_others_alerts(kafka, feed):
    """With the partitions shared by two workers, a composite fires on alerts of both, and a critical quiets its warning."""
    both = Rule(name="both", alerts={"all": ["down", "slow"]}, severity="critical")
    pair = Rule(name="load", metric="latency", warning=1, critical=2)
    rules = (DOWN, SLOW, both, pair)
    async with reading(kafka, ALERTS) as seen, role(kafka, *rules), role(kafka, *rules):
        for target in ("shop", "blog", "wiki"):
            await feed.finding(DOWN, True, target)
            await feed.finding(SLOW, True, target)
            for severity in ("warning", "critical"):
                await feed.finding(pair.model_copy(update={"name": f"load:{severity}"}), True, target)
        alerts = await seen.wait(ALERTS, lambda got: sum(a.rule == "both" or a.state == "suppressed" for a in got) == 6)
        assert sorted(a.target for a in alerts if a.rule == "both" and a.notify) == ["blog", "shop", "wiki"]
        quiet = {a.target: a for a in alerts if a.rule == "load:warning" and a.state == "suppressed"}
        critical = {a.target: a.id for a in alerts if a.rule == "load:critical" and a.state == "firing"}
        assert {t: a.by for t, a in quiet.items()} == critical


STEPS = ("begun", "storing", "stored", "telling", "told", "let_go")


@pytest.mark.parametrize(("step", "passage"), [*((step, 1) for step in STEPS), ("stored", 2), ("told", 2)])
async def test_killed_at_each_step_of_a_flush(kafka, feed, tmp_path, step, passage, monkeypatch):
    """SIGKILL at a named step: after the restart every transition is on `alerts` once, with whole numbers."""
    config = tmp_path / "probestream.yaml"
    plain = {"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": "critical"}
    config.write_text(
        yaml.safe_dump(
            {
                "kafka": {"prefix": kafka.prefix, "partitions": kafka.partitions},
                "targets": [{"name": t.name, "http": {"url": "http://127.0.0.1:1"}} for t in TARGETS],
                "rules": [plain],
                "alert": {"tick": "50ms"},
            }
        )
    )
    process = RoleProcess("alert", config, kafka, tmp_path / "data")
    monkeypatch.setenv(VARIABLE, f"alert.flush.{step}:{passage}")
    async with reading(kafka, ALERTS) as seen:
        try:
            await process.start()
            for holds in (True, False) if passage == 2 else (True,):
                for target in TARGETS:
                    await feed.finding(DOWN, holds, target.name)
                if holds and passage == 2:  # the next findings are in a flush of their own
                    await until(lambda: process.process.returncode is not None or len(seen[ALERTS]) == len(TARGETS))
            await until(lambda: process.process.returncode is not None, why="it was not killed")
            assert process.process.returncode == -9
            monkeypatch.delenv(VARIABLE)
            await process.start()
            if passage == 1:
                for target in TARGETS:
                    await feed.finding(DOWN, False, target.name)
            await seen.wait(ALERTS, 2 * len(TARGETS))
            assert await process.stop() == 0
        finally:
            await process.kill()
    by_target: dict[str, list] = {}
    for alert in seen[ALERTS]:
        by_target.setdefault(alert.target, []).append((alert.number, alert.state, alert.notify))
    assert by_target == {t.name: [(1, "firing", True), (2, "resolved", True)] for t in TARGETS}


async def test_acknowledgement_of_what_ended_is_not_kept_for_ever(kafka, feed):
    """When the next episode begins, what people asked of the last one is taken off the control topic."""
    async with reading(kafka, ALERTS) as seen, role(kafka):
        await feed.finding(DOWN, True)
        (fired,) = await seen.wait(ALERTS, 1)
        await feed.control("ack", fired.id, comment="on it")
        await seen.wait(ALERTS, 2)
        await feed.finding(DOWN, False)
        await feed.finding(DOWN, True)
        await seen.wait(ALERTS, 4)
        removed = await until(lambda: _removed(kafka), why="no tombstone")
        assert removed == [f"ack/{fired.id}".encode()]


async def _removed(kafka) -> list[bytes]:
    return [record.key for record in await everything(kafka, CONTROL) if record.value is None]
