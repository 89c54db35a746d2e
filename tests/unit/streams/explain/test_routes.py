"""Whom the routes find, by which way, beside what notify itself finds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.explain.routes import taken
from streams.routing import Route, receivers_of

ROUTE = Route.model_validate(
    {
        "receiver": "all",
        "routes": [
            {"matchers": ['team="db"'], "receiver": "db"},
            {"matchers": ['team="web"'], "continue": True, "routes": [{"matchers": ['severity="critical"'], "receiver": "oncall"}]},
            {"matchers": ['severity=~"critical|warning"'], "receiver": "log"},
        ],
    }
)  # fmt: skip


def test_each_step_of_the_way_is_told():
    """Which route did not match and why, which did, and whose receiver it is."""
    found = taken(ROUTE, {"team": "web", "severity": "warning"}, {"all": ["slack", "email"]}, ["boss"])
    assert [(r.receiver, r.channels) for r in found] == [("all", ["slack", "email"]), ("log", []), ("boss", [])]
    assert found[0].because == [
        'route.routes[0] does not match: team="db", and team is "web"',
        'route.routes[1] matches: team="web"',
        'route.routes[1].routes[0] does not match: severity="critical", and severity is "warning"',
        "route.routes[1]: the receiver it inherits is all",
    ]
    assert found[1].because[-3:] == [
        "route.routes[1] says continue",
        'route.routes[2] matches: severity=~"critical|warning"',
        "route.routes[2]: its own receiver is log",
    ]
    assert found[2].because == ["an escalation names it"]


def test_a_label_that_is_not_there_is_told_as_such():
    """An absent label is not the empty value."""
    found = taken(ROUTE, {}, {})
    assert found[0].because[0] == 'route.routes[0] does not match: team="db", and it has no label team'


_matchers = st.lists(st.sampled_from(['a="1"', 'a!="1"', 'b="1"', 'b=~"1|2"']), max_size=2)
_routes = st.recursive(
    st.fixed_dictionaries(
        {"matchers": _matchers}, optional={"receiver": st.sampled_from("xyz"), "continue": st.booleans()}
    ),
    lambda inner: st.fixed_dictionaries(
        {"matchers": _matchers, "routes": st.lists(inner, max_size=3)},
        optional={"receiver": st.sampled_from("xyz"), "continue": st.booleans()},
    ),
    max_leaves=8,
)


@given(_routes, st.dictionaries(st.sampled_from("ab"), st.sampled_from("12")))
def test_the_receivers_are_those_that_notify_tells(route, labels):
    """Whatever the tree: the same receivers in the same order."""
    tree = Route.model_validate(route | {"matchers": []})
    assert [r.receiver for r in taken(tree, labels, {})] == receivers_of(tree, labels)
