"""What is in force for detection: what the file says, until the control topic says something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.admission import Declared
from streams.in_force import InForce

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agents.probe.settings import Target
    from streams.rules import Rule


def terms_of(targets: Iterable[Target], rules: Iterable[Rule]) -> InForce:
    """The rules and targets of the file."""
    known = list(targets)
    declared = {t.name: Declared(t.baseline_ms, t.baseline_error_rate) for t in known}
    return InForce(rules, {t.name: t.all_labels for t in known}, declared)
