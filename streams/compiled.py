"""Rules as tables of numbers: what the compiled judge reads."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streams.kernel import kinds

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Conditions:
    """Every condition of every rule, one entry each, and each rule as a postfix expression over them.

    `metric` indexes `metrics`, whose entry 0 is "" for the target's own checks. `window_s` is NaN where the kind has
    no window. A condition holds when `value <operator> threshold`, and once it holds, for as long as
    `value <operator> recovery` (hysteresis; the same number where the rule names none). It is unknown while there is
    no value or fewer than `min_samples` samples stand behind it. `tokens[start[r]:start[r + 1]]` is rule r: an entry
    >= 0 is a condition, kinds.AND and kinds.OR take two, kinds.NOT takes one. Unknown spreads as in SQL, and a rule
    whose outcome is unknown stays as it was. `cron` is a cron expression with time zone and grace for kind MISSED.
    `wanted` is by rule with how many good samples in a row its end is verified; empty: with none.
    """

    names: list[str] = field(default_factory=list)
    metrics: list[str] = field(default_factory=lambda: [""])
    kind: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    metric: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    window_s: Floats = field(default_factory=lambda: np.zeros(0))
    param: Floats = field(default_factory=lambda: np.zeros(0))
    operator: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    threshold: Floats = field(default_factory=lambda: np.zeros(0))
    recovery: Floats = field(default_factory=lambda: np.zeros(0))
    min_samples: Floats = field(default_factory=lambda: np.zeros(0))
    start: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    tokens: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    severity: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # by rule: 0 info, 1 warning, 2 critical
    wanted: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    cron: dict[int, tuple[str, str, float]] = field(default_factory=dict)  # by condition: expression, zone, grace s

    def asks(self, rule: int) -> tuple[object, ...]:
        """What a rule looks at and how it joins that, whatever its thresholds are."""
        return tuple(
            (
                int(self.kind[t]),
                self.metrics[int(self.metric[t])],
                str(self.window_s[t]),
                str(self.param[t]),
                self.cron.get(t),
            )
            if t >= 0
            else t
            for t in self.tokens[self.start[rule] : self.start[rule + 1]].tolist()
        )

    def marks(self) -> list[int]:
        """By rule a number for what it `asks`: of two rules that differ in it, something else is asked."""
        return [zlib.crc32(repr(self.asks(r)).encode()) for r in range(len(self.names))]

    def timed(self) -> NDArray[np.bool_]:
        """By rule: whether it may change though no sample comes."""
        spans = zip(self.start[:-1].tolist(), self.start[1:].tolist(), strict=True)
        return np.array(
            [any(t >= 0 and int(self.kind[t]) in kinds.TIMED for t in self.tokens[a:b].tolist()) for a, b in spans],
            np.bool_,
        )
