"""Label matchers, in Alertmanager's notation: ``severity="critical"``, ``host=~"web-.*"``, ``team!=ops``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator

from streams.patterns import refuse_costly

_MATCHER = re.compile(r'^\s*([A-Za-z_][\w.-]*)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|(.*?))\s*$')


@dataclass(frozen=True, slots=True)
class Matcher:
    """One comparison of one label; an absent label counts as the empty string."""

    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` pass. Regular expressions match the whole value."""
        have = labels.get(self.name, "")
        if self.operator == "=":
            return have == self.value
        if self.operator == "!=":
            return have != self.value
        found = re.fullmatch(self.value, have) is not None
        return found if self.operator == "=~" else not found


@lru_cache(maxsize=4096)
def parse(text: str) -> Matcher:
    """The matcher in `text`. Raises ValueError."""
    found = _MATCHER.match(text)
    if not found:
        raise ValueError(f'{text!r} is no matcher; write for instance severity="critical"')
    name, operator, quoted, bare = found.groups()
    value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
    if operator in ("=~", "!~"):
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{text!r}: no regular expression: {error}") from error
        refuse_costly(value)
    return Matcher(name, operator, value)


def matches(matchers: tuple[str, ...], labels: Mapping[str, str]) -> bool:
    """Whether `labels` pass every matcher."""
    return all(parse(m).matches(labels) for m in matchers)


def _valid(text: str) -> str:
    parse(text)
    return text


MatcherText = Annotated[str, AfterValidator(_valid)]


def label_values(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels with every value as text."""
    return {k: str(v) for k, v in labels.items()}
