"""Whose lines count: targets that applications push to, of the file and of the control topic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.control import Controls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.probe.settings import Target
    from schemas import Control


class Known:
    """The targets in force. `accept_unknown` is whether lines of a target that is not among them count."""

    def __init__(self, targets: Iterable[Target], *, accept_unknown: bool) -> None:
        self._base, self._accept_unknown = tuple(targets), accept_unknown
        self._controls = Controls()
        self._kinds: dict[str, str] = {}
        self._stale = True
        self.refresh()

    def take(self, control: Control) -> None:
        """Take in a record of the control topic; `refresh` brings it into force."""
        if control.kind == "target" and self._controls.take(control) is None:
            self._stale = True

    def refresh(self) -> None:
        """Bring what was taken in into force."""
        if self._stale:
            self._stale = False
            self._kinds = {name: target.kind for name, target in self._controls.overlaid("target", self._base).items()}

    def refusal(self, target: str) -> str:
        """Why lines of `target` do not count, as a named reason; an empty text where they do."""
        kind = self._kinds.get(target)
        if kind is None:
            return "" if self._accept_unknown else "unknown_target"
        return "" if kind == "push" else "wrong_kind"
