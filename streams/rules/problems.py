"""Errors inside a rule that name the very field, also where the rule was written in a short form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from streams.refusals import said

if TYPE_CHECKING:
    from collections.abc import Sequence

Place = tuple[str | int, ...]
# From where a field is after rewriting to where its author wrote it, and the column in that text, counted from 0.
Places = dict[Place, tuple[Place, int | None]]


def wrong(*problems: tuple[Place | str, str]) -> ValidationError:
    """One error for all `problems`, each a field (or path below this model) and a text."""
    return ValidationError.from_exception_data("rule", [_detail(p, t, None) for p, t in problems])


def wrong_at(place: Place, text: str, offset: int | None) -> ValidationError:
    """An error in the text of the field at `place`, at column `offset` of it, counted from 0."""
    return ValidationError.from_exception_data("rule", [_detail(place, text, offset)])


def relocated(error: ValidationError, places: Places) -> ValidationError:
    """`error` with each field where its author wrote it."""
    return ValidationError.from_exception_data("rule", [_moved(e, places) for e in error.errors()])


def _detail(place: Place | str, text: str, offset: int | None) -> InitErrorDetails:
    context: dict[str, Any] = {"text": text} if offset is None else {"text": text, "offset": offset}
    loc = (place,) if isinstance(place, str) else place
    # The text goes in by name: a brace in it is no field of a template.
    return InitErrorDetails(type=PydanticCustomError("rule", "{text}", context), loc=loc, input=None)


def _moved(error: Any, places: Places) -> InitErrorDetails:
    loc: Place = tuple(error["loc"])
    context: Mapping[str, Any] = error.get("ctx", {})
    offset = context.get("offset")
    for n in range(len(loc), 0, -1):
        if loc[:n] in places:
            written, column = places[loc[:n]]
            loc = written if column is not None else (*written, *loc[n:])
            offset = column if column is not None else offset
            break
    if error["type"] == "extra_forbidden":  # the loader looks for what was meant
        return InitErrorDetails(type="extra_forbidden", loc=loc, input=None)
    if error["type"] == "missing" and offset is None:
        return InitErrorDetails(type="missing", loc=loc, input=None)
    return _detail(loc, said(error), offset)


def joined(parts: Sequence[str], word: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {word} {parts[-1]}" if parts else ""
