"""What a test showed: what was wanted and not there, what there was instead, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas import Alert

Path = tuple["str | int", ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is other than wanted; `path` is where it stands in the test, `why` the values that led to it."""

    path: Path
    at_s: float | None
    wanted: str
    got: tuple[str, ...]
    why: tuple[str, ...] = ()

    @property
    def is_difference(self) -> bool:
        """Whether `got` are the lines of a difference, which say themselves what was wanted."""
        return self.at_s is None


@dataclass(slots=True)
class Verdict:
    """How one thing that was wanted came out, and the alerts that met it."""

    failure: Failure | None = None
    met: list[Alert] = field(default_factory=list)


@dataclass(slots=True)
class Result:
    """How one test came out; `met` are the alerts that met something wanted, `fired` the rules that fired at all."""

    name: str
    failures: list[Failure] = field(default_factory=list)
    met: list[Alert] = field(default_factory=list)
    fired: set[str] = field(default_factory=set)
    transitions: list[Alert] = field(default_factory=list)
    start_ms: float = 0.0
    checks: int = 0
    took_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether all that was wanted is there."""
        return not self.failures


def clock(at_s: float) -> str:
    """A time within a test: ``1h5m``, ``90s`` as ``1m30s``, ``1.25s``; the start is ``0s``."""
    rest, text = round(at_s * 100) * 10, ""  # people act a millisecond after what they act upon
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        count, rest = divmod(rest, length)
        text += f"{count}{unit}" if count else ""
    return text + (f"{rest / 1000:g}s" if rest or not text else "")
