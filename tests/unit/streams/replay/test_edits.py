"""Rules and targets edited at random while they hold, from samples to alerts: nothing fires for ever."""

from __future__ import annotations

import os
import random

import orjson
import pytest

from schemas import Control, SampleBatch
from streams.life import ACTIVE, ENDED
from streams.replay import Replay
from streams.rules import Rule
from tests.unit.streams.replay.test_replay import START, Target

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
UP = {"metric": "up", "operator": "==", "value": 0}
BASE = Rule(name="base", severity="critical", **UP)
TARGETS = {"a": {"region": "eu", "team": "web"}, "b": {"region": "eu"}, "c": {"region": "us", "team": "web"}}
# What the rule named r may be edited to.
FORMS = (
    UP,
    UP | {"severity": "critical", "labels": {"team": "db", "region": "all"}, "cooldown": 0},
    UP | {"severity": "info", "for": "20s", "annotations": {"summary": "{{ target }}"}},
    UP | {"resolve": {"samples": 3}},
    UP | {"resolve": {"samples": 2, "after": "30s"}, "severity": "critical", "escalate": "15s"},
    UP | {"group_by": ["region"], "share": 0.5, "resolve": {"samples": 2}},
    UP | {"group_by": ["team"], "severity": "critical"},
    UP | {"match": ["team=web"]},
    {"metric": "latency", "value": 100, "for": "5s"},
    {"metric": "latency", "warning": 100, "critical": 500},
    {"metric": "cpu.used_percent", "value": 90},
    {"metric": "queue.depth", "value": 1},
    {"metric": "error_rate", "window": "1m", "value": 0.5, "min_samples": 3, "resolve": {"samples": 4}},
    {"absent": "40s"},
    {"alerts": ["base"], "severity": "critical"},
    {"alerts": {"any": ["base"]}, "group_by": ["region"]},
    {"alerts": {"not": "base"}, "match": ["team=nobody"]},
    None,
)  # fmt: skip


class Edited:
    """Samples, edits and people at random."""

    def __init__(self, seed: int) -> None:
        self.dice, self.at, self.versions = random.Random(seed), 0.0, {}
        first = self.dice.choice([f for f in FORMS if f])
        rules = [BASE, Rule.model_validate({"name": "r", **first})]
        self.replay = Replay(rules, [Target(n, labels) for n, labels in TARGETS.items()], partitions=2, start_ms=START)

    def wait(self, seconds: float) -> None:
        self.at += seconds
        self.replay.advance(START + self.at * 1000)

    def samples(self, names, *, good: bool) -> None:
        self.wait(0.001)
        n, now = len(names), START + (self.at + 0.001) * 1000
        self.at += 0.001
        bad = 0.0 if good else self.dice.choice([0.3, 0.9])
        oks = [self.dice.random() >= bad for _ in names]
        cpu = [10.0 if ok else self.dice.choice([95.0, float("nan")]) for ok in oks]
        batch = SampleBatch(
            probe="p", target=list(names), time=[now - i for i in range(n)], ok=oks,
            latency_ms=[10.0 if ok else self.dice.choice([200.0, 900.0]) for ok in oks],
            metrics=[{"name": "cpu.used_percent", "value": cpu}],
        )  # fmt: skip
        self.replay.samples(now, batch)

    def control(self, kind: str, key: str, body: dict | None) -> None:
        self.at += 0.002
        version = self.versions[kind, key] = self.versions.get((kind, key), 0) + 1
        at = START + self.at * 1000
        record = Control(
            kind=kind, id=key, version=version, deleted=body is None, actor="ada", at=at,
            body=orjson.dumps(body or {}).decode(),
        )  # fmt: skip
        self.replay.control(at, record)

    def step(self) -> None:
        dice = self.dice
        match dice.choice(["samples"] * 6 + ["edit"] * 3 + ["target", "person", "wait", "wait"]):
            case "samples":
                self.samples(dice.choices(sorted(TARGETS), k=dice.randint(1, 4)), good=dice.random() < 0.4)
            case "edit":
                form = dice.choice(FORMS)
                self.control("rule", "r", None if form is None else {"name": "r", **form})
            case "target":
                name = dice.choice(sorted(TARGETS))
                self.control(
                    "target", name, {"name": name, "kind": "http", "labels": dice.choice(list(TARGETS.values()))}
                )
            case "person":
                self.wait(0.5)
                if ids := [life.id for life in self.replay.alerting.lives if life.active]:
                    kind = dice.choice(["ack", "snooze", "resolve"])
                    self.control(
                        kind, dice.choice(ids), {"until": START + (self.at + 30) * 1000} if kind == "snooze" else {}
                    )
            case _:
                self.wait(dice.choice([1, 5, 12, 60]))

    def heal(self) -> None:
        """All is well for long, by a rule that looks at samples or at other alerts, or by none."""
        form = self.dice.choice(FORMS)
        self.control("rule", "r", None if form is None else {"name": "r", **form})
        for _ in range(40):
            self.samples(sorted(TARGETS), good=True)
            self.wait(20)
        for _ in range(10):
            self.samples(sorted(TARGETS), good=True)
            self.wait(30)


@pytest.mark.parametrize("first", range(0, int(os.environ.get("PROBESTREAM_EDITS", "40")), 20))
def test_whatever_is_edited_no_alert_fires_for_ever(first):
    """Once all is well every alert has ended, its numbers are whole, and its end is told to those who heard of it."""
    for seed in range(first, first + 20):
        story = Edited(seed)
        for _ in range(60):
            story.step()
        story.heal()
        by_id: dict[str, list] = {}
        for alert in story.replay.transitions:
            by_id.setdefault(alert.id, []).append(alert)
        for steps in by_id.values():
            told = [a.labels for a in steps[:-1] if a.notify]
            assert [a.number for a in steps] == list(range(1, len(steps) + 1)), (seed, steps)
            assert steps[-1].state in ENDED, (seed, [(a.state, a.reason, a.rule, a.target) for a in steps])
            assert not any(a.state in ENDED for a in steps[:-1]), (seed, steps)
            assert steps[-1].notify == bool(told), (seed, steps)
            assert all(labels in (steps[-1].told_as or [steps[-1].labels]) for labels in told), (seed, steps)
        assert not [life for life in story.replay.alerting.lives if life.state in ACTIVE], seed
