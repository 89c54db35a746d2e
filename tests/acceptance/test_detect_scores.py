"""Every anomaly score, quantile and ratio, from samples on a real Kafka to a finding."""

from __future__ import annotations

import pytest

from agents.detect.app import run
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from schemas import SampleBatch
from streams.rules import Rule
from streams.topics import FINDINGS
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
