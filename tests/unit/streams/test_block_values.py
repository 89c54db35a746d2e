"""Sketches as table entries by steps of 5 min and by hours, written a few at a time over hours and days."""

from __future__ import annotations

import random
import struct

import pytest

from streams import block_values, blocks
from streams.kernel import panes
from streams.partition_state import Limits
from tests.kit.folding import START, fold, record, rule, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000
RULES = [
    rule("p95", "latency", ">", 104.0, aggregate="p95", window="5m"),
    rule("p50", "latency", ">", 100.0, aggregate="p50", window="1h"),
]
DAY = [
    rule("p99", "latency", ">", 108.0, aggregate="p99", window="24h"),
    rule("p40", "m", ">", 3.0, aggregate="p40", window="2h"),
]


def days(seed, count=400):
    """Records some seconds, minutes, hours or a day apart, with samples up to an hour late or a little early."""
    dice, now, out = random.Random(seed), START, []
    for offset in range(count):
        now += dice.choice(
            [1_000, 10_000, 30_000, 300_000, 300_000, 400_000, 3_000_000 if dice.random() < 0.2 else 5_000]
        )
        now += 80_000_000 if dice.random() < 0.01 else 0
        samples = [
            (
                f"t{dice.randrange(20 if offset % 200 < 120 else 300)}",
                now - dice.choice([0, 0, 0, 1_000, 20_000, 400_000, 3_500_000, -50_000]),
                dice.random() < 0.9,
                dice.choice([dice.uniform(90, 110), dice.uniform(90, 110), 0.0, float("nan")]),
            )
            for _ in range(dice.randrange(1, 12))
        ]
        values = [dice.choice([float("nan"), 1.0, 5.0, -2.0]) for _ in samples]
        out.append(record(offset, now, *samples, metrics={"m": values}))
    return out


@pytest.mark.parametrize("rules", [RULES, RULES + DAY], ids=["an hour", "a day"])
@pytest.mark.parametrize("seed", range(3))
def test_quantiles_over_days_are_the_same_whenever_the_state_was_written(rules, seed):
    """Commits and restarts at random over days: findings and state are those of the undisturbed fold, to the last byte."""
    dice, records = random.Random(seed), days(seed)

    def make():
        return fold(rules, limits=Limits(forget_ms=3.0 * HOUR))

    whole, one, table, found, at = make(), make(), {}, [], 0
    wanted = told(whole, whole.take(records))
    while at < len(records):
        size = dice.randint(1, 25)
        found += told(one, one.take(records[at : at + size]))
        at += size
        if dice.random() < 0.7:
            table.update(blocks.dump(one))
            if dice.random() < 0.4:
                one = make()
                blocks.load(one, table)
    assert sorted(found, key=str) == sorted(wanted, key=str)
    assert dict(blocks.dump(one, everything=True)) == dict(blocks.dump(whole, everything=True))
    hours = [k for k in table if k[0] == blocks.SKETCH and struct.unpack(">BIII", k)[3] >= panes.BASE[2]]
    assert bool(hours) == (rules != RULES)


def test_a_commit_writes_the_sketches_of_the_steps_that_changed():
    """Ten minutes of samples are three steps; a sample more is its own step, a late one its own, and none is none."""
    one = fold(RULES)
    one.take([record(i, START + i * 60_000, ("t", START + i * 60_000, True, 1.0)) for i in range(11)])

    def steps():
        return [struct.unpack(">BIII", k)[3] for k, _ in blocks.dump(one) if k[0] == blocks.SKETCH]

    now = START + 600_000
    assert len(steps()) == 3
    assert steps() == []
    one.take([record(11, now + 1, ("t", now + 1, True, 1.0))])
    newest = steps()
    assert len(newest) == 1
    one.take([record(12, now + 2, ("t", now - 550_000, True, 1.0))])
    assert len(late := steps()) == 1
    assert late != newest


def test_each_step_leaves_for_its_hour_once():
    """Whatever way the newest pane takes, every step that is too old is in an hour that was written since it became so."""
    dice, stored, head, written = random.Random(1), -1, 47_000_000, {}
    for _ in range(300):
        for hour in block_values.hours_left(stored, head):
            written[hour] = head
        for hour in block_values.hours_kept(head):
            step = min((hour + 1) * 12, head // 30 - 12) - 1  # the last of its steps that is over an hour old
            assert written[hour] // 30 - 12 > step or written[hour] == head
        stored, head = head, head + dice.choice([0, 1, 5, 29, 30, 31, 360, 361, 9000 if dice.random() < 0.1 else 1])


def test_a_finding_keeps_its_name_where_the_targets_number_is_used_again():
    """Told, forgotten and its number another's within one call: each finding has the name it was about."""
    one = fold([rule("slow", "latency", ">", 5.0)], limits=Limits(forget_ms=2.0 * HOUR))
    later = START + 4 * HOUR
    found = told(
        one,
        one.take([record(0, START, ("old", START, True, 9.0)), record(1, later, ("new", later, True, 9.0))]),
    )
    assert [(f[1], f[2]) for f in found] == [("old", True), ("old", False), ("new", True)]
