"""What became of telling: the ledger's steps of an alert, in words."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from streams.explain.model import Moment
from streams.explain.words import clock, listed
from streams.preferences import QUIET_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Notification

_SKIPPED = {
    "no_route": "no route has a receiver for it",
    "send_resolved_off": "it does not want to hear of the end (send_resolved is off)",
    "firing_not_told": "it was not told of the beginning",
}
_WISH = "preference_"
_ENDS = ("resolved",)


@dataclass(slots=True)
class Told:
    """What the ledger says of telling people that an alert fires: who has it since when, and who has not and why."""

    at: float | None
    receivers: list[str]
    failed: list[str]


def moments(steps: Iterable[Notification]) -> list[Moment]:
    """Every step, oldest first; an intent that has an outcome is left out."""
    known = sorted(steps, key=lambda s: (s.at, s.attempt))
    done = {_attempt(s) for s in known if s.outcome != "intent"}
    return [
        Moment(at=step.at, what="delivery", said=_said(step), facts=asdict(step))
        for step in known
        if step.outcome != "intent" or _attempt(step) not in done
    ]


def _attempt(step: Notification) -> tuple[int, str, str, int, int]:
    return step.number, step.receiver, step.channel, step.integration, step.attempt


def _whom(step: Notification) -> str:
    return f"{step.receiver} by {step.channel}" if step.receiver else "nobody"


def _skipped(step: Notification) -> str:
    """Why somebody was not told, in words; empty where that is no matter of words."""
    if step.reason.startswith(_WISH):
        late = "; told when that is over, if it still fires" if step.reason == QUIET_HOURS else ""
        return f"not wanted, by the preference of {step.error}{late}"
    return _SKIPPED.get(step.reason, "")


def _said(step: Notification) -> str:
    again = " (it may have been told before: the process died in between)" if step.repeat else ""
    why = f"{step.reason}{f': {step.error}' if step.error else ''}"
    match step.outcome:
        case "delivered":
            tries = f", at attempt {step.attempt}" if step.attempt > 1 else ""
            return f"{_whom(step)} was told: {step.state} ({step.reason}{tries}){again}"
        case "failed":
            return f"{_whom(step)} could not be told: {step.state}, attempt {step.attempt}: {why}; it is tried again"
        case "given_up":
            return f"{_whom(step)} was given up after {step.attempt} attempts: {step.state}: {why}"
        case "skipped":
            return f"{_whom(step)} was not told: {step.state}: {_skipped(step) or why}"
        case _:
            return f"{_whom(step)} is being told: {step.state}, attempt {step.attempt}; no outcome is on record"


def told(steps: Iterable[Notification]) -> Told:
    """Who was told that it fires, by the first delivery to each; and what went wrong with the others."""
    first: dict[str, float] = {}
    wrong: dict[str, str] = {}
    for step in sorted(steps, key=lambda s: (s.at, s.attempt)):
        if step.state in _ENDS:
            continue
        if step.outcome == "delivered":
            first.setdefault(_whom(step), step.at)
            wrong.pop(_whom(step), None)
        elif step.outcome != "intent":
            wished = step.reason.startswith(_WISH) and f"{_whom(step)}: {_skipped(step)}"
            wrong[_whom(step)] = wished or _skipped(step) or f"{_whom(step)}: {step.outcome} ({step.reason})"
    return Told(min(first.values(), default=None), list(first), list(wrong.values()))


def in_short(found: Told, near_ms: float) -> str:
    """Who was told and when: ``ops by slack at 03:12:04``."""
    assert found.at is not None
    return f"{listed(found.receivers)} at {clock(found.at, near_ms)}"
