"""Runs a test: its series through detection and alerting, by a clock that only the test moves."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from schemas import Control, SampleBatch
from streams.control_bodies import TargetFace
from streams.instants import iso
from streams.life import ACTIVE, FIRED, LifeDefaults
from streams.replay import Replay
from streams.rule_tests import judge
from streams.rule_tests.model import Case, Event, targets_named
from streams.rule_tests.result import Failure, Result, Verdict
from streams.rule_tests.series import Sample, samples
from streams.rule_tests.why import why
from streams.suppression import Suppressions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.alerting import Watched
    from streams.rules import Rule

_SOON_MS = 0.5
"""After what happens at a time, people act on it."""
_MOST_REFUSED = 5
_EVENT_KINDS = {"unack": "ack", "unsnooze": "snooze"}


@dataclass(frozen=True, slots=True)
class World:
    """What a test runs in: the rules, the configured targets by name, and all that keeps alerts quiet."""

    rules: Sequence[Rule]
    targets: Mapping[str, Watched] = field(default_factory=dict)
    suppressions: Callable[[], Suppressions] = Suppressions
    defaults: LifeDefaults = field(default_factory=LifeDefaults)
    tick_s: float = 0.25


def run(case: Case, world: World, interval_s: float = 60.0) -> Result:
    """How `case` comes out. The targets that there are in it are those that it names."""
    began = time.perf_counter()
    result = _Run(case, world, case.interval or interval_s).run()
    result.took_s = time.perf_counter() - began
    return result


class _Run:
    def __init__(self, case: Case, world: World, interval_s: float) -> None:
        self.case, self.tick_ms = case, world.tick_s * 1000.0
        self.samples = samples(case.series, interval_s)
        self.replay = Replay(
            world.rules,
            _targets(case, world.targets),
            suppressions=world.suppressions(),
            defaults=world.defaults,
            tick_ms=self.tick_ms,
            start_ms=case.start,
        )
        self.result = Result(case.name, start_ms=case.start)
        self.standing: dict[tuple[str, str], Any] = {}
        self._seen = 0
        self._versions: dict[tuple[str, str], int] = {}

    def run(self) -> Result:
        case = self.case
        for at, by_target in self.samples.items():
            self.replay.samples(case.start + at, _batch(case.start + at, by_target))
        for at, checks in sorted(self._moments().items()):
            for event in case.events:
                if _ms(event.at) == at and event.rule == "":
                    self._say(case.start + at, event)
            self._advance(at)
            acts = [e for e in case.events if _ms(e.at) == at and e.rule]
            for event in acts:
                self._act(case.start + at + _SOON_MS, event)
            if acts:
                self._advance(at + _SOON_MS)
            for check in checks:
                check()
        self._advance(max(case.end_s * 1000.0, *self.samples, 0.0) + self.tick_ms)
        self._sequences()
        self._refused()
        self.result.transitions = self.replay.transitions
        self.result.fired = {a.rule for a in self.replay.transitions if a.state in FIRED}
        return self.result

    def _moments(self) -> dict[float, list[Callable[[], None]]]:
        """By time in milliseconds: what is to be looked at then; also the times at which people do something."""
        found: dict[float, list[Callable[[], None]]] = {_ms(event.at): [] for event in self.case.events}
        for i, want in enumerate(self.case.alerts):
            for at in want.at:
                found.setdefault(_ms(at), []).append(
                    partial(self._check, ("alerts", i), partial(judge.wanted, want, at))
                )
        for i, test in enumerate(self.case.alert_rule_test):
            check = partial(self._check, ("alert_rule_test", i), partial(judge.exactly, test))
            found.setdefault(_ms(test.eval_time), []).append(check)
        return found

    def _advance(self, to_ms: float) -> None:
        to = self.case.start + to_ms
        if to > self.replay.now or not self._seen:
            self.replay.advance(to)
        for alert in self.replay.transitions[self._seen :]:
            self.standing[alert.rule, alert.target] = alert
        self._seen = len(self.replay.transitions)

    def _check(self, path: tuple[str | int, ...], judged: Callable[..., Verdict]) -> None:
        self.result.checks += 1
        verdict = judged(self.standing, self.case.start, partial(why, self.replay, self.case.start))
        self.result.met += verdict.met
        if (failure := verdict.failure) is not None:
            self.result.failures.append(Failure(path, failure.at_s, failure.wanted, failure.got, failure.why))

    def _sequences(self) -> None:
        case = self.case
        for (rule, target), places in judge.sequences(case.transitions).items():
            self.result.checks += 1
            got = [a for a in self.replay.transitions if judge.is_of(a, rule, target)]
            steps = [case.transitions[i] for i in places]
            lines, met = judge.in_order(steps, got, case.start, self.tick_ms + _SOON_MS)
            self.result.met += met
            if lines:
                of = f" of {target}" if target else ""
                reasons = () if got else tuple(why(self.replay, case.start, rule, target))
                wanted = f"transitions of {rule}{of}: {len(steps)}, in this order (- only wanted, + only here)"
                self.result.failures.append(Failure(("transitions", places[0]), None, wanted, tuple(lines), reasons))

    def _refused(self) -> None:
        for refused in self.replay.detection.refused[:_MOST_REFUSED]:
            at = (refused.record.time - self.case.start) / 1000.0
            got = (f"{refused.refusal.reason}: {refused.refusal.message}",)
            self.result.failures.append(Failure(("series",), at, "samples that can be used", got))

    # What people do

    def _say(self, at_ms: float, event: Event) -> None:
        """A silence or a window, from now on, or the end of one."""
        kind = event.action
        if kind == "expire":
            known = [k for k in ("silence", "maintenance") if (k, event.expire) in self._versions]
            for one in known or ("silence", "maintenance"):
                self._control(at_ms, one, event.expire, event, None)
            return
        matchers = list(event.silence or event.maintenance)
        name = event.name or f"{kind} {len(self._versions) + 1}"
        ends = at_ms + (event.for_ or 0.0) * 1000.0
        body: dict[str, Any] = {"matchers": matchers, "comment": event.comment}
        if kind == "silence":
            body |= {"starts": at_ms, "ends": ends, "author": event.by}
        else:
            body |= {"start": iso(at_ms).removesuffix("Z"), "duration": event.for_}
        self._control(at_ms, kind, name, event, body)

    def _act(self, at_ms: float, event: Event) -> None:
        """Something about the alerts of a rule that there are."""
        kind = _EVENT_KINDS.get(event.action, event.action)
        alerts = [a for a in self.standing.values() if a.state in ACTIVE and judge.is_of(a, event.rule, event.target)]
        if not alerts:
            of = f" of {event.target}" if event.target else ""
            path = ("events", self.case.events.index(event))
            reasons = tuple(why(self.replay, self.case.start, event.rule, event.target))
            wanted = f"an alert {event.rule}{of} for {event.action}"
            self.result.failures.append(Failure(path, event.at, wanted, ("no such alert is active",), reasons))
        for alert in alerts:
            body: dict[str, Any] | None = {"comment": event.comment}
            if event.action == "snooze":
                body = {"until": at_ms - _SOON_MS + (event.for_ or 0.0) * 1000.0, "comment": event.comment}
            self._control(at_ms, kind, alert.id, event, None if event.action in _EVENT_KINDS else body)

    def _control(self, at_ms: float, kind: str, key: str, event: Event, body: dict[str, Any] | None) -> None:
        version = self._versions[kind, key] = self._versions.get((kind, key), 0) + 1
        text = orjson.dumps(body).decode() if body is not None else "{}"
        control = Control(kind=kind, id=key, version=version, deleted=body is None, actor=event.by, at=at_ms, body=text)
        self.replay.control(at_ms, control)


def _ms(at_s: float) -> float:
    """Whole milliseconds: what people do half of one later is before whatever is next."""
    return float(round(at_s * 1000.0))


def _targets(case: Case, known: Mapping[str, Watched]) -> Iterable[Watched]:
    """The targets that the test names, configured or not."""
    labels: dict[str, dict[str, str]] = {}
    for series in case.series:
        labels.setdefault(series.target, {}).update(series.labels)
    for _, name in targets_named(case):
        if name in known:
            labels.setdefault(name, {})
    for name, own in labels.items():
        if name in known:
            yield known[name]
        else:
            rest = {k: v for k, v in own.items() if k not in ("kind", "target")}
            yield TargetFace(name=name, kind=own.get("kind", "push"), labels=rest)


def _batch(at_ms: float, by_target: Mapping[str, Sample]) -> SampleBatch:
    targets, all_samples = list(by_target), list(by_target.values())
    metrics = dict.fromkeys(name for s in all_samples for name in s.metrics)
    return SampleBatch(
        probe="test",
        target=targets,
        time=[at_ms] * len(targets),
        ok=[s.ok for s in all_samples],
        latency_ms=[s.latency for s in all_samples],
        metrics=[{"name": n, "value": [s.metrics.get(n, float("nan")) for s in all_samples]} for n in metrics],
        details=[
            {"row": i, "status": s.status, "message": s.message}
            for i, s in enumerate(all_samples)
            if s.status or s.message
        ],
    )
