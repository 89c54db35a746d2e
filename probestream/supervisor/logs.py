"""A child's output: every line to its log file, the ones that matter to the terminal."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from pathlib import Path

MAX_BYTES = 10 * 1024 * 1024
_OLDER = 2
_MATTERS = re.compile(rb"^\S+ \S+ +(WARNING|ERROR|CRITICAL) +probestream\b")
_LONGEST_LINE = 64 * 1024


class LogFile:
    """A file that lines are appended to; at `max_bytes` it becomes ``name.1``, and ``name.2`` before that."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._file = path.open("ab", buffering=0)

    def write(self, line: bytes) -> None:
        """Append `line`, which has no line end. On a full disk it is lost: the role must not wait for room."""
        with contextlib.suppress(OSError):
            if self._file.tell() > self.max_bytes:
                self._rotate()
            self._file.write(line + b"\n")

    def close(self) -> None:
        self._file.close()

    def _rotate(self) -> None:
        self._file.close()
        for age in range(_OLDER, 0, -1):
            older = self.path if age == 1 else self.path.with_name(f"{self.path.name}.{age - 1}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{age}"))
        self._file = self.path.open("ab", buffering=0)


class Limit:
    """Lets `most` things through in each `per_s` seconds, and counts the rest."""

    def __init__(self, most: int = 5, per_s: float = 10.0) -> None:
        self.most, self.per_s = most, per_s
        self.held = 0
        self._since = float("-inf")
        self._passed = 0

    def allow(self, now_s: float) -> bool:
        """Whether one more may pass at `now_s`."""
        if now_s - self._since >= self.per_s:
            self._since, self._passed, self.held = now_s, 0, 0
        if self._passed < self.most:
            self._passed += 1
            return True
        self.held += 1
        return False


def matters(line: bytes) -> bool:
    """Whether `line`, as our logging writes it, is a warning or worse of our own.

    What libraries say is in the log file: most of it is a retry that succeeds.
    """
    return _MATTERS.match(line) is not None


async def pump(reader: asyncio.StreamReader, take: Callable[[bytes], None]) -> None:
    """Hand each line of `reader` to `take` until the other end closes; one without an end comes in pieces."""
    rest = b""
    while chunk := await reader.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            take(line.rstrip(b"\r"))
        if len(rest) > _LONGEST_LINE:
            take(rest)
            rest = b""
    if rest:
        take(rest)
