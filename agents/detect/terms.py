"""The rules and targets in force: those of the file, overlaid by what the control topic says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from streams.admission import Declared
from streams.control import Controls
from streams.rules import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.probe.settings import Target
    from schemas import Control
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")
_KINDS = ("rule", "threshold", "target")


class Watched(Protocol):
    """What is to be known of a target."""

    @property
    def name(self) -> str: ...
    @property
    def all_labels(self) -> dict[str, str]: ...


class Terms:
    """Rules, with the version of each that came by the control topic, labels by target, and what is declared normal."""

    def __init__(self, targets: Iterable[Target], rules: Iterable[Rule]) -> None:
        self._targets, self._base = list(targets), tuple(rules)
        self._controls = Controls()
        self._stale = True
        self.rules: tuple[Rule, ...] = ()
        self.versions: dict[str, int] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.declared: dict[str, Declared] = {}
        self.refresh()

    def take(self, control: Control) -> None:
        """Take in a record of the control topic; `refresh` brings it into force."""
        if control.kind not in _KINDS:
            return
        refused = self._controls.take(control)
        if refused is not None:
            log.warning("control: %s", refused.message)
        else:
            self._stale = True

    def refresh(self) -> bool:
        """Bring what was taken in into force; whether anything is different."""
        if not self._stale:
            return False
        self._stale = False
        there: dict[str, Watched] = {t.name: t for t in self._targets}
        declared = {t.name: Declared(t.baseline_ms, t.baseline_error_rate) for t in self._targets}
        for record in self._controls.records("target"):
            there.pop(record.id, None)
        there |= self._controls.live("target")
        labels: dict[str, Mapping[str, str]] = {name: target.all_labels for name, target in there.items()}
        rules = self._controls.rules(expand(self._base))
        different = (rules, labels) != (self.rules, self.labels)
        self.rules, self.labels = rules, labels
        self.declared = {name: d for name, d in declared.items() if name in labels}
        self.versions = {
            r.name: max(self._controls.version("rule", n) for n in (r.name, r.pair) if n) for r in self.rules
        }
        return different

    def labels_of(self, target: str) -> Mapping[str, str]:
        """The labels of a target, also of one that nobody configured: it pushes its samples."""
        return self.labels.get(target) or {"target": target, "kind": "push"}
