"""Rules against one target: what each condition sees, and whether the rule over them holds."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel import baseline, forecast, kinds, panes, sketch, surprise
from streams.kernel.jit import inlined, lean
from streams.kernel.panes import LEAST, MOST
from streams.kernel.state import (
    BASELINE, BLOCK, CHANGE, CRITICALS, DECLARED, DECLARED_ERRORS, ERROR_BASELINE, FAILURES, FALSE, FLAT, FORECAST,
    HEAD, MAIN, NOW, OK, OK_AT, PREVIOUS, ROBUST, RULE_SET, SEASON, SEASONAL_CHANGE, SEEN_AT, SKETCHED, STATUS, TRUE,
    UNSURE, VALUE, WARNS, Z, State,
)  # fmt: skip

MOST_TOKENS = 256
# When a rule is looked at: with each sample; also when time has passed; after the status is known.
BY_SAMPLE, BY_TIME, BY_STATUS = 1, 2, 4
VERIFYING = 2  # of Targets.holds: the rule has ceased; more than that is how many good samples there were since
_OF_NOTHING = (kinds.COUNT, kinds.RATE, kinds.SUM)  # no samples are a value of these


class Rules(NamedTuple):
    """Every rule as tables; see streams/compiled.py. `window` is a window's number, -1 where the kind has none.

    `sight` is the same number for conditions that see the same. `weight` is what a rule that holds does to the target's
    status: 2 unhealthy, 1 degraded, 0 nothing. `look` is when a
    rule is looked at: BY_SAMPLE, BY_TIME, BY_STATUS bits; `set_look` those of a set's rules together.
    Rule set s, a target's `RULE_SET`, is the rules `sets[set_first[s]:set_first[s + 1]]`. `due` is when the latest
    run of a schedule was due, in milliseconds, NaN where there is none. `wanted` is with how many samples in a row a
    rule that has ceased is told of again, one by one; 0: with none.
    """

    kind: NDArray[np.int64]
    metric: NDArray[np.int64]
    window: NDArray[np.int64]
    param: NDArray[np.float64]
    operator: NDArray[np.int64]
    threshold: NDArray[np.float64]
    recovery: NDArray[np.float64]
    min_samples: NDArray[np.float64]
    start: NDArray[np.int64]
    tokens: NDArray[np.int64]
    sight: NDArray[np.int64]
    weight: NDArray[np.int64]
    look: NDArray[np.uint8]
    set_first: NDArray[np.int64]
    sets: NDArray[np.int64]
    set_look: NDArray[np.uint8]
    due: NDArray[np.float64]
    wanted: NDArray[np.int64]


class Changes(NamedTuple):
    """Rules that began or ceased to hold: entry i is row i of `what`, and its conditions' values from `seen_first[i]`.

    `what` holds rule, target, whether it holds, record, sample (-1: time alone did it). Of a rule that has ceased and
    is told of with each good sample, "whether it holds" is VERIFYING + how many there were, here and in the state.
    `seen` holds value, number of samples, truth of each condition. `at` holds time (ms), baseline, score. `used`
    counts entries and conditions.
    """

    what: NDArray[np.int64]
    at: NDArray[np.float64]
    seen_first: NDArray[np.int64]
    seen: NDArray[np.float64]
    used: NDArray[np.int64]


def fresh_changes(entries: int, rules: int, tokens: int) -> Changes:
    """Room for so many changes beside those that one sample can bring with rules of so many tokens in all."""
    entries += 2 * rules + 1
    return Changes(
        np.zeros((entries, 5), np.int64),
        np.zeros((entries, 3)),
        np.zeros(entries + 1, np.int64),
        np.zeros((entries * min(max(tokens, 1), 16) + 2 * tokens, 3)),
        np.zeros(2, np.int64),
    )


@lean
def has_room(rules: Rules, out: Changes) -> bool:
    """Whether `out` holds whatever one more sample brings: each rule at most twice, before and after the status."""
    entries, seen = 2 * len(rules.look), 2 * len(rules.tokens)
    return out.used[0] + entries < len(out.what) and out.used[1] + seen <= len(out.seen)


@inlined
def normal(state: State, row: int) -> float:
    """Baseline of a row: declared, else by hour of the week, else learnt; NaN in the grace period."""
    num = state.series.num[row]
    if num[DECLARED] == num[DECLARED]:
        return num[DECLARED]
    if num[SEASON] == num[SEASON]:
        return num[SEASON]
    if num[BASELINE + baseline.SEEN] >= baseline.GRACE:
        return num[BASELINE + baseline.MEAN]
    return np.nan


@inlined
def normal_errors(state: State, target: int, row: int) -> float:
    """Error rate that is normal for a target: declared, else learnt; NaN in the grace period."""
    declared = state.series.num[row, DECLARED_ERRORS]
    if declared == declared:  # noqa: PLR0124 - not NaN
        return declared
    return surprise.expected(state.targets.num[target], ERROR_BASELINE)


@lean
def _quantile(state: State, row: int, w: int, q: float) -> float:
    """Quantile `q` of the values in window `w`; NaN without one, and where no sketches are kept."""
    if state.layout[SKETCHED] < 0:
        return np.nan
    step = panes.STEPS[state.ring.tier[w]]
    newest = state.clock[HEAD] // step
    first, last = (newest - state.ring.length[w] + 1) * step, (newest + 1) * step - 1
    return sketch.quantile(state.sketch, row, first, last, q)


@inlined
def value_of(state: State, rules: Rules, c: int, target: int, row: int) -> tuple[float, float]:
    """What condition `c` sees, NaN where it is unknown, and how many samples stand behind it."""
    kind, head, now = rules.kind[c], state.clock[HEAD], np.float64(state.clock[NOW])
    if kind == kinds.STATUS:
        return np.float64(state.targets.flag[target, STATUS]), 1.0
    if kind == kinds.PREVIOUS:
        before, unknown = state.targets.flag[target, PREVIOUS], rules.param[c]
        if unknown >= 0 and (np.int64(unknown) >> np.int64(before)) & 1:
            return np.nan, 1.0
        return np.float64(before), 1.0
    if row < 0:
        return np.nan, 0.0
    num = state.series.num[row]
    if rules.window[c] >= 0:
        w = rules.window[c]
        # A ratio with a parameter is that quantile's.
        if kind == kinds.QUANTILE or (kind == kinds.RATIO and rules.param[c] >= 0):
            panes.close(state.ring, row, head)
            found = _quantile(state, row, w, rules.param[c])
            if kind == kinds.RATIO:
                found /= normal(state, row)
            return found, panes.window(state.ring, row, w)[2]
        if kind == kinds.MIN or kind == kinds.MAX:
            panes.close(state.ring, row, head)
            field = LEAST if kind == kinds.MIN else MOST
            return panes.extreme(state.ring, row, w, head, field), panes.window(state.ring, row, w)[2]
        panes.close(state.ring, row, head)
        count, errors, values, total = panes.window(state.ring, row, w)
        if kind == kinds.MEAN:
            return (total / values if values > 0 else np.nan), values
        if kind == kinds.RATIO:
            return (total / values / normal(state, row) if values > 0 else np.nan), values
        if kind == kinds.ERROR_RATE:
            return (errors / count if count > 0 else np.nan), count
        if kind == kinds.SUCCESS_RATE:
            return (1.0 - errors / count if count > 0 else np.nan), count
        if kind == kinds.ERRORS:
            return errors, count
        if kind == kinds.COUNT:
            return count, count
        seconds = state.ring.length[w] * panes.STEPS[state.ring.tier[w]] * panes.PANE_MS / 1000.0
        if kind == kinds.RATE:
            return count / seconds, count
        if kind == kinds.SUM:
            return total, values
        usual = normal_errors(state, target, row)
        if kind == kinds.ERROR_RATIO:
            return (errors / count / usual if count > 0 else np.nan), count
        if kind == kinds.SURPRISE:
            return surprise.surprise(errors, count, usual), count
        return np.nan, 0.0
    if kind == kinds.UP:
        return np.float64(state.targets.flag[target, OK]), 1.0
    if kind == kinds.FAILURES:
        return state.targets.num[target, FAILURES], 1.0
    if kind == kinds.LAST:
        return num[VALUE], 1.0
    if kind == kinds.ZSCORE:
        return num[Z], 1.0
    if kind == kinds.ROBUST:
        at = state.layout[ROBUST]
        return (num[at] if at >= 0 else np.nan), 1.0
    if kind == kinds.CHANGE:
        at = state.layout[CHANGE]
        return (num[at] if at >= 0 else np.nan), 1.0
    if kind == kinds.SEASONAL_CHANGE:
        at = state.layout[SEASONAL_CHANGE]
        return (num[at] if at >= 0 else np.nan), 1.0
    if kind == kinds.FLAT:
        at = state.layout[FLAT]
        return (num[at] if at >= 0 else np.nan), 1.0
    if kind == kinds.FORECAST:
        at = state.layout[FORECAST]
        return (forecast.seconds_to(num, at, rules.param[c]) if at >= 0 else np.nan), 1.0
    if kind == kinds.ABSENT:
        return (now - num[SEEN_AT]) / 1000.0, 1.0
    if kind == kinds.SINCE_OK:
        return (now - num[OK_AT]) / 1000.0, 1.0
    if kind == kinds.MISSED:
        due = rules.due[c]
        return ((now - due) / 1000.0 if num[OK_AT] < due else 0.0), 1.0
    return np.nan, 0.0


@inlined
def compare(operator: int, value: float, threshold: float) -> bool:
    """Whether `value` stands in this relation to `threshold`."""
    if operator == kinds.GT:
        return value > threshold
    if operator == kinds.GE:
        return value >= threshold
    if operator == kinds.LT:
        return value < threshold
    if operator == kinds.LE:
        return value <= threshold
    if operator == kinds.EQ:
        return value == threshold
    return value != threshold


@inlined
def _outcome(rules: Rules, rule: int, truths: NDArray[np.uint8], stack: NDArray[np.uint8]) -> int:
    """The rule's outcome over its conditions' truths, by the logic of Kleene: unsure only where it matters."""
    top = 0
    for k in range(rules.start[rule], rules.start[rule + 1]):
        token = rules.tokens[k]
        if token >= 0:
            stack[top] = truths[token]
            top += 1
        elif token == kinds.NOT:
            a = stack[top - 1]
            stack[top - 1] = UNSURE if a == UNSURE else TRUE - a
        else:
            a, b = stack[top - 2], stack[top - 1]
            top -= 1
            decides = FALSE if token == kinds.AND else TRUE
            if a == decides or b == decides:
                stack[top - 1] = decides
            elif a == UNSURE or b == UNSURE:
                stack[top - 1] = UNSURE
            else:
                stack[top - 1] = TRUE - decides
    return stack[0]


@lean
def judge(
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
    look: int,
) -> None:
    """Judge every rule of `target` that is looked at now; append those that changed to `out`, which has room for all.

    No value, or too few samples, changes nothing: what is not known can neither begin nor end an episode. `scratch`
    holds the number of this call, and by sight the number of the call that saw it, value and number of samples.
    """
    targets = state.targets
    chosen = targets.place[target, RULE_SET]
    # What is seen stays seen until the next call: most rules look at what another one looks at too.
    scratch[0] += 1.0
    turn = scratch[0]
    for at in range(rules.set_first[chosen], rules.set_first[chosen + 1]):
        rule = rules.sets[at]
        if not rules.look[rule] & look:
            continue
        for k in range(rules.start[rule], rules.start[rule + 1]):
            c = rules.tokens[k]
            if c < 0:
                continue
            at_sight = 3 * rules.sight[c] + 1
            if scratch[at_sight] != turn:
                row = targets.row_of[target, rules.metric[c]]
                scratch[at_sight] = turn
                scratch[at_sight + 1], scratch[at_sight + 2] = value_of(state, rules, c, target, row)
            value, count = scratch[at_sight + 1], scratch[at_sight + 2]
            enough = count >= rules.min_samples[c] or rules.kind[c] in _OF_NOTHING
            if value != value or not enough:  # noqa: PLR0124 - NaN
                truths[c] = UNSURE
                continue
            limit = rules.recovery[c] if targets.truth[target, c] == TRUE else rules.threshold[c]
            truths[c] = TRUE if compare(rules.operator[c], value, limit) else FALSE
            if truths[c] != targets.truth[target, c]:
                targets.truth[target, c] = truths[c]
                # Time alone may do this, and leave the rule as it is.
                state.dirty.latest[targets.place[target, MAIN] // BLOCK] = 1
        only = rules.tokens[rules.start[rule]]
        alone = rules.start[rule + 1] - rules.start[rule] == 1
        outcome = truths[only] if alone else _outcome(rules, rule, truths, stack)
        if outcome == UNSURE or outcome == targets.holds[target, rule]:
            continue
        held, wanted = np.int64(targets.holds[target, rule]), rules.wanted[rule]
        good = (held - VERIFYING if held > VERIFYING else 0) + (1 if sample >= 0 else 0)
        step = 1 if outcome == TRUE else -1 if held == TRUE else 0
        if step == 0 and sample < 0:
            continue  # that time passes is no good sample
        targets.holds[target, rule] = TRUE if outcome == TRUE else VERIFYING + good if good <= wanted else FALSE
        if step == 0 and good > wanted:
            continue  # fewer are wanted than were when it ceased
        if rules.weight[rule] == 2:
            targets.place[target, CRITICALS] += step
        elif rules.weight[rule] == 1:
            targets.place[target, WARNS] += step
        _tell(state, rules, rule, target, record, sample, time, out, scratch, truths)
        if outcome == FALSE and good >= wanted:
            targets.holds[target, rule] = FALSE  # no more to be told


@lean
def _tell(
    state: State,
    rules: Rules,
    rule: int,
    target: int,
    record: int,
    sample: int,
    time: float,
    out: Changes,
    scratch: NDArray[np.float64],
    truths: NDArray[np.uint8],
) -> None:
    i, n = out.used[0], out.used[1]
    out.what[i, 0], out.what[i, 1], out.what[i, 2] = rule, target, state.targets.holds[target, rule]
    out.what[i, 3], out.what[i, 4] = record, sample
    first = -1
    out.seen_first[i] = n
    for k in range(rules.start[rule], rules.start[rule + 1]):
        c = rules.tokens[k]
        if c >= 0:
            first = c if first < 0 else first
            at_sight = 3 * rules.sight[c] + 1
            out.seen[n, 0], out.seen[n, 1], out.seen[n, 2] = scratch[at_sight + 1], scratch[at_sight + 2], truths[c]
            n += 1
    out.seen_first[i + 1] = n
    row = state.targets.row_of[target, rules.metric[first]]
    out.at[i, 0] = time
    out.at[i, 1] = normal(state, row) if row >= 0 else np.nan
    out.at[i, 2] = state.series.num[row, Z] if row >= 0 else np.nan
    out.used[0], out.used[1] = i + 1, n
