"""Templates of annotations: Jinja2 in its sandbox, with no way to code, files or network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.units import human

# What a template may name: what the alert is about, and what its rule saw.
NAMES = frozenset((
    "target", "rule", "severity", "labels", "value", "window", "members", "total", "takes_down",
    "metric", "aggregate", "operator", "threshold", "window_s", "count", "baseline", "score", "status", "message",
    "conditions", "rule_version", "source_partition", "source_offset",
))  # fmt: skip
_MOST_CHARACTERS = 4000
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
# channels escape for their own medium
_ENVIRONMENT.filters["duration"] = human
_ENVIRONMENT.filters["percent"] = lambda share: f"{share * 100:.3g} %"
_ENVIRONMENT.globals.pop("lipsum", None)
_ENVIRONMENT.globals.pop("range", None)  # a template that loops for ever is no message


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)


def check(text: str) -> str:
    """`text` itself. Raises ValueError where it is no template."""
    try:
        _compiled(text)
    except TemplateError as error:
        raise ValueError(f"no template: {error}") from error
    return text


def unknown(text: str) -> list[str]:
    """The names in a template that no alert has a value for: it would fail in each message."""
    found = meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    return sorted(found - NAMES - _ENVIRONMENT.globals.keys())


def is_template(text: str) -> bool:
    """Whether somebody wrote `text` in the belief that values are put in."""
    return "{{" in text or "{%" in text


def render(text: str, values: Mapping[str, Any]) -> str:
    """`text` with `values` put in; a template that fails says so in its place, and never stops an alert."""
    try:
        return _compiled(text).render(values)[:_MOST_CHARACTERS]
    except Exception as error:  # a template can raise whatever its expressions raise
        return f"{text} (template failed: {error})"[:_MOST_CHARACTERS]
