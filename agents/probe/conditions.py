"""Conditions on an answer, written as in Gatus: ``[STATUS] == 200``, ``[BODY].user.name == pat(jo*)``.

Source: Gatus, README, "Conditions". Where Gatus quietly takes 0 for a value that is missing or no number, so that
``[BODY].errors < 5`` holds for a body without errors, the condition fails here; and numbers are compared whole, where
Gatus cuts off what is behind the point. Typing errors are found when the configuration is read.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from agents.probe import body, pattern
from agents.probe.operands import Answer, Operand, Value, number_of, same

_OPERATOR = re.compile(r" (==|!=|<=|>=|<|>) ")
_UNSPACED = re.compile(r"==|!=|<=|>=|<|>")
_PLACEHOLDER = re.compile(r"\[([A-Za-z_]+)\]")
_CALL = re.compile(r"([A-Za-z_]+)\((.*)\)", re.DOTALL)
_OPENED = re.compile(r"(len|has|pat|any)\(")
_NAMES = ("STATUS", "RESPONSE_TIME", "BODY", "CONNECTED", "CERTIFICATE_EXPIRATION", "HEADER", "IP")
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_MOST_SHOWN, _MOST_SHOWN_OF_PATTERN = 100, 25


class ConditionError(ValueError):
    """A text that is no condition."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, parsed."""

    left: Operand
    operator: str
    right: Operand

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

    def _holds(self, left: Value | None, right: Value | None) -> bool:
        if self.operator in _ORDER:
            a, b = number_of(left), number_of(right)
            return a is not None and b is not None and _ORDER[self.operator](a, b)
        return self._equal(left, right) is (self.operator == "==")

    def _equal(self, left: Value | None, right: Value | None) -> bool:
        if left is None or right is None:
            return False
        for side, value in ((self.left, right), (self.right, left)):
            if side.kind == "pat":
                return pattern.matches(side.options[0].text, value.text)
            if side.kind == "any":
                return any(same(option, value) for option in side.options)
        return same(left, right)

    @staticmethod
    def _shown(side: Operand, value: Value | None, other: Operand) -> str:
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
                if number_of(Value(literal)) is None:
                    raise ValueError(f"{literal!r} is neither a number nor a duration such as 300ms or 48h")
    return Condition(left, operator, right)


def _operand(text: str) -> Operand:
    call = _CALL.fullmatch(text)
    name, inside = (call.group(1), call.group(2)) if call else ("", "")
    if name == "pat":
        pattern.check(inside)
        return Operand(text, "pat", options=(Value(inside),))
    if name == "any":
        return Operand(text, "any", options=tuple(Value(option.strip()) for option in inside.split(",")))
    if name in ("len", "has"):
        inner = _operand(inside.strip())
        if inner.kind != "placeholder" or inner.function:
            raise ValueError(f"{name}(...) takes one of {', '.join(f'[{n}]' for n in _NAMES)}, not {inside!r}")
        return Operand(text, "placeholder", name, inner.name, inner.path)
    if name and _PLACEHOLDER.match(inside):
        raise ValueError(f"unknown function {name}; known: len, has, pat, any")
    if not call and _OPENED.match(text):
        raise ValueError(f"the bracket of {text.split('(', 1)[0]}( is never closed")
    placeholder = _PLACEHOLDER.match(text)
    return _placeholder(text, placeholder.group(1).upper(), text[placeholder.end() :]) if placeholder else Operand(text)


def _placeholder(text: str, name: str, rest: str) -> Operand:
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
    return Operand(text, "placeholder", "", name, path)
