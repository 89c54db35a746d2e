"""``status.json`` in the data folder: what runs, for ``probestream status`` and for scripts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from probestream.data import DataFolder


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One process. `state` is waiting, starting, running, restarting or stopped."""

    role: str
    state: str
    pid: int | None
    restarts: int
    last_exit: str | None
    since: str


@dataclass(frozen=True, slots=True)
class Status:
    """A supervisor and its processes. `mode` is ``up`` or ``broker``."""

    mode: str
    pid: int
    started: str
    config: str | None
    kafka: str
    page: str | None
    processes: tuple[ChildStatus, ...]


def now() -> str:
    """The time as status.json has it: ISO 8601, UTC, seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def write(path: Path, status: Status) -> None:
    """Replace the file at once, so that nobody reads half of it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(json.dumps(asdict(status), indent=2) + "\n", "utf-8")
    temporary.replace(path)


def read(data: DataFolder) -> Status | None:
    """What runs on `data` now; None where nothing does."""
    if data.holder() is None:
        return None
    try:
        values = json.loads(data.status.read_text("utf-8"))
        children = tuple(ChildStatus(**child) for child in values.pop("processes"))
        return Status(**values, processes=children)
    except (OSError, ValueError, TypeError, KeyError):
        return None
