"""The index finds what asking each would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.label_index import LabelIndex
from streams.labels import matches

VALUES = st.sampled_from(["", "x", "y"])
LABELS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES})
MATCHERS = st.lists(
    st.builds(lambda n, o, v: f'{n}{o}"{v}"', st.sampled_from("ab"), st.sampled_from(["=", "!=", "=~", "!~"]), VALUES),
    max_size=3,
).map(tuple)


@given(st.lists(st.tuples(st.integers(0, 5), st.none() | MATCHERS), max_size=15), LABELS)
def test_as_asking_each(steps, labels):
    """After any additions, replacements and removals, exactly those are hit whose matchers all pass."""
    index: LabelIndex[int] = LabelIndex()
    held: dict[str, tuple[str, ...]] = {}
    for key, matchers in steps:
        if matchers is None:
            index.drop(str(key))
            held.pop(str(key), None)
        else:
            index.put(str(key), matchers, key)
            held[str(key)] = matchers
    assert sorted(index.hits(labels)) == sorted((k, int(k)) for k, m in held.items() if matches(m, labels))
