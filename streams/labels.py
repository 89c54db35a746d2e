"""Label matchers, in Alertmanager's notation: ``severity="critical"``, ``host=~"web-.*"``, ``team!=ops``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from pydantic import AfterValidator

from streams.patterns import refuse_costly
from streams.refusals import meant

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
    if quoted is None and value.startswith("="):
        one = f'write {name}{operator}{value.lstrip("= ")}, or {name}{operator}"{value}" for a value that begins with ='
        raise ValueError(f"{text!r} has an = too many: {one}")
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


def unpassed(matchers: Iterable[str], known: Sequence[Mapping[str, str]]) -> str:
    """The first of `matchers` that none of the `known` labels passes, with what is there; empty where there is none."""
    for text in matchers:
        matcher = parse(text)
        if any(matcher.matches(labels) for labels in known):
            continue
        values = sorted({labels[matcher.name] for labels in known if matcher.name in labels})
        if values:
            return text + (meant(matcher.value, values) or _there_are(values))
        names = sorted({name for labels in known for name in labels})
        return f"{text}: none has a label {matcher.name}{meant(matcher.name, names) or _there_are(names)}"
    return ""


def _there_are(words: Sequence[str]) -> str:
    return f"; there are {', '.join(words[:10])}" if words else ""


def _valid(text: str) -> str:
    parse(text)
    return text


MatcherText = Annotated[str, AfterValidator(_valid)]


def label_values(labels: Mapping[str, Any]) -> dict[str, str]:
    """Labels with every value as text."""
    return {k: str(v) for k, v in labels.items()}
