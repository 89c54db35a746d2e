"""Conditions on an answer, written as in Gatus: ``[STATUS] == 200``, ``[BODY].user.name == pat(jo*)``.

Source: Gatus, README, "Conditions". Where Gatus quietly takes 0 for a value that is missing or no number, so that
``[BODY].errors < 5`` holds for a body without errors, the condition fails here; and numbers are compared whole, where
Gatus cuts off what is behind the point. Typing errors are found when the configuration is read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from agents.probe import body, pattern
from streams.units import human, seconds

_OPERATOR = re.compile(r" (==|!=|<=|>=|<|>) ")
_UNSPACED = re.compile(r"==|!=|<=|>=|<|>")
_PLACEHOLDER = re.compile(r"\[([A-Za-z_]+)\]")
_CALL = re.compile(r"([A-Za-z_]+)\((.*)\)", re.DOTALL)
_OPENED = re.compile(r"(len|has|pat|any)\(")
_NUMERIC = ("STATUS", "RESPONSE_TIME", "CERTIFICATE_EXPIRATION")
_NAMES = ("STATUS", "RESPONSE_TIME", "BODY", "CONNECTED", "CERTIFICATE_EXPIRATION", "HEADER", "IP")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_MOST_DIGITS = 64  # a body may be a megabyte of digits, and int() takes quadratic time
_MOST_SHOWN, _MOST_SHOWN_OF_PATTERN = 100, 25


class ConditionError(ValueError):
    """A text that is no condition."""


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
class _Value:
    text: str
    number: float | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class _Operand:
    """One side: a literal, pat(...), any(...), or a placeholder with perhaps len(...) or has(...) around it."""

    raw: str
    kind: str = "literal"
    function: str = ""
    name: str = ""
    path: body.Path = ()
    options: tuple[_Value, ...] = ()

    @property
    def numeric(self) -> bool:
        return self.function == "len" or (not self.function and self.name in _NUMERIC)

    def value(self, answer: Answer) -> _Value | None:
        """What stands for this side, or None where the answer has no such thing."""
        if self.kind == "literal":
            return _Value(self.raw)
        found = self._found(answer)
        if self.function == "has":
            return _Value("false" if found is None or not found.text else "true")
        if self.function == "len" and found is not None:
            size = len(found.text) if found.size is None else found.size
            return _Value(str(size), size)
        return found

    def _found(self, answer: Answer) -> _Value | None:
        if self.name == "BODY":
            return self._in_body(answer)
        if self.name == "HEADER":
            header = answer.headers.get(str(self.path[0]))
            return None if header is None else _Value(header)
        if self.name == "CERTIFICATE_EXPIRATION":
            left = answer.certificate_s
            return None if left is None else _Value(_duration(left), left * 1000.0)
        if self.name == "CONNECTED":
            return _Value("true" if answer.connected else "false")
        if self.name == "IP":
            return _Value(answer.ip)
        number = answer.status if self.name == "STATUS" else int(answer.response_ms)
        return _Value(str(number), number)

    def _in_body(self, answer: Answer) -> _Value | None:
        if not self.path:
            size = len(answer.json) if self.function == "len" and isinstance(answer.json, (list, dict)) else None
            return _Value(answer.text, size=size)
        found = body.find(answer.json, self.path)
        if found is body.MISSING:
            return None
        number = found if isinstance(found, (int, float)) and not isinstance(found, bool) else None
        return _Value(body.as_text(found), number, len(found) if isinstance(found, (str, list, dict)) else None)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, parsed."""

    left: _Operand
    operator: str
    right: _Operand

    @property
    def wants_body(self) -> bool:
        """Whether the body has a part in it."""
        return "BODY" in (self.left.name, self.right.name)

    def failure(self, answer: Answer) -> str | None:
        """None where the condition holds; else itself with the values seen: ``[STATUS] (503) == 200``."""
        left, right = self.left.value(answer), self.right.value(answer)
        if self._holds(left, right):
            return None
        return f"{self._shown(self.left, left, self.right)} {self.operator} {self._shown(self.right, right, self.left)}"

    def _holds(self, left: _Value | None, right: _Value | None) -> bool:
        if self.operator in _ORDER:
            a, b = _number(left), _number(right)
            return a is not None and b is not None and _ORDER[self.operator](a, b)
        return self._equal(left, right) is (self.operator == "==")

    def _equal(self, left: _Value | None, right: _Value | None) -> bool:
        if left is None or right is None:
            return False
        for side, value in ((self.left, right), (self.right, left)):
            if side.kind == "pat":
                return pattern.matches(side.options[0].text, value.text)
            if side.kind == "any":
                return any(_same(option, value) for option in side.options)
        return _same(left, right)

    @staticmethod
    def _shown(side: _Operand, value: _Value | None, other: _Operand) -> str:
        if side.kind != "placeholder":
            return side.raw
        if value is None:
            return f"{side.raw} (INVALID)"
        most = _MOST_SHOWN_OF_PATTERN if other.kind == "pat" else _MOST_SHOWN
        text = value.text if len(value.text) <= most else f"{value.text[:most]}...(truncated)"
        return f"{side.raw} ({text})"


