"""The two sides of a condition: what they stand for in an answer, and as which number or text they compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from agents.probe import body
from streams.units import human, seconds

_NUMERIC = ("STATUS", "RESPONSE_TIME", "CERTIFICATE_EXPIRATION")
_MOST_DIGITS = 64  # a body may be a megabyte of digits, and int() takes quadratic time


@dataclass(kw_only=True)
class Answer:
    """What a check got, for conditions to judge; times in milliseconds, the certificate's in seconds."""

    connected: bool = False
    status: int = 0
    response_ms: float = 0.0
    ip: str = ""
    certificate_s: float | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @cached_property
    def text(self) -> str:
        """The body as text, without the white space around it."""
        return self.body.decode("utf-8", "replace").strip()

    @cached_property
    def json(self) -> Any:
        """The body as JSON, or body.MISSING."""
        return body.load(self.body)


@dataclass(frozen=True, slots=True)
class Value:
    """A text; the number that it is, not merely looks like; its length, where it is a JSON string, list or object."""

    text: str
    number: float | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Operand:
    """One side: a literal, pat(...), any(...), or a placeholder with perhaps len(...) or has(...) around it."""

    raw: str
    kind: str = "literal"
    function: str = ""
    name: str = ""
    path: body.Path = ()
    options: tuple[Value, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether this is always a number."""
        return self.function == "len" or (not self.function and self.name in _NUMERIC)

    def value(self, answer: Answer) -> Value | None:
        """What stands for this side, or None where the answer has no such thing."""
        if self.kind == "literal":
            return Value(self.raw)
        found = self._found(answer)
        if self.function == "has":
            return Value("false" if found is None or not found.text else "true")
        if self.function == "len" and found is not None:
            size = len(found.text) if found.size is None else found.size
            return Value(str(size), size)
        return found

    def _found(self, answer: Answer) -> Value | None:
        if self.name == "BODY":
            return self._in_body(answer)
        if self.name == "HEADER":
            header = answer.headers.get(str(self.path[0]))
            return None if header is None else Value(header)
        if self.name == "CERTIFICATE_EXPIRATION":
            left = answer.certificate_s
            return None if left is None else Value(_duration(left), left * 1000.0)
        if self.name == "CONNECTED":
            return Value("true" if answer.connected else "false")
        if self.name == "IP":
            return Value(answer.ip)
        number = answer.status if self.name == "STATUS" else int(answer.response_ms)
        return Value(str(number), number)

    def _in_body(self, answer: Answer) -> Value | None:
        if not self.path:
            size = len(answer.json) if self.function == "len" and isinstance(answer.json, (list, dict)) else None
            return Value(answer.text, size=size)
        found = body.find(answer.json, self.path)
        if found is body.MISSING:
            return None
        number = found if isinstance(found, (int, float)) and not isinstance(found, bool) else None
        return Value(body.as_text(found), number, len(found) if isinstance(found, (str, list, dict)) else None)


def number_of(value: Value | None) -> float | None:
    """A number as such, or a duration in milliseconds."""
    if value is None or value.number is not None:
        return None if value is None else value.number
    if len(value.text) > _MOST_DIGITS:
        return None
    whole = _integer(value.text)
    if whole is not None:
        return whole
    try:
        number = float(value.text)
    except ValueError:
        pass
    else:
        return number if number - number == 0 else None  # neither infinite nor NaN
    try:
        return seconds(value.text) * 1000.0
    except ValueError:
        return None


def _integer(text: str) -> int | None:
    if len(text) > _MOST_DIGITS:
        return None
    try:
        return int(text, 0)
    except ValueError:
        return None


def same(a: Value, b: Value) -> bool:
    """Equal as numbers where one is a number and not merely looks like one: version 1.1 is not version 1.10."""
    if a.number is not None or b.number is not None:
        x, y = number_of(a), number_of(b)
        if x is not None and y is not None:
            return x == y
    first, second = _integer(a.text), _integer(b.text)
    if first is not None and second is not None:
        return first == second
    return a.text == b.text


def _duration(left_s: float) -> str:
    return human(left_s) if left_s >= 1 else "0s" if left_s >= 0 else f"-{human(-left_s)}"
