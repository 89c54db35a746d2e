"""Quantile sketches: their error bound, and that neither compaction, order nor a changelog changes an answer."""

import math
import sys
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kernel import bins, sketch
from streams.kernel.jit import njit
from streams.kernel.sketch_cells import FREED, FRESH, SHORT_CHUNKS, USED, WORDS
from streams.sketches import Sketches, Span

BASE = 180_000_000  # a pane of 2027
HOUR, DAY = 360, 8640
WINDOWS = (1, 6, 17, 30, 60, 360)
DAY_WINDOWS = (*WINDOWS, 1080, 8640)
QS = (0.0, 0.01, 0.5, 0.95, 0.99, 1.0)

values = st.one_of(
    st.floats(0.1, 1000),
    st.integers(-20, 20).map(float),
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e20, max_value=1e20),
    st.sampled_from([0.0, -0.0, 1.0, 5.0, 1e-300, 1e15, -1e15]),
)
samples = st.lists(st.tuples(st.integers(0, 700), values), max_size=200)


def filled(them, head=BASE + 700, longest=HOUR, row=0, sketches=None):
    s = sketches or Sketches(rows=4, chunks=4, cells=16)
    s.ensure(rows=row + 1)
    for pane, value in them:
        s.ensure(samples=1)
        sketch.add(s.arena, row, BASE + pane, value, head, longest)
    return s


def exact(them, first, last, q):
    inside = sorted(v for p, v in them if first <= BASE + p <= last)
    return inside[max(math.ceil(q * len(inside) * (1 - 1e-12)), 1) - 1] if inside else math.nan


def answers(s, head, windows, row=0):
    out = []
    for window in windows:
        first = sketch.first_pane(head, window)
        out += [sketch.quantile(s.arena, row, first, head, q) for q in QS]
        out.append(float(sketch.count(s.arena, row, first, head)))
    return out


def near(found, true):
    if math.isnan(true):
        return math.isnan(found)
    if abs(true) < bins.LEAST:
        return found == 0
    return abs(found - true) <= bins.ALPHA * abs(true)


@settings(max_examples=150, deadline=None)
@given(samples, st.integers(0, 720))
def test_any_quantile_of_any_window_is_within_a_hundredth_of_the_exact_one(them, head):
    """Over late and early samples, zeros, negative and huge values, `quantile` is the nearest rank within ALPHA."""
    s = filled(them, head=BASE + head)
    for window in WINDOWS:
        first = sketch.first_pane(BASE + head, window)
        for q in QS:
            found, true = sketch.quantile(s.arena, 0, first, BASE + head, q), exact(them, first, BASE + head, q)
            assert near(found, true), (window, q, found, true)


@settings(max_examples=50, deadline=None)
@given(st.lists(values, min_size=1, max_size=300))
def test_agrees_with_numpys_exact_quantile(them):
    """numpy's inverted distribution function is the judge where no rank lies on a rounded product."""
    s = filled([(700, v) for v in them])
    for q in (0.113, 0.501, 0.7777, 0.951, 0.9917):
        true = float(np.quantile(np.array(them), q, method="inverted_cdf"))
        assert near(sketch.quantile(s.arena, 0, BASE + 700, BASE + 700, q), true)


@settings(max_examples=150, deadline=None)
@given(samples, st.sampled_from([30, 60, HOUR, DAY]), st.sampled_from([1, 20]), st.integers(0, 400))
def test_compaction_changes_no_answer(them, longest, stretch, more):
    """For any head from the compaction's on, each supported window answers alike before and after it."""
    head = BASE + 650 * stretch
    windows = [w for w in DAY_WINDOWS if w <= longest]
    for later in (head, head + 1, head + more * stretch):
        plain, compacted = Sketches(rows=1), Sketches(rows=1)
        for s in (plain, compacted):
            s.ensure(samples=len(them))
            s.arena.counters[SHORT_CHUNKS] = 1  # `add` compacts nothing by itself
            for pane, value in them:
                sketch.add(s.arena, 0, BASE + pane * stretch, value, BASE, DAY)
        assert sketch.compact(compacted.arena, 0, head, longest)
        np.testing.assert_array_equal(answers(compacted, later, windows), answers(plain, later, windows))


