"""Inhibition: the same answers as a slow and obvious reading of Alertmanager's rule."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.inhibition import PAIR, Inhibitor, InhibitRule, id_of
from streams.labels import matches

VALUES = st.sampled_from(["", "a", "b"])
LABELS = st.fixed_dictionaries({}, optional={"severity": VALUES, "host": VALUES, "team": VALUES})
MATCHERS = st.lists(
    st.builds(lambda n, o, v: f'{n}{o}"{v}"', st.sampled_from(["severity", "host", "team"]), st.sampled_from(["=", "!=", "=~"]), VALUES),
    max_size=2,
)  # fmt: skip
RULES = st.lists(
    st.builds(
        lambda s, t, e: InhibitRule(source_matchers=s, target_matchers=t, equal=e),
        MATCHERS,
        MATCHERS,
        st.lists(st.sampled_from(["host", "team"]), unique=True),
    ),
    max_size=3,
)
STEPS = st.lists(st.tuples(st.integers(0, 4), LABELS, st.booleans()), max_size=12)


def inhibited(rules, firing, labels):
    """Alertmanager's Mutes, as its code reads: an alert on both sides is not muted by others on both sides."""
    for rule in (*rules, PAIR):
        if not matches(rule.target, labels):
            continue
        both = matches(rule.source, labels)
        for other in firing.values():
            if not matches(rule.source, other):
                continue
            if any(other.get(n, "") != labels.get(n, "") for n in rule.equal):
                continue
            if both and matches(rule.target, other):
                continue
            return True
    return False


@given(RULES, STEPS, LABELS)
@settings(max_examples=300)
def test_as_the_slow_reading_says(rules, steps, labels):
    """Whatever fires and ceases in whatever order, an alert is inhibited where the plain reading says so."""
    inhibitor, firing = Inhibitor(rules), {}
    for n, of, fires in steps:
        inhibitor.note(f"a{n}", of, float(n), firing=fires)
        firing.pop(f"a{n}", None)
        if fires:
            firing[f"a{n}"] = of
        for other in (labels, *firing.values()):
            by = inhibitor.by(other)
            assert (by is not None) == inhibited(rules, firing, other)
            assert by is None or by in firing


@given(RULES, LABELS)
def test_an_alert_never_inhibits_itself(rules, labels):
    """Alone, however its labels and the rules are, it is told."""
    inhibitor = Inhibitor(rules)
    inhibitor.note("a", labels, 0.0, firing=True)
    assert inhibitor.by(labels) is None


@given(STEPS, LABELS, st.randoms(use_true_random=False))
def test_the_order_of_news_does_not_matter(steps, labels, random):
    """The same alerts, heard of in another order, give the same answer with the same alert behind it."""
    last = {f"a{n}": (of, fires) for n, of, fires in steps}
    rules = [InhibitRule(source_matchers=['severity="a"'], equal=["host"])]
    answers = set()
    for _ in range(3):
        names = list(last)
        random.shuffle(names)
        inhibitor = Inhibitor(rules)
        for name in names:
            inhibitor.note(name, last[name][0], 5.0, firing=last[name][1])
        answers.add(inhibitor.by(labels))
    assert len(answers) == 1


def test_the_older_form_is_the_same_rule():
    """source_match, source_match_re and their counterparts read as matchers."""
    old = InhibitRule(
        source_match={"severity": "critical"}, source_match_re={"host": "a|b"}, target_match={"severity": "warning"}
    )
    assert old.source == ('severity="critical"', 'host=~"a|b"')
    assert old.target == ('severity="warning"',)


def test_one_text_may_hold_several_matchers():
    """As in Alertmanager's files: braces, and commas between."""
    rule = InhibitRule(source_matchers=['{severity="critical", team!=ops}'], target_matchers=["a=b"])
    assert rule.source == ('severity="critical"', "team!=ops")


@pytest.mark.parametrize("part", ["source_matchers", "target_matchers"])
def test_what_is_no_matcher_is_refused(part):
    """With the words of the matcher's own error."""
    with pytest.raises(ValidationError, match="is no list of matchers"):
        InhibitRule(**{part: ["severity"]})


def test_the_critical_alert_of_a_pair_speaks_for_the_warning():
    """Of one rule and target the milder alert is kept quiet; of another target or rule it is not."""
    inhibitor = Inhibitor()
    critical = {"alertname": "slow", "target": "shop", "severity": "critical"}
    inhibitor.note("c", critical, 0.0, firing=True)
    assert inhibitor.by({**critical, "severity": "warning"}) == "c"
    assert inhibitor.by({**critical, "severity": "warning", "target": "api"}) is None
    assert inhibitor.by({**critical, "severity": "warning", "alertname": "down"}) is None
    assert inhibitor.by(critical) is None
    inhibitor.note("c", critical, 0.0, firing=False)
    assert inhibitor.by({**critical, "severity": "warning"}) is None


@given(RULES, RULES, STEPS, LABELS)
def test_other_rules_count_for_what_fires_already(before, after, steps, labels):
    """After a change of the rules the answers are those of somebody who had these rules from the beginning."""
    changed, always = Inhibitor(before), Inhibitor(after)
    for n, of, fires in steps:
        changed.note(f"a{n}", of, float(n), firing=fires)
        always.note(f"a{n}", of, float(n), firing=fires)
    changed.replace(after)
    assert changed.by(labels) == always.by(labels)
    for n, of, fires in reversed(steps):
        changed.note(f"a{n}", of, float(n), firing=not fires)
        always.note(f"a{n}", of, float(n), firing=not fires)
    assert changed.by(labels) == always.by(labels)


def test_a_rule_without_a_name_is_known_by_what_it_says():
    """The same in either notation is the same rule; another text is another."""
    one = InhibitRule(source_match={"a": "b"}, target_matchers=["c=d"])
    assert id_of(one) == id_of(InhibitRule(source_matchers=['a="b"'], target_matchers=["c=d"]))
    assert id_of(one) != id_of(InhibitRule(source_matchers=['a="b"'], target_matchers=["c=d"], equal=["host"]))
    assert id_of(InhibitRule(name="n")) == "n"


def test_what_an_alert_was_does_not_inhibit_what_it_is_now():
    """Its rule was edited from critical to warning: it is kept quiet by other critical alerts, never by itself."""
    inhibitor = Inhibitor()
    critical = {"alertname": "slow", "target": "shop", "severity": "critical"}
    inhibitor.note("a", critical, 0.0, firing=True)
    assert inhibitor.by({**critical, "severity": "warning"}, "a") is None
    inhibitor.note("b", critical, 1.0, firing=True)
    assert inhibitor.by({**critical, "severity": "warning"}, "a") == "b"
    assert inhibitor.by({**critical, "severity": "warning"}, "c") == "a"
