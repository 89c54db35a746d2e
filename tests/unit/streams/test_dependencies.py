"""The graph of targets: who depends on whom, however deep, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.dependencies import Dependencies, DependencyError


@dataclass
class T:
    name: str
    depends_on: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def all_labels(self):
        return {**self.labels, "target": self.name}


@st.composite
def acyclic(draw):
    """Targets that depend on earlier ones only, in any order of the file."""
    count = draw(st.integers(1, 12))
    targets = [
        T(f"t{i}", tuple(f"t{j}" for j in sorted(draw(st.sets(st.integers(0, i - 1), max_size=4))))) if i else T("t0")
        for i in range(count)
    ]
    return draw(st.permutations(targets))


def above(targets, name, seen=()):
    by_name = {t.name: t for t in targets}
    return set(by_name[name].depends_on).union(*(above(targets, p) for p in by_name[name].depends_on))


@given(acyclic())
def test_ancestors_and_what_is_taken_down_are_each_others_mirror(targets):
    """Through every diamond and chain: x depends on y, directly or not, where y takes down x."""
    graph = Dependencies(targets)
    for target in targets:
        assert set(graph.ancestors(target.name)) == above(targets, target.name)
        assert graph.taken_down(target.name) == sorted(t.name for t in targets if target.name in above(targets, t.name))
        for parent in graph.ancestors(target.name):
            assert graph.depth[parent] < graph.depth[target.name]


@given(acyclic(), st.data())
def test_a_cycle_is_found_and_named(targets, data):
    """One edge back makes a cycle; it is named whole, each with the one it depends on, and where it is written."""
    graph = Dependencies(targets)
    lower = [t for t in targets if graph.ancestors(t.name)]
    if not lower:
        return
    child = data.draw(st.sampled_from(lower))
    top = next(t for t in targets if t.name == graph.ancestors(child.name)[-1])
    top.depends_on = (*top.depends_on, child.name)
    with pytest.raises(DependencyError) as told:
        Dependencies(targets)
    ((index, place, message),) = told.value.problems
    names = message.removeprefix("a cycle: ").partition(",")[0].split(" → ")
    by_name = {t.name: t for t in targets}
    assert names[0] == names[-1]
    assert len(set(names)) == len(names) - 1
    assert all(b in by_name[a].depends_on for a, b in pairwise(names))
    assert targets[index].name == names[0]
    assert targets[index].depends_on[place] == names[1]


def test_matchers_choose_by_labels():
    """A selector depends on every target that passes it, never on the one that has it."""
    targets = [
        T("h1", labels={"role": "host", "rack": "a"}),
        T("h2", labels={"role": "host", "rack": "b"}),
        T("svc", ('{role="host", rack=~"a|c"}',), {"role": "service"}),
        T("other", ('role!="service"',), {"role": "x"}),
    ]
    graph = Dependencies(targets)
    assert graph.parents == {"svc": ("h1",), "other": ("h1", "h2")}
    assert graph.taken_down("h1") == ["other", "svc"]


def test_a_name_with_an_operator_is_a_name_first():
    """Where a target is called so, that target is meant."""
    graph = Dependencies([T("a=b"), T("c", ("a=b",), {"a": "b"})])
    assert graph.parents == {"c": ("a=b",)}


@pytest.mark.parametrize(
    ("text", "told"),
    [("hots", "did you mean 'host'?"), ("zzz", "no target is named 'zzz'"), ("{a=b", "a brace is missing"), ("a", "depends on itself")],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(text, told):
    """Unknown names with a suggestion, bad matchers, and oneself."""
    with pytest.raises(DependencyError, match=told) as error:
        Dependencies([T("host"), T("a", ("host", text))])
    assert error.value.problems[0][:2] == (1, 1)


def test_ten_thousand_targets_in_layers():
    """A tenth hosts, then services chosen by label, then tenants: every tenant has its host above it."""
    hosts = [T(f"h{i}", labels={"role": "host", "host": f"h{i}"}) for i in range(1000)]
    services = [T(f"s{i}", (f'{{role="host", host="h{i % 1000}"}}',)) for i in range(3000)]
    tenants = [T(f"t{i}", (f"s{i % 3000}", f"s{(i + 7) % 3000}")) for i in range(6000)]
    graph = Dependencies([*tenants, *services, *hosts])
    assert graph.ancestors("t5") == ("s5", "s12", "h5", "h12")
    assert len(graph.taken_down("h5")) == 3 + 12


def test_a_chain_of_ten_thousand():
    """No recursion: depth is no limit."""
    graph = Dependencies([T(f"c{i}", (f"c{i + 1}",) if i < 9999 else ()) for i in range(10_000)])
    assert graph.depth["c0"] == 9999
    assert len(graph.taken_down("c9999")) == 9999
