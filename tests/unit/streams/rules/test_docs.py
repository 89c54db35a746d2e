"""docs/rules.md: every example is a rule, and nothing is left out."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from probestream.config import load_text
from streams.rules import Rule, words
from streams.rules.compile import compile_rules
from streams.rules.lint import lint

PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text("utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def loaded(example):
    return load_text("rules:\n" + textwrap.indent(example, "  ") + "\nreceivers: [{name: ops}]\n", "rules.md", {}).rules


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=[e.split("name: ", 1)[1].split(",")[0].split("\n")[0] for e in EXAMPLES]
)
def test_every_example_loads(example):
    """What is shown can be copied: it loads, compiles, and no error is found in it."""
    rules = loaded(example)
    assert len(compile_rules(rules).names) == len(rules)
    assert [r for r in lint(rules, ()) if r.level == "error"] == []


def test_all_examples_are_one_file():
    """No two share a name, so that a reader can take them all."""
    everything = loaded("\n".join(EXAMPLES))
    assert len(everything) > 40


def test_every_word_is_explained():
    """Each metric, aggregate, operator, status, field of a rule and code of lint is on the page."""
    fields = {f.alias or name for name, f in Rule.model_fields.items()} - {"id"}
    source = "".join(
        p.read_text("utf-8") for p in (Path(__file__).parents[4] / "streams" / "rules" / "lint").glob("*.py")
    )
    codes = set(re.findall(r'remark\(\s*"(?:error|warning)"[^,]*, "([a-z-]+)"', source))
    assert len(codes) >= 7
    said = {*words.OWN, *words.AGGREGATES, *words.STATUS, *words.SYMBOLS, *fields, *codes}
    said |= {w for w in words.OPERATORS if len(w) > 3}
    assert sorted(w for w in said if w not in PAGE) == []
