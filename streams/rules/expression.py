"""Conditions as one line of text: ``error_rate[5m] > 5% and count[5m] >= 10``.

    either     = both {("or" | "||") both}
    both       = one {("and" | "&&") one}
    one        = ("not" | "!") one | "(" either ")" | comparison
    comparison = metric ["." aggregate] ["[" duration "]"] operator value
    value      = [number "*"] "baseline" | number ["%"] | duration | status word

A metric whose name is not made of words and dots stands in quotes. `not` binds before `and`, `and` before `or`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from streams.rules.words import OPERATORS, SYMBOLS, is_aggregate

MOST_CHARACTERS = 4000
_DEEPEST = 20
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<quoted>(?:"[^"]*"|'[^']*')(?:\.\w+)*)
    | (?P<duration>(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w|y))+(?![\w.]))
    | (?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_])(?:\s*%)?)
    | (?P<name>[A-Za-z_]\w*(?:\.\w+)*)
    | (?P<mark>>=|<=|==|!=|&&|\|\||[<>=!()\[\]*])
    )""",
    re.VERBOSE,
)
_WORDS = {"&&": "and", "||": "or", "!": "not"}


class ExpressionError(ValueError):
    """A text that is no condition; `column` counts from 0."""

    def __init__(self, text: str, column: int) -> None:
        super().__init__(text)
        self.column = column


@dataclass(slots=True)
class Parsed:
    """A condition as fields, and the column of each comparison by its path in them."""

    fields: dict[str, Any]
    columns: dict[tuple[str | int, ...], int] = field(default_factory=dict)


@dataclass(slots=True)
class _Token:
    kind: str
    text: str
    column: int


def parse(text: str) -> Parsed:
    """The condition in `text`. Raises ExpressionError."""
    if len(text) > MOST_CHARACTERS:
        raise ExpressionError(f"longer than {MOST_CHARACTERS} characters", 0)
    reader = _Reader(_tokens(text), len(text))
    found = reader.either(0)
    if (rest := reader.next) is not None:
        raise ExpressionError(f"{rest.text!r} is too much here: and, or, or the end is wanted", rest.column)
    return found


def _tokens(text: str) -> list[_Token]:
    at, found = 0, []
    while at < len(text.rstrip()):
        token = _TOKEN.match(text, at)
        if token is None:
            column = at + len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"{text[column : column + 12]!r} is nothing that a condition is made of", column)
        kind = str(token.lastgroup)
        word, column = token.group(kind), token.start(kind)
        if kind == "mark" and word in _WORDS:
            kind, word = "name", _WORDS[word]
        found.append(_Token(kind, word, column))
        at = token.end()
    return found


class _Reader:
    def __init__(self, tokens: list[_Token], end: int) -> None:
        self.tokens, self.at, self.end = tokens, 0, end

    @property
    def next(self) -> _Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def _is(self, *words: str) -> bool:
        return self.next is not None and self.next.kind in ("name", "mark") and self.next.text in words

    def _take(self) -> _Token:
        self.at += 1
        return self.tokens[self.at - 1]

    def _want(self, what: str) -> ExpressionError:
        if self.next is None:
            return ExpressionError(f"ends where {what} is wanted", self.end)
        return ExpressionError(f"{what} is wanted, not {self.next.text!r}", self.next.column)

    def _mark(self, mark: str) -> None:
        if not self._is(mark):
            raise self._want(repr(mark))
        self._take()

    def either(self, depth: int) -> Parsed:
        return self._several("any", "or", self.both, depth)

    def both(self, depth: int) -> Parsed:
        return self._several("all", "and", self.one, depth)

    def _several(self, key: str, word: str, part: Any, depth: int) -> Parsed:
        parts = [part(depth)]
        while self._is(word):
            self._take()
            parts.append(part(depth))
        if len(parts) == 1:
            only: Parsed = parts[0]
            return only
        columns = {(key, i, *path): c for i, p in enumerate(parts) for path, c in p.columns.items()}
        return Parsed({key: [p.fields for p in parts]}, columns)

    def one(self, depth: int) -> Parsed:
        if depth > _DEEPEST and self.next is not None:
            raise ExpressionError("nested too deeply", self.next.column)
        if self._is("not"):
            self._take()
            inner = self.one(depth + 1)
            return Parsed({"not": inner.fields}, {("not", *path): c for path, c in inner.columns.items()})
        if self._is("("):
            self._take()
            inner = self.either(depth + 1)
            self._mark(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Parsed:
        token = self.next
        if token is None or token.kind not in ("name", "quoted") or token.text in ("and", "or", "baseline"):
            raise self._want("a metric")
        self._take()
        fields = _named(token)
        if self._is("["):
            self._take()
            if self.next is None or self.next.kind not in ("duration", "number"):
                raise self._want("a duration such as 5m")
            fields["window"] = self._take().text.strip()
            self._mark("]")
        fields["operator"] = self._operator()
        fields["value"] = self._value()
        return Parsed(fields, {(): token.column})

    def _operator(self) -> str:
        if self.next is None or (self.next.text not in SYMBOLS and self.next.text not in OPERATORS):
            raise self._want("a comparison such as >")
        return self._take().text

    def _value(self) -> str:
        if self.next is None or self.next.kind not in ("number", "duration", "name") or self._is("and", "or", "not"):
            raise self._want("a value")
        first = self._take()
        if first.kind != "number" or not self._is("*"):
            return first.text.strip()
        self._take()
        if not self._is("baseline"):
            raise self._want("baseline")
        self._take()
        return f"{first.text.strip()} * baseline"


def _named(token: _Token) -> dict[str, Any]:
    """Metric, and aggregate if it names one, of ``latency.p99.9`` or ``'disk.used_percent:/'.max``."""
    if token.kind == "quoted":
        end = token.text.rindex(token.text[0])
        metric, aggregate = token.text[1:end], token.text[end + 2 :]
        return {"metric": metric, "aggregate": aggregate} if aggregate else {"metric": metric}
    for dots in (2, 1):  # p99.9 has a dot itself
        parts = token.text.rsplit(".", dots)
        if len(parts) == dots + 1 and is_aggregate(last := ".".join(parts[1:])):
            return {"metric": parts[0], "aggregate": last}
    return {"metric": token.text}
