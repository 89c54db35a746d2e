"""Conditions in words, for findings, explanations and messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from streams.kernel import kinds
from streams.rules import words
from streams.units import human

if TYPE_CHECKING:
    from streams.compiled import Conditions

_SYMBOL = {number: symbol for symbol, number in words.SYMBOLS.items()}
_OWN = {look.kind: name for name, look in words.OWN.items()}
_VALUES = {look.kind: name for name, look in words.VALUES.items()}
_OF_TIME = frozenset({kinds.ABSENT, kinds.SINCE_OK, kinds.FLAT, kinds.FORECAST, kinds.MISSED})
_SENTENCES = {
    kinds.LAST: "{metric}",
    kinds.ZSCORE: "{metric}: deviations from its baseline",
    kinds.ROBUST: "{metric}: robust deviations from its median",
    kinds.CHANGE: "{metric}: change-point score",
    kinds.SEASONAL_CHANGE: "{metric} to what is usual for the hour: change-point score",
    kinds.SURPRISE: "error_rate{over}: surprise",
    kinds.ERROR_RATIO: "error_rate{over} to its baseline",
    kinds.FLAT: "{metric} unmoved for",
    kinds.FORECAST: "{metric} reaches {param:g} in",
    kinds.ABSENT: "time since the latest {named}",
    kinds.SINCE_OK: "time since the latest good sample",
    kinds.MISSED: "time since a run by {cron} was missed",
    kinds.PREVIOUS: "status before",
    kinds.QUANTILE: "{quantile} {metric}{over}",
}


def describe(conditions: Conditions, i: int) -> str:
    """Condition `i` in words: ``error_rate over 5m > 0.05``."""
    kind, symbol = int(conditions.kind[i]), _SYMBOL[int(conditions.operator[i])]
    threshold = float(conditions.threshold[i])
    text = f"{_subject(conditions, i)} {symbol} {_threshold(kind, threshold, conditions, i)}"
    recovery = float(conditions.recovery[i])
    if recovery != threshold:
        text += f" (until {_threshold(kind, recovery, conditions, i)})"
    return text


def describe_rule(conditions: Conditions, r: int) -> str:
    """The whole expression of rule `r` in words; empty for a rule on alerts."""
    stack: list[str] = []
    for token in conditions.tokens[conditions.start[r] : conditions.start[r + 1]].tolist():
        if token >= 0:
            stack.append(describe(conditions, token))
        elif token == kinds.NOT:
            inner = stack.pop()
            stack.append(f"not {inner}" if inner.startswith("(") else f"not ({inner})")
        else:
            second, first = stack.pop(), stack.pop()
            stack.append(f"({first} {'and' if token == kinds.AND else 'or'} {second})")
    text = stack.pop() if stack else ""
    return text[1:-1] if text.startswith("(") and text.endswith(")") else text


def _subject(conditions: Conditions, i: int) -> str:
    kind, window, param = int(conditions.kind[i]), float(conditions.window_s[i]), float(conditions.param[i])
    named = conditions.metrics[int(conditions.metric[i])]
    metric = named or "latency"
    over = "" if math.isnan(window) else f" over {human(window)}"
    quantile = "mean" if math.isnan(param) else f"p{param * 100:g}"
    if kind == kinds.RATIO:
        return f"{quantile} {metric}{over} to its baseline"
    if (sentence := _SENTENCES.get(kind)) is not None:
        expression, zone, grace = conditions.cron.get(i, ("", "", 0.0))
        cron = f"{expression} ({zone}, {human(grace)} of grace)" if expression else ""
        return sentence.format(
            metric=metric, named=named or "sample", over=over, param=param, quantile=quantile, cron=cron
        )
    return f"{_OWN[kind]}{over}" if kind in _OWN and not named else f"{_VALUES[kind]} {metric}{over}"


def _threshold(kind: int, value: float, conditions: Conditions, i: int) -> str:
    if kind in (kinds.STATUS, kinds.PREVIOUS):
        return words.STATUS_NAMES[int(value)] if value in (0.0, 1.0, 2.0, 3.0) else f"{value:g}"
    if kind in _OF_TIME:
        return human(value) if value else "0s"
    metric = conditions.metrics[int(conditions.metric[i])] or "latency"
    in_ms = kind in words.PLAIN and words.unit(metric) == words.MILLISECONDS
    return f"{value:g} ms" if in_ms else f"{value:g}"
