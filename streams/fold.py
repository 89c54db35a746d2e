"""One partition of the samples topic, folded: windows, baselines, scores, rules, status.

Everything here is a function of the records in their order: the same log gives the same state, findings and status
to the last bit, whoever reads it, however often, and in however many pieces.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas import DecodeError, SampleBatch, decode
from schemas.codec import HEADER_BYTES, encode
from streams.admission import Admission, Refusal, RuleSets
from streams.forget import Memory, forget, give_up
from streams.kernel import fold as kernel
from streams.kernel import judge, kinds, names, panes, scan, state
from streams.kernel.judge import MOST_TOKENS, Changes, Rules
from streams.samples import BatchError, check
from streams.schedules import Schedules
from streams.sketches import Sketches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.compiled import Conditions
    from streams.kernel.scan import Flat
    from streams.rules import Rule

Ints = NDArray[np.int64]

_HEADER = np.frombuffer(
    encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))[:HEADER_BYTES], np.uint8
)
_ROOM = 4096  # changes that one call of the kernel may bring
_MOST_METRICS = 50_000
_MOST_METRIC_NAME = 200
_MOST_STATUS, _MOST_MESSAGE = 100, 2000


class Record(NamedTuple):
    """A record of the samples topic: where it stands, when the broker took it (ms), and its bytes."""

    offset: int
    time: int
    value: bytes | None


@dataclass(slots=True)
class Change:
    """A rule began or ceased to hold for a target.

    `seen` holds value, number of samples and truth (0, 1, 2: unsure) of each of the rule's conditions, in order.
    `time` is that of the sample that decided it, or the clock's where time alone did.
    """

    rule: int
    target: int
    holds: bool
    offset: int
    time: float
    baseline: float
    score: float
    seen: list[tuple[float, float, int]]
    text: tuple[str, str] = ("", "")
    name: str = ""  # of the target, which may be forgotten by now


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule sees of a target: value, number of samples and truth of each condition, as in `Change`."""

    rule: int
    seen: list[tuple[float, float, int]]
    holds: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Samples (`rows`, None for the whole record) of one record that cannot be used, for one reason."""

    record: Record
    refusal: Refusal
    rows: list[int] | None = None


@dataclass(slots=True)
class Outcome:
    """What some records led to, in their order."""

    changes: list[Change] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Limits:
    """How far from the broker's clock a sample may be (ms), samples a record, ms until an idle target is forgotten."""

    future_ms: float = 60_000.0
    lateness_ms: float = 3_600_000.0
    most_samples: int = 50_000
    forget_ms: float = 7 * 86_400_000.0


