"""Names and their numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kernel import names

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def find(table, name, guess=-1):
    raw = np.frombuffer(b"ab" + name.encode() + b"cd", np.uint8)
    return names.find(table, raw, 2, len(raw) - 2, guess)


@given(st.lists(words, unique=True, max_size=60), st.lists(words, max_size=10), st.integers(-2, 70))
@settings(deadline=None)
def test_is_a_dictionary(known, others, guess):
    """Each name has the number at which it was added, whatever is guessed; what was not added has none."""
    table, slow = names.fresh(4, 8), {}
    for name in known:
        assert find(table, name, guess) == -1
        table, slow[name] = names.add(table, name)
    assert list(slow.values()) == list(range(len(known)))
    for name in [*known, *others]:
        assert find(table, name, guess) == slow.get(name, -1)


def test_grows_without_losing_a_name():
    """Of a hundred thousand names each is found, in tables that grew many times; and the empty name is one."""
    table = names.fresh()
    many = ["", *(f"target-{i}" for i in range(100_000)), "x" * 100_000]
    for i, name in enumerate(many):
        table, number = names.add(table, name)
        assert number == i
    assert [find(table, n) for n in many[::997]] == list(range(len(many)))[::997]
    assert find(table, many[-1]) == len(many) - 1
    assert find(table, "target-100000") == -1
    assert len(table.slots) >= 2 * len(many)


def test_hash_is_the_published_one():
    """FNV-1a as its authors' test vectors have it, before folding."""
    raw = np.frombuffer(b"foobar", np.uint8)
    wanted = 0x85944171F73967E8
    assert int(names.hash_of(raw, 0, 6)) == wanted ^ (wanted >> 32)


@given(st.lists(st.tuples(words, st.booleans()), unique_by=lambda t: t[0], max_size=40))
@settings(deadline=None)
def test_some_are_kept(known):
    """What is kept is found under new numbers, in the old order; the rest is gone, and more can be added."""
    table = names.fresh(4, 8)
    for name, _ in known:
        table, _ = names.add(table, name)
    out = names.fresh(max(1, len(known)), sum(len(n.encode()) for n, _ in known))
    names.copy_some(table, np.array([k for _, k in known], np.bool_), out)
    kept = [n for n, k in known if k]
    assert [find(out, n) for n, _ in known] == [kept.index(n) if k else -1 for n, k in known]
    out, number = names.add(out, "one more " * 9)
    assert number == len(kept) == find(out, "one more " * 9)
