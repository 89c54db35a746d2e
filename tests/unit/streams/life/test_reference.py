"""The life of an alert against a slow and obvious reference."""

from __future__ import annotations

from tests.kit.histories import compare


def test_thousands_of_histories_are_lived_as_the_reference_tells_them():
    """Every transition, its time, number, reason, step and whether it is told, is the reference's, over 3,000 histories.

    `python -m tests.kit.million_lives` does it a million times.
    """
    transitions = sum(compare(seed) for seed in range(3000))
    assert transitions > 10_000
