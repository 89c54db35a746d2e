"""Every anomaly score, quantile and ratio, from samples on a real Kafka to a finding."""

from __future__ import annotations

import pytest

from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from schemas import SampleBatch
from streams.rules import Rule
from streams.topics import DEAD_LETTERS, FINDINGS
from streams.units import now_ms
from tests.kit.reader import reading
from tests.kit.role import running
from tests.kit.samples import Feed

STEP_MS = 10_000


def wave(count):
    """Values that move by a little around a hundred."""
    return [100.0 + (i * 7) % 5 for i in range(count)]


def climbing(count):
    """A disk that fills by half a percent a step."""
    return [50.0 + 0.5 * i + (i % 3) * 0.01 for i in range(count)]


# By name: the rule's own fields, latencies, failures by position from the end, values of the metric disk.
CASES = {
    "zscore": ({"metric": "latency", "aggregate": "zscore", "operator": ">", "value": 5}, [*wave(80), 400.0], 0, None),
    "robust": ({"metric": "latency", "aggregate": "robust", "operator": ">", "value": 6}, [*wave(80), 400.0], 0, None),
    "change": (
        {"metric": "latency", "aggregate": "change", "operator": ">", "value": 8.5},
        [*wave(80), *([160.0] * 8)],
        0,
        None,
    ),
    "flat": (
        {"metric": "latency", "aggregate": "flat", "operator": ">", "value": 100},
        [*wave(60), *([101.0] * 40)],
        0,
        None,
    ),
    "surprise": ({"metric": "surprise", "window": 300, "operator": ">", "value": 4}, wave(120), 10, None),
    "p95": (
        {"metric": "latency", "aggregate": "p95", "window": 300, "operator": ">", "value": 250},
        [*wave(20), *([300.0] * 10)],
        0,
        None,
    ),
    "ratio": (
        {"metric": "latency", "aggregate": "ratio", "window": 60, "operator": ">", "value": 2},
        [*wave(60), *([500.0] * 6)],
        0,
        None,
    ),
    "forecast": (
        {"forecast": {"metric": "disk.usedPercent", "limit": 95, "within": 3 * 3600}},
        wave(60),
        0,
        climbing(60),
    ),
}


def batch_of(name, latencies, failures, disk):
    """One record of a target's last minutes, a sample each ten seconds, up to now."""
    count, now = len(latencies), now_ms()
    return SampleBatch(
        probe="p",
        target=[name] * count,
        time=[now - (count - 1 - i) * STEP_MS for i in range(count)],
        ok=[i < count - failures for i in range(count)],
        latency_ms=latencies,
        sequence=[float(i) for i in range(count)],
        metrics=[] if disk is None else [{"name": "disk.usedPercent", "value": disk}],
    )


def detect(kafka, rules):
    targets = tuple(Target(name=name, push={}) for name in CASES)
    return running(run, kafka=kafka, settings=DetectSettings(), targets=targets, rules=rules)


@pytest.mark.usefixtures("compiled")
async def test_every_score_finds_what_it_is_for_and_nothing_in_a_quiet_start(kafka, producer):
    """Each rule holds for the target whose samples end as it is looking for, at none of the quiet samples before."""
    rules = tuple(Rule(name=name, match=(f'target="{name}"',), **fields) for name, (fields, *_) in CASES.items())
    feed = Feed(kafka, producer)
    async with reading(kafka, FINDINGS) as seen, detect(kafka, rules):
        first_odd = {}
        for name, (_, latencies, failures, disk) in CASES.items():
            batch = batch_of(name, latencies, failures, disk)
            quiet = {"flat": 60, "forecast": 7, "surprise": len(latencies) - failures, "p95": 20}
            odd = quiet.get(name, next((i for i, v in enumerate(latencies) if v > 150), 0))
            first_odd[name] = batch.time[odd]
            await feed.batch(batch)
        found = await seen.wait(FINDINGS, lambda found: {f.rule for f in found if f.holds} == set(CASES))
        for finding in found:
            assert finding.target == finding.rule
            assert finding.time >= first_odd[finding.target]
        held = [f.rule for f in found if f.holds]
        assert sorted(held) == sorted(set(held))
        assert all(f.conditions[0]["holds"] for f in found if f.holds)


HOUR = 3_600_000
# What makes of a sample one that cannot be: of its time, its latency, its value of the metric.
IMPOSSIBLE = (
    lambda time, latency, value: (time, float("inf"), value),
    lambda time, latency, value: (time, -latency, value),
    lambda time, latency, value: (time, 1e300, value),
    lambda time, latency, _: (time, latency, float("-inf")),
    lambda time, latency, _: (time, latency, 1e300),
    lambda time, latency, value: (time + 2 * HOUR, latency, value),
    lambda time, latency, value: (time - 2 * HOUR, latency, value),
    lambda _, latency, value: (float("nan"), latency, value),
)


def with_impossible(batch, name):
    """The batch as another target's, with an impossible sample before every fifth; and how many those are."""
    out, spoilt = [], 0
    rows = zip(batch.time, batch.latency_ms, batch.metrics[0]["value"], batch.ok, strict=True)
    for i, (time, latency, value, ok) in enumerate(rows):
        if i % 5 == 2:
            out.append((*IMPOSSIBLE[spoilt % len(IMPOSSIBLE)](time, latency, value), True))
            spoilt += 1
        out.append((time, latency, value, ok))
    times, latencies, values, oks = (list(column) for column in zip(*out, strict=True))
    metrics = [{"name": "disk.usedPercent", "value": values}]
    other = SampleBatch(
        probe="p", target=[name] * len(out), time=times, ok=oks, latency_ms=latencies, metrics=metrics
    )  # fmt: skip
    return other, spoilt


@pytest.mark.usefixtures("compiled")
async def test_impossible_samples_are_dead_letters_and_change_no_score(kafka, producer):
    """Infinite, negative and absurd values and clocks two hours off, amid good samples: each is a dead letter, and the
    good ones lead to the very findings, values and scores that they lead to alone."""
    clean, spoilt = "zscore", "change"  # two targets that there are; every rule looks at both
    rules = tuple(Rule(name=name, **fields) for name, (fields, *_) in CASES.items())
    latencies = [*wave(80), *([160.0] * 8), 400.0, *([500.0] * 30)]
    good = batch_of(clean, latencies, 10, climbing(len(latencies)))
    good.sequence.clear()
    bad, count = with_impossible(good, spoilt)
    feed = Feed(kafka, producer)
    async with reading(kafka, FINDINGS, DEAD_LETTERS) as seen, detect(kafka, rules):
        await feed.batch(good)
        await feed.batch(bad)

        def told(name):
            found = [f for f in seen[FINDINGS] if f.target == name]
            return {(f.rule, f.holds, f.time, f.value, f.score, f.baseline) for f in found}

        wanted = {"zscore", "robust", "change", "surprise", "p95", "ratio", "forecast"}
        await seen.wait(DEAD_LETTERS, lambda letters: sum(f.count for f in letters) >= count)
        await seen.wait(FINDINGS, lambda _: {f[0] for f in told(clean)} >= wanted and told(clean) == told(spoilt))
    assert sum(f.count for f in seen[DEAD_LETTERS]) == count
    assert {f.reason for f in seen[DEAD_LETTERS]} == {"bad_value", "future_sample", "late_sample"}
