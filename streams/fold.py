"""One partition of the samples topic, folded: windows, baselines, scores, rules, status.

Everything here is a function of the records in their order: the same log gives the same state, findings and status
to the last bit, whoever reads it, however often, and in however many pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from schemas import DecodeError, SampleBatch, decode
from schemas.codec import HEADER_BYTES, encode
from streams.admission import Refusal
from streams.forget import HOUR_MS, forget
from streams.kernel import fold as kernel
from streams.kernel import judge, scan, state
from streams.kernel.judge import MOST_TOKENS, Changes
from streams.outcome import Change, Outcome, Refused
from streams.partition_state import Partition
from streams.records import Record, Records
from streams.samples import BatchError, check

if TYPE_CHECKING:
    from streams.kernel.scan import Flat

Ints = NDArray[np.int64]

_HEADER = np.frombuffer(
    encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))[:HEADER_BYTES], np.uint8
)
_ROOM = 4096  # changes that one call of the kernel may bring
_MOST_METRICS = 50_000
_MOST_METRIC_NAME = 200
_MOST_STATUS, _MOST_MESSAGE = 100, 2000


class Fold(Partition):
    """A partition that takes records in. Arguments as a `Partition`'s."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        conditions = self.conditions
        self._out = judge.fresh_changes(_ROOM, len(self.rules), len(conditions.tokens))
        self._scratch = np.zeros(3 * len(conditions.kind) + 1)
        self._truths = np.zeros(max(len(conditions.kind), 1), np.uint8)
        self._stack = np.zeros(MOST_TOKENS, np.uint8)

    def take(self, records: Records | Sequence[Record]) -> Outcome:
        """Fold records that follow each other in the log."""
        outcome = Outcome()
        if not isinstance(records, Records):
            records = Records.of(records)
        done, count = 0, len(records)
        if count and not self.state.clock[state.NOW]:
            self.state.series.num[:, [state.SEEN_AT, state.OK_AT]] = records.time[0]  # of those that are expected
        while done < count:
            # At a full hour by the records' own clock, so that it depends on the log alone who is forgotten when; and
            # where a run by some schedule becomes due.
            first = int(records.time[done])
            hour = self.memory.hour_of(first)
            self.rules_table(first)
            until = min((hour + 1) * HOUR_MS, self.schedules.valid_until)
            over = records.time[done:] >= until
            end = done + int(over.argmax()) if over.any() else count
            if hour > self.memory.hour:
                self.memory.hour = hour
                self._forget(records.record(done), outcome)
            self._take(records.part(done, end), outcome)
            done = end
        return outcome

    def _take(self, records: Records, outcome: Outcome) -> None:
        samples = int(scan.samples_in(records.data, records.at, records.end, _HEADER))
        flat = scan.fresh(len(records), samples, records.size)
        at = 0
        while at < len(records):
            ended, stop, start, end = self._scan(records, at, flat)
            if stop > at:
                self._fold(records, flat, at, stop, outcome)
            if ended == scan.OTHER or (
                ended == scan.NEW_METRIC and not self._new_metric(records.data[start:end].tobytes())
            ):
                self._slow(records.record(stop), outcome)
                flat.first[stop + 1], flat.column_first[stop + 1] = flat.used[0], flat.used[1]
                stop += 1
            at = stop

    def _scan(self, records: Records, at: int, flat: Flat) -> tuple[int, int, int, int]:
        most = self.limits.most_samples
        ended: tuple[int, int, int, int] = scan.scan(
            records.data, records.at, records.end, at, _HEADER, most, self.memory.table, self.metrics, flat
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
        again = Records.of([record._replace(value=encode(replace_duplicates(batch)))])
        flat = scan.fresh(1, len(batch.target), again.size)
        for metric in batch.metrics:
            self.metric_number(metric["name"])
        ended = self._scan(again, 0, flat)
        if ended[0] != scan.READ:
            outcome.refused.append(Refused(record, Refusal("malformed_batch", "a batch that no reader can make out")))
            self._empty(record, outcome)
            return
        self._fold(again, flat, 0, 1, outcome, record)

    def _empty(self, record: Record, outcome: Outcome) -> None:
        """Let time pass to a record that brings nothing."""
        self._fold(Records.of([record._replace(value=b"")]), scan.fresh(1, 0, 0), 0, 1, outcome)

    def _fold(
        self, records: Records, flat: Flat, start: int, stop: int, outcome: Outcome, came_as: Record | None = None
    ) -> None:
        """Fold the scanned records from `start` to `stop`; refused is `came_as`, where the one record was changed."""
        data = records.data
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
                self.state, tables, flat, records.time, at, sample, stop, self.limits.future_ms,
                self.limits.lateness_ms, memory.target_of, memory.set_of, memory.declared, self.metric_slot, verdict,
                texts, self._out, self._scratch, self._truths, self._stack,
            )  # fmt: skip
            self._changes(records, flat, outcome)
            if ended == kernel.DONE:
                break
            if ended == kernel.GROW:
                self.make_room(int(flat.column_first[at + 1] - flat.column_first[at]) + 2)
        self._texts(data, flat, texts)
        if verdict[first:last].any():
            self._refuse(records, flat, (start, stop), verdict, refusals, outcome, came_as)
        self.offset = int(records.offset[stop - 1])
        self.samples += last - first

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

    def _changes(self, records: Records, flat: Flat, outcome: Outcome) -> None:
        out: Changes = self._out
        wanted = self.rules_table().wanted
        for i in range(int(out.used[0])):
            rule, target, holds, record, sample = out.what[i].tolist()
            time, base, score = out.at[i].tolist()
            seen = out.seen[out.seen_first[i] : out.seen_first[i + 1]].tolist()
            outcome.changes.append(
                Change(
                    rule=rule,
                    target=target,
                    holds=holds == state.TRUE,
                    offset=int(records.offset[record]),
                    time=time,
                    baseline=base,
                    score=score,
                    seen=[(v, n, int(t)) for v, n, t in seen],
                    text=self._text_of(records.data, flat, sample),
                    name=self.name_of(target),
                    sample=sample - int(flat.first[record]) if sample >= 0 else -1,
                    good=max(holds - judge.VERIFYING, 0),
                    wanted=int(wanted[rule]) if holds >= judge.VERIFYING else 0,
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
        self, records: Records, flat: Flat, span: tuple[int, int], verdict: NDArray[np.uint8],
        refusals: dict[int, Refusal], outcome: Outcome, came_as: Record | None,
    ) -> None:  # fmt: skip
        """Say which samples of which records are refused, each record's together by their reason."""
        start, stop = span
        first, last = int(flat.first[start]), int(flat.first[stop])
        told = (verdict[first:last] != kernel.GOOD) & (verdict[first:last] != kernel.DUPLICATE)
        bad = np.flatnonzero(told) + first
        of = np.searchsorted(flat.first[start : stop + 1], bad, side="right") - 1 + start
        groups: dict[tuple[int, str], tuple[Refusal, list[int]]] = {}
        for i, r in zip(bad.tolist(), of.tolist(), strict=True):
            refusal = refusals.get(i) or self._refusal(int(verdict[i]), int(flat.name[i]))
            groups.setdefault((r, refusal.reason), (refusal, []))[1].append(i - int(flat.first[r]))
        outcome.refused += [
            Refused(came_as or records.record(r), refusal, rows) for (r, _), (refusal, rows) in groups.items()
        ]

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


def replace_duplicates(batch: SampleBatch) -> SampleBatch:
    """The batch with at most one detail a sample, the last one, as a reader of arrays has it."""
    details = {d["row"]: d for d in batch.details}
    return replace(batch, details=list(details.values()))
