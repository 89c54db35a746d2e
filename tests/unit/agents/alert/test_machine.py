"""Any history, with deaths at any write, loses no transition and makes none twice."""

from __future__ import annotations

import os
from types import SimpleNamespace

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas import Control, Finding
from streams.life import ACTIVE, ENDED, FIRED, LifeDefaults
from streams.rules import Rule
from tests.kit.alert_role import Role

TARGETS = [SimpleNamespace(name=n, all_labels={"target": n, "kind": "http", "region": "eu"}) for n in ("a", "b")]
DEFAULTS = LifeDefaults(cooldown=20, remind=60, flapping={"episodes": 3, "within": 200, "steady": 40})
DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical", escalate="30s")
SLOW = Rule(name="slow", metric="latency", value=9, resolve={"after": "15s", "samples": 3}, **{"for": "10s"})
MOST = Rule(name="most", metric="up", operator="==", value=0, at_least=2, group_by=["region"], resolve={"samples": 2})
BOTH = Rule(name="both", alerts={"all": ["down", "slow"]})
RULES = [DOWN, SLOW, MOST, BOTH]
SOURCES = {r.name: r for r in (DOWN, SLOW, MOST)}
LEGAL = {
    "": {"pending", *FIRED} - {"acknowledged", "snoozed", "escalated"},
    "pending": {"pending", "cancelled", "firing", "suppressed", "flapping"},
    **{state: {*FIRED, "resolved"} for state in FIRED},
}


