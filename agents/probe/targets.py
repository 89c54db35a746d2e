"""What is to be checked: the file's targets, overlaid by those of the control topic."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pydantic import ValidationError

from agents.probe.settings import Target, target_of
from streams.control import Controls
from streams.control_bodies import problems

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas import Control
    from streams.control_bodies import TargetFace

_log = logging.getLogger("probestream.probe")


class Targets:
    """A target that was taken out at run time is not checked; one that was changed keeps the file's address.

    One that says itself how it is checked needs none. `allow_private` is for those.
    """

    def __init__(self, base: Iterable[Target], *, allow_private: bool = False) -> None:
        self.base = tuple(base)
        self._allow_private = allow_private
        self._controls = Controls()

    def take(self, control: Control) -> bool:
        """Take in a record of the control topic; whether it may change what is checked."""
        return control.kind == "target" and self._controls.take(control) is None

    def in_force(self) -> tuple[Target, ...]:
        """Every target that is to be checked; those of the file first, in its order."""
        base = {target.name: target for target in self.base}
        found: list[Target | None] = []
        for name, target in self._controls.overlaid("target", self.base).items():
            if isinstance(target, Target):
                found.append(target)
            else:
                found.append(self._own(target) or (_changed(base[name], target) if name in base else None))
        return tuple(target for target in found if target is not None)

    def _own(self, face: TargetFace) -> Target | None:
        try:
            return target_of(face, allow_private=self._allow_private)
        except ValueError as error:  # of a writer who looked at nothing
            told = problems(error) if isinstance(error, ValidationError) else error
            _log.warning("target %s cannot be checked as it was changed: %s", face.name, told)
            return None


def _changed(target: Target, face: TargetFace) -> Target:
    """The file's target with what the control topic says of its times."""
    return target.model_copy(update={"every": face.every, "timeout": face.timeout})
