"""What is wrong with a file, and where; and the reading of files that may be too large, or no text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where; line and column count from 1, 0 means unknown."""

    file: str
    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.field + ': ' if self.field else ''}{self.message}"


class ConfigError(ValueError):
    """The configuration cannot be used; `problems` has every complaint."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(p) for p in problems))
        self.problems = problems


def read_text(path: Path) -> str:
    """The text of a file. Raises ConfigError."""
    try:
        if (size := path.stat().st_size) > _MAX_BYTES:
            with path.open("rb") as file:
                raise ConfigError([at_end(str(path), file.read(_MAX_BYTES), _too_large(size))])
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(path), 0, 0, "", f"cannot be read: {error.strerror}")]) from error
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        raise ConfigError([at_end(str(path), before, f"is not UTF-8: {error.reason}; save it as UTF-8")]) from error


def refuse_large(text: str, file: str) -> None:
    """Raise ConfigError where `text` is more than is read."""
    if len(text) > _MAX_BYTES:
        raise ConfigError([at_end(file, text[:_MAX_BYTES].encode("utf-8", "replace"), _too_large(len(text)))])


def at_end(file: str, before: bytes, message: str) -> Problem:
    """A problem with what comes after `before`, the beginning of the file."""
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "ignore")) + 1
    return Problem(file, line, column, "", message)


def _too_large(size: int) -> str:
    return (
        f"{size / 1e6:.1f} MB are too much, at most {_MAX_BYTES / 1e6:.1f} MB are read, up to here: let a rule match "
        "many targets, and applications push the samples of very many (detect.unknown_targets: accept)"
    )