class Lives(RuleBasedStateMachine):
    """Findings, people, silences, edits, time and deaths in any order."""

    @initialize()
    def begin(self):
        self.role = Role(TARGETS, RULES, DEFAULTS)
        self.holds: dict[tuple[str, str], bool] = {}
        self.good: dict[tuple[str, str], int] = {}  # of what has ceased and is being verified, by detect's count
        self.told: dict[tuple[str, str], list[Finding]] = {}
        self.versions: dict[tuple[str, str], int] = {}

    def teardown(self):
        if hasattr(self, "role"):
            try:
                self.end()
            finally:
                self.role.close()

    def end(self):
        """Let everything recover and be steady: every alert has ended, and those who were told know it."""
        self.role.configure(RULES)
        for (target, name), holds in list(self.holds.items()):
            if holds:
                self.finding(target, name)
        for target, name in [key for key in list(self.good) for _ in range(3)]:
            self.good_sample(target, name)
        for _ in range(8):
            self.role.now += 100_000
            self.role.read()
            self.role.tick()
            self.role.flush()
        self.numbers_are_whole()
        last = {a.id: a for a in self.role.log.alerts()}
        assert all(a.state in ENDED for a in last.values()), [a for a in last.values() if a.state in ACTIVE]

    @rule(of=st.sampled_from(["a", "b"]), name=st.sampled_from(sorted(SOURCES)))
    def finding(self, of, name):
        """The rule begins or ceases to hold, whichever is news."""
        if not any(r.name == name for r in self.role.rules):
            return  # detect has no such rule either
        self.role.now += 7
        holds = not self.holds.get((of, name), False)
        self.holds[of, name] = holds
        self.good.pop((of, name), None)
        if not holds and SOURCES[name].good_samples:
            self.good[of, name] = 1
        self.find(of, name, holds=holds, good=self.good.get((of, name), 0))

    def find(self, of, name, *, holds, good=0):
        before = self.told.setdefault((of, name), [])
        finding = Finding(
            target=of, rule=name, holds=holds, time=self.role.now, severity="warning", metric="up",
            aggregate="last", operator="==", threshold=0.0, value=0.0, sequence=len(before), good=good,
            wanted=SOURCES[name].good_samples if good else 0,
        )  # fmt: skip
        before.append(finding)
        self.role.write_finding(finding, SOURCES[name], {"region": "eu"})

    @rule(of=st.sampled_from(["a", "b"]), name=st.sampled_from(["slow", "most"]))
    def good_sample(self, of, name):
        """One more sample with which a rule that has ceased does not hold."""
        if (of, name) not in self.good or not any(r.name == name for r in self.role.rules):
            return
        self.role.now += 7
        self.good[of, name] += 1
        self.find(of, name, holds=False, good=self.good[of, name])
        if self.good[of, name] >= SOURCES[name].good_samples:
            del self.good[of, name]

    @rule(of=st.sampled_from(["a", "b"]), name=st.sampled_from(sorted(SOURCES)), last=st.integers(1, 3))
    def told_again(self, of, name, last):
        """Detect was killed, and tells its last findings again."""
        for finding in self.told.get((of, name), [])[-last:]:
            self.role.write_finding(finding, SOURCES[name], {"region": "eu"})

    @rule()
    def read(self):
        self.role.now += 6000 if len(self.role.rules) < len(RULES) else 1  # later than an unknown rule is waited for
        self.role.read()

    @rule(seconds=st.sampled_from([0, 1, 5, 10, 15, 30, 60]))
    def time_passes(self, seconds):
        self.role.now += seconds * 1000
        self.role.tick()

    @rule(kind=st.sampled_from(["ack", "snooze", "resolve"]), which=st.integers(0, 5), withdrawn=st.booleans())
    @precondition(lambda self: self.role.log.alerts())
    def person(self, kind, which, withdrawn):
        ids = sorted({a.id for a in self.role.log.alerts()[-10:]})
        body = {"until": self.role.now + 20_000} if kind == "snooze" else {"comment": "c"}
        self.write(kind, ids[which % len(ids)], body, deleted=withdrawn and kind != "resolve")

    @rule(name=st.sampled_from(["down", "slow"]), on=st.booleans(), seconds=st.sampled_from([10, 100]))
    def silence(self, name, on, seconds):
        span = {"starts": self.role.now, "ends": self.role.now + seconds * 1000}
        self.write("silence", f"s-{name}", {"matchers": [f'rule="{name}"'], **span}, deleted=not on)

    def write(self, kind, key, body, *, deleted):
        version = self.versions[kind, key] = self.versions.get((kind, key), 0) + 1
        self.role.control(
            Control(
                kind=kind, id=key, version=version, deleted=deleted, actor="ada", at=self.role.now,
                body=orjson.dumps(body).decode(),
            )
        )  # fmt: skip

    @rule(
        without=st.sampled_from([None, None, "down", "slow", "most", "both"]),
        wait=st.sampled_from([0, 10, 40]),
        severity=st.sampled_from(["info", "warning", "critical"]),
        team=st.sampled_from(["web", "db"]),
    )
    def edit(self, without, wait, severity, team):
        """A rule is taken out, comes back, or has another duration, severity, label, text."""
        for of, name in [k for k, holds in self.holds.items() if holds and k[1] == without]:
            self.finding(of, name)  # detect says that what it no longer judges has ceased
        for of, name in [k for k in self.good if k[1] == without]:
            del self.good[of, name]  # and tells of no further sample
            self.find(of, name, holds=False)
        changed = Rule(name="slow", metric="latency", value=9, keep_firing_for="5s", **{"for": f"{wait}s"})
        shown = {"severity": severity, "labels": {"team": team}, "annotations": {"summary": f"{{{{ target }}}} {team}"}}
        rules = [changed if r.name == "slow" else r.model_copy(update=shown) for r in RULES if r.name != without]
        self.role.configure(rules)
        self.role.tick()
        looks = {(a.rule, a.target): a for a in self.role.worker.lives if a.active}
        for life in looks.values():
            if life.rule != "slow" and not self.role.worker.is_behind(self.role.worker.lives.partition(life.key)):
                assert (life.severity, life.labels["team"]) == (severity, team)

    @rule()
    def flush(self):
        self.role.flush()

    @rule(writes=st.integers(0, 12), written=st.booleans())
    def flush_and_die(self, writes, written):
        """The process is killed at some write, which the broker has, or has not."""
        self.role.flush(writes, written=written)

    @rule()
    def die(self):
        self.role.start()

    @invariant()
    def numbers_are_whole(self):
        """Each alert's numbers go 1, 2, 3 …, each state follows from the one before, and an end is told to the told."""
        if not hasattr(self, "role"):
            return
        by_id: dict[str, list] = {}
        for alert in self.role.log.alerts():
            by_id.setdefault(alert.id, []).append(alert)
        for steps in by_id.values():
            assert [a.number for a in steps] == list(range(1, len(steps) + 1)), steps
            told, state, seen = False, "", []
            for a in steps:
                assert a.previous == state
                assert a.state in LEGAL[state], (state, a)
                if a.state not in ENDED and a.notify and a.labels not in seen:
                    seen.append(a.labels)
                assert a.labels["severity"] == a.severity
                assert not seen or (a.told_as or [a.labels]) == seen  # so the end goes to all who were told
                told = told or a.notify
                state = a.state
                if a.state in ENDED:
                    assert a.notify == told, steps
            assert all(a.state not in ENDED for a in steps[:-1])


TestLives = Lives.TestCase
TestLives.settings = settings(
    max_examples=int(os.environ.get("PROBESTREAM_EXAMPLES", "60")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
