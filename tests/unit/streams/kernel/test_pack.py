"""Panes and numbers as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kernel import pack, panes

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
samples = st.tuples(
    st.integers(0, 7), st.booleans(), st.sampled_from([float("nan"), 0.0, -0.0, 1.5, 0.1, -3.0, 1e-50, 1e29])
)


def columns():
    return np.empty(8, np.uint8), np.empty(8), np.empty(40, np.float32), np.empty(24, np.uint8)


def packed(ring, slot):
    kinds, sums, floats, small = columns()
    n, f, c = pack.pack_pane(ring.part, ring.counts, ring.total, slot, 0, 8, kinds, sums, floats, small)
    return kinds, sums[:n], floats[:f], small[:c]


@settings(deadline=None, max_examples=150)
@given(st.lists(samples, max_size=40), st.sampled_from([1, 300]))
def test_panes_come_back_to_the_last_bit(them, times):
    """Empty panes, single samples, zeros of both signs, values that no float32 holds, counts of more than a byte."""
    ring, back = panes.fresh(8, []), panes.fresh(8, [])
    for row, ok, value in them:
        for _ in range(times):
            panes.add(ring, row, 3, ok, value)
    parts = packed(ring, 3)
    assert pack.unpack_pane(back.part, back.counts, back.total, 3, 0, *parts) == 0
    assert back.part.tobytes() == ring.part.tobytes()
    assert back.total.tobytes() == ring.total.tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(packed(back, 3), parts, strict=True))


@settings(deadline=None, max_examples=150)
@given(st.lists(samples, min_size=1, max_size=20), st.data())
def test_columns_of_other_sizes_are_refused(them, data):
    """Whatever is missing or too much, nothing is read beyond what is there, and it is not taken for whole."""
    ring = panes.fresh(8, [])
    for row, ok, value in them:
        panes.add(ring, row, 0, ok, value)
    parts = list(packed(ring, 0))
    which = data.draw(st.integers(1, 3))
    size = data.draw(st.integers(0, 2 * len(parts[which]) + 2).filter(lambda n: n != len(parts[which])))
    parts[which] = np.resize(np.append(parts[which], parts[which].dtype.type(1)), size)
    back = panes.fresh(8, [])
    assert pack.unpack_pane(back.part, back.counts, back.total, 0, 0, *parts) == pack.BROKEN


def test_an_unknown_kind_of_pane_is_refused():
    """A kind that this version does not write is no pane."""
    back, (_, sums, floats, small) = panes.fresh(8, []), columns()
    kinds = np.full(8, pack.ANY + 1, np.uint8)
    assert pack.unpack_pane(back.part, back.counts, back.total, 0, 0, kinds, sums, floats, small) == pack.BROKEN


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 9), st.integers(0, 5), st.integers(0, 3), st.data())
def test_columns_come_back(rows, width, spread, data):
    """Columns that are alike and columns that are not, of some rows of a table; cut short they are refused."""
    table = data.draw(st.randoms(use_true_random=False))
    numbers = np.array([[table.randint(0, spread) for _ in range(width)] for _ in range(12)], np.uint8).reshape(
        12, width
    )
    some = np.array(sorted(table.sample(range(12), rows)), np.int64)
    out = np.empty((rows + 1) * width + 10, np.uint8)
    end = pack.pack_columns(numbers, some, out, 5)
    back = np.empty((rows, width), np.uint8)
    assert pack.unpack_columns(out[:end], 5, back) == end
    assert (back == numbers[some]).all()
    if end > 5:
        assert pack.unpack_columns(out[: end - 1], 5, back) == pack.BROKEN