@pytest.mark.parametrize("longest", [30, 60, HOUR, DAY])
@pytest.mark.parametrize("head", [9300, 9329, 9330, 9359, 9360, 9361, 9500])
def test_every_pane_counts_in_exactly_the_windows_that_span_it(longest, head):
    """One sample in each of 26 hours' panes: no edge of a coarser step takes one from a window or adds one."""
    s = filled([], head=BASE)
    for pane in range(head + 1):
        s.ensure(samples=1)
        sketch.add(s.arena, 0, BASE + pane, 1.0, BASE + pane, longest)
    for later in (0, 1, 2, 29, 30, 359, 360, 5000):
        assert sketch.compact(s.arena, 0, BASE + head + later // 2, longest)
        last = BASE + head + later
        for window in (w for w in (*DAY_WINDOWS, 90, 7200) if w <= longest):
            first = sketch.first_pane(last, window)
            assert sketch.count(s.arena, 0, first, last) == max(BASE + head - first + 1, 0), (later, window)


@settings(max_examples=100, deadline=None)
@given(samples, st.randoms(use_true_random=False), st.sampled_from([30, HOUR, DAY]))
def test_one_set_of_samples_is_one_export(them, random, longest):
    """In whatever order samples come, and whatever heads compactions saw on the way, the bytes are the same."""
    mixed = list(them)
    random.shuffle(mixed)
    a, b = Sketches(rows=1), Sketches(rows=1)
    for s, order in ((a, them), (b, mixed)):
        head = BASE
        for i, (pane, value) in enumerate(order):
            s.ensure(samples=1)
            head = max(head, BASE + (random.randrange(700) if s is b else pane))
            sketch.add(s.arena, 0, BASE + pane, value, head, longest)
            if s is b and i % 7 == 0:
                assert sketch.compact(s.arena, 0, head, longest)
    assert a.export([0], BASE + 720, longest) == b.export([0], BASE + 720, longest)


@settings(max_examples=60, deadline=None)
@given(st.lists(samples, min_size=1, max_size=4))
def test_what_is_exported_comes_back(rows):
    """A block put back answers alike, exports alike and takes further samples alike."""
    s = Sketches(rows=1, chunks=1, cells=1)
    for row, them in enumerate(rows):
        filled(them, row=row, sketches=s)
    every, head = list(range(len(rows))), BASE + 700
    data = s.export(every, head, HOUR)
    back = Sketches(rows=8, chunks=1, cells=1)
    filled([(3, 4.0)] * 40, sketches=back)
    back.restore(every, data)
    assert back.export(every, head, HOUR) == data
    for row in every:
        np.testing.assert_array_equal(answers(back, head, WINDOWS, row), answers(s, head, WINDOWS, row))
    filled([(701, 7.0)], head + 1, sketches=s)
    filled([(701, 7.0)], head + 1, sketches=back)
    assert back.export(every, head + 1, HOUR) == s.export(every, head + 1, HOUR)


@settings(max_examples=300, deadline=None)
@given(samples, st.data())
def test_damaged_bytes_are_refused_or_harmless(them, data):
    """Whatever a damaged changelog holds, the restore refuses it or leaves sketches that can be asked."""
    good = bytearray(filled(them).export([0], BASE + 700, HOUR))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    bad = bytes(good[: data.draw(st.integers(0, len(good)))])
    s = Sketches(rows=1)
    with suppress(ValueError):
        s.restore([0], bad)
    answers(s, BASE + 700, WINDOWS)
    s.export([0], BASE + 700, HOUR)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(samples, min_size=1, max_size=3),
    st.lists(st.integers(HOUR, 720), max_size=5),
    st.sampled_from([HOUR, DAY]),
)
def test_spans_written_at_different_times_make_up_the_whole(rows, cuts, longest):
    """Spans of panes, the older ones written as seen from an older head, come back as what the whole would be."""
    s, head = Sketches(rows=1, chunks=1, cells=1), BASE + 720
    for row, them in enumerate(rows):
        filled(them, BASE, DAY, row=row, sketches=s)
    every, spans = list(range(len(rows))), []
    edges = [0, *sorted({BASE + c // 30 * 30 for c in cuts}), head + 1]
    for first, base in pairwise(edges):
        spans.append(Span(s.export_span(every, first, base - 1, base, min(base + 10, head)), first, base))
    back = Sketches(rows=8, chunks=1, cells=1)
    back.import_spans(every, spans[::-1], head)
    assert back.export(every, head, longest) == s.export(every, head, longest)
    for row in every:
        np.testing.assert_array_equal(answers(back, head, WINDOWS, row), answers(s, head, WINDOWS, row))


def test_another_version_is_refused():
    """An export of another version says so."""
    data = filled([(1, 2.0)]).export([0], BASE + 1, HOUR)
    with pytest.raises(ValueError, match=r"version 9, 2 expected"):
        Sketches(rows=1).restore([0], b"\x09" + data[1:])
    with pytest.raises(ValueError, match="of 2 rows"):
        Sketches(rows=2).restore([0, 1], data)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_counted(bad):
    """NaN and infinite values leave no trace."""
    s = filled([(1, 5.0), (1, bad)])
    assert sketch.count(s.arena, 0, BASE, BASE + 1) == 1
    assert filled([(1, bad)]).export([0], BASE + 1, HOUR) == Sketches(rows=1).export([0], BASE + 1, HOUR)


def test_values_beyond_the_range_fall_into_its_ends():
    """What is nearer to 0 than LEAST is 0, what is beyond GREATEST is about GREATEST."""
    s = filled([(1, 1e-13)])
    assert sketch.quantile(s.arena, 0, BASE, BASE + 1, 0.5) == 0
    for sign in (1, -1):
        s = filled([(1, sign * 1e300)])
        assert sketch.quantile(s.arena, 0, BASE, BASE + 1, 0.5) == pytest.approx(sign * bins.GREATEST, rel=0.01)


def test_bins_rise_with_values():
    """Order among values is order among bins, through zero."""
    them = np.concatenate([-np.geomspace(1e22, 1e-11, 5000), [0.0], np.geomspace(1e-11, 1e22, 5000)])
    numbers = [bins.bin_of(v) for v in them]
    assert numbers == sorted(numbers)
    assert 0 < numbers[0] < numbers[5000] == bins.ZERO < numbers[-1] < bins.BINS
    assert all(near(bins.value_of(n), v) for n, v in zip(numbers, them, strict=True))


def test_a_sample_an_hour_late_counts_in_the_windows_that_span_it():
    """A late sample is in the hour's window and in no shorter one, before and after compaction."""
    head = BASE + 30 * 20 - BASE % 30
    s = filled([(head - BASE, 1.0)] * 100, head=head)
    s.ensure(samples=1)
    sketch.add(s.arena, 0, sketch.first_pane(head, HOUR) + 3, 99.0, head, HOUR)
    for _ in range(2):
        assert sketch.quantile(s.arena, 0, sketch.first_pane(head, HOUR), head, 1.0) == pytest.approx(99, rel=0.01)
        assert sketch.quantile(s.arena, 0, sketch.first_pane(head, 30), head, 1.0) == pytest.approx(1, rel=0.01)
        assert sketch.count(s.arena, 0, sketch.first_pane(head, HOUR), head) == 101
        assert sketch.compact(s.arena, 0, head, HOUR)


def test_several_quantiles_in_one_pass_are_those_one_by_one():
    """`quantiles` gives what `quantile` gives and how many samples there were, and NaN where there are none."""
    s = filled([(p, float(v)) for p in range(690, 700) for v in range(1, 40)])
    qs, out = np.array([0.99, 0.5, 0.0]), np.empty(3)
    assert sketch.quantiles(s.arena, 0, BASE + 680, BASE + 700, qs, out) == 390
    assert out.tolist() == [sketch.quantile(s.arena, 0, BASE + 680, BASE + 700, q) for q in qs]
    assert sketch.quantiles(s.arena, 0, BASE + 701, BASE + 702, qs, out) == 0
    assert np.isnan(out).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(samples, min_size=1, max_size=4))
def test_rows_together_answer_as_one_row_with_all_their_samples(rows):
    """The sketch of a group is the merge of its rows' sketches, without loss."""
    s, one, head = Sketches(rows=4), Sketches(rows=1), BASE + 700
    for row, them in enumerate(rows):
        filled(them, row=row, sketches=s)
        filled(them, sketches=one)
    for window in WINDOWS:
        first = sketch.first_pane(head, window)
        for q in QS:
            together = sketch.quantile_of_rows(s.arena, np.arange(len(rows)), first, head, q)
            np.testing.assert_array_equal(together, sketch.quantile(one.arena, 0, first, head, q))


@pytest.mark.parametrize("pane", [-1, 1 << 31, -(1 << 40)])
def test_a_time_that_no_pane_can_have_is_not_counted(pane):
    """Times before the epoch and beyond 31 bits of panes leave no trace and harm no other sample."""
    s = filled([(1, 5.0)])
    s.ensure(samples=1)
    sketch.add(s.arena, 0, pane, 7.0, BASE, HOUR)
    assert s.export([0], BASE + 1, HOUR) == filled([(1, 5.0)]).export([0], BASE + 1, HOUR)


def test_compiled_calls_hold_on_to_no_array():
    """References are not counted inside compiled functions, and none is lost or kept."""
    s = filled([(p, 1.0 + p) for p in range(200)])
    before = [sys.getrefcount(array) for array in s.arena]
    s.export([0], BASE + 200, HOUR)
    answers(s, BASE + 200, WINDOWS)
    sketch.clear(s.arena, 0)
    assert [sys.getrefcount(array) for array in s.arena] == before


def test_a_row_that_is_not_there_is_an_error():
    """Compiled code checks no index, so the class does."""
    s = filled([(1, 5.0)])
    data = s.export([0], BASE + 1, HOUR)
    with pytest.raises(IndexError):
        s.export([10_000], BASE + 1, HOUR)
    with pytest.raises(IndexError):
        s.restore([10_000], data)


def test_a_count_beyond_a_fresh_cells_is_kept_whole():
    """More samples of one value in a pane than 19 bits count are all counted, also packed."""
    s = Sketches(rows=1)
    n = (1 << 19) + 100
    s.ensure(samples=2)
    sketch.add(s.arena, 0, BASE, 3.0, BASE, HOUR)
    s.arena.words[s.arena.rows[FRESH] * WORDS + 1] += (1 << 19) - 3  # as if so many more had come
    for _ in range(n - (1 << 19) + 2):
        s.ensure(samples=1)
        sketch.add(s.arena, 0, BASE, 3.0, BASE, HOUR)
    assert sketch.count(s.arena, 0, BASE, BASE) == n
    data = s.export([0], BASE, HOUR)
    s.restore([0], data)
    assert sketch.count(s.arena, 0, BASE, BASE) == n


def test_targets_that_come_and_go_leave_no_memory_behind():
    """A million lives of targets on a few rows take no more chunks than the first of them."""
    s, lives = Sketches(rows=8, chunks=64), 1_000_000
    s.ensure(samples=64)
    _come_and_go(s.arena, 1000)
    used = int(s.arena.counters[USED])
    s.ensure(samples=64)
    _come_and_go(s.arena, lives)
    assert s.arena.counters[USED] == used == s.arena.counters[FREED]
    assert s.lost == 0


@njit
def _come_and_go(arena, lives):
    for life in range(lives):
        row = life % 8
        for i in range(20):
            sketch.add(arena, row, BASE + life // 100 + i, 1.0 + i, BASE + life // 100 + 20, HOUR)
        sketch.clear(arena, row)


def test_memory_stays_bounded_as_time_goes_on():
    """A row that gets samples for ten windows' length holds no more chunks than after two."""
    s = Sketches(rows=1)
    rng = np.random.default_rng(1)
    used = []
    for pane in range(10 * HOUR):
        s.ensure(samples=3)
        for value in rng.lognormal(5, 0.2, 3):
            sketch.add(s.arena, 0, BASE + pane, value, BASE + pane, HOUR)
        used.append(int(s.arena.counters[USED]))
    assert used[-1] <= 1.25 * used[2 * HOUR]


def test_growth_keeps_what_is_there():
    """Rows, chunks and scratch grow from next to nothing without a sample lost, whatever size the batches have."""
    s = Sketches(rows=1, chunks=1, cells=1)
    rng = np.random.default_rng(2)
    want = np.zeros(500, int)
    for batch in range(40):
        rows = rng.integers(0, 500, 997)
        s.ensure(rows=500, samples=997)
        for row, value in zip(rows, rng.lognormal(5, 1.0, 997), strict=True):
            sketch.add(s.arena, row, BASE + batch, value, BASE + batch, HOUR)
        np.add.at(want, rows, 1)
    assert s.lost == 0
    assert [sketch.count(s.arena, r, BASE, BASE + 40) for r in range(500)] == want.tolist()


def test_a_sample_without_promised_room_is_told():
    """Who adds without `ensure` loses samples, and `lost` says how many."""
    s = Sketches(rows=1, chunks=1)
    for pane in range(20):
        sketch.add(s.arena, 0, BASE + pane, 1.0, BASE + pane, HOUR)
    assert s.lost == 13
