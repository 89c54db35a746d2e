"""How well anomaly scores find incidents in labelled series, and how often they cry wolf.

    python benchmarks/anomaly.py [--quick] [--json] [--seed N]

An alarm is a stretch in which a rule holds, with gaps of up to ten samples closed. It is true if it begins within an
incident or up to ten samples after it; `false` is the share of alarms that are not. `found` is the share of incidents
that a rule held in; `in time` of those in which it held by the second sample in which the incident was visible
(tests/kit/labelled.py says what visible is); `at once` by the second sample that was not normal. Delays are samples
after the first that was not normal: 0 is that sample itself.

Last, the mean delay of `change > 8.5` beside the least that any detector can have that is wrong as rarely: where the
mean log likelihood ratios of so many samples add up to ln g, g the samples from one false alarm to the next (Lorden,
"Procedures for reacting to a change in distribution", Annals of Mathematical Statistics 42, 1971). That detector knows
level, noise and size, and may answer to a single value; the bound is exact for rare alarms.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, options, percentile
from streams.kernel import baseline, change, flat, forecast, robust, seasonal, surprise
from streams.kernel.fold import QUARTER_MS
from streams.kernel.jit import njit
from tests.kit.labelled import Series, generate, noise

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rule = Callable[[Floats], Flags]

LEAST = 2.0  # milliseconds: what the detector takes for the least deviation of a latency
MINUTE, FIVE = 2, 10  # samples in the windows of the surprise, at a sample every 30 s
GAP = 10  # samples
SEED = 7  # the thresholds were chosen on the series of others
Z, ROBUST, SURPRISE_1, SURPRISE_5, CHANGE, FLAT, FORECAST, RATIO, SEASONAL = range(9)


@njit
def scores(time_ms: Floats, value: Floats, failed: Floats, limit: float) -> Floats:
    """Every score at every sample, as the detector computes them: (9, samples)."""
    n = value.size
    out = np.full((9, n), np.nan)
    s = np.zeros(96)
    mean = np.zeros((seasonal.HOURS, 1), np.float32)
    weeks = np.zeros((seasonal.HOURS, 1), np.uint8)
    spread = np.zeros(1, np.float32)
    hour, quarter, usual, total, count = -1, -1, np.nan, 0.0, 0
    for i in range(n):
        v, t = value[i], time_ms[i]
        out[Z, i] = baseline.update(s, 0, v, LEAST)
        out[ROBUST, i] = robust.update(s, 8, v, LEAST)
        out[CHANGE, i] = change.update(s, 20, v, LEAST, change.TREND_ALPHA)
        out[FLAT, i] = flat.update(s, 32, v, t, flat.TOLERANCE)
        forecast.update(s, 40, v, t)
        out[FORECAST, i] = forecast.seconds_to(s, 40, limit)
        for row, width in ((SURPRISE_1, MINUTE), (SURPRISE_5, FIVE)):
            first = max(0, i + 1 - width)
            out[row, i] = surprise.surprise(failed[first : i + 1].sum(), i + 1.0 - first, surprise.expected(s, 52))
        surprise.learn(s, 52, failed[i])
        now = seasonal.hour_of_week(int(t))
        if now != hour:
            if count:
                seasonal.observe(mean, weeks, spread, 0, hour, total / count, LEAST)
            hour, total, count = now, 0.0, 0
        if int(t) // QUARTER_MS != quarter:
            quarter = int(t) // QUARTER_MS
            usual = seasonal.expected_at(mean, weeks, 0, quarter * QUARTER_MS + QUARTER_MS // 2)
        if not math.isnan(v):
            total += v
            count += 1
        out[RATIO, i] = seasonal.ratio(v, usual)
        out[SEASONAL, i] = change.update(s, 72, out[RATIO, i], seasonal.FLOOR_SHARE, 0.0)
    return out


def twice(flags: Flags) -> Flags:
    """Held at this sample and at the one before it."""
    held = flags.copy()
    held[1:] &= flags[:-1]
    held[0] = False
    return held


def off_twice(score: Floats, threshold: float) -> Flags:
    """Beyond the threshold at two samples in a row, on the same side."""
    return twice(score > threshold) | twice(score < -threshold)


def any_of(*names: str) -> Rule:
    return lambda s: np.logical_or.reduce([RULES[name][2](s) for name in names])


SHIFTS = ("spike", "level shift", "small shift", "slow drift", "variance")
FAILURES = ("error burst", "outage")
DEFAULTS = {
    "check": ("z > 5, twice", "change > 8.5", "surprise > 5, 1 min", "surprise > 4.5, 5 min", "flat > 0"),
    "traffic": ("seasonal change > 8.5",),
    "counter": ("forecast < 20 min",),
}
# Name: the nature of the series it is for, the kinds of incident it is meant to find, and itself.
RULES: dict[str, tuple[str, tuple[str, ...], Rule]] = {
    "z > 4": ("check", SHIFTS, lambda s: np.abs(s[Z]) > 4),
    "z > 5, twice": ("check", SHIFTS, lambda s: off_twice(s[Z], 5)),
    "robust > 6": ("check", SHIFTS, lambda s: np.abs(s[ROBUST]) > 6),
    "robust > 6, twice": ("check", SHIFTS, lambda s: off_twice(s[ROBUST], 6)),
    "change > 12": ("check", SHIFTS, lambda s: np.abs(s[CHANGE]) > 12),
    "change > 8.5": ("check", SHIFTS, lambda s: np.abs(s[CHANGE]) > change.CHANGED),
    "change > 6.5": ("check", SHIFTS, lambda s: np.abs(s[CHANGE]) > 6.5),
    "surprise > 5, 1 min": ("check", FAILURES, lambda s: s[SURPRISE_1] > 5),
    "surprise > 4.5, 5 min": ("check", FAILURES, lambda s: s[SURPRISE_5] > 4.5),
    "flat > 0": ("check", ("stuck",), lambda s: s[FLAT] > 0),
    "forecast < 20 min": ("counter", ("running out",), lambda s: s[FORECAST] < 1200),
    "ratio < 0.67 or > 1.5, twice": ("traffic", ("wrong hour",), lambda s: twice(np.abs(np.log(s[RATIO])) > 0.4)),
    "seasonal change > 12": ("traffic", ("wrong hour",), lambda s: np.abs(s[SEASONAL]) > 12),
    "seasonal change > 8.5": ("traffic", ("wrong hour",), lambda s: np.abs(s[SEASONAL]) > change.CHANGED),
    "seasonal change > 6.5": ("traffic", ("wrong hour",), lambda s: np.abs(s[SEASONAL]) > 6.5),
}
KINDS = (*SHIFTS, *FAILURES, "stuck", "running out", "wrong hour")


@dataclass(slots=True)
class Tally:
    """What a rule did over many series."""

    incidents: int = 0
    found: int = 0
    in_time: int = 0
    at_once: int = 0
    true: int = 0
    false: int = 0
    clean: int = 0  # samples that are normal
    held: int = 0  # of them, with the rule holding
    delays: list[float] = field(default_factory=list)

    def add(self, series: Series, flags: Flags) -> None:
        normal = np.ones(flags.size, np.bool_)
        for incident in series.incidents:
            normal[incident.injected : incident.end + GAP] = False
            on = np.flatnonzero(flags[incident.injected : incident.end])
            self.incidents += 1
            if on.size:
                delay = int(on[0])
                self.found += 1
                self.in_time += delay <= incident.visible - incident.injected + 1
                self.at_once += delay <= 1
                self.delays.append(delay)
        held = np.flatnonzero(flags)
        begins = held[np.diff(held, prepend=-GAP - 2) > GAP + 1]
        self.true += int((~normal[begins]).sum())
        self.false += int(normal[begins].sum())
        self.clean += int(normal.sum())
        self.held += int((flags & normal).sum())

    def add_all(self, others: Iterable[Tally]) -> Tally:
        for other in others:
            for name in Tally.__slots__:
                setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def shares(self) -> dict[str, float | None]:
        """The numbers of a row of the tables; None where there is nothing to divide by."""
        n = self.incidents or math.nan
        row = {
            "incidents": self.incidents,
            "found": self.found / n,
            "in_time": self.in_time / n,
            "at_once": self.at_once / n,
            "delay_p50": percentile(self.delays, 0.5),
            "delay_p90": percentile(self.delays, 0.9),
            "false_share": self.false / (self.true + self.false) if self.true else math.nan,
            "false_alarms": self.false,
            "false_per_million": 1e6 * self.false / (self.clean or math.nan),
            "held_when_normal": self.held / (self.clean or math.nan),
        }
        return {name: None if math.isnan(number) else number for name, number in row.items()}


def judge(series: Iterable[Series]) -> tuple[dict[str, Tally], dict[str, Tally], dict[str, Tally]]:
    """A tally of each rule over its own kinds and clean series, of the default rules by kind, and by kind and noise."""
    by_rule = {name: Tally() for name in RULES}
    by_kind: dict[str, Tally] = {}
    by_noise: dict[str, Tally] = {}
    defaults = {nature: any_of(*names) for nature, names in DEFAULTS.items()}
    for one in series:
        table = scores(one.time_ms, one.value, one.failed, one.limit)
        for name, (nature, kinds, rule) in RULES.items():
            if nature == one.nature and (one.kind in kinds or not one.incidents):
                by_rule[name].add(one, rule(table))
        flags = defaults[one.nature](table)
        by_kind.setdefault(one.kind, Tally()).add(one, flags)
        if one.kind in SHIFTS:
            by_noise.setdefault(f"{one.kind}, {one.family}", Tally()).add(one, flags)
    return by_rule, by_kind, by_noise


@njit
def until_changed(values: Floats, begin: int) -> float:
    """How many samples from `begin` on until `change` tells of it, that one counted; NaN if it never does."""
    s = np.zeros(change.SIZE)
    for i in range(values.size):
        if abs(change.update(s, 0, values[i], LEAST, change.TREND_ALPHA)) > change.CHANGED and i >= begin:
            return i - begin + 1.0
    return np.nan


def least_delays(seed: int, between: float, count: int) -> dict[str, dict[str, float]]:
    """By change and noise: mean delay of `change`, share found, and the least delay at a false alarm in `between`."""
    rows, before, after = {}, 600, 200
    changes = {f"shift by {d:g}": np.full(after, d) for d in (1.5, 2.0, 3.0, 5.0)}
    changes |= {f"rise by {d:g} a sample": d * np.arange(1.0, after + 1) for d in (0.05, 0.1, 0.2)}
    for family, like in (("normal", 0.0), ("wandering", 0.6)):
        for name, off in changes.items():
            rng = np.random.default_rng([seed, len(rows)])
            made = [noise(rng, before + after, family) for _ in range(count)]
            for values in made:
                values[before:] += off
            delays = np.array([until_changed(1000.0 + 100.0 * values, before) for values in made])
            fresh = (off - like * np.concatenate([[0.0], off[:-1]])) / math.sqrt(1 - like**2)
            enough = np.cumsum(fresh**2 / 2) >= math.log(between)
            found = float(np.isfinite(delays).mean())
            rows[f"{name}, {family}"] = {
                "least": int(np.argmax(enough)) + 1, "delay": float(np.nanmean(delays)), "found": found
            }  # fmt: skip
    return rows


COLUMNS = (
    ("incidents", "{:9.0f}"),
    ("found", "{:6.1%}"),
    ("in_time", "{:8.1%}"),
    ("at_once", "{:8.1%}"),
    ("delay_p50", "{:10.0f}"),
    ("delay_p90", "{:10.0f}"),
    ("false_share", "{:12.1%}"),
    ("false_per_million", "{:18.1f}"),
    ("held_when_normal", "{:17.4%}"),
)


def show(title: str, rows: dict[str, Tally]) -> None:
    print(f"\n{title:30}" + "".join(f"{name.replace('_', ' '):>{len(form.format(0)) + 2}}" for name, form in COLUMNS))
    for name, tally in rows.items():
        shares = tally.shares()
        cells = ("-".rjust(len(f.format(0))) if shares[c] is None else f.format(shares[c]) for c, f in COLUMNS)
        print(f"{name:30}" + "".join(f"  {cell}" for cell in cells))


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=SEED, help="of the series")
    args = parser.parse_args()
    each = 40 if args.quick else 200
    by_rule, by_kind, by_noise = judge(generate(args.seed, each))
    slow = ("small shift", "slow drift")
    total = Tally().add_all(by_kind.values())
    visible = Tally().add_all(t for k, t in by_kind.items() if k not in slow)
    show("each rule, on what it is for", by_rule)
    show("default rules, by kind", by_kind)
    show("default rules, by noise", dict(sorted(by_noise.items())))
    show("default rules", {"all but small shift, slow drift": visible, "all": total})
    between = 1e6 / (by_rule["change > 8.5"].shares()["false_per_million"] or 1.0)
    least = least_delays(args.seed, between, each)
    print(f"\nmean delay, samples; a false alarm in {between:,.0f}     least  change   found")
    for name, row in least.items():
        print(f"{name:51} {row['least']:6.0f} {row['delay']:7.1f} {row['found']:7.1%}")
    result: dict[str, Any] = {
        "benchmark": "anomaly",
        "seed": args.seed,
        "each": each,
        "rules": {name: tally.shares() for name, tally in by_rule.items()},
        "kinds": {name: tally.shares() for name, tally in by_kind.items()},
        "delays": least,
        "sudden": visible.shares(),
        "all": total.shares(),
    }
    finish(result, as_json=args.json)


if __name__ == "__main__":
    main()
