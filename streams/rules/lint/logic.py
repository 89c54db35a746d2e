"""Whether a rule can hold at all, and whether one implies another: by trying every value that makes a difference.

A condition changes its mind at its threshold only. So of each thing that is looked at, it is enough to try the
thresholds, a value between each two, and one beyond either end, within the values that there can be.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from streams.kernel import kinds
from streams.rules import words

if TYPE_CHECKING:
    from streams.rules.condition import Condition
    from streams.rules.model import AlertsOf, Rule

_MOST_TRIED = 20_000
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_MIRRORED = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
_WHOLE = frozenset({kinds.UP, kinds.FAILURES, kinds.ERRORS, kinds.COUNT, kinds.STATUS, kinds.PREVIOUS})


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing that is looked at, and what values it can have."""

    what: tuple[Any, ...]
    low: float
    high: float
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Atom:
    """One comparison."""

    signal: Signal
    symbol: str
    value: float


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite."""

    part: Formula


@dataclass(frozen=True, slots=True)
class Join:
    """All of the parts, or any."""

    every: bool
    parts: tuple[Formula, ...]


Formula = Atom | Not | Join


def formula(rule: Rule, *, percent: bool = False) -> Formula:
    """What `rule` says; with `percent`, a metric that is in per cent by its name is taken to end at 100."""
    return _of_alerts(rule.alerts) if rule.alerts is not None else _of(rule, percent)


def _of(c: Condition, percent: bool) -> Formula:
    if c.transition is not None:
        status = Signal(("status",), 0, 3, whole=True)
        before = Signal(("before",), 0, 3, whole=True)
        ways: list[Formula] = []
        if c.transition.goals:
            now = Join(every=False, parts=tuple(Atom(status, "==", s) for s in c.transition.goals))
            was = Join(every=False, parts=tuple(Atom(before, "==", s) for s in c.transition.origins))
            ways.append(Join(every=True, parts=(now, was)) if c.transition.origins else now)
        if c.transition.recovery_failed:
            ways.append(Atom(Signal(("recovery",), 0, 1, whole=True), ">=", 1))
        return Join(every=False, parts=tuple(ways))
    if c.not_ is not None:
        return Not(_of(c.not_, percent))
    if c.compound:
        return Join(every=bool(c.all_), parts=tuple(_of(p, percent) for p in c.parts))
    return _atom(c, percent)


def _atom(c: Condition, percent: bool) -> Atom:
    look = words.look(c.metric, c.aggregate)
    assert look is not None
    if look.kind == kinds.SUCCESS_RATE:  # the error rate, seen from the other side
        errors = words.OWN["error_rate"]
        signal = Signal((errors.kind, "", c.window, None, None), 0.0, 1.0)
        return Atom(signal, _MIRRORED[c.operator], round(1.0 - c.value, 12))
    own = c.metric in words.OWN or c.metric == "latency"
    low, high = look.low, look.high
    if percent and look.kind in words.PLAIN and look.kind != kinds.SUM and words.is_percent(c.metric):
        low, high = 0.0, 100.0
    param = c.limit if c.limit is not None else c.quantile or words.quantile(c.aggregate)
    cron = None if c.schedule is None else (c.schedule.cron, c.schedule.zone, c.schedule.grace)
    what = (look.kind, "" if own else c.metric, c.window, param, cron)
    if look.kind == words.OWN["status"].kind:
        what = ("status",)  # type: ignore[assignment]  # any tuple names a signal
    return Atom(Signal(what, low, high, look.kind in _WHOLE), c.operator, c.value)


def _of_alerts(of: AlertsOf | str) -> Formula:
    if isinstance(of, str):
        return Atom(Signal(("alert", of), 0, 1, whole=True), "==", 1)
    if of.not_ is not None:
        return Not(_of_alerts(of.not_))
    return Join(every=bool(of.all_), parts=tuple(_of_alerts(p) for p in of.all_ or of.any_))


@lru_cache(maxsize=4096)
def signals(f: Formula) -> frozenset[Signal]:
    """Everything that `f` looks at."""
    return frozenset(a.signal for a in _atoms(f))


def can_hold(f: Formula) -> bool | None:
    """Whether some values make `f` true; None where there are too many to try."""
    thresholds: dict[Signal, set[float]] = {}
    for atom in _atoms(f):
        thresholds.setdefault(atom.signal, set()).add(atom.value)
    tried = {s: _candidates(s, sorted(values)) for s, values in thresholds.items()}
    if math.prod(map(len, tried.values())) > _MOST_TRIED:
        return None
    names = list(tried)
    return any(_holds(f, dict(zip(names, values, strict=True))) for values in itertools.product(*tried.values()))


@lru_cache(maxsize=4096)
def implies(one: Formula, other: Formula) -> bool:
    """Whether `other` holds whenever `one` does; False also where that cannot be told."""
    return can_hold(Join(every=True, parts=(one, Not(other)))) is False


def _atoms(f: Formula) -> Iterator[Atom]:
    match f:
        case Atom():
            yield f
        case Not():
            yield from _atoms(f.part)
        case Join():
            for part in f.parts:
                yield from _atoms(part)


def _holds(f: Formula, values: Mapping[Signal, float]) -> bool:
    match f:
        case Atom():
            return _COMPARE[f.symbol](values[f.signal], f.value)
        case Not():
            return not _holds(f.part, values)
        case Join():
            return (all if f.every else any)(_holds(p, values) for p in f.parts)


def _candidates(signal: Signal, at: list[float]) -> list[float]:
    between = [(a + b) / 2 for a, b in itertools.pairwise(at)]
    # Well beyond: a value that is only just beyond a great threshold would be the same number.
    ends = [at[0] - 1 - abs(at[0]), at[-1] + 1 + abs(at[-1]), signal.low, signal.high]
    found = {*at, *between, *ends}
    if signal.whole:
        found = {float(whole) for v in found if math.isfinite(v) for whole in (math.floor(v), math.ceil(v))}
        found |= {v + step for v in at if v == int(v) for step in (-1.0, 1.0)}
    return sorted(v for v in found if signal.low <= v <= signal.high)
