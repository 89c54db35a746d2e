"""Log lines on their way in: from JSON or plain text to batches of one target."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from schemas import LogBatch
from streams.log_text import level_of, redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MOST_CHARACTERS = 16_384
"""A longer line is cut here on its way in; the logs role may cut it further, and counts it."""
MOST_LINES = 2_000
_MOST_BYTES = 400_000
_MOST_ATTRIBUTES = 20
_MOST_ATTRIBUTE = 200

# The names that log shippers and libraries give to the same thing, the likeliest first.
_TIMES = ("time", "timestamp", "@timestamp", "ts", "date", "datetime", "asctime", "eventTime")
_LEVELS = ("level", "severity", "lvl", "levelname", "log.level", "level_name", "priority", "severity_text")
_MESSAGES = ("message", "msg", "log", "line", "text", "body", "event", "MESSAGE")


class Line(NamedTuple):
    """One line, without secrets; `time` in milliseconds since the Unix epoch, None where it has none."""

    message: str
    time: float | None = None
    level: str = ""
    attributes: Mapping[str, str] = {}


class LineError(ValueError):
    """An object that is no log line."""


def plain(text: str) -> Line:
    """The line that is only text."""
    return Line(_text(text))


def from_object(values: Mapping[str, Any]) -> Line:
    """The line in a JSON object, under any of the usual names. Raises LineError where it has no message."""
    rest = dict(values)
    name = next((n for n in _MESSAGES if isinstance(rest.get(n), str)), None)
    if name is None:
        raise LineError(f"no message: one of the fields {', '.join(_MESSAGES[:5])} must be a text")
    message = rest.pop(name)
    time = None
    for name in _TIMES:
        if name in rest and (time := milliseconds(rest[name])) is not None:
            del rest[name]
            break
    level = ""
    for name in _LEVELS:
        if name in rest and (level := level_of(str(rest[name]))):
            del rest[name]
            break
    attributes: dict[str, str] = {}
    for key, value in rest.items():
        if len(attributes) == _MOST_ATTRIBUTES:
            break
        if isinstance(value, (str, int, float, bool)):
            # Together, for the name is what tells that the value is a secret.
            shown = redact(f"{str(key)[:100]}={value}"[: _MOST_ATTRIBUTE + 100])
            attributes[str(key)[:100]] = shown.partition("=")[2] if "=" in shown else shown
    return Line(_text(message), time, level, attributes)


def milliseconds(value: object) -> float | None:
    """A time in any usual form as milliseconds since the Unix epoch: ISO 8601, or seconds, ms, µs or ns as a number.

    None for what is no time. Without a zone it is UTC.
    """
    if isinstance(value, str):
        try:
            return milliseconds(float(value))
        except ValueError:
            pass
        try:
            found = datetime.fromisoformat(value.strip().replace(",", "."))
        except ValueError:
            return None
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        return None
    number = float(value)
    while number > 1e14:  # the year 5138 in milliseconds: so they are micro- or nanoseconds
        number /= 1000.0
    return number * 1000.0 if number < 1e11 else number


def parse(body: bytes, target: str = "") -> dict[str, list[Line]]:
    """Lines by target from JSON: `{"target", "lines"}`, an object a line, a list of these, or JSON lines of these.

    An item without a target is of `target`; bytes that are no UTF-8 become U+FFFD. Raises LineError.
    """
    text = body.decode("utf-8", "replace")
    found: dict[str, list[Line]] = {}
    try:
        _collect(orjson.loads(text), target, found, "")
    except orjson.JSONDecodeError:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                try:
                    value = orjson.loads(line)
                except orjson.JSONDecodeError as error:
                    raise LineError(f"line {number} is no JSON: {error.msg} at character {error.colno}") from None
                _collect(value, target, found, f"line {number}: ")
    return found


def _collect(value: Any, target: str, found: dict[str, list[Line]], where: str) -> None:
    """Add the lines in a JSON `value` to `found`."""
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            place = f"{where}item {number}"
            if isinstance(item, list):
                raise LineError(f"{place} is a list within a list")
            _collect(item, target, found, f"{place}: ")
        return
    if isinstance(value, dict):
        own = value.get("target")
        target = own if isinstance(own, str) and own else target
        if isinstance(value.get("lines"), list):
            _collect(value["lines"], target, found, where)
            return
    line = _line(value, where)
    if not target:
        raise LineError(f"{where}no target: name it in the object or as ?target=NAME")
    found.setdefault(target, []).append(line)


def _line(value: Any, where: str) -> Line:
    if isinstance(value, str):
        return plain(value)
    if not isinstance(value, dict):
        raise LineError(f"{where}a line is a text or an object, not {type(value).__name__}")
    try:
        return from_object({k: v for k, v in value.items() if k != "target"})
    except LineError as error:
        raise LineError(f"{where}{error}") from None


def _text(text: str) -> str:
    return redact(text[:MOST_CHARACTERS].rstrip("\r\n")).replace("\x00", "")


def batches(target: str, lines: Iterable[Line]) -> Iterator[LogBatch]:
    """`lines` of `target` as records that each fit into the topic."""
    batch, size = LogBatch(target=target), 0
    for line in lines:
        cost = 4 * len(line.message) + 40 + sum(4 * (len(k) + len(v)) for k, v in line.attributes.items())
        if batch.message and (size + cost > _MOST_BYTES or len(batch.message) >= MOST_LINES):
            yield batch
            batch, size = LogBatch(target=target), 0
        for name, value in line.attributes.items():
            batch.attributes.append({"row": len(batch.message), "name": name, "value": value})
        batch.time.append(math.nan if line.time is None else line.time)
        batch.level.append(line.level)
        batch.message.append(line.message)
        size += cost
    if batch.message:
        yield batch
