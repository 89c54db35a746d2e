"""A partition folded: the reference work, duplicates, what is refused, time, forgetting."""

from __future__ import annotations

import math
import random

import numpy as np
import psutil
import pytest

from benchmarks.reference import work
from schemas import SampleBatch, encode
from streams.admission import Declared
from streams.kernel import panes, state
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.records import Record
from streams.rules import Rule
from streams.seeing import held
from tests.kit.folding import START, Log, batch, fold, record, refused, rule, tick, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000
REFERENCE = (
    rule("errors", "error_rate", ">", 0.05, window="5m"),
    rule("slow", "latency", ">", 2.0, aggregate="ratio", window="1m"),
    rule("odd", "latency", ">", 4.0, aggregate="zscore"),
)


def take(one, records, dice=None):
    """Findings, with the records in one call, or in pieces."""
    if dice is None:
        return told(one, one.take(records))
    found, at = [], 0
    while at < len(records):
        size = dice.choice([1, 2, 7, 50, 400])
        found += told(one, one.take(records[at : at + size]))
        at += size
    return found


def counts(one, name):
    """Count and errors of a target in its panes of an hour, all that there are."""
    head, number = int(one.state.clock[state.HEAD]), one.memory.number[name]
    row = one.state.targets.place[one.memory.target_of[number], state.MAIN]
    total = panes.sums(one.state.ring, row, 2, 24, head)
    return int(total[0]), int(total[1])


# ------------------------------------------------------------------------------------------------- the reference work


