"""Rules judged slowly and obviously, twice: from the model as it was read, and from the tables of numbers.

A world says what is seen: (kind, metric, window, parameter) -> (value or None, samples).
"""

from __future__ import annotations

import operator

from streams.kernel import kinds

COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le, "==": operator.eq, "!=": operator.ne}  # fmt: skip
BY_NUMBER = dict(enumerate(COMPARE.values()))
OWN = {
    "up": "UP", "consecutive_failures": "FAILURES", "error_rate": "ERROR_RATE", "errors": "ERRORS", "count": "COUNT",
    "rate": "RATE", "success_rate": "SUCCESS_RATE", "status": "STATUS", "absent": "ABSENT", "since_ok": "SINCE_OK", "missed": "MISSED",
}  # fmt: skip
WINDOWED = {"MEAN", "MIN", "MAX", "SUM", "RATIO", "COUNT", "RATE", "QUANTILE", "ERROR_RATE", "ERRORS", "SUCCESS_RATE", "SURPRISE", "ERROR_RATIO"}  # fmt: skip


def both(values):
    return False if False in values else None if None in values else True


def either(values):
    return True if True in values else None if None in values else False


def judged(compare, value, count, threshold, recovery, least, key, held):
    """Whether one condition holds; `held` is the memory of those that do."""
    if value is None or count < least:
        return None
    holds = compare(value, recovery if key in held else threshold)
    (held.add if holds else held.discard)(key)
    return holds


def of_model(c, world, held, least=0):
    """The outcome of a condition as its author wrote it."""
    if c.transition is not None:
        return of_transition(c.transition, world)
    if c.all_:
        return both([of_model(p, world, held, inner(p, least)) for p in c.all_])
    if c.any_:
        return either([of_model(p, world, held, inner(p, least)) for p in c.any_])
    if c.not_:
        found = of_model(c.not_, world, held, inner(c.not_, least))
        return None if found is None else not found
    kind, param = kind_of(c)
    metric = "" if c.metric == "latency" or c.metric in OWN else c.metric
    window = c.window if kind in WINDOWED else None
    value, count = world((getattr(kinds, kind), metric, window, param))
    wanted = (
        0 if kind not in WINDOWED else c.min_samples if kind in ("COUNT", "RATE", "SUM") else max(c.min_samples, least)
    )
    end = c.value if c.recover is None else c.recover
    key = (kind, metric, window, param, c.operator, c.value, end, wanted)
    return judged(COMPARE[c.operator], value, count, c.value, end, wanted, key, held)


def inner(part, least):
    return max(least, part.min_samples) if part.compound else least


def kind_of(c):
    if c.aggregate == "last":
        return (OWN[c.metric], None) if c.metric in OWN else ("LAST", None)
    if c.aggregate[0] == "p" and c.aggregate[1].isdigit():
        return "QUANTILE", float(c.aggregate[1:]) / 100
    return c.aggregate.upper(), c.limit if c.aggregate == "forecast" else c.quantile


def of_transition(change, world):
    """What `to` and `from` say, from the status now and the one before."""
    now, before = world((kinds.STATUS, "", None, None))[0], world((kinds.PREVIOUS, "", None, None))[0]
    failed = world((kinds.LAST, "recovery.failed", None, None))[0] if change.recovery_failed else 0
    ways = []
    if change.goals:
        if now is None:
            way = None if not change.origins or before is None or before in (*change.origins, *change.goals) else False
        elif now not in change.goals:
            way = False
        elif not change.origins:
            way = True
        else:
            way = None if before is None or before in change.goals else before in change.origins
        ways.append(way)
    if change.recovery_failed:
        ways.append(None if failed is None else failed >= 1)
    return either(ways)


def of_tables(conditions, r, world, held):
    """The outcome of rule `r` as the compiled judge would have it."""
    stack = []
    for token in conditions.tokens[conditions.start[r] : conditions.start[r + 1]].tolist():
        if token == kinds.NOT:
            found = stack.pop()
            stack.append(None if found is None else not found)
        elif token in (kinds.AND, kinds.OR):
            second, first = stack.pop(), stack.pop()
            stack.append((both if token == kinds.AND else either)([first, second]))
        else:
            stack.append(of_row(conditions, token, world, held))
    (found,) = stack
    return found


def of_row(c, i, world, held):
    kind, window, param = int(c.kind[i]), number(c.window_s[i]), number(c.param[i])
    metric = c.metrics[c.metric[i]]
    if kind == kinds.PREVIOUS:
        value, count = world((kind, "", None, None))
        if value is not None and int(param) >> int(value) & 1:
            value = None
    else:
        value, count = world((kind, metric, window, None if kind == kinds.STATUS else param))
    compare = BY_NUMBER[int(c.operator[i])]
    return judged(compare, value, count, c.threshold[i], c.recovery[i], c.min_samples[i], i, held)


def number(value):
    return None if value != value else float(value)
