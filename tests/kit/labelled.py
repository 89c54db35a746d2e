"""Labelled series: what monitoring data looks like, with incidents put in at known places.

The kinds follow those of the public sets (Numenta's NAB, Yahoo's S5): spikes, shifts, drifts, changed variance,
bursts of errors, outages, stuck values, wrong traffic for the hour, counters on the way to their limit; and clean
series, with heavy tails, seasons, wandering noise, flaky targets. All are functions of the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rng = np.random.Generator

MONDAY_MS = 1_704_067_200_000  # 2024-01-01, 00:00 UTC
EVIDENCE = math.log(1e6)  # odds, as a logarithm, that a judge needs: a sample each 30 s is a million a year
LENGTH = 1000
WEEKS = 5


@dataclass(frozen=True, slots=True)
class Incident:
    """Samples [injected, end) are not normal; from `visible` on that can be known.

    Visible is the sample by which a perfect judge has found 97.5 % of such incidents: one who knows the noise, and the
    incident's kind, size and first sample, and who wants odds of a million to one. That is where the logarithm of the
    likelihood ratio, less two standard deviations of it, reaches ln 1,000,000: the injected sample for all that is sudden
    and large. A value counts as stuck from its sixth equal sample on (later where it often repeats itself), and a
    counter as running out 15 minutes before it reaches its limit.
    """

    injected: int
    visible: int
    end: int


@dataclass(frozen=True, slots=True)
class Series:
    """One target's samples. `value` is NaN where the sample failed; `limit` is NaN where the value has none.

    `nature` says what a person who writes rules would know of it: "check" (a latency, and failures), "traffic" (it has
    its hours) or "counter" (it grows to a limit and starts over). `family` is the noise.
    """

    kind: str
    nature: str
    family: str
    time_ms: Floats
    value: Floats
    failed: Floats
    incidents: list[Incident] = field(default_factory=list)
    limit: float = math.nan


def visible(injected: int, evidence: Floats, variance: Floats) -> int:
    """The sample by which the evidence suffices; its mean (nats) and variance for each sample from `injected` on."""
    surely = np.cumsum(evidence) - 2 * np.sqrt(np.cumsum(variance))
    return injected + int(np.argmax(surely >= EVIDENCE)) if surely.max() >= EVIDENCE else injected + len(evidence)


def shifted(injected: int, deviations: Floats, family: str) -> int:
    """`visible` for values that are off by so many deviations of a normal noise, if that wanders of what is new in it."""
    if family == "wandering":
        deviations = (deviations - 0.6 * np.concatenate([[0.0], deviations[:-1]])) / 0.8
    return visible(injected, deviations**2 / 2, deviations**2)


def louder(injected: int, times: float) -> int:
    """`visible` for normal noise that is `times` as strong: the evidence follows a chi-squared distribution."""
    n = np.arange(1, 200)
    least = n * np.maximum(0.0, 1 - 2 / (9 * n) - 1.96 * np.sqrt(2 / (9 * n))) ** 3  # Wilson and Hilferty, 1931
    return injected + int(np.argmax((times**2 - 1) / 2 * least - n * math.log(times) >= EVIDENCE))


def failing(injected: int, share: float, usual: float, length: int) -> int:
    """`visible` for a share of failures other than the usual one."""
    usual = max(usual, 0.002)
    bad, good = math.log(share / usual), math.log((1 - share) / (1 - usual)) if share < 1 else 0.0
    each = np.ones(length)
    return visible(injected, each * (share * bad + (1 - share) * good), each * share * (1 - share) * (bad - good) ** 2)


def noise(rng: Rng, n: int, family: str) -> Floats:
    """Noise of mean 0 and variance 1."""
    if family == "normal":
        return rng.normal(0, 1, n)
    if family == "heavy tails":
        return rng.standard_t(5, n) / math.sqrt(5 / 3)
    if family == "skewed":  # as latencies are
        sigma = 0.4
        x = rng.lognormal(0, sigma, n)
        return (x - math.exp(sigma**2 / 2)) / math.sqrt((math.exp(sigma**2) - 1) * math.exp(sigma**2))
    assert family == "wandering"
    x = rng.normal(0, 1, n)
    for i in range(1, n):
        x[i] = 0.6 * x[i - 1] + 0.8 * x[i]
    return x


FAMILIES = ("normal", "heavy tails", "skewed", "wandering")


@dataclass(slots=True)
class Draft:
    """A clean series to put an incident in."""

    rng: Rng
    family: str = "normal"
    nature: str = "check"
    n: int = LENGTH
    step_s: float = 30.0
    level: float = 0.0
    scale: float = 0.0  # of the noise, and at least a twentieth of the level
    value: Floats = field(default_factory=lambda: np.zeros(0))
    failed: Floats = field(default_factory=lambda: np.zeros(0))
    error_rate: float = 0.0

    @classmethod
    def make(cls, rng: Rng, family: str = "", error_rate: float | None = None) -> Draft:
        """A steady series with noise of a family and a few errors."""
        draft = cls(rng, family or str(rng.choice(FAMILIES)), level=float(rng.uniform(20, 800)))
        share = float(rng.uniform(0.03, 0.2))
        draft.scale = draft.level * max(share, 0.05)
        draft.value = draft.level * (1 + share * noise(rng, draft.n, draft.family))
        draft.error_rate = float(rng.choice([0.0, 0.002, 0.01])) if error_rate is None else error_rate
        draft.failed = (rng.random(draft.n) < draft.error_rate).astype(np.float64)
        return draft

    def place(self, least: int = 1) -> int:
        """Where the incident begins: after 40 % of the series, with room for `least` samples."""
        return int(self.rng.integers(int(0.4 * self.n), self.n - max(least, 60)))

    def done(self, kind: str, incidents: list[Incident], limit: float = math.nan) -> Series:
        value = np.where(self.failed > 0, np.nan, np.maximum(self.value, 0.0))
        time_ms = MONDAY_MS + np.arange(self.n) * self.step_s * 1000
        return Series(kind, self.nature, self.family, time_ms, value, self.failed, incidents, limit)


def sign(draft: Draft, size: float) -> float:
    """Up, or down where there is room for it, one time in three."""
    return -1.0 if size * draft.scale < 0.8 * draft.level and draft.rng.random() < 1 / 3 else 1.0


def spike(rng: Rng) -> Series:
    """Two to six samples, 8 to 20 deviations off."""
    draft = Draft.make(rng)
    at, length, size = draft.place(), int(rng.integers(2, 7)), float(rng.uniform(8, 20))
    draft.value[at : at + length] += size * draft.scale
    return draft.done("spike", [Incident(at, at, at + length)])


def level_shift(rng: Rng) -> Series:
    """A new level 5 to 12 deviations off, to the end of the series."""
    draft = Draft.make(rng)
    at, size = draft.place(), float(rng.uniform(5, 12))
    draft.value[at:] += sign(draft, size) * size * draft.scale
    return draft.done("level shift", [Incident(at, shifted(at, np.full(50, size), draft.family), draft.n)])


def small_shift(rng: Rng) -> Series:
    """A new level only 1.5 to 3 deviations off, to the end of the series."""
    draft = Draft.make(rng)
    at, size = draft.place(), float(rng.uniform(1.5, 3))
    draft.value[at:] += sign(draft, size) * size * draft.scale
    return draft.done("small shift", [Incident(at, shifted(at, np.full(draft.n - at, size), draft.family), draft.n)])


def drift(rng: Rng) -> Series:
    """A slow rise by 10 deviations in 50 to 200 samples, which stays."""
    draft = Draft.make(rng)
    length = int(rng.integers(50, 200))
    at = draft.place(length)
    effect = np.minimum(np.arange(1, draft.n - at + 1) / length, 1.0) * 10
    draft.value[at:] += effect * draft.scale
    return draft.done("slow drift", [Incident(at, shifted(at, effect, draft.family), draft.n)])


def variance(rng: Rng) -> Series:
    """Noise 4 to 8 times as strong, for 60 samples."""
    draft = Draft.make(rng, "normal")
    at, times = draft.place(60), float(rng.uniform(4, 8))
    draft.value[at : at + 60] = draft.level + times * draft.scale * rng.normal(0, 1, 60)
    return draft.done("variance", [Incident(at, louder(at, times), at + 60)])


def error_burst(rng: Rng) -> Series:
    """A share of 40 to 90 % failing, for 60 samples."""
    draft = Draft.make(rng)
    at, share = draft.place(), float(rng.uniform(0.4, 0.9))
    draft.failed[at : at + 60] = rng.random(60) < share
    draft.failed[at] = 1.0  # it begins with its first failure
    return draft.done("error burst", [Incident(at, failing(at, share, draft.error_rate, 60), at + 60)])


def outage(rng: Rng) -> Series:
    """All fail, for 3 to 60 samples."""
    draft = Draft.make(rng)
    at, length = draft.place(), int(rng.integers(3, 60))
    draft.failed[at : at + length] = 1.0
    return draft.done("outage", [Incident(at, failing(at, 1.0, draft.error_rate, length), at + length)])


def stuck(rng: Rng) -> Series:
    """The same value over and over, for 60 samples."""
    draft = Draft.make(rng, error_rate=0.0)
    at = draft.place(60)
    repeats = 0.0
    if rng.random() < 0.5:  # a metric of whole numbers, which repeats itself now and then
        repeats = min(0.5, 1 / (2 * math.sqrt(math.pi) * draft.value.std()))
        draft.value = np.round(draft.value)
    draft.value[at : at + 60] = draft.value[at]
    enough = math.ceil(EVIDENCE / -math.log(repeats)) if repeats else 1
    return draft.done("stuck", [Incident(at, at + max(5, enough), at + 60)])


def week(rng: Rng, step_s: float = 300.0) -> tuple[Draft, Floats]:
    """Weeks of traffic: high by day, low by night and at weekends; and the same without noise."""
    n = int(WEEKS * 7 * 86400 / step_s)
    hours = np.arange(n) * step_s / 3600
    peak, share = float(rng.uniform(200, 5000)), float(rng.uniform(0.03, 0.08))
    shape = 1.0 + float(rng.uniform(0.5, 0.8)) * np.sin((hours - rng.uniform(7, 11)) / 24 * 2 * math.pi)
    weekend = np.clip(np.minimum(hours % 168 - 118, 170 - hours % 168) / 4, 0, 1)  # it comes and goes within four hours
    weekend += np.clip((2 - hours % 168) / 4, 0, 1)
    pure = peak * shape * (1 - float(rng.uniform(0.2, 0.5)) * weekend)
    draft = Draft(
        rng,
        "normal",
        "traffic",
        n,
        step_s,
        peak,
        share * peak,
        pure * (1 + share * noise(rng, n, "normal")),
        np.zeros(n),
    )
    return draft, pure


def wrong_hour(rng: Rng) -> Series:
    """A morning, in the last week, at which the traffic does not rise: it stays for eight hours as it was at night."""
    draft, pure = week(rng)
    day = draft.n - int(rng.integers(3, 7)) * 288
    at = day + int(np.argmin(pure[day : day + 288]))
    end = min(draft.n, at + 96)
    share = draft.value[at:end] / pure[at:end]
    draft.value[at:end] = pure[at] * share
    gone = np.abs(pure[at:end] - pure[at]) / (0.08 * pure[at:end])  # deviations, of the strongest noise
    return draft.done("wrong hour", [Incident(at, shifted(at, gone, draft.family), end)])


def counter(rng: Rng, *, burning: bool) -> Series:
    """The use of a rate limit of 5,000 an hour: steady, up to 60 % of it; or, from some hour on, too fast."""
    n, window = 960, 120
    draft = Draft(rng, "normal", "counter", n, 30.0, 5000.0)
    use = np.full(n, float(rng.uniform(0.2, 0.6)) * 5000 / window)
    incidents = []
    if burning:
        at = window * int(rng.integers(4, 7)) + int(rng.integers(5, 30))
        end = (at // window + 1) * window
        left = 5000 - use[at] * (at % window)
        use[at:end] = left / rng.uniform(45, end - at - 5)
        full = at + math.ceil(left / use[at])
        incidents = [Incident(at, full - 30, end)]
    value = np.zeros(n)
    for i in range(n):
        value[i] = (0.0 if i % window == 0 else value[i - 1]) + rng.poisson(use[i])
    draft.value, draft.failed = np.minimum(value, 5000.0), np.zeros(n)
    return draft.done("running out" if burning else "clean: counter", incidents, 5000.0)


def clean(family: str, error_rate: float | None = None) -> Callable[[Rng], Series]:
    """Nothing happens, with noise of a family."""
    return lambda rng: Draft.make(rng, family, error_rate).done(f"clean: {family}", [])


def flaky(rng: Rng) -> Series:
    """A target that fails 3 to 10 % of the time, always."""
    return Draft.make(rng, "normal", float(rng.uniform(0.03, 0.1))).done("clean: flaky", [])


def seasonal(rng: Rng) -> Series:
    """Weeks of traffic without an incident."""
    return week(rng)[0].done("clean: season", [])


def daily(rng: Rng) -> Series:
    """Two days at 30 s with a daily season in the latency."""
    draft = Draft(rng, str(rng.choice(FAMILIES)), "check", 5760, 30.0, float(rng.uniform(20, 800)))
    wave = 1 + 0.4 * np.sin(np.arange(draft.n) / 2880 * 2 * math.pi)
    draft.value = draft.level * wave * (1 + 0.1 * noise(rng, draft.n, draft.family))
    draft.failed = np.zeros(draft.n)
    return draft.done("clean: day", [])


def constant(rng: Rng) -> Series:
    """A value that never moves."""
    draft = Draft.make(rng, "normal")
    draft.value[:] = round(draft.level)
    return draft.done("clean: constant", [])


def few(rng: Rng) -> Series:
    """Small whole numbers: the depth of a queue that is mostly short."""
    draft = Draft.make(rng, "normal")
    draft.value = rng.poisson(rng.uniform(2, 20), draft.n).astype(np.float64)
    return draft.done("clean: few", [])


INCIDENTS: tuple[Callable[[Rng], Series], ...] = (
    spike,
    level_shift,
    small_shift,
    drift,
    variance,
    error_burst,
    outage,
    stuck,
    wrong_hour,
    lambda rng: counter(rng, burning=True),
)
CLEAN: tuple[Callable[[Rng], Series], ...] = (
    *(clean(family) for family in FAMILIES),
    flaky,
    seasonal,
    daily,
    constant,
    few,
    lambda rng: counter(rng, burning=False),
)


def generate(seed: int, each: int) -> Iterator[Series]:
    """`each` series of every kind, with and without incident."""
    for number, make in enumerate((*INCIDENTS, *CLEAN)):
        for i in range(each):
            yield make(np.random.default_rng([seed, number, i]))
