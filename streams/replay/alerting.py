"""What the alert role makes of findings, by a clock that moves from one thing to do to the next.

The role looks at its clock every so often (alert.tick); so does this one, at whole multiples of it, but only where
there is something to do: a duration is over, a silence begins, another alert has changed.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from schemas import Alert, Control
from streams.alerting import Engine
from streams.alerting.composites import standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Finding
    from streams.alerting import Watched
    from streams.life import LifeDefaults
    from streams.rules import Rule
    from streams.suppression import Suppressions

_PRUNE_EVERY_MS = 3_600_000.0


class Found(NamedTuple):
    """A finding, and where it stands: when the broker took its record (ms), its record, and its place among several."""

    at: float
    partition: int
    offset: int
    number: int
    finding: Finding


class Answer(NamedTuple):
    """What a person said of the alert of a rule and target (or group) at a time, in ms: the id is found then."""

    at: float
    rule: str
    target: str
    control: Control


class Alerting(Engine):
    """Every life there is. `transitions` are those made so far, in the order in which they were."""

    def __init__(
        self,
        rules: Iterable[Rule],
        targets: Iterable[Watched],
        *,
        defaults: LifeDefaults | None = None,
        suppressions: Suppressions | None = None,
        tick_ms: float = 250.0,
        start_ms: float | None = None,
    ) -> None:
        self.now = -math.inf if start_ms is None else start_ms
        super().__init__(1, targets, rules, defaults, suppressions, clock=lambda: self.now)
        self.transitions: list[Alert] = []
        self.tick_ms = tick_ms
        self.ask_again_ms, self.prune_every_ms = math.inf, _PRUNE_EVERY_MS
        self.lives.become({0: {}})
        self._waiting: list[tuple[float, int, int, int, int, Finding | Control | Answer]] = []
        self._said: dict[tuple[str, str], int] = {}
        self._count = 0
        self._last_tick = -math.inf
        self._begin_at = -math.inf

    def find(self, found: Iterable[Found]) -> None:
        """Line up findings, in any order; each is taken in at its time. Raises ValueError where that is past."""
        for at, partition, offset, number, finding in found:
            self._line_up(at, 1, partition, offset, number, finding)

    def ask(self, at: float, control: Control) -> None:
        """Line up a record of the control topic that the broker took at `at`. Raises ValueError if that is past."""
        self._count += 1
        self._line_up(at, 0, 0, self._count, 0, control)

    def answer(self, answer: Answer) -> None:
        """Line up what a person said of an alert; without effect where none is active then. Raises as `ask`."""
        self._count += 1
        self._line_up(answer.at, 2, 0, self._count, 0, answer)

    def _line_up(
        self, at: float, kind: int, partition: int, offset: int, number: int, what: Finding | Control | Answer
    ) -> None:
        if at <= self.now and self._last_tick > -math.inf:
            raise ValueError(f"{at:.0f} ms is not after {self.now:.0f} ms, which the clock has passed")
        # Places are unique, so that what is lined up is never compared itself.
        heapq.heappush(self._waiting, (at, kind, partition, offset, number, what))

    def advance(self, to_ms: float) -> None:
        """Move the clock to `to_ms`, and do all there is to do up to then, that time included."""
        if self.now == -math.inf:
            self.now = min(to_ms, self._waiting[0][0] if self._waiting else to_ms)
        while True:
            tick = self._next()
            coming = self._waiting[0][0] if self._waiting else math.inf
            if min(tick, coming) > to_ms:
                break
            if coming <= tick:
                self._take()
            else:
                self._tick_at(tick)
        self.now = max(self.now, to_ms)

    def _grid(self, at: float) -> float:
        return math.ceil(at / self.tick_ms) * self.tick_ms

    def _next(self) -> float:
        """The next time on the grid at which a tick has something to do."""
        if self._begin_at < self.now:
            self._begin_at = self.suppressions.next_begin(self.now)
        due = min(self.next_tick(), self._begin_at)
        return max(self._grid(max(due, self.now)), self._last_tick + self.tick_ms) if due < math.inf else math.inf

    def _take(self) -> None:
        at, _, _, _, _, what = heapq.heappop(self._waiting)
        self.now = max(self.now, at)
        self._count += 1
        if isinstance(what, Control):
            self.take_control(what)
            while self._waiting and self._waiting[0][:2] == (at, 0):
                self.take_control(heapq.heappop(self._waiting)[-1])  # type: ignore[arg-type]
            self.refresh()
            self._begin_at = -math.inf
        elif isinstance(what, Answer):
            life = self.lives.get(f"{what.target}/{what.rule}")
            if life is not None and life.active:
                # Several alerts that were may be one here: what was said of them is counted anew.
                key = (what.control.kind, life.id)
                self._said[key] = self._said.get(key, 0) + 1
                self.take_control(replace(what.control, id=life.id, version=self._said[key]))
        else:
            self.take_finding(what, self._count, self.now)
        self._tell()

    def _tick_at(self, at: float) -> None:
        self.now = self._last_tick = at
        if self.now >= self._begin_at:
            self._ask_at = self.now
            self._begin_at = -math.inf
        self.tick(self.now)
        self._tell()

    def _tell(self) -> None:
        """Tell what has changed; others that depend on it change at once, and so on."""
        while self.lives.dirty:
            dirty, self.lives.dirty = list(self.lives.dirty.values()), {}
            self.lives.gone.clear()
            told: list[Alert] = []
            for life in dirty:
                told += [Alert.from_dict(t) for t in life.outbox]
                life.outbox = []
                if not life.active:
                    self.lives.by_id.pop(life.id, None)
            self.transitions += told
            for alert in told:
                self.take_other(standing_of(alert))
