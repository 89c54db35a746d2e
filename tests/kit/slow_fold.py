"""The fold by the book: every sample is kept, every window is looked through, every rule is judged in words.

Only the scores' own arithmetic, which has tests of its own, is the kernel's.
"""

from __future__ import annotations

import math

import numpy as np

from streams.kernel import baseline, bins, change, flat, forecast, kinds, panes, robust, seasonal, surprise
from tests.unit.streams.rules import reference

HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = range(4)


class SlowSeries:
    """A target's own checks, or one of its metrics."""

    def __init__(self, now, *, own):
        self.own, self.samples = own, []
        self.seen_at = self.ok_at = now
        self.time, self.value, self.z = -math.inf, None, None
        self.scores = {name: np.zeros(m.SIZE) for name, m in (("base", baseline), ("robust", robust), ("change", change), ("flat", flat), ("forecast", forecast), ("of_season", change))}  # fmt: skip
        self.robust = self.change = self.flat = self.of_season = 0.0
        self.mean, self.weeks = np.zeros((seasonal.HOURS, 1), np.float32), np.zeros((seasonal.HOURS, 1), np.uint8)
        self.spread, self.hour, self.in_hour = np.zeros(1, np.float32), -1, []

    def add(self, now, time, ok, value):
        self.samples.append((int(time // 10_000), ok, value))
        self.seen_at = now
        self.ok_at = now if ok else self.ok_at
        if time < self.time:
            return
        self.time, self.value = time, value
        sound, least = value if ok else math.nan, 2.0 if self.own else 1e-9
        s = self.scores
        self.z = baseline.update(s["base"], 0, sound, least)
        self.robust = robust.update(s["robust"], 0, sound, least)
        self.change = change.update(s["change"], 0, sound, least, change.TREND_ALPHA)
        self.flat = flat.update(s["flat"], 0, sound, time, flat.TOLERANCE)
        forecast.update(s["forecast"], 0, sound, time)
        if (hour := int(time // seasonal.HOUR_MS)) != self.hour:
            if self.in_hour:
                week, mean = seasonal.hour_of_week(self.hour * seasonal.HOUR_MS), sum(self.in_hour) / len(self.in_hour)
                seasonal.observe(self.mean, self.weeks, self.spread, 0, week, mean, least)
            self.hour, self.in_hour = hour, []
        self.in_hour += [sound] if sound == sound else []
        ratio = sound / self.season if self.season > 0 else math.nan
        self.of_season = change.update(s["of_season"], 0, ratio, 0.05, 0.0)

    @property
    def season(self):
        """What is usual in the middle of the latest sample's quarter of an hour."""
        quarter = seasonal.HOUR_MS // 4
        return seasonal.expected_at(self.mean, self.weeks, 0, int(self.time // quarter) * quarter + quarter // 2)

    @property
    def normal(self):
        if self.season == self.season:
            return self.season
        s = self.scores["base"]
        return s[baseline.MEAN] if s[baseline.SEEN] >= baseline.GRACE else math.nan


class SlowTarget:
    def __init__(self, now):
        self.series = {"": SlowSeries(now, own=True)}
        self.ok, self.failures, self.errors = True, 0, np.zeros(surprise.SIZE)
        self.status, self.previous = UNKNOWN, UNKNOWN
        self.holds, self.memory = {}, set()
        self.good = {}  # by rule that has ceased: with how many samples in a row it has not held since


class SlowFold:
    """All targets; `take` returns findings as (rule, target, holds, offset, time); `good` is of each what it counts."""

    def __init__(self, conditions):
        self.c, self.targets, self.now, self.head = conditions, {}, 0, -1
        self.good = []
        own = [[int(conditions.kind[t]) for t in self.tokens(r) if t >= 0] for r in range(len(conditions.names))]
        self.by_status = {r for r, k in enumerate(own) if set(k) & {kinds.STATUS, kinds.PREVIOUS}}
        self.by_time = {r for r, k in enumerate(own) if set(k) & kinds.TIMED}

    def tokens(self, rule):
        return self.c.tokens[self.c.start[rule] : self.c.start[rule + 1]].tolist()

    def take(self, offset, now, samples, metrics):
        """`samples` are (target, time, ok, value), `metrics` by name one value a sample."""
        found = []
        past, self.now = self.now // 1000, max(self.now, now)
        self.head = self.now // 10_000
        if self.now // 1000 > past:
            for name in self.targets:
                some = self.judge(name, self.by_time, offset, now, sampled=False)
                found += some
                if some:
                    found += self.decide(name, offset, now, sampled=False)
        for i, (name, time, ok, value) in enumerate(samples):
            target = self.targets.setdefault(name, None) or SlowTarget(self.now)
            self.targets[name] = target
            surprise.learn(target.errors, 0, 0.0 if ok else 1.0)
            own = target.series[""]
            if time >= own.time:
                target.ok, target.failures = ok, 0 if ok else target.failures + 1
            own.add(self.now, time, ok, value)
            for metric, values in metrics.items():
                if values[i] == values[i]:
                    target.series.setdefault(metric, SlowSeries(self.now, own=False)).add(
                        self.now, time, True, values[i]
                    )
            found += self.judge(name, set(range(len(self.c.names))) - self.by_status, offset, time)
            found += self.decide(name, offset, time)
        return found

    def judge(self, name, rules, offset, time, *, sampled=True):
        target, found = self.targets[name], []
        for rule in sorted(rules):
            outcome = reference.of_tables(self.c, rule, lambda key: self.seen(target, key), target.memory)
            if outcome is None:
                continue
            wanted = self.c.wanted[rule] if len(self.c.wanted) else 0
            changed = outcome != target.holds.get(rule, False)
            if changed and not outcome:
                target.good[rule] = int(sampled)
            elif outcome:
                target.good.pop(rule, None)
            elif sampled and target.good.get(rule, wanted) < wanted:
                target.good[rule] += 1
                changed = True
            if changed:
                target.holds[rule] = outcome
                found.append((self.c.names[rule], name, outcome, offset, float(time)))
                self.good.append((target.good[rule], wanted) if wanted and not outcome else (0, 0))
        return found

    def decide(self, name, offset, time, *, sampled=True):
        target = self.targets[name]
        weights = [self.c.severity[r] for r, holds in target.holds.items() if holds and r not in self.by_status]
        status = UNHEALTHY if 2 in weights else DEGRADED if 1 in weights or not target.ok else HEALTHY
        if status != target.status:
            target.previous, target.status = target.status, status
        return self.judge(name, self.by_status, offset, time, sampled=sampled)

    def seen(self, target, key):
        """(kind, metric, window, param) -> value or None, samples."""
        value, count = self._seen(target, *key)
        return (None if value is None or value != value else value), count

    def _seen(self, target, kind, metric, window, param):
        if kind == kinds.STATUS:
            return target.status, 1
        if kind == kinds.PREVIOUS:
            return target.previous, 1
        series = target.series.get(metric)
        if series is None:
            return None, 0
        if window is not None:
            return self._windowed(target, series, kind, window, param)
        return self._latest(target, series, kind, param), 1

    def _latest(self, target, series, kind, param):
        match kind:
            case kinds.UP:
                return float(target.ok)
            case kinds.FAILURES:
                return target.failures
            case kinds.LAST:
                return series.value
            case kinds.ZSCORE:
                return series.z
            case kinds.ROBUST:
                return series.robust
            case kinds.CHANGE:
                return series.change
            case kinds.SEASONAL_CHANGE:
                return series.of_season
            case kinds.FLAT:
                return series.flat
            case kinds.FORECAST:
                return forecast.seconds_to(series.scores["forecast"], 0, param)
            case kinds.ABSENT:
                return (self.now - series.seen_at) / 1000
            case kinds.SINCE_OK:
                return (self.now - series.ok_at) / 1000
            case kinds.MISSED:  # */5 * * * *, grace 30 s
                due = (self.now - 30_000) // 300_000 * 300_000
                return (self.now - due) / 1000 if series.ok_at < due else 0.0
        raise AssertionError(kind)

    def _windowed(self, target, series, kind, window, param):
        tier, length = panes.window_of(window)
        newest = self.head // panes.STEPS[tier]
        some = [(ok, v) for p, ok, v in series.samples if newest - length < p // panes.STEPS[tier] <= newest]
        values, count, errors = [v for _, v in some if v == v], len(some), sum(not ok for ok, _ in some)
        mean = sum(values) / len(values) if values else None
        rate = errors / count if count else None
        usual = surprise.expected(target.errors, 0)
        match kind:
            case kinds.MEAN:
                return mean, len(values)
            case kinds.MIN:
                return (float(np.float32(min(values))) if values else None), len(values)
            case kinds.MAX:
                return (float(np.float32(max(values))) if values else None), len(values)
            case kinds.QUANTILE:
                return self._quantile(values, param), len(values)
            case kinds.RATIO:
                top = mean if param is None else self._quantile(values, param)
                with np.errstate(all="ignore"):
                    return (float(np.float64(top) / series.normal) if values else None), len(values)
            case kinds.ERROR_RATE:
                return rate, count
            case kinds.SUCCESS_RATE:
                return (1 - rate if count else None), count
            case kinds.ERRORS:
                return errors, count
            case kinds.COUNT:
                return count, count
            case kinds.RATE:
                return count / window, count
            case kinds.SUM:
                return sum(values), len(values)
            case kinds.ERROR_RATIO:
                with np.errstate(all="ignore"):
                    return (float(np.float64(rate) / usual) if count else None), count
            case kinds.SURPRISE:
                return surprise.surprise(float(errors), float(count), usual), count
        raise AssertionError(kind)

    def _quantile(self, values, q):
        if not values:
            return None
        rank = min(max(math.ceil(q * len(values) * (1 - 1e-12)), 1), len(values))
        return bins.value_of(bins.bin_of(sorted(values)[rank - 1]))
