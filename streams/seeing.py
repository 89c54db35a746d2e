"""What rules see of the targets of a partition, without a sample and without deciding anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streams.kernel import judge, kinds, state
from streams.outcome import LAST_SAMPLE, Change, Seen

if TYPE_CHECKING:
    from streams.partition_state import Partition


def held(of: Partition, *, verifying: bool = False) -> list[Change]:
    """Every rule that holds, target by target, with what it sees now; also those whose end is being verified."""
    holds = of.state.targets.holds
    return [
        as_seen(of, target, rule, holds=bool(holds[target, rule] == state.TRUE))
        for target, rule in holding(of, verifying=verifying)
    ]


def holding(of: Partition, *, verifying: bool = False) -> list[tuple[int, int]]:
    """The same by numbers of targets and rules: when all is down that is millions, and looking at each takes long."""
    live = of.state.targets.flag[: int(of.state.clock[state.TARGETS]), state.LIVE] == 1
    holds = of.state.targets.holds[: len(live)]
    wanted = holds != state.FALSE if verifying else holds == state.TRUE
    return [
        (target, rule)
        for target in np.flatnonzero(live & wanted.any(axis=1)).tolist()
        for rule in np.flatnonzero(wanted[target]).tolist()
    ]


def let_go(of: Partition) -> list[Change]:
    """What held as it was stored and ceased as it was read: the rule was edited meanwhile, to ask what is unknown."""
    return [as_seen(of, target, rule, holds=False) for target, rule in of.let_go]


def as_seen(of: Partition, target: int, rule: int, *, holds: bool) -> Change:
    """That a rule holds for a target, or does not, with what it sees of it now."""
    tables, row = of.rules_table(), int(of.state.targets.place[target, state.MAIN])
    seen = []
    for c in of.schedules.conditions_of(rule):
        value, count = judge.value_of(
            of.state, tables, c, target, int(of.state.targets.row_of[target, of.conditions.metric[c]])
        )
        seen.append((float(value), float(count), int(of.state.targets.truth[target, c])))
    time, z = float(of.state.series.num[row, state.TIME]), float(of.state.series.num[row, state.Z])
    base, text = float(judge.normal(of.state, row)), of.text.get(target, ("", ""))
    return Change(rule, target, holds, of.offset, time, base, z, seen, text, sample=LAST_SAMPLE)


def see(of: Partition, name: str) -> list[Seen] | None:
    """What every rule that looks at a target sees of it now, in the rules' order; None where it is not known.

    Nothing is decided by looking: `holds` is as the rule was last judged, each condition's truth as it is now.
    """
    number = of.memory.number.get(name)
    target = -1 if number is None else int(of.memory.target_of[number])
    if target < 0:
        return None
    tables, held, found = of.rules_table(), of.state.targets, []
    for rule in sorted(of.rules_of(target)):
        seen = []
        for c in of.schedules.conditions_of(rule):
            value, count = judge.value_of(of.state, tables, c, target, int(held.row_of[target, tables.metric[c]]))
            seen.append((float(value), float(count), _truth(of, c, value, count, int(held.truth[target, c]))))
        found.append(Seen(rule, seen, bool(held.holds[target, rule] == state.TRUE)))
    return found


def is_known(of: Partition, target: int, rule: int) -> bool:
    """Whether what is seen of a target now says if a rule holds; not where the rule looks at no samples."""
    own = of.schedules.conditions_of(rule)
    tables, truths = of.rules_table(), np.zeros(max(len(of.conditions.kind), 1), np.uint8)
    for c in own:
        row, before = int(of.state.targets.row_of[target, tables.metric[c]]), int(of.state.targets.truth[target, c])
        value, count = judge.value_of(of.state, tables, c, target, row)
        truths[c] = _truth(of, c, value, count, before)
    stack = np.zeros(judge.MOST_TOKENS, np.uint8)
    return bool(own) and judge._outcome(tables, rule, truths, stack) != state.UNSURE  # noqa: SLF001 - the kernel's own


def _truth(of: Partition, c: int, value: float, count: float, before: int) -> int:
    """The truth of a condition that sees this, as the kernel would judge it after `before`."""
    own = of.conditions
    of_nothing = int(own.kind[c]) in (kinds.COUNT, kinds.RATE, kinds.SUM)
    if np.isnan(value) or not (of_nothing or count >= own.min_samples[c]):
        return state.UNSURE
    limit = own.recovery[c] if before == state.TRUE else own.threshold[c]
    return state.TRUE if judge.compare(own.operator[c], value, limit) else state.FALSE
