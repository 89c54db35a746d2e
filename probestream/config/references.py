"""What the sections of a configuration say of each other, with the place of each complaint."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from streams.dependencies import Dependencies, DependencyError
from streams.rules.expand import written_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from probestream.config.model import Config

Place = tuple["str | int", ...]


def broken(config: Config) -> Iterator[tuple[Place, str]]:
    """Path of the field and message of everything that names what is not there, or goes in a circle."""
    try:
        Dependencies(config.targets)
    except DependencyError as error:
        for target, index, message in error.problems:
            yield ("targets", target, "depends_on", index), message
    names = {t.name for t in config.targets}
    for i, window in enumerate(config.maintenance):
        for j, name in enumerate(window.targets):
            if name not in names:
                close = difflib.get_close_matches(name, names, n=1)
                meant = f"; did you mean {close[0]!r}?" if close else ""
                yield ("maintenance", i, "targets", j), f"no target is named {name!r}{meant}"
    known = {r.name for r in config.receivers}
    for i, wish in enumerate(config.preferences):
        for j, name in enumerate(wish.reaches(wish.name)):
            if name not in known:
                where = ("receivers", j) if wish.receivers else ("name",)
                yield ("preferences", i, *where), _no_receiver(name, known)
    yield from _steps(config)


def _no_receiver(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]!r}?" if close else f"defined: {', '.join(sorted(known)) or 'none'}"
    return f"no receiver is named {name!r}; {meant}"


def _steps(config: Config) -> Iterator[tuple[Place, str]]:
    """Receivers that the escalation of a rule names and nobody defines, by the rule's place in the file."""
    known = {r.name for r in config.receivers}
    # The two rules that came of one in the file stand where that one does.
    written = {written_name(r): r for r in config.rules}
    for i, rule in enumerate(written.values()):
        for j, step in enumerate(rule.escalate):
            for unknown in sorted(set(step.receivers) - known):
                yield ("rules", i, "escalate", j, "receivers"), _no_receiver(unknown, known)
