"""The detect role killed with SIGKILL, at every step and at any time: what is stored and told stays exact."""

from __future__ import annotations

import random

import pytest

from tests.kit import exact
from tests.kit.kills import at_random, each_step, under_kills


@pytest.mark.timeout(900)
async def test_state_and_findings_are_those_of_an_undisturbed_run_after_kills_anywhere(kafka, tmp_path):
    """Killed at each step of its work and at any time, detect ends with the state of one that was left alone, byte for
    byte, and with each of its findings."""
    dice = random.Random(5)
    kills = each_step(dice) + at_random(dice, 10)
    dice.shuffle(kills)
    report = await under_kills(kafka, tmp_path, kills)
    assert report.kills == len(kills)
    assert report.samples > 1000
    assert report.wrong == []


async def test_comparison_sees_a_sample_too_many_and_a_finding_too_few(kafka, monkeypatch):
    """What the test above compares by would find a single sample that was counted twice, and a single lost finding."""
    load = exact.Load(kafka, seed=3)
    await load.some()
    log = {p: await exact.everything(kafka, exact.SAMPLES, p) for p in range(kafka.partitions)}

    async def as_if_stored(_kafka, partition):
        fold = exact.empty(kafka, partition)
        fold.take([exact.Record(m.offset, m.timestamp, m.value) for m in log[partition]])
        if partition == 1:
            fold.state.ring.counts[3, 0, 0] += 1
        return fold

    monkeypatch.setattr(exact, "stored", as_if_stored)
    wrong = await exact.differences(kafka, load)
    assert [w for w in wrong if "entries differ" in w and w.startswith("partition 1")]
    assert not [w for w in wrong if "entries differ" in w and w.startswith("partition 0")]
    assert [w for w in wrong if "never told" in w]
