"""Samples into state, one after the other: the loop that everything else is called from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.kernel import baseline, change, flat as flat_line, forecast, panes, robust, seasonal, sketch, surprise
from streams.kernel.jit import inlined, lean
from streams.kernel.judge import BY_SAMPLE, BY_STATUS, BY_TIME, Changes, Rules, has_room, judge
from streams.kernel.scan import Flat
from streams.kernel.state import (
    BASELINE, BLOCK, CHANGE, CRITICALS, DECLARED, DECLARED_ERRORS, DEGRADED, DUPLICATES, ERROR_BASELINE, FAILURES,
    FLAT, FORECAST, FREE_ROWS, FREE_TARGETS, HEAD, HEALTHY, HOUR, HOUR_COUNT, HOUR_SUM, LATE_PANES, LIVE, MAIN, NAME,
    NOW, OK, OK_AT, PREVIOUS, PROBES, ROBUST, ROWS, RULE_SET, SEASON, SEASONAL_CHANGE, SEEN_AT, SINCE, SKETCHED, STATUS,
    TARGETS, TEXT, TICKED, TIME, UNHEALTHY, UNTOLD, VALUE, WARNS, Z, State, find_row, keep_row,
)  # fmt: skip

LATENCY_FLOOR_MS = 2.0
FIELD_FLOOR = 1e-9
_SOON = 6  # panes of 10 s: within a minute what has changed is told
QUARTER_MS = 900_000
TICK_MS = 1000  # how often rules that time alone may change are looked at, by the records' clock
MOST_LATENCY_MS = 1e9
MOST_VALUE = 1e30
MOST_SEQUENCE = 2.0**63  # beyond it there is no whole number of 64 bits: such a sample has none

# What became of a sample.
GOOD, BAD_VALUE, FUTURE, LATE, DUPLICATE, REFUSED_NAME = range(6)
# What ended a call of `fold`.
DONE, FULL, GROW = range(3)


@inlined
def _new_row(state: State, target: int, metric: int) -> int:
    if state.clock[FREE_ROWS]:
        state.clock[FREE_ROWS] -= 1
        row = state.free_rows[state.clock[FREE_ROWS]]
    else:
        row = state.clock[ROWS]
        state.clock[ROWS] = row + 1
    state.dirty.names[row // BLOCK] = state.dirty.latest[row // BLOCK] = 1
    state.series.target[row], state.series.metric[row] = target, metric
    keep_row(state.index, target, metric, row)
    return row


@inlined
def _new_target(state: State, name: int, rule_set: int) -> int:
    if state.clock[FREE_TARGETS]:
        state.clock[FREE_TARGETS] -= 1
        target = state.free_targets[state.clock[FREE_TARGETS]]
    else:
        target = state.clock[TARGETS]
        state.clock[TARGETS] = target + 1
    place = state.targets.place[target]
    place[NAME], place[RULE_SET] = name, rule_set
    place[MAIN] = state.targets.row_of[target, 0] = _new_row(state, target, 0)
    state.targets.flag[target, LIVE] = 1
    # Absence counts from the first that is known of it.
    num = state.series.num[place[MAIN]]
    num[SEEN_AT] = num[OK_AT] = state.clock[NOW]
    return target


@inlined
def _known_before(state: State, target: int, probe: np.uint64, sequence: float) -> bool:
    """Whether this probe's sample was seen; remembers it. Of the 64 before the newest each is known.

    A number further back than that is a probe that began anew, and so does its place here.
    """
    number = np.uint64(sequence)
    seen = state.targets.seen[target]
    place = -1
    for k in range(PROBES):
        if seen[k, 0] == probe:
            place = k
            break
    if place < 0:
        # The newest probe takes the last place, the others move up.
        for k in range(PROBES - 1):
            seen[k, 0], seen[k, 1], seen[k, 2] = seen[k + 1, 0], seen[k + 1, 1], seen[k + 1, 2]
        seen[PROBES - 1, 0], seen[PROBES - 1, 1], seen[PROBES - 1, 2] = probe, number, np.uint64(0)
        return False
    newest = seen[place, 1]
    if number > newest:
        ahead = number - newest
        if ahead > np.uint64(64):
            seen[place, 2] = np.uint64(0)
        elif ahead == np.uint64(64):
            seen[place, 2] = np.uint64(1) << np.uint64(63)
        else:
            seen[place, 2] = (seen[place, 2] << ahead) | (np.uint64(1) << (ahead - np.uint64(1)))
        seen[place, 1] = number
        return False
    if number == newest:
        return True
    behind = newest - number
    if behind > np.uint64(64):
        seen[place, 1], seen[place, 2] = number, np.uint64(0)
        return False
    bit = np.uint64(1) << (behind - np.uint64(1))
    if seen[place, 2] & bit:
        return True
    seen[place, 2] |= bit
    return False


@inlined
def _take(state: State, row: int, own: bool, time: float, ok: bool, value: float) -> None:
    """Count one value of a series, and learn from it if it is its newest."""
    head, ring = state.clock[HEAD], state.ring
    num = state.series.num[row]
    pane = int(np.floor(time / panes.PANE_MS))
    block = row // BLOCK
    told = False
    for tier in range(panes.TIERS):
        slot = panes.slot_of(pane, tier, head)
        if slot >= 0:
            panes.add(ring, row, slot, ok, value)
            state.dirty.slot[block, slot] = 1
            # Told as rollups: the shortest pane that will hold it until then.
            if not told and (tier > 0 or pane > head - panes.BEHIND[0] + _SOON):
                state.dirty.unrolled[block, slot] = told = True
    if pane < head:
        ring.closed_at[row] = -1
        state.clock[LATE_PANES] += 1
    if state.layout[SKETCHED] >= 0:
        sketch.add(state.sketch, row, pane, value, head, state.layout[SKETCHED])
    state.dirty.latest[block] = 1
    num[SEEN_AT] = state.clock[NOW]
    if ok:
        num[OK_AT] = state.clock[NOW]
    if not time >= num[TIME]:
        return
    num[TIME], num[VALUE] = time, value
    # A failed check's time is a timeout's or a refusal's, not the service's: no part of what is normal.
    sound = value if ok else np.nan
    least = LATENCY_FLOOR_MS if own else FIELD_FLOOR
    num[Z] = baseline.update(num, BASELINE, sound, least)
    _season(state, row, time, sound, least)
    at = state.layout[ROBUST]
    if at >= 0:
        num[at] = robust.update(num, at + 1, sound, least)
    at = state.layout[CHANGE]
    if at >= 0:
        num[at] = change.update(num, at + 1, sound, least, change.TREND_ALPHA)
    at = state.layout[SEASONAL_CHANGE]
    if at >= 0:
        num[at] = change.update(num, at + 1, seasonal.ratio(sound, num[SEASON]), seasonal.FLOOR_SHARE, 0.0)
    at = state.layout[FLAT]
    if at >= 0:
        num[at] = flat_line.update(num, at + 1, sound, time, flat_line.TOLERANCE)
    at = state.layout[FORECAST]
    if at >= 0:
        forecast.update(num, at, sound, time)


@inlined
def _season(state: State, row: int, time: float, value: float, least: float) -> None:
    """Gather the hour's mean; with the first value of another hour, learn it.

    What is usual is looked up once a quarter of an hour: it moves slowly, and lies far off in memory.
    """
    num = state.series.num[row]
    quarter = np.floor(time / QUARTER_MS)
    if quarter != num[HOUR]:
        seasons = state.seasons
        if np.floor(quarter / 4.0) != np.floor(num[HOUR] / 4.0):
            if num[HOUR_COUNT] > 0:
                past = seasonal.hour_of_week(int(num[HOUR]) * QUARTER_MS)
                mean = num[HOUR_SUM] / num[HOUR_COUNT]
                seasonal.observe(seasons.mean, seasons.weeks, seasons.spread, row, past, mean, least)
                state.dirty.season[row // BLOCK, past] = 1
                state.dirty.season[row // BLOCK, seasonal.HOURS] = 1
            num[HOUR_SUM] = num[HOUR_COUNT] = 0.0
        num[HOUR] = quarter
        middle = int(quarter) * QUARTER_MS + QUARTER_MS // 2
        num[SEASON] = seasonal.expected_at(seasons.mean, seasons.weeks, row, middle)
    if value == value:  # noqa: PLR0124 - not NaN
        num[HOUR_SUM] += value
        num[HOUR_COUNT] += 1.0


@inlined
def fresh_declared(state: State, target: int, declared: NDArray[np.float64]) -> None:
    """Set what the configuration declares normal for a target: latency in ms and error rate, NaN where it is silent."""
    num = state.series.num[state.targets.place[target, MAIN]]
    num[DECLARED], num[DECLARED_ERRORS] = declared[0], declared[1]


@inlined
def _status(
    state: State,
    rules: Rules,
    target: int,
    record: int,
    sample: int,
    time: float,
    out: Changes,
    scratch: NDArray[np.float64],
    truths: NDArray[np.uint8],
    stack: NDArray[np.uint8],
) -> None:
    """The target's status after its rules, and then the rules that look at it."""
    place, flag = state.targets.place[target], state.targets.flag[target]
    if place[CRITICALS] > 0:
        status = UNHEALTHY
    elif flag[OK] == 0 or place[WARNS] > 0:
        status = DEGRADED
    else:
        status = HEALTHY
    if status != flag[STATUS]:
        flag[PREVIOUS], flag[STATUS] = flag[STATUS], status
        state.targets.num[target, SINCE] = time
    flag[UNTOLD] = 1
    if rules.set_look[place[RULE_SET]] & BY_STATUS:
        judge(state, rules, target, record, sample, time, out, scratch, truths, stack, BY_STATUS)


