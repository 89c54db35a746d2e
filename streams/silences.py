"""Silences: for a time, alerts whose labels match are not told. Alertmanager's own form is read as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from streams.instants import Instant, iso
from streams.labels import Matcher, MatcherText, matches, parse
from streams.settings import Settings

State = Literal["pending", "active", "expired"]
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*")


def matcher_text(value: Any) -> Any:
    """A matcher as text: from text as it stands, from Alertmanager's object of name, value, isRegex and isEqual.

    Raises ValueError where an object lacks a name or has a value that is no text.
    """
    if not isinstance(value, Mapping):
        return value
    name, text = value.get("name"), value.get("value", "")
    if not isinstance(name, str) or not _PLAIN.fullmatch(name) or not isinstance(text, str):
        raise ValueError('a matcher is a text such as severity="critical", or an object with name, value, isRegex')
    if unknown := sorted(set(value) - {"name", "value", "isRegex", "isEqual"}):
        raise ValueError(f"a matcher has no field {unknown[0]!r}; it has name, value, isRegex, isEqual")
    regex, equal = value.get("isRegex") is True, value.get("isEqual", True) is not False
    operator = ("=~" if equal else "!~") if regex else ("=" if equal else "!=")
    return text_of(Matcher(name, operator, text))


def text_of(matcher: Matcher) -> str:
    """A matcher in Alertmanager's notation, the value quoted; `parse` reads it back."""
    quoted = re.sub(r'(["\\])', r"\\\1", matcher.value)
    return f'{matcher.name}{matcher.operator}"{quoted}"'


AnyMatcher = Annotated[MatcherText, BeforeValidator(matcher_text)]


def selects_something(matchers: tuple[str, ...]) -> bool:
    """Whether some matcher asks for a value, so that not every alert there is passes."""
    return any(not parse(m).matches({}) for m in matchers)


class Silence(Settings):
    """Alerts that pass every matcher are not told from `starts` until `ends`. Times are milliseconds, UTC."""

    matchers: tuple[AnyMatcher, ...] = Field(min_length=1, max_length=100)
    starts: Instant = Field(validation_alias=AliasChoices("starts", "startsAt"))
    ends: Instant = Field(validation_alias=AliasChoices("ends", "endsAt"))
    author: str = Field(default="", max_length=200, validation_alias=AliasChoices("author", "createdBy"))
    comment: str = Field(default="", max_length=2000)

    @model_validator(mode="after")
    def _sensible(self) -> Silence:
        if self.ends <= self.starts:
            raise ValueError("a silence ends after it starts")
        if not selects_something(self.matchers):
            raise ValueError("every alert there is would be silenced: at least one matcher must ask for a value")
        return self

    def hits(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with `labels` is one of those meant, whatever the time."""
        return matches(self.matchers, labels)

    def state(self, now: float) -> State:
        """Where `now` (milliseconds) lies: before, within, or at or after the end."""
        if now < self.starts:
            return "pending"
        return "active" if now < self.ends else "expired"

    def described(self, key: str, version: int, now: float) -> dict[str, Any]:
        """What people are shown of it, times in ISO 8601."""
        return {
            "id": key,
            "version": version,
            "state": self.state(now),
            "matchers": list(self.matchers),
            "starts": iso(self.starts),
            "ends": iso(self.ends),
            "author": self.author,
            "comment": self.comment,
        }


def expired(silence: Silence, now: float) -> dict[str, Any] | None:
    """The body of `silence` ended at `now`; None, which deletes it, where it has not begun."""
    if silence.starts >= now:
        return None
    return {**silence.model_dump(mode="json", exclude={"name"}), "ends": min(silence.ends, now)}


class DeclaredSilence(Silence):
    """A silence in the configuration file."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$")
