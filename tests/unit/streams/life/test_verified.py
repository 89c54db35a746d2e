"""An end that is verified by good samples in a row."""

from __future__ import annotations

from streams import life as lifecycle
from streams.life import Life
from tests.unit.streams.life.test_life import T0, finding
from tests.unit.streams.life.test_states import policy


class Verified:
    """One alert that fires at T0; findings as (seconds, holds, good, wanted)."""

    def __init__(self, **more):
        self.life, self.terms, self.now = Life("shop", "down"), policy(**more), T0
        self.find(0, True)

    def find(self, at, holds, good=0, wanted=3, **more):
        self.now = max(self.now, T0 + at * 1000)
        found = finding(holds, T0 + at * 1000, good=good, wanted=0 if holds else wanted, **more)
        lifecycle.on_finding(self.life, found, self.terms, {}, self.now)
        self.life = Life.load(self.life.dump())  # a restart at each step

    def said(self):
        return [(t["reason"], t["comment"], t["notify"]) for t in self.life.outbox]


def test_it_resolves_with_the_last_good_sample():
    """Each good sample is on record with how many there are and must be; the last one ends it, and that is told."""
    alert = Verified(resolve={"samples": 3})
    for good in (1, 2, 3):
        alert.find(10 * good, False, good)
    assert alert.said() == [
        ("held_at_once", "", True),
        ("verifying_recovery", "1 of 3 good samples", False),
        ("good_sample", "2 of 3 good samples", False),
        ("recovery_verified", "3 of 3 good samples", True),
    ]


def test_a_bad_sample_starts_the_count_over():
    """It is the same alert, and no time makes up for a sample that did not come."""
    alert = Verified(resolve={"samples": 3})
    for at, holds, good in ((10, False, 1), (20, False, 2), (30, True, 0), (40, False, 1), (50, False, 2)):
        alert.find(at, holds, good)
    lifecycle.on_tick(alert.life, alert.terms, T0 + 9e9)
    assert alert.life.state == "firing"
    assert lifecycle.due(alert.life, alert.terms) == float("inf")
    alert.find(60, False, 3)
    assert [reason for reason, _, _ in alert.said()].count("held_at_once") == 1
    assert alert.life.state == "resolved"


def test_both_the_time_and_the_samples_are_wanted():
    """Samples that come soon wait for the time, and the time waits for samples that come late."""
    soon, late = (Verified(resolve={"after": "60s", "samples": 2}) for _ in range(2))
    for alert, second in ((soon, 20), (late, 200)):
        alert.find(10, False, 1, 2)
        lifecycle.on_tick(alert.life, alert.terms, T0 + min(second, 69) * 1000)
        alert.find(second, False, 2, 2)
        lifecycle.on_tick(alert.life, alert.terms, T0 + 69_999)
    assert (soon.life.state, late.life.state) == ("firing", "resolved")
    lifecycle.on_tick(soon.life, soon.terms, T0 + 70_000)
    assert soon.life.outbox[-1]["reason"] == "recovery_verified"


def test_a_good_sample_that_is_told_again_counts_once():
    """Detect was killed and tells its findings again: record and place in it say that they are known."""
    alert = Verified(resolve={"samples": 3})
    told = [(10, False, 1, 5, 0), (10, False, 2, 5, 1), (9, False, 3, 5, 2)]  # of one record, out of their order
    for at, holds, good, offset, sample in (*told[:2], *told[:2]):
        alert.find(at, holds, good, source_partition=0, source_offset=offset, source_sample=sample)
    assert (alert.life.state, alert.life.number) == ("firing", 3)
    for at, holds, good, offset, sample in told:
        alert.find(at, holds, good, source_partition=0, source_offset=offset, source_sample=sample)
    assert alert.life.state == "resolved"


def test_what_holds_and_ceases_within_one_record_is_told_in_that_order():
    """A late sample in the same record ended it: it is no repetition, and what is told again is no news."""
    alert = Verified()
    found = [(20, True, 7, 0), (15, False, 7, 1)]
    alert.find(10, False, source_partition=0, source_offset=6, source_sample=0, wanted=0)
    for at, holds, offset, sample in found * 2:
        alert.find(at, holds, wanted=0, source_partition=0, source_offset=offset, source_sample=sample)
    assert alert.life.state == "resolved"
    assert [reason for reason, _, _ in alert.said()] == ["held_at_once", "rule_ceased", "held_at_once", "rule_ceased"]


def test_a_rule_that_wants_fewer_ends_it_at_the_next_look():
    """Edited to want one, it has enough with two; edited to want more, those that it began with are enough."""
    fewer, more = (Verified(resolve={"samples": 3}) for _ in range(2))
    for alert in (fewer, more):
        alert.find(10, False, 1)
        alert.find(20, False, 2)
    fewer.terms, more.terms = policy(resolve={"samples": 1}), policy(resolve={"samples": 9})
    lifecycle.on_tick(fewer.life, fewer.terms, T0 + 21_000)
    assert fewer.life.state == "resolved"
    more.find(30, False, 3)
    assert more.life.state == "resolved"


def test_samples_that_will_not_come_are_not_waited_for():
    """The target was forgotten, or its rule looks at it no more: what detect tells of no further ends by time alone."""
    alert = Verified(resolve={"samples": 3})
    alert.find(10, False, 1)
    alert.find(20, False, 0, wanted=0)
    assert alert.life.state == "resolved"
