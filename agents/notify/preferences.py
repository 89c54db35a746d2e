"""Whom a page is withheld from because they do not want it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.control import Controls
from streams.preferences import QUIET_HOURS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Control
    from streams.preferences import DeclaredPreference, Preference


@dataclass(frozen=True, slots=True)
class Withheld:
    """An alert is not told: `reason` for programs, `text` for people, with whose wish it is."""

    reason: str
    text: str


class Preferences:
    """Everybody's: those of the file, overlaid by those of the control topic."""

    def __init__(self, declared: Iterable[DeclaredPreference] = ()) -> None:
        self._declared = tuple(declared)
        self._controls = Controls()
        self._of: dict[str, dict[str, Preference]] = {}
        self._sort()

    def take(self, control: Control) -> None:
        """Take in a record of the control topic."""
        if control.kind == "preference" and self._controls.take(control) is None:
            self._sort()

    def _sort(self) -> None:
        self._of = {}
        for person, wish in sorted(self._controls.overlaid("preference", self._declared).items()):
            for receiver in wish.reaches(person):
                self._of.setdefault(receiver, {})[person] = wish

    def concern(self, receivers: Iterable[str]) -> bool:
        """Whether anybody has a wish about one of these receivers."""
        return any(receiver in self._of for receiver in receivers)

    def withheld(self, receiver: str, channel: str, severity: str, now: float) -> Withheld | None:
        """Why a receiver is not told by a channel; None where it is.

        A receiver that reaches several people is told as long as one of those who have a wish would be; when the quiet
        hours of one are over, it is told what was withheld.
        """
        wishes = self._of.get(receiver, {})
        found = [(person, wish.against(channel, severity, now)) for person, wish in wishes.items()]
        said = [(person, against) for person, against in found if against is not None]
        if not said or len(said) < len(found):
            return None
        text = "; ".join(f"{self._whose(person)}: {words}" for person, (_, words) in said)
        reasons = [reason for _, (reason, _) in said]
        return Withheld(QUIET_HOURS if QUIET_HOURS in reasons else reasons[0], text)

    def keeps(self, receiver: str, channel: str, severity: str, now: float) -> bool:
        """Whether there is a reason in `withheld`, which takes a hundred times as long: for who asks every second."""
        wishes = self._of.get(receiver, {})
        return bool(wishes) and all(wish.keeps(channel, severity, now) for wish in wishes.values())

    def _whose(self, person: str) -> str:
        version = self._controls.version("preference", person)
        return f"{person} (version {version})" if version else f"{person} (file)"
