"""Whatever stands in a rule, it is a rule or an error of validation."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.rules import Rule, together
from streams.rules.compile import compile_rules
from streams.rules.describe import describe_rule
from streams.rules.lint import lint

NAMES = sorted({name for n, f in Rule.model_fields.items() for name in (n, f.alias) if name})
WORDS = st.sampled_from(
    ["", "up", "latency", "error_rate", "status", "db.status", "x.y", "unhealthy", "5%", "3h", "1h30m", "2 * baseline", "last",
     "p95", "ratio", "forecast", "absent", ">", "equals", "0 3 * * *", "UTC", "error_rate[5m] > 5%", "not", "=", "{x}", "\0", "critical"]
)  # fmt: skip
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 10**19), st.floats(), WORDS, st.text(max_size=5), st.just(10**400)
)
KEYS = st.sampled_from([*NAMES, "from", "to", "cron", "zone", "grace", "objective", "sensitivity", "within", "duration", "after", "receivers", "escalateAfter"])  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(KEYS, st.integers()), inner, max_size=4)
    ),
    max_leaves=8,
)
PLAUSIBLE = {"name": "r", "metric": "latency", "value": 5}


@settings(max_examples=600)
@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=6), st.booleans())
def test_any_fields_are_a_rule_or_an_error(fields, plausible):
    """No other exception, and what is a rule can be written out, read again, expanded, compiled, described and judged."""
    try:
        rules = together([Rule.model_validate({**(PLAUSIBLE if plausible else {"name": "r"}), **fields})])
    except ValidationError as error:
        assert error.errors()  # noqa: PT017 - most are errors, some are none
        return
    conditions = compile_rules(rules)
    for i, rule in enumerate(rules):
        assert Rule.model_validate_json(rule.model_dump_json(by_alias=True)) == rule
        assert isinstance(describe_rule(conditions, i), str)
    lint(rules, ())


@given(ANYTHING)
def test_anything_is_a_rule_or_an_error(written):
    """Nor where a rule is no mapping at all."""
    try:
        Rule.model_validate(written)
    except ValidationError:
        return
    assert isinstance(written, (dict, str))
