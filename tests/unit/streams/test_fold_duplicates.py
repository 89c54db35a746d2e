"""Samples that come twice, or out of order."""

from __future__ import annotations

import math
import random

import pytest

from streams.kernel import state
from tests.kit.folding import START, counts, fold, record

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]


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