@pytest.mark.parametrize("seed", range(6))
def test_finds_what_the_reference_work_finds(seed):
    """Beside an independent implementation of the reference work: the same findings at the same samples, in any grouping."""
    dice, log = random.Random(seed), Log()
    for _ in range(1500):
        outage = dice.random() < 0.3
        log(
            *(
                (
                    target,
                    dice.random() > (0.4 if outage else 0.01),
                    dice.choice([100.0, 101.0, 99.0, 104.0, 96.0, 400.0 if dice.random() < 0.2 else 100.0]),
                    late,
                )
                for _ in range(dice.randrange(6))
                for target in [f"t{dice.randrange(12)}"]
                # The reference wants a sample in each window, so what is very late comes after one that is not.
                for late in dice.choice([[0], [0], [3_000], [0, 200_000], [15_000, 900_000], [0, 3_599_999]])
            ),
            after=dice.choice([100, 2000, 2000, 9_000, 30_000 if dice.random() < 0.2 else 0]),
        )
    wanted, states = [], {}
    for r in log.records:
        for target, time, ok, latency in work.samples(r.value):
            held = states.setdefault(target, work.fresh())
            for number, _ in work.fold(held, time, ok, latency, r.time // 10_000):
                wanted.append((work.RULES[number], target, held["holds"][number], r.offset, time))
    assert take(fold(REFERENCE), log.records) == wanted
    assert take(fold(REFERENCE), log.records, dice) == wanted
    assert len(wanted) > 50


# ---------------------------------------------------------------------------------------------------------- duplicates


def sent(one, *numbers, probe="p", start=0):
    """Samples of target t with these sequence numbers, one a record."""
    for i, number in enumerate(numbers):
        one.take([record(one.offset + 1, START + start + i, ("t", START, True, 1.0, number), probe=probe)])
    return counts(one, "t")[0]


def test_sample_sent_again_counts_once():
    """The same sequence number again, at once or 64 later, is no other sample."""
    assert sent(fold(), 1, 1, 2, 2, 1, 3) == 3
    assert sent(fold(), *range(100), *range(36, 100)) == 100


def test_order_does_not_matter_within_64():
    """Numbers that come in any order within 64, some of them twice, count once each."""
    for seed in range(20):
        dice = random.Random(seed)
        numbers = [n for n in range(1000, 1500) for _ in range(dice.choice([1, 1, 2, 3]))]
        keyed = sorted(numbers, key=lambda n: n + dice.uniform(0, 30))
        assert sent(fold(), *keyed) == 500


def test_probe_that_began_anew_counts_again():
    """A number that lies further back than 64 is of a probe that began anew: its samples count."""
    assert sent(fold(), *range(1000, 1100), *range(1, 51)) == 150


def test_two_probes_have_numbers_of_their_own():
    """Two probes of one target that use the same numbers are two; each one's repetition is known."""
    one = fold()
    for k in range(50):
        sent(one, k, probe="a")
        sent(one, k, k, probe="b")
        sent(one, k, probe="a")
    assert counts(one, "t")[0] == 100
    assert one.state.clock[state.DUPLICATES] == 100


def test_third_probe_takes_the_place_of_the_oldest():
    """With three probes all samples count; of the two known last, repetition is known too."""
    one = fold()
    for probe in "abc":
        sent(one, 7, probe=probe)
    assert sent(one, 7, probe="b") == sent(one, 7, probe="c") == 3
    assert sent(one, 8, probe="a") == 4


def test_samples_without_a_number_all_count():
    """Where the producer keeps no numbers nothing is taken for a repetition."""
    one = fold()
    one.take([record(i, START, *[("t", START, True, 1.0)] * 3) for i in range(3)])
    assert counts(one, "t")[0] == 9


@pytest.mark.parametrize("odd", [math.inf, -math.inf, -1.0, 2.0**64, 1e300, 0.5, math.nan])
def test_odd_numbers_do_no_harm(odd):
    """A sequence that is no whole number in range leads to no error, and numbers after it count."""
    one = fold()
    sent(one, 1, odd, 2)
    assert counts(one, "t")[0] in (2, 3)


# ------------------------------------------------------------------------------------------------------ what is refused


def test_each_bad_sample_is_refused_and_its_neighbours_count():
    """In one batch: each bad row is refused for its own reason, and every good row is counted."""
    here = "good"
    partition = partition_of(here, 8)
    stray = next(n for n in "abcdefgh" if partition_of(n, 8) != partition)
    mine = [n for n in (f"t{i}" for i in range(99)) if partition_of(n, 8) == partition]
    known = {here, stray}
    rows = [
        (here, START, True, 5.0),
        (here, math.nan, True, 5.0),
        (here, math.inf, True, 5.0),
        (here, -math.inf, True, 5.0),
        (here, START, True, -1.0),
        (here, START, True, math.inf),
        (here, START, True, math.nan),  # a check that measured nothing
        (here, START + 60_001, True, 5.0),
        (here, START + 60_000, True, 5.0),
        (here, START - HOUR, True, 5.0),
        (here, START - HOUR + 1, False, 5.0),
        (stray, START, True, 5.0),
        (mine[0], START, True, 5.0),
        ("", START, True, 5.0),
        ("x" * 201, START, True, 5.0),
        (here, START, True, 1e10),
        (here, START, True, 5.0),
        (here, START, True, 5.0),
        (here, START, False, 5.0),
    ]
    cpu = [1.0] * len(rows)
    cpu[16], cpu[17] = math.inf, math.nan
    one = fold(partition=partition, partitions=8, known=known.__contains__)
    outcome = one.take([record(0, START, *rows, metrics={"cpu": cpu}), tick(1, START)])
    reasons = {reason: rows for _, reason, rows in refused(outcome)}
    assert reasons == {
        "bad_value": [1, 2, 3, 4, 5, 14, 15, 16],
        "future_sample": [7],
        "late_sample": [9],
        "wrong_partition": [11, 13],
        "unknown_target": [12],
    }
    assert counts(one, here) == (6, 2)
    assert one.offset == 1


def test_batches_that_fit_nothing_are_refused_whole():
    """Null, no Avro, other schemas, arrays that do not fit, too many samples: each record whole, its neighbours folded."""
    good = batch(("t", START, True, 1.0))
    ill = {
        "not_avro": [None, b"", b"hello", encode(good)[:-2], encode(good) + b"x", encode(good)[:5] + b"\xff" * 30],
        "unknown_schema": [b"\0\0\0\x10\0xyz"],
        "oversized_batch": [encode(batch(*[("t", START, True, 1.0)] * 11))],
        "malformed_batch": [
            encode(SampleBatch(probe="p", target=["t", "t"], time=[START], ok=[True], latency_ms=[1.0])),
            encode(
                SampleBatch(probe="p", target=["t"], time=[START], ok=[True], latency_ms=[1.0], sequence=[1.0, 2.0])
            ),
            encode(batch(("t", START, True, 1.0), metrics={"": [1.0]})),
            encode(batch(("t", START, True, 1.0), metrics={"cpu": []})),
            encode(batch(("t", START, True, 1.0), metrics={"x" * 201: [1.0]})),
            encode(batch(("t", START, True, 1.0), details=[(1, "s", "m")])),
            encode(batch(("t", START, True, 1.0), details=[(-1, "s", "m")])),
        ],
    }
    records, wanted = [], []
    for reason, values in ill.items():
        for value in values:
            wanted.append((len(records), reason, None))
            records.append(Record(len(records), START, value))
            records.append(Record(len(records), START, encode(good)))
    dice = random.Random(1)
    for how in (None, dice):
        one, found, at = fold(limits=Limits(most_samples=10)), [], 0
        while at < len(records):
            size = len(records) if how is None else how.randint(1, 5)
            found += refused(one.take(records[at : at + size]))
            at += size
        assert found == wanted
        assert counts(one, "t")[0] == len(wanted)


def test_other_writers_batches_are_folded_too():
    """A batch with its arrays in several blocks, as other writers may have it, is read by fastavro and counts."""
    plain = encode(
        batch(
            ("t", START, True, 1.0), ("u", START, False, 2.0), metrics={"cpu": [1.0, 2.0]}, details=[(1, "500", "no")]
        )
    )
    split = plain.replace(b"\x04\x02t\x02u\x00", b"\x02\x02t\x02\x02u\x00")
    assert split != plain
    one, other = fold(), fold()
    assert not one.take([Record(0, START, split)]).refused
    other.take([Record(0, START, plain)])
    assert counts(one, "u") == counts(other, "u") == (1, 1)
    assert one.text == other.text == {1: ("500", "no")}


def test_names_that_are_no_text_are_refused():
    """A target or metric name that is no UTF-8 is refused; the rest of the records counts."""
    plain = encode(batch(("tt", START, True, 1.0), ("u", START, True, 1.0), metrics={"cpu": [1.0, 2.0]}))
    one = fold()
    bad_target, bad_metric = plain.replace(b"\x04tt", b"\x04t\xff"), plain.replace(b"\x06cpu", b"\x06c\xffu")
    outcome = one.take([Record(0, START, bad_target), Record(1, START, bad_metric), Record(2, START, plain)])
    assert refused(outcome) == [(0, "bad_value", [0]), (1, "not_avro", None)]
    assert (counts(one, "u")[0], counts(one, "tt")[0]) == (2, 1)


def test_no_more_targets_than_allowed():
    """Beyond max_targets new targets are refused; those that there are go on."""
    one = fold(most=3)
    outcome = one.take([record(0, START, *((n, START, True, 1.0) for n in "abcdea"))])
    assert refused(outcome) == [(0, "too_many_targets", [3, 4])]
    assert (one.targets, counts(one, "a")[0]) == (3, 2)
    assert "partition 0 has 3 targets, which is detect.max_targets: no d" in outcome.refused[0].refusal.message


# ----------------------------------------------------------------------------------------------------------------- time


def test_clock_of_a_probe_that_jumps_moves_no_window():
    """A probe two hours behind or ahead is refused, and the clock and other samples' windows stay where they were."""
    log, one = Log(), fold([rule("errors", "error_rate", ">", 0.5, window="1m")])
    log(("t", False))
    log(("t", True, 1.0, 2 * HOUR), after=1)
    log(("t", True, 1.0, -2 * HOUR), after=1)
    outcome = one.take(log.records)
    assert [r for _, r, _ in refused(outcome)] == ["late_sample", "future_sample"]
    assert told(one, outcome) == [("errors", "t", True, 0, float(START))]
    assert one.state.clock[state.NOW] == log.now
    assert counts(one, "t") == (1, 1)


def test_brokers_clock_that_goes_back_stops_time_and_harms_nothing():
    """Records whose time lies before an earlier one's are folded at the latest time seen."""
    one = fold([rule("down", value=2)])
    ahead = START + 2 * HOUR
    one.take(
        [
            record(0, ahead, ("t", ahead, True, 1.0)),
            record(1, START, ("t", START, False, 1.0), ("t", START - HOUR // 2, True, 1.0)),
        ]
    )
    assert one.state.clock[state.NOW] == ahead
    assert counts(one, "t") == (3, 1)


def test_absence_is_noticed_by_records_of_others_or_none():
    """A target that is silent for a minute is absent, by time alone: an empty batch moves the clock; it ends when it comes."""
    one = fold([rule("gone", "absent", ">", 60.0)])
    one.take([record(0, START, ("t", START, True, 1.0))])
    found = [f for i in range(1, 10) for f in told(one, one.take([tick(i, START + i * 10_000)]))]
    assert found == [("gone", "t", True, 7, START + 70_000.0)]
    assert told(one, one.take([record(10, START + 95_000, ("t", START + 95_000, True, 1.0))])) == [
        ("gone", "t", False, 10, START + 95_000.0)
    ]


def test_time_alone_decides_to_the_second():
    """A rule on silence begins in the first full second of the records' clock in which it holds, whatever brings it."""
    one = fold([rule("gone", "absent", ">", 3.0)])
    one.take([record(0, START, ("t", START, True, 1.0))])
    found = [c for i in range(1, 60) for c in one.take([tick(i, START + 100 * i)]).changes]
    assert [(c.holds, c.time) for c in found] == [(True, START + 4000)]
    (ceased,) = one.take([record(60, START + 6100, ("t", START + 6100, True, 1.0))]).changes
    assert (ceased.holds, ceased.time) == (False, START + 6100)


def test_expected_target_is_absent_from_the_first_that_is_known():
    """A target that the configuration names is absent a minute after the first record, not at it, and not before."""
    one = fold([rule("gone", "absent", ">", 60.0)])
    one.expect(["never"])
    assert (
        told(
            one, one.take([tick(0, START), tick(1, START + 30_000), record(2, START + 59_000, ("t", START, True, 1.0))])
        )
        == []
    )
    one.expect(["later"])
    found = told(one, one.take([tick(3, START + 80_000), tick(4, START + 100_000), tick(5, START + 130_000)]))
    assert found == [
        ("gone", "never", True, 3, START + 80_000.0),
        ("gone", "t", True, 5, START + 130_000.0),
        ("gone", "later", True, 5, START + 130_000.0),
    ]


def test_never_good_is_reckoned_from_the_first_sample():
    """A target whose every check fails is without a good one since its first, not since 1970."""
    one, log = fold([rule("bad", "since_ok", ">", 60.0)]), Log()
    for _ in range(8):
        log(("t", False), after=10_000)
    assert told(one, one.take(log.records)) == [("bad", "t", True, 7, float(log.now))]


def test_window_that_empties_is_noticed_by_time():
    """A rate below its limit holds when samples stop, with no sample to say so."""
    one = fold([rule("quiet", "count", "<", 2.0, window="1m")])
    one.take([record(0, START, *[("t", START, True, 1.0)] * 3)])
    found = [f for i in range(1, 9) for f in told(one, one.take([tick(i, START + i * 10_000)]))]
    assert [f[2:4] for f in found] == [(True, 6)]


@pytest.mark.parametrize("pieces", [1, 2, 99])
def test_missed_run_is_noticed_at_the_same_record_however_they_are_grouped(pieces):
    """A run due at the full hour with a grace of five minutes is missed from the record of that very moment on."""
    job = Rule.model_validate(
        {"name": "job", "schedule": {"cron": "0 * * * *", "zone": "Europe/Berlin", "grace": "5m"}}
    )
    full = (START // HOUR + 1) * HOUR
    times = [
        full - 900_000,
        full - 10,
        full + 1,
        full + 299_990,
        full + 300_000,
        full + 310_000,
        full + 330_000,
        full + 345_000,
    ]
    records = [record(0, times[0], ("t", times[0], True, 1.0))]
    records += [tick(i, t) for i, t in enumerate(times[1:], 1)]
    records.append(record(8, full + 350_000, ("t", full + 350_000, True, 1.0)))
    one, found = fold([job]), []
    for at in range(0, len(records), pieces):
        found += told(one, one.take(records[at : at + pieces]))
    assert found == [("job", "t", True, 4, full + 300_000.0), ("job", "t", False, 8, full + 350_000.0)]


def test_run_that_came_in_time_is_not_missed():
    """A good sample between due and the end of the grace period, or at any time since, is the run."""
    job = Rule.model_validate({"name": "job", "schedule": {"cron": "0 * * * *", "grace": "5m"}})
    full = (START // HOUR + 1) * HOUR
    one = fold([job])
    records = [
        record(0, full - 1000, ("t", full - 1000, True, 1.0)),
        record(1, full + 100_000, ("t", full + 100_000, True, 1.0)),
    ]
    records += [tick(2 + i, full + 300_000 + i * 10_000) for i in range(300)]
    assert told(one, one.take(records)) == []


# ----------------------------------------------------------------------------------------------------------- forgetting


def silent_for(ms, **more):
    return Limits(forget_ms=float(ms), **more)


def test_silent_target_is_forgotten_and_what_held_is_told():
    """At a full hour, targets silent for long are given up: their rules are told to hold no more, by their own names."""
    one = fold([rule("down", value=1)], limits=silent_for(2 * HOUR))
    one.take([record(0, START, *((n, START, False, 1.0) for n in "abc"), details=[(0, "500", "no")])])
    assert one.text
    found = [
        f
        for i in range(1, 40)
        for f in told(one, one.take([record(i, START + i * HOUR // 10, ("b", START + i * HOUR // 10, False, 1.0))]))
    ]
    gone = (START // HOUR + 3) * HOUR
    assert [(r, t, holds) for r, t, holds, _, _ in found] == [("down", "a", False), ("down", "c", False)]
    assert {gone <= t < gone + HOUR // 10 for *_, t in found} == {True}
    assert (one.targets, one.text) == (1, {})
    assert one.memory.names == ["b"]
    assert [one.name_of(c.target) for c in held(one)] == ["b"]


def test_forgotten_target_that_comes_again_is_a_new_one():
    """Nothing of what a target was is left in what it, or another that takes its place, becomes."""
    log = [
        record(
            i,
            START + i * 60_000,
            ("old", START + i * 60_000, False, 900.0, i),
            metrics={"cpu": [99.0]},
            details=[(0, "500", "no")],
        )
        for i in range(30)
    ]
    rules = [
        rule("down", value=2),
        rule("p95", "latency", ">", 500.0, aggregate="p95", window="5m"),
        rule("hot", "cpu", ">", 90.0),
        rule("gone", "absent", ">", 1e9),
    ]
    later = START + 30 * HOUR
    for name in ("old", "new"):
        one, other = fold(rules, limits=silent_for(24 * HOUR)), fold(rules, limits=silent_for(24 * HOUR))
        one.take(log)
        again = [
            record(30 + i, later + i * 1000, (name, later + i * 1000, i % 3 > 0, 10.0, i), metrics={"cpu": [20.0]})
            for i in range(200)
        ]
        found = told(one, one.take(again))
        assert [f[:3] for f in found[:3]] == [("down", "old", False), ("p95", "old", False), ("hot", "old", False)]
        assert found[3:] == told(other, other.take(again))
        places = [
            int(f.state.targets.place[f.memory.target_of[f.memory.number[name]], state.MAIN]) for f in (one, other)
        ]
        for kept in ("num",):
            assert (
                getattr(one.state.series, kept)[places[0]].tobytes()
                == getattr(other.state.series, kept)[places[1]].tobytes()
            )
        ring = [f.state.ring for f in (one, other)]
        assert ring[0].part[:, places[0]].tobytes() == ring[1].part[:, places[1]].tobytes()
        assert ring[0].total[:, places[0]].tobytes() == ring[1].total[:, places[1]].tobytes()


def test_configured_target_is_not_forgotten():
    """A target that the configuration names stays absent for as long as it is; it does not become well by being forgotten."""
    one = fold([rule("gone", "absent", ">", 60.0)], limits=silent_for(2 * HOUR))
    one.expect(["t"])
    found = [f for i in range(100) for f in told(one, one.take([tick(i, START + i * HOUR // 10)]))]
    assert [f[2] for f in found] == [True]
    assert one.targets == 1


def test_million_names_that_come_and_go_take_the_room_of_those_that_are_there():
    """A million names, each seen once, with a clock that moves: rows are used again and memory does not grow with names."""
    one = fold([rule("down", value=1)], limits=silent_for(2 * HOUR), most=100_000)
    cpu, batches, per = {"cpu": [1.0] * 1000}, 1000, 1000
    before, told_ceased, began = 0, 0, 0
    for k in range(batches):
        now = START + k * HOUR // 10
        rows = [(f"pod-{k}-{i}", now, i > 0, 1.0) for i in range(per)]
        outcome = one.take([record(k, now, *rows, metrics=cpu if k % 100 == 0 else {})])
        assert not outcome.refused
        began += sum(c.holds for c in outcome.changes)
        told_ceased += sum(not c.holds for c in outcome.changes)
        if k == 400:
            before = psutil.Process().memory_info().rss
    assert len(one.memory.names) == one.targets < 35_000
    assert len(one.state.series.num) < 50_000
    assert began == batches
    assert told_ceased == batches - len(held(one))
    assert psutil.Process().memory_info().rss - before < 50e6


def test_names_that_never_were_targets_are_forgotten_too():
    """Names whose every sample is refused fill the partition for an hour, not for ever."""
    one = fold(most=100, limits=silent_for(24 * HOUR))
    one.take([record(0, START, *((f"t{i}", START - 2 * HOUR, True, 1.0) for i in range(100)))])
    assert [r for _, r, _ in refused(one.take([record(1, START + 1, ("good", START, True, 1.0))]))] == [
        "too_many_targets"
    ]
    assert one.take([record(2, START + HOUR, ("good", START + HOUR, True, 1.0))]).refused == []


# ------------------------------------------------------------------------------------------------------ status, metrics


def test_status_follows_rules_and_the_one_before_is_known():
    """Unhealthy by a critical rule, degraded by a warning or a failed check, healthy otherwise; rules may look at it."""
    rules = [
        rule("down", value=2, severity="critical"),
        rule("slow", "latency", ">", 100.0, severity="warning"),
        rule("sick", "status", "==", "unhealthy", severity="critical"),
        Rule.model_validate({"name": "back", "transition": {"from": "unhealthy", "to": "healthy"}}),
        Rule.model_validate({"name": "worse", "transition": {"from": ["healthy", "degraded"], "to": "unhealthy"}}),
    ]
    one, log, seen = fold(rules), Log(), []
    for ok, latency in (
        (True, 1),
        (True, 200),
        (False, 1),
        (False, 1),
        (False, 1),
        (True, 1),
        (True, 1),
        (False, 1),
        (True, 1),
    ):
        outcome = one.take([log(("t", ok, latency), after=1)])
        flag = one.state.targets.flag[0]
        seen.append(
            (int(flag[state.STATUS]), int(flag[state.PREVIOUS]), [(r, h) for r, _, h, _, _ in told(one, outcome)])
        )
    healthy, degraded, unhealthy, unknown = range(4)
    assert seen == [
        (healthy, unknown, []),
        (degraded, healthy, [("slow", True)]),
        (degraded, healthy, [("slow", False)]),
        (unhealthy, degraded, [("down", True), ("sick", True), ("worse", True)]),
        (unhealthy, degraded, []),
        (healthy, unhealthy, [("down", False), ("sick", False), ("back", True), ("worse", False)]),
        (healthy, unhealthy, []),
        (degraded, healthy, [("back", False)]),
        (healthy, degraded, []),
    ]
    assert one.state.targets.num[0, state.SINCE] == float(log.now)


def test_rules_look_at_whom_they_match():
    """A rule is judged for the targets whose labels it matches, and for no other."""
    rules = [rule("web", value=1, match=["tier=web"]), rule("all", value=1)]
    one = fold(rules, labels_of=lambda t: {"target": t, "tier": t[:3]})
    found = told(one, one.take([record(0, START, ("web1", START, False, 1.0), ("db1", START, False, 1.0))]))
    assert [f[:2] for f in found] == [("web", "web1"), ("all", "web1"), ("all", "db1")]


def test_text_of_a_failure_comes_with_its_finding_and_goes_with_the_next_good_one():
    """The status and message of the sample that decided are the finding's; a later sample without any drops the target's."""
    one = fold([rule("down", value=1)])
    outcome = one.take(
        [record(0, START, ("t", START, False, 1.0), ("u", START, True, 1.0), details=[(0, "503", "é" * 3000)])]
    )
    (change,) = outcome.changes
    assert change.text == ("503", "é" * 2000)
    assert one.text == {0: ("503", "é" * 2000)}
    assert held(one)[0].text == change.text
    one.take([record(1, START, ("t", START + 1, True, 1.0))])
    assert one.text == {}


def test_declared_baseline_counts_before_the_learnt_one():
    """A ratio is to what the configuration declares, from the first sample on."""
    rules = [rule("slow", "latency", ">=", 2.0, aggregate="ratio", window="1m")]
    one = fold(rules, declared={"t": Declared(50.0, None)})
    (change,) = one.take([record(0, START, ("t", START, True, 100.0), ("u", START, True, 100.0))]).changes
    assert (one.name_of(change.target), change.baseline) == ("t", 50.0)


# --------------------------------------------------------------------------------------------------------------- growth


def test_grows_in_the_middle_of_a_record_as_if_it_had_always_been_large():
    """Thousands of new targets with metrics in one record, and many records: nothing is counted twice or lost in growing."""
    rules = [rule("down", value=1), rule("hot", "m7", ">", 5.0)]
    names, metrics = [f"t{i}" for i in range(3000)], {f"m{k}": [float(k)] * 3000 for k in range(10)}
    rows = [(n, START, i % 2 == 0, 10.0, 1) for i, n in enumerate(names)]
    one, roomy = fold(rules), fold(rules)
    roomy.reserve(50_000, 5_000)
    records = [record(i, START + i, *[(*r[:4], i) for r in rows], metrics=metrics) for i in range(3)]
    found = take(one, records)
    assert found == take(roomy, records)
    assert len(found) == 1500 + 3000
    assert [counts(one, n) for n in names[::500]] == [counts(roomy, n) for n in names[::500]] == [(3, 0)] * 6
    rows = int(one.state.clock[state.ROWS])
    assert rows == 33_000
    assert np.array_equal(one.state.ring.part[:, :rows], roomy.state.ring.part[:, :rows], equal_nan=True)


def test_metrics_beyond_reason_are_refused():
    """No more than 500 metrics in a batch; a partition that knows 50,000 names refuses further ones and goes on with those."""
    one = fold()
    many = {f"m{i}": [1.0] for i in range(501)}
    assert refused(one.take([record(0, START, ("t", START, True, 1.0), metrics=many)])) == [
        (0, "oversized_batch", None)
    ]
    for k in range(99):
        some = {f"k{k}-{i}": [] for i in range(500)}
        assert not one.take([record(k + 1, START, metrics=some)]).refused
    last = {f"k99-{i}": [] for i in range(500)}
    assert [r for _, r, _ in refused(one.take([record(200, START, metrics=last)]))] in (["too_many_metrics"], [])
    assert len(one.metric_names) <= 50_000
    assert not one.take([record(201, START, ("t", START, True, 1.0), metrics={"k0-0": [5.0]})]).refused
    assert counts(one, "t")[0] == 1