@lru_cache(maxsize=65536)
def parse(text: str) -> Condition:
    """The condition in `text`. Raises ConditionError."""
    try:
        return _parse(text.strip())
    except ConditionError:
        raise
    except ValueError as error:
        raise ConditionError(f"condition {text!r}: {error}") from error


def _parse(text: str) -> Condition:
    found = _OPERATOR.search(text)
    if found is None:
        hint = (
            "an operator has a value on both sides, and a space before and after it"
            if _UNSPACED.search(text)
            else "write for instance [STATUS] == 200"
        )
        raise ValueError(hint)
    operator = found.group(1)
    left, right = _operand(text[: found.start()].strip()), _operand(text[found.end() :].strip())
    if "placeholder" not in (left.kind, right.kind):
        raise ValueError(f"neither side is one of {', '.join(f'[{n}]' for n in _NAMES)}")
    for side, other in ((left, right), (right, left)):
        if side.kind in ("pat", "any") and operator not in ("==", "!="):
            raise ValueError(f"{side.kind}(...) goes with == and != only")
        texts = [side.raw] if side.kind == "literal" else [o.text for o in side.options] if side.kind == "any" else []
        if operator in _ORDER or other.numeric:
            for literal in texts:
                if _number(_Value(literal)) is None:
                    raise ValueError(f"{literal!r} is neither a number nor a duration such as 300ms or 48h")
    return Condition(left, operator, right)


def _operand(text: str) -> _Operand:
    call = _CALL.fullmatch(text)
    name, inside = (call.group(1), call.group(2)) if call else ("", "")
    if name == "pat":
        pattern.check(inside)
        return _Operand(text, "pat", options=(_Value(inside),))
    if name == "any":
        return _Operand(text, "any", options=tuple(_Value(option.strip()) for option in inside.split(",")))
    if name in ("len", "has"):
        inner = _operand(inside.strip())
        if inner.kind != "placeholder" or inner.function:
            raise ValueError(f"{name}(...) takes one of {', '.join(f'[{n}]' for n in _NAMES)}, not {inside!r}")
        return _Operand(text, "placeholder", name, inner.name, inner.path)
    if name and _PLACEHOLDER.match(inside):
        raise ValueError(f"unknown function {name}; known: len, has, pat, any")
    if not call and _OPENED.match(text):
        raise ValueError(f"the bracket of {text.split('(', 1)[0]}( is never closed")
    placeholder = _PLACEHOLDER.match(text)
    return (
        _placeholder(text, placeholder.group(1).upper(), text[placeholder.end() :]) if placeholder else _Operand(text)
    )


def _placeholder(text: str, name: str, rest: str) -> _Operand:
    if name not in _NAMES:
        close = difflib.get_close_matches(name, _NAMES, n=1)
        known = f"did you mean [{close[0]}]?" if close else f"known: {', '.join(f'[{n}]' for n in _NAMES)}"
        raise ValueError(f"unknown placeholder [{name}]; {known}")
    path: body.Path = ()
    if name == "BODY":
        path = body.parse_path(rest)
    elif name == "HEADER":
        if not re.fullmatch(r"\.[!#$%&'*+.^_`|~0-9A-Za-z-]+", rest):
            raise ValueError("a header is written [HEADER].Content-Type")
        path = (rest[1:].lower(),)
    elif rest:
        raise ValueError(f"{rest!r} after [{name}]")
    return _Operand(text, "placeholder", "", name, path)


def _number(value: _Value | None) -> float | None:
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


def _same(a: _Value, b: _Value) -> bool:
    """Equal as numbers where one is a number and not merely looks like one: version 1.1 is not version 1.10."""
    if a.number is not None or b.number is not None:
        x, y = _number(a), _number(b)
        if x is not None and y is not None:
            return x == y
    first, second = _integer(a.text), _integer(b.text)
    if first is not None and second is not None:
        return first == second
    return a.text == b.text


def _duration(left_s: float) -> str:
    return human(left_s) if left_s >= 1 else "0s" if left_s >= 0 else f"-{human(-left_s)}"