@inlined
def _sound(flat: Flat, record: int, i: int) -> bool:
    """Whether a sample's numbers can be reckoned with."""
    if not np.isfinite(flat.time[i]) or flat.value[i] < 0 or flat.value[i] > MOST_LATENCY_MS:
        return False
    for c in range(flat.column_first[record], flat.column_first[record + 1]):
        if abs(flat.metric_values[flat.column_at[c] + i - flat.first[record]]) > MOST_VALUE:
            return False
    return True


@lean
def fold(
    state: State,
    rules: Rules,
    flat: Flat,
    appended: NDArray[np.int64],
    since: int,
    since_sample: int,
    until: int,
    future_ms: float,
    lateness_ms: float,
    target_of: NDArray[np.int64],
    set_of: NDArray[np.int64],
    declared: NDArray[np.float64],
    metric_slot: NDArray[np.int64],
    verdict: NDArray[np.uint8],
    texts: NDArray[np.int64],
    out: Changes,
    scratch: NDArray[np.float64],
    truths: NDArray[np.uint8],
    stack: NDArray[np.uint8],
) -> tuple[int, int, int]:
    """Take in records `since` (from its sample `since_sample` on) to `until`; what ended it, and where to go on.

    `appended` is when the broker took each record, in ms: the only clock. `target_of` is a target's number by its
    name's, -1 before its first good sample; `set_of` its rule set by its name's number. `metric_slot` is a metric's
    place among those that rules look at, -1 for others. `verdict` tells what became of each sample. `texts` gets a
    the numbers of samples with which their target's text changed,
    after how many they are. FULL: `out` has no room; GROW: the state has none.
    """
    timed = False
    for k in range(len(rules.set_look)):
        timed = timed or (rules.set_look[k] & BY_TIME) != 0
    for r in range(since, until):
        start = flat.first[r]
        first = since_sample if r == since and since_sample > start else start
        if first == start:
            now = appended[r]
            if now > state.clock[NOW]:
                if now // TICK_MS > state.clock[NOW] // TICK_MS and timed:
                    state.clock[TICKED] = 0
                state.clock[NOW] = now
            head = now // panes.PANE_MS
            if head > state.clock[HEAD]:
                panes.advance(state.ring, state.clock[HEAD], head, state.clock[ROWS])
                state.clock[HEAD] = head
            while state.clock[TICKED] < state.clock[TARGETS]:
                if not has_room(rules, out):
                    return FULL, r, first
                target = state.clock[TICKED]
                if state.targets.flag[target, LIVE] and rules.set_look[state.targets.place[target, RULE_SET]] & BY_TIME:
                    before = out.used[0]
                    judge(state, rules, target, r, -1, float(now), out, scratch, truths, stack, BY_TIME)
                    if out.used[0] != before:
                        state.dirty.latest[state.targets.place[target, MAIN] // BLOCK] = 1
                        _status(state, rules, target, r, -1, float(now), out, scratch, truths, stack)
                state.clock[TICKED] = target + 1
        columns = flat.column_first[r + 1] - flat.column_first[r]
        for i in range(first, flat.first[r + 1]):
            name = flat.name[i]
            if name < 0:
                verdict[i] = REFUSED_NAME
                continue
            if not _sound(flat, r, i):
                verdict[i] = BAD_VALUE
                continue
            time = flat.time[i]
            if time > appended[r] + future_ms:
                verdict[i] = FUTURE
                continue
            if time <= appended[r] - lateness_ms:
                verdict[i] = LATE
                continue
            rows, targets = state.clock[ROWS] + 1 + columns, state.clock[TARGETS]
            if rows > len(state.series.num) or targets >= len(state.targets.num):
                return GROW, r, i
            if not has_room(rules, out):
                return FULL, r, i
            target = target_of[name]
            if target < 0:
                target = target_of[name] = _new_target(state, name, set_of[name])
                fresh_declared(state, target, declared[name])
            sequence = flat.sequence[i]
            if 0 <= sequence <= MOST_SEQUENCE and _known_before(state, target, flat.probe[r], sequence):
                verdict[i] = DUPLICATE
                state.clock[DUPLICATES] += 1
                continue
            verdict[i] = GOOD
            ok = flat.ok[i] != 0
            row = state.targets.place[target, MAIN]
            surprise.learn(state.targets.num[target], ERROR_BASELINE, 0.0 if ok else 1.0)
            newest = time >= state.series.num[row, TIME]
            _take(state, row, True, time, ok, flat.value[i])
            if newest:
                state.targets.flag[target, OK] = ok
                state.targets.num[target, FAILURES] = 0.0 if ok else state.targets.num[target, FAILURES] + 1.0
                told = flat.detail[i] >= 0
                if told or state.targets.flag[target, TEXT]:
                    state.targets.flag[target, TEXT] = told
                    texts[0] += 1
                    texts[texts[0]] = i
            for c in range(flat.column_first[r], flat.column_first[r + 1]):
                value = flat.metric_values[flat.column_at[c] + i - start]
                if value != value:  # noqa: PLR0124 - NaN
                    continue
                metric = flat.column_metric[c]
                row = find_row(state.index, target, metric)
                if row < 0:
                    row = _new_row(state, target, metric)
                    if metric_slot[metric] >= 0:
                        state.targets.row_of[target, metric_slot[metric]] = row
                _take(state, row, False, time, True, value)
            judge(state, rules, target, r, i, time, out, scratch, truths, stack, BY_SAMPLE)
            _status(state, rules, target, r, i, time, out, scratch, truths, stack)
        # Targets that this record brought are looked at by time from the next pane on, as after a restart.
        state.clock[TICKED] = state.clock[TARGETS]
    return DONE, until, 0