class Fold:
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
        self.longest = _longest(conditions)
        self.state.layout[state.SKETCHED] = self.longest if quantiles else -1
        self.text: dict[int, tuple[str, str]] = {}
        self.dirty_text: set[int] = set()
        self.told_long: set[tuple[int, int]] = set()  # panes of 5 min that were told as rollups: block and start
        self.memory = Memory()
        self.expected: set[str] = set()
        self.schedules = Schedules(conditions)
        self._sets = RuleSets(rules)
        self._tables: Rules | None = None
        self._made = -1
        self._out = judge.fresh_changes(_ROOM, len(rules), len(conditions.tokens))
        self._scratch = np.zeros(2 * max(len(conditions.kind), 1))
        self._truths = np.zeros(max(len(conditions.kind), 1), np.uint8)
        self._stack = np.zeros(MOST_TOKENS, np.uint8)
        self.metrics = names.fresh()
        self.metric_names: list[str] = []
        self.metric_slot = np.full(64, -1, np.int64)
        self.add_metric("")
        for metric in conditions.metrics[1:]:
            self.add_metric(metric)

    # -------------------------------------------------------------------------------------------------- what is known

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
            self._make_room(1)
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
        held.place[:, state.CRITICALS] = held.holds @ (weights == 2).astype(np.int64)
        held.place[:, state.WARNS] = held.holds @ (weights == 1).astype(np.int64)
        held.num[:, state.TOLD] = -np.inf
        panes.point(self.state.ring, int(self.state.clock[state.HEAD]))
        self.state.clock[state.TICKED] = self.state.clock[state.TARGETS]  # as at the end of every record
        self.state.dirty.names[:] = 0

    def rules_table(self, now: float = 0.0) -> Rules:
        """The rules as the kernel reads them, at the clock's time or `now`, whichever is later.

        Made anew when a target brought a set of rules of its own.
        """
        if self._tables is None or self._made != len(self._sets.sets):
            self._tables, self._made = _tables(self.conditions, self._sets, self.windows), len(self._sets.sets)
        self.schedules.due_at(max(now, float(self.state.clock[state.NOW])), self._tables.due)
        return self._tables

    # ------------------------------------------------------------------------------------------------------- samples

    def take(self, records: Sequence[Record]) -> Outcome:
        """Fold records that follow each other in the log."""
        outcome = Outcome()
        done = 0
        if records and not self.state.clock[state.NOW]:
            self.state.series.num[:, [state.SEEN_AT, state.OK_AT]] = records[0].time  # of those that are expected
        while done < len(records):
            # At a full hour by the records' own clock, so that it depends on the log alone who is forgotten when; and
            # where a run by some schedule becomes due.
            hour = self.memory.hour_of(records[done].time)
            self.rules_table(records[done].time)
            end, due, latest = done, self.schedules.valid_until, max([r.time for r in records[done:]])
            if self.memory.hour_of(latest) <= hour and latest < due:
                end = len(records)
            while end < len(records) and self.memory.hour_of(records[end].time) <= hour and records[end].time < due:
                end += 1
            if hour > self.memory.hour:
                self.memory.hour = hour
                self._forget(records[done], outcome)
            self._take(records[done:end], outcome)
            done = end
        return outcome

    def _take(self, records: Sequence[Record], outcome: Outcome) -> None:
        values = [r.value or b"" for r in records]
        raw = b"".join(values)
        data = np.frombuffer(raw, np.uint8)
        bounds = np.zeros(len(records) + 1, np.int64)
        np.cumsum([len(v) for v in values], out=bounds[1:])
        times = np.array([r.time for r in records], np.int64)
        flat = scan.fresh(len(records), int(scan.samples_in(data, bounds, _HEADER)), len(raw))
        at = 0
        while at < len(records):
            ended, stop, start, end = self._scan(data, bounds, at, flat)
            if stop > at:
                self._fold(records, times, data, flat, at, stop, outcome)
            if ended == scan.OTHER or (ended == scan.NEW_METRIC and not self._new_metric(raw[start:end])):
                self._slow(records[stop], outcome)
                flat.first[stop + 1], flat.column_first[stop + 1] = flat.used[0], flat.used[1]
                stop += 1
            at = stop

    def _scan(self, data: NDArray[np.uint8], bounds: Ints, at: int, flat: Flat) -> tuple[int, int, int, int]:
        most = self.limits.most_samples
        ended: tuple[int, int, int, int] = scan.scan(
            data, bounds, at, _HEADER, most, self.memory.table, self.metrics, flat
        )
        return ended

    def _new_metric(self, raw: bytes) -> bool:
        try:
            name = raw.decode()
        except UnicodeDecodeError:
            return False
        if len(name) > _MOST_METRIC_NAME or len(self.metric_names) >= _MOST_METRICS:
            return False
        self.add_metric(name)
        return True

    def _slow(self, record: Record, outcome: Outcome) -> None:
        """Read with fastavro what the fast reader does not know, and say what is wrong where that cannot either."""
        try:
            batch = decode(record.value, SampleBatch)
            check(batch, self.limits.most_samples)
            if len(self.metric_names) + len(batch.metrics) > _MOST_METRICS:
                raise BatchError(  # noqa: TRY301 - told as the others are
                    "too_many_metrics", f"over {_MOST_METRICS} names of metrics in a partition"
                )
        except (DecodeError, BatchError) as error:
            outcome.refused.append(Refused(record, Refusal(error.reason, str(error))))
            self._empty(record, outcome)
            return
        again = encode(replace_duplicates(batch))
        data, bounds = np.frombuffer(again, np.uint8), np.array([0, len(again)], np.int64)
        flat = scan.fresh(1, len(batch.target), len(again))
        for metric in batch.metrics:
            self.metric_number(metric["name"])
        ended = self._scan(data, bounds, 0, flat)
        if ended[0] != scan.READ:
            outcome.refused.append(Refused(record, Refusal("malformed_batch", "a batch that no reader can make out")))
            self._empty(record, outcome)
            return
        self._fold([record], np.array([record.time], np.int64), data, flat, 0, 1, outcome)

    def _empty(self, record: Record, outcome: Outcome) -> None:
        """Let time pass to a record that brings nothing."""
        flat = scan.fresh(1, 0, 0)
        self._fold([record], np.array([record.time], np.int64), np.zeros(0, np.uint8), flat, 0, 1, outcome)

    def _fold(
        self, records: Sequence[Record], times: Ints, data: NDArray[np.uint8], flat: Flat, start: int, stop: int,
        outcome: Outcome,
    ) -> None:  # fmt: skip
        """Fold the scanned records from `start` to `stop`."""
        first, last = int(flat.first[start]), int(flat.first[stop])
        refusals = self._resolve(data, flat, first, last)
        verdict = np.zeros(len(flat.name), np.uint8)
        texts = np.zeros(last - first + 1, np.int64)
        at, sample = start, first
        while True:
            tables = self.rules_table()
            if self.quantiles:
                most = last - first + int(flat.used[2])
                self.sketches.ensure(rows=len(self.state.series.num), samples=most)
                self.state = self.state._replace(sketch=self.sketches.arena)
            self._out.used[:] = 0
            memory = self.memory
            ended, at, sample = kernel.fold(
                self.state, tables, flat, times, at, sample, stop, self.limits.future_ms, self.limits.lateness_ms,
                memory.target_of, memory.set_of, memory.declared, self.metric_slot, verdict, texts, self._out,
                self._scratch, self._truths, self._stack,
            )  # fmt: skip
            self._changes(records, data, flat, outcome)
            if ended == kernel.DONE:
                break
            if ended == kernel.GROW:
                self._make_room(int(flat.column_first[at + 1] - flat.column_first[at]) + 2)
        self._texts(data, flat, texts)
        if verdict[first:last].any():
            self._refuse(records, flat, start, stop, verdict, refusals, outcome)
        self.offset = records[stop - 1].offset
        self.samples += last - first

    def _make_room(self, more: int) -> None:
        clock = self.state.clock
        rows, targets = int(clock[state.ROWS]) + more, int(clock[state.TARGETS]) + 1
        have_rows, have_targets = len(self.state.series.num), len(self.state.targets.num)
        if rows > have_rows or targets >= have_targets:
            rows = have_rows if rows <= have_rows else -(-max(rows, have_rows * 5 // 4) // state.BLOCK) * state.BLOCK
            targets = have_targets if targets < have_targets else max(targets, have_targets * 5 // 4)
            if self.quantiles:
                self.sketches.ensure(rows=rows)
            self.state = state.grown(self.state, rows, targets)._replace(sketch=self.sketches.arena)

    def _resolve(self, data: NDArray[np.uint8], flat: Flat, first: int, last: int) -> dict[int, Refusal]:
        """Give every name of the samples `first` to `last` its number; those that are refused, by sample."""
        missing = np.flatnonzero(flat.name[first:last] < 0) + first
        refusals: dict[int, Refusal] = {}
        refused: dict[bytes, Refusal] = {}
        for i in missing.tolist():
            raw = data[flat.text_at[i] : flat.text_end[i]].tobytes()
            if (again := refused.get(raw)) is not None:
                refusals[i] = again
                continue
            try:
                number = self.admit(raw.decode())
            except UnicodeDecodeError:
                number = Refusal("bad_value", f"a target name that is no UTF-8: {raw[:50]!r}")
            if isinstance(number, Refusal):
                refusals[i] = refused[raw] = number
            else:
                flat.name[i] = number
        return refusals

    def _text_of(self, data: NDArray[np.uint8], flat: Flat, sample: int) -> tuple[str, str]:
        detail = int(flat.detail[sample]) if sample >= 0 else -1
        if detail < 0:
            return "", ""
        a, b, c, d = flat.details[detail].tolist()
        status, message = data[a:b].tobytes(), data[c:d].tobytes()
        return status.decode(errors="replace")[:_MOST_STATUS], message.decode(errors="replace")[:_MOST_MESSAGE]

    def _changes(self, records: Sequence[Record], data: NDArray[np.uint8], flat: Flat, outcome: Outcome) -> None:
        out: Changes = self._out
        for i in range(int(out.used[0])):
            rule, target, holds, record, sample = out.what[i].tolist()
            time, base, score = out.at[i].tolist()
            seen = out.seen[out.seen_first[i] : out.seen_first[i + 1]].tolist()
            outcome.changes.append(
                Change(
                    rule=rule,
                    target=target,
                    holds=bool(holds),
                    offset=records[record].offset,
                    time=time,
                    baseline=base,
                    score=score,
                    seen=[(v, n, int(t)) for v, n, t in seen],
                    text=self._text_of(data, flat, sample),
                    name=self.name_of(target),
                )
            )

    def _texts(self, data: NDArray[np.uint8], flat: Flat, texts: Ints) -> None:
        """Keep the text of each target's latest sample that has one; the next that has none drops it."""
        for sample in texts[1 : int(texts[0]) + 1].tolist():
            target = int(self.memory.target_of[flat.name[sample]])
            text = self._text_of(data, flat, sample)
            if text == ("", ""):
                self.text.pop(target, None)
            else:
                self.text[target] = text
            self.dirty_text.add(target)

    def _refuse(
        self, records: Sequence[Record], flat: Flat, start: int, stop: int, verdict: NDArray[np.uint8],
        refusals: dict[int, Refusal], outcome: Outcome,
    ) -> None:  # fmt: skip
        for r in range(start, stop):
            first, last = int(flat.first[r]), int(flat.first[r + 1])
            if not verdict[first:last].any():
                continue
            groups: dict[str, tuple[Refusal, list[int]]] = {}
            for i in (np.flatnonzero(verdict[first:last]) + first).tolist():
                if verdict[i] == kernel.DUPLICATE:
                    continue
                refusal = refusals.get(i) or self._refusal(int(verdict[i]), int(flat.name[i]))
                groups.setdefault(refusal.reason, (refusal, []))[1].append(i - first)
            outcome.refused += [Refused(records[r], refusal, rows) for refusal, rows in groups.values()]

    def _refusal(self, verdict: int, name: int) -> Refusal:
        target = self.memory.names[name]
        if verdict == kernel.FUTURE:
            ahead = self.limits.future_ms / 1000
            return Refusal("future_sample", f"more than {ahead:g} s ahead of the broker's clock: first of {target}")
        if verdict == kernel.LATE:
            behind = self.limits.lateness_ms / 1000
            return Refusal("late_sample", f"more than {behind:g} s behind the broker's clock: first of {target}")
        return Refusal("bad_value", f"time not finite, latency negative, or a value beyond reason: first of {target}")

    def _forget(self, record: Record, outcome: Outcome) -> None:
        """Give up targets that were silent for long, and tell that their rules hold no more."""
        gone = forget(self.state, self.memory, record.time - self.limits.forget_ms, self.expected)
        called = {target: name for target, name, _ in gone}
        for change in outcome.changes if gone else ():  # their numbers may soon be those of other targets
            change.name = change.name or called.get(change.target, "")
        for target, name, held in gone:
            for rule in held:
                outcome.changes.append(
                    Change(
                        rule=rule,
                        target=target,
                        holds=False,
                        offset=record.offset,
                        time=float(record.time),
                        baseline=np.nan,
                        score=np.nan,
                        seen=[(np.nan, 0.0, state.UNSURE)] * len(self.schedules.conditions_of(rule)),
                        name=name,
                    )
                )
            self.text.pop(target, None)
            self.dirty_text.add(target)

    # ---------------------------------------------------------------------------------------------------- what is seen

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
        """Take the newest `count` panes of 10 s for untold."""
        head = int(self.state.clock[state.HEAD])
        for pane in range(head - count + 1, head + 1):
            self.state.dirty.unrolled[:, pane % panes.SLOTS[0]] = 1

    def name_of(self, target: int) -> str:
        """Name of a target by its number."""
        return self.memory.names[int(self.state.targets.place[target, state.NAME])]

    def held(self) -> list[Change]:
        """Every rule that holds, target by target, with what it sees now."""
        found: list[Change] = []
        tables = self.rules_table()
        live = self.state.targets.flag[: int(self.state.clock[state.TARGETS]), state.LIVE] == 1
        for target in np.flatnonzero(live & self.state.targets.holds[: len(live)].any(axis=1)).tolist():
            row = int(self.state.targets.place[target, state.MAIN])
            time = float(self.state.series.num[row, state.TIME])
            for rule in np.flatnonzero(self.state.targets.holds[target]).tolist():
                seen = []
                for c in self.schedules.conditions_of(rule):
                    at = int(self.state.targets.row_of[target, self.conditions.metric[c]])
                    value, count = judge.value_of(self.state, tables, c, target, at)
                    seen.append((float(value), float(count), int(self.state.targets.truth[target, c])))
                base, z = float(judge.normal(self.state, row)), float(self.state.series.num[row, state.Z])
                found.append(
                    Change(rule, target, True, self.offset, time, base, z, seen, self.text.get(target, ("", "")))
                )
        return found

    def see(self, name: str) -> list[Seen] | None:
        """What every rule that looks at a target sees of it now, in the rules' order; None where it is not known.

        Nothing is decided by looking: `holds` is as the rule was last judged, each condition's truth as it is now.
        """
        number = self.memory.number.get(name)
        target = -1 if number is None else int(self.memory.target_of[number])
        if target < 0:
            return None
        tables, held, found = self.rules_table(), self.state.targets, []
        for rule in sorted(self.rules_of(target)):
            seen = []
            for c in self.schedules.conditions_of(rule):
                value, count = judge.value_of(self.state, tables, c, target, int(held.row_of[target, tables.metric[c]]))
                seen.append((float(value), float(count), self._truth(c, value, count, int(held.truth[target, c]))))
            found.append(Seen(rule, seen, bool(held.holds[target, rule])))
        return found

    def _truth(self, c: int, value: float, count: float, before: int) -> int:
        """The truth of a condition that sees this, as the kernel would judge it after `before`."""
        own = self.conditions
        of_nothing = int(own.kind[c]) in (kinds.COUNT, kinds.RATE, kinds.SUM)
        if np.isnan(value) or not (of_nothing or count >= own.min_samples[c]):
            return state.UNSURE
        limit = own.recovery[c] if before == state.TRUE else own.threshold[c]
        return state.TRUE if judge.compare(own.operator[c], value, limit) else state.FALSE


def replace_duplicates(batch: SampleBatch) -> SampleBatch:
    """The batch with at most one detail a sample, the last one, as a reader of arrays has it."""
    details = {d["row"]: d for d in batch.details}
    return replace(batch, details=list(details.values()))


def _tables(conditions: Conditions, sets: RuleSets, windows: list[float]) -> Rules:
    place = {w: i for i, w in enumerate(windows)}
    first = np.zeros(len(sets.sets) + 1, np.int64)
    np.cumsum([len(s) for s in sets.sets], out=first[1:])
    look = _looks(conditions)
    return Rules(
        conditions.kind,
        conditions.metric,
        np.array([-1 if np.isnan(w) else place[float(w)] for w in conditions.window_s], np.int64),
        conditions.param,
        conditions.operator,
        conditions.threshold,
        conditions.recovery,
        conditions.min_samples,
        conditions.start,
        conditions.tokens,
        # A rule about the status must not be what keeps it up.
        np.where(look & judge.BY_STATUS, 0, conditions.severity),
        look,
        first,
        np.array([r for s in sets.sets for r in s], np.int64),
        np.array([np.bitwise_or.reduce(look[list(s)]) if s else 0 for s in sets.sets], np.uint8),
        np.full(len(conditions.kind), np.nan),
    )


def _longest(conditions: Conditions) -> int:
    """How many panes of 10 s quantiles are asked over: an hour's, and more only where a rule looks further back."""
    quantile = (conditions.kind == kinds.RATIO) & (conditions.param >= 0)
    asked = conditions.window_s[(conditions.kind == kinds.QUANTILE) | quantile]
    return max([360, *(int(w) * 1000 // panes.PANE_MS for w in asked.tolist())])


def _looks(conditions: Conditions) -> NDArray[np.uint8]:
    """When each rule is to be looked at; never where it has no conditions of its own."""
    looks = np.zeros(len(conditions.names), np.uint8)
    for rule in range(len(looks)):
        tokens = conditions.tokens[conditions.start[rule] : conditions.start[rule + 1]]
        own = {int(conditions.kind[c]) for c in tokens if c >= 0}
        if own:
            looks[rule] = judge.BY_STATUS if own & {kinds.STATUS, kinds.PREVIOUS} else judge.BY_SAMPLE
            if own & kinds.TIMED:
                looks[rule] |= judge.BY_TIME
    return looks


__all__ = ["Change", "Fold", "Limits", "Outcome", "Record", "Refused", "Seen", "kinds", "panes"]
