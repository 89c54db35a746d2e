"""Texts that would not say what their author means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.refusals import meant
from streams.rules.lint.watch import Remark, Watch, remark
from streams.templates import NAMES, is_template, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator


def texts(watch: Watch) -> Iterator[Remark]:
    """Annotations that name what no alert has, and labels that are written as templates."""
    for rule in watch.rules:
        for name, text in rule.annotations.items():
            for word in unknown(text):
                there = meant(word, NAMES) or "; labels are in labels, as {{ labels.team }}"
                field = f"annotations.{name}"
                yield remark("warning", "unknown-name", rule, field, f"no alert has a value named {word}{there}")
        for name, text in rule.labels.items():
            if is_template(text):
                said = "a label stays as it is written, for matchers to go by: values belong into annotations"
                yield remark("warning", "label-template", rule, f"labels.{name}", said)
