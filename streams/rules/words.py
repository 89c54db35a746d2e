"""The words of rules: metrics, aggregates, operators and status words, and the numbers they stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import inf

from streams.kernel import kinds

OPERATORS = {
    "greaterThan": ">", "gt": ">", "greaterThanOrEqual": ">=", "gte": ">=", "lessThan": "<", "lt": "<",
    "lessThanOrEqual": "<=", "lte": "<=", "equals": "==", "eq": "==", "=": "==", "notEquals": "!=", "ne": "!=",
}  # fmt: skip
SYMBOLS = {">": kinds.GT, ">=": kinds.GE, "<": kinds.LT, "<=": kinds.LE, "==": kinds.EQ, "!=": kinds.NE}

STATUS = {"healthy": 0, "degraded": 1, "warning": 1, "unhealthy": 2, "unknown": 3}
STATUS_NAMES = ("healthy", "degraded", "unhealthy", "unknown")

SHARE, SECONDS, MILLISECONDS, STATUSES, NUMBER = "share", "seconds", "milliseconds", "status", "number"

MOST_CHANGE = 16.0  # a change-point score grows no further, up or down: streams.kernel.change.MOST


@dataclass(frozen=True, slots=True)
class Look:
    """What a condition looks at: its number for the judge, its unit, and the values it can have."""

    kind: int
    unit: str = NUMBER
    low: float = 0.0
    high: float = inf

    @property
    def windowed(self) -> bool:
        """Whether it is over a window."""
        return self.kind in kinds.WINDOWED


# Of the target's own checks, without an aggregate.
OWN = {
    "up": Look(kinds.UP, high=1.0),
    "consecutive_failures": Look(kinds.FAILURES),
    "error_rate": Look(kinds.ERROR_RATE, SHARE, high=1.0),
    "errors": Look(kinds.ERRORS),
    "count": Look(kinds.COUNT),
    "rate": Look(kinds.RATE),
    "success_rate": Look(kinds.SUCCESS_RATE, SHARE, high=1.0),
    "status": Look(kinds.STATUS, STATUSES, high=3.0),
    "absent": Look(kinds.ABSENT, SECONDS),
    "since_ok": Look(kinds.SINCE_OK, SECONDS),
    "missed": Look(kinds.MISSED, SECONDS),
}
# Of the values of a metric: latency, or one that samples carry. Of latency, no value is below 0.
VALUES = {
    "last": Look(kinds.LAST, low=-inf),
    "mean": Look(kinds.MEAN, low=-inf),
    "min": Look(kinds.MIN, low=-inf),
    "max": Look(kinds.MAX, low=-inf),
    "sum": Look(kinds.SUM, low=-inf),
    "ratio": Look(kinds.RATIO, low=-inf),
    "zscore": Look(kinds.ZSCORE, low=-inf),
    "robust": Look(kinds.ROBUST, low=-inf),
    "change": Look(kinds.CHANGE, low=-MOST_CHANGE, high=MOST_CHANGE),
    "seasonal_change": Look(kinds.SEASONAL_CHANGE, low=-MOST_CHANGE, high=MOST_CHANGE),
    "flat": Look(kinds.FLAT, SECONDS),
    "forecast": Look(kinds.FORECAST, SECONDS),
    "count": Look(kinds.COUNT),
    "rate": Look(kinds.RATE),
    "absent": Look(kinds.ABSENT, SECONDS),
}
QUANTILE = Look(kinds.QUANTILE, low=-inf)
# Of the error rate, beside the plain one.
OF_ERRORS = {"surprise": Look(kinds.SURPRISE), "error_ratio": Look(kinds.ERROR_RATIO)}

BUILT_IN = ("latency", *OWN)
AGGREGATES = (*VALUES, *OF_ERRORS)
# The value itself, in its own unit: what these compare is in the metric's unit.
PLAIN = frozenset({kinds.LAST, kinds.MEAN, kinds.MIN, kinds.MAX, kinds.SUM, kinds.QUANTILE})
# Nothing came: with no sample at all, these still have a value.
ZERO_WITHOUT_SAMPLES = frozenset({kinds.COUNT, kinds.RATE, kinds.SUM})

_QUANTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")

# What each kind of probe measures beside its latency. A name that ends with a colon begins with it.
PROBE_METRICS = {
    "http": (
        "http.dns_ms", "http.connect_ms", "http.tls_ms", "http.first_byte_ms", "http.transfer_ms", "tls.days_left",
        "rate_limit.used", "rate_limit.total", "rate_limit.used_percent",
    ),
    "tcp": ("tcp.dns_ms", "tcp.connect_ms"),
    "host": (
        "cpu.used_percent", "memory.used_percent", "memory.available_bytes", "swap.used_percent", "load.1m",
        "disk.used_percent", "disk.free_bytes", "disk.used_percent:", "net.bytes_in_per_s", "net.bytes_out_per_s",
    ),
    "kafka": ("kafka.brokers", "kafka.partitions_offline", "kafka.partitions_under_replicated"),
    "push": (),
}  # fmt: skip


def quantile(aggregate: str) -> float | None:
    """0.95 for p95, 0.999 for p99.9; None for what is no quantile."""
    found = _QUANTILE.fullmatch(aggregate)
    share = round(float(found.group(1)) / 100.0, 6) if found else 0.0
    return share if share > 0 else None


def is_aggregate(text: str) -> bool:
    """Whether `text` says how to take values together."""
    return text in VALUES or text in OF_ERRORS or quantile(text) is not None


def look(metric: str, aggregate: str) -> Look | None:
    """What `aggregate` of `metric` looks at; None where there is no such thing."""
    if metric == "error_rate" and aggregate in OF_ERRORS:
        return OF_ERRORS[aggregate]
    if metric in OWN:
        return OWN[metric] if aggregate == "last" else None
    found = VALUES.get(aggregate) or (QUANTILE if quantile(aggregate) is not None else None)
    if found is None:
        return None
    low = 0.0 if metric == "latency" and (found.kind in PLAIN or found.kind == kinds.RATIO) else found.low
    return Look(found.kind, unit(metric) if found.kind in PLAIN else found.unit, low, found.high)


def unit(metric: str) -> str:
    """Unit of the values of `metric`: its name says so."""
    if metric == "latency" or metric.endswith(("_ms", "Ms", "_milliseconds")):
        return MILLISECONDS
    return SECONDS if metric.endswith(("_s", "_seconds", "Seconds")) else NUMBER


def is_percent(metric: str) -> bool:
    """Whether `metric` is, by its name, in per cent: 0 to 100."""
    return metric.partition(":")[0].lower().endswith("percent")
