"""Cursors of live clients."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.gateway.cursor import Cursor

offsets = st.lists(st.integers(0, 2**62), min_size=1, max_size=6).map(tuple)


@given(offsets, offsets)
def test_round_trip(alerts: tuple[int, ...], health: tuple[int, ...]) -> None:
    """A cursor's text gives the cursor back."""
    cursor = Cursor(alerts, health)
    assert Cursor.parse(str(cursor)) == cursor


@given(st.text(max_size=30))
def test_nonsense_is_refused(text: str) -> None:
    """Any text is a cursor or raises ValueError."""
    with contextlib.suppress(ValueError):
        assert str(Cursor.parse(text)).isascii()


@pytest.mark.parametrize("text", ["", "1.a.h", "1.a1.h", "2.a1.h1", "1.a1.h1\n", "1.a-1.h1", "1.a" + "9" * 30 + ".h1"])
def test_near_misses_are_refused(text: str) -> None:
    """What is almost a cursor is none."""
    with pytest.raises(ValueError):
        Cursor.parse(text)


def test_reached_means_every_partition() -> None:
    """One partition behind is not there yet."""
    assert Cursor((1, 2), (3,)).reached_by(Cursor((1, 2), (3,)))
    assert Cursor((1, 2), (3,)).reached_by(Cursor((5, 2), (4,)))
    assert not Cursor((1, 2), (3,)).reached_by(Cursor((5, 1), (4,)))
    assert not Cursor((1,), (3,)).fits(Cursor((1, 2), (3,)))
