"""What a partition holds: the state that is folded into, and the names, metrics and rules that it goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streams.admission import Admission, Refusal, RuleSets
from streams.forget import Memory, give_up
from streams.kernel import fold as kernel
from streams.kernel import names, panes, state
from streams.kernel.judge import Rules
from streams.rule_tables import longest_quantile, tables
from streams.schedules import Schedules
from streams.sketches import Sketches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.compiled import Conditions
    from streams.rules import Rule


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from the broker's clock a sample may be (ms), samples a record, ms until an idle target is forgotten."""

    future_ms: float = 60_000.0
    lateness_ms: float = 3_600_000.0
    most_samples: int = 50_000
    forget_ms: float = 7 * 86_400_000.0


class Partition:
    """State of one partition. `offset` is the last record folded in, -1 before the first."""

    def __init__(
        self,
        partition: int,
        rules: tuple[Rule, ...],
        conditions: Conditions,
        admission: Admission,
        limits: Limits = Limits(),
        *,
        quantiles: bool = True,
    ) -> None:
        self.partition, self.rules, self.conditions = partition, rules, conditions
        self.admission, self.limits = admission, limits
        self.offset = -1
        self.samples = 0  # folded by this process
        self.windows = sorted({float(w) for w in conditions.window_s if not np.isnan(w)})
        self.sketches = Sketches()
        self.quantiles = quantiles
        self.state = state.fresh(
            len(rules),
            len(conditions.kind),
            len(conditions.metrics),
            self.windows,
            set(conditions.kind.tolist()),
            self.sketches.arena,
        )
        self.longest = longest_quantile(conditions)
        self.state.layout[state.SKETCHED] = self.longest if quantiles else -1
        self.text: dict[int, tuple[str, str]] = {}
        self.dirty_text: set[int] = set()
        self.told_long: set[tuple[int, int]] = set()  # panes of 5 min that were told as rollups: block and start
        self.memory = Memory()
        self.expected: set[str] = set()
        self.marks = conditions.marks()
        self.let_go: list[
            tuple[int, int]
        ] = []  # target and rule of what held as it was stored, and ceased as it was read
        self.schedules = Schedules(conditions)
        self._sets = RuleSets(rules)
        self._tables: Rules | None = None
        self._made = -1
        self.metrics = names.fresh()
        self.metric_names: list[str] = []
        self.metric_slot = np.full(64, -1, np.int64)
        self.add_metric("")
        for metric in conditions.metrics[1:]:
            self.add_metric(metric)

    def add_metric(self, metric: str) -> int:
        """Number of a metric that is new."""
        self.metrics, number = names.add(self.metrics, metric)
        self.metric_names.append(metric)
        if number >= len(self.metric_slot):
            self.metric_slot = np.concatenate([self.metric_slot, np.full(len(self.metric_slot), -1, np.int64)])
        if metric in self.conditions.metrics:
            self.metric_slot[number] = self.conditions.metrics.index(metric)
        return number

    def metric_number(self, metric: str) -> int:
        """Number of a metric, new or not."""
        raw = np.frombuffer(metric.encode(), np.uint8)
        found = int(names.find(self.metrics, raw, 0, len(raw), -1))
        return self.add_metric(metric) if found < 0 else found

    def admit(self, name: str) -> int | Refusal:
        """Number of a target's name, or why it is not taken in."""
        known = self.memory.number.get(name)
        if known is not None:
            return known
        refusal = self.admission.refusal(name, self.partition, len(self.memory.names))
        if refusal is not None:
            return refusal
        return self.memory.add(name, *self.terms_of(name))

    def terms_of(self, name: str) -> tuple[int, float, float]:
        """What a name that is new is to be remembered with: rule set, declared latency (ms) and error rate."""
        declared = self.admission.declared.get(name)
        latency = np.nan if declared is None or declared.latency_ms is None else declared.latency_ms
        errors = np.nan if declared is None or declared.error_rate is None else declared.error_rate
        # A target of a stored state that the configuration has dropped is looked at by no rule.
        rule_set = self._sets.of(self.admission.labels_of(name)) if self.admission.known(name) else 0
        return rule_set, latency, errors

    def expect(self, targets: Sequence[str]) -> None:
        """Know of targets before their first sample, so that their absence is noticed, from the clock's time on.

        They are not forgotten, however long they are silent.
        """
        self.expected.update(targets)
        for name in targets:
            number = self.admit(name)
            if not isinstance(number, int) or self.memory.target_of[number] >= 0:
                continue
            self.make_room(1)
            target = int(kernel._new_target(self.state, number, int(self.memory.set_of[number])))  # noqa: SLF001
            kernel.fresh_declared(self.state, target, self.memory.declared[number])
            self.memory.target_of[number] = target
        self.state.clock[state.TICKED] = self.state.clock[state.TARGETS]

    def reserve(self, rows: int, targets: int) -> None:
        """Make room for so many rows and targets."""
        size = -(-max(rows, 1) // state.BLOCK) * state.BLOCK
        if self.quantiles:
            self.sketches.ensure(rows=size)
        self.state = state.grown(self.state, size, targets + 1)._replace(sketch=self.sketches.arena)

    def rules_of(self, target: int) -> frozenset[int]:
        """Numbers of the rules that look at a target."""
        return self._sets.members(int(self.state.targets.place[target, state.RULE_SET]))

    def loaded(self) -> None:
        """Work out what is not stored, after the state was filled from table entries."""
        held, weights = self.state.targets, self.rules_table().weight
        holds = held.holds == state.TRUE
        held.place[:, state.CRITICALS] = holds @ (weights == 2).astype(np.int64)
        held.place[:, state.WARNS] = holds @ (weights == 1).astype(np.int64)
        held.num[:, state.TOLD] = -np.inf
        panes.point(self.state.ring, int(self.state.clock[state.HEAD]))
        self.state.clock[state.TICKED] = self.state.clock[state.TARGETS]  # as at the end of every record
        self.state.dirty.names[:] = 0

    def rules_table(self, now: float = 0.0) -> Rules:
        """The rules as the kernel reads them, at the clock's time or `now`, whichever is later.

        Made anew when a target brought a set of rules of its own.
        """
        if self._tables is None or self._made != len(self._sets.sets):
            self._tables, self._made = tables(self.conditions, self._sets, self.windows), len(self._sets.sets)
        self.schedules.due_at(max(now, float(self.state.clock[state.NOW])), self._tables.due)
        return self._tables

    def make_room(self, more: int) -> None:
        clock = self.state.clock
        rows, targets = int(clock[state.ROWS]) + more, int(clock[state.TARGETS]) + 1
        have_rows, have_targets = len(self.state.series.num), len(self.state.targets.num)
        if rows > have_rows or targets >= have_targets:
            rows = have_rows if rows <= have_rows else -(-max(rows, have_rows * 5 // 4) // state.BLOCK) * state.BLOCK
            targets = have_targets if targets < have_targets else max(targets, have_targets * 5 // 4)
            if self.quantiles:
                self.sketches.ensure(rows=rows)
            self.state = state.grown(self.state, rows, targets)._replace(sketch=self.sketches.arena)

    def give_up_unknown(self) -> None:
        """Give up targets that the configuration names no longer."""
        live = np.flatnonzero(self.state.targets.flag[:, state.LIVE] == 1).tolist()
        gone = [t for t in live if not self.admission.known(self.name_of(t))]
        if gone:
            give_up(self.state, self.memory, gone)
            for target in gone:
                self.text.pop(target, None)
                self.dirty_text.add(target)

    @property
    def targets(self) -> int:
        """How many targets there are."""
        return int((self.state.targets.flag[:, state.LIVE] == 1).sum())

    def untold_panes(self, count: int) -> None:
        """Take the newest `count` panes of 10 s, and those ahead, for untold, and what was told before for forgotten.

        Which panes of 5 min were told is not stored: every one that panes of 10 s are still kept of may have been.
        """
        head, rows = int(self.state.clock[state.HEAD]), int(self.state.clock[state.ROWS])
        for pane in range(head - count + 1, head + panes.AHEAD[0] + 1):
            self.state.dirty.unrolled[:, pane % panes.SLOTS[0]] = 1
        step = panes.STEPS[1]
        longs = range((head - panes.BEHIND[0] + 1) // step, (head + panes.AHEAD[0]) // step + 1)
        blocks = range(-(-rows // state.BLOCK))
        self.told_long.update((block, long * step * panes.PANE_MS) for block in blocks for long in longs)

    def name_of(self, target: int) -> str:
        """Name of a target by its number."""
        return self.memory.names[int(self.state.targets.place[target, state.NAME])]
