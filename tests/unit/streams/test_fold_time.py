"""Clocks, absence, and what only time decides."""

from __future__ import annotations

import pytest

from streams.kernel import state
from streams.rules import Rule
from tests.kit.folding import START, Log, counts, fold, record, refused, rule, tick, told

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000


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
