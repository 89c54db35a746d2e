"""The rules and targets that detection goes by: those of the file, overlaid by what the control topic says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streams.admission import Declared
from streams.control import Controls
from streams.rules import expand

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas import Control
    from streams.control_bodies import TargetFace
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")
KINDS = ("rule", "threshold", "target")


class InForce:
    """Rules, with the version of each that came by the control topic, labels by target, and what is declared normal.

    `rules` are as the file has them, `labels` and `declared` by the names of its targets.
    """

    def __init__(
        self, rules: Iterable[Rule], labels: Mapping[str, Mapping[str, str]], declared: Mapping[str, Declared]
    ) -> None:
        self._base, self._labels, self._declared = expand(rules), labels, declared
        self._controls = Controls()
        self._stale = True
        self.rules: tuple[Rule, ...] = ()
        self.versions: dict[str, int] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.declared: dict[str, Declared] = {}
        self.refresh()

    def take(self, control: Control) -> None:
        """Take in a record of the control topic; `refresh` brings it into force."""
        if control.kind not in KINDS:
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
        labels, declared = dict(self._labels), dict(self._declared)
        for record in self._controls.records("target"):
            labels.pop(record.id, None)
            declared.pop(record.id, None)
        live: dict[str, TargetFace] = self._controls.live("target")
        labels |= {name: target.all_labels for name, target in live.items()}
        declared |= {name: Declared(t.baseline_ms, t.baseline_error_rate) for name, t in live.items()}
        rules = self._controls.rules(self._base)
        different = (rules, labels, declared) != (self.rules, self.labels, self.declared)
        self.rules, self.labels, self.declared = rules, labels, declared
        self.versions = {
            r.name: max(self._controls.version("rule", n) for n in (r.name, r.pair) if n) for r in self.rules
        }
        return different

    def labels_of(self, target: str) -> Mapping[str, str]:
        """The labels of a target, also of one that nobody configured: it pushes its samples."""
        return self.labels.get(target) or {"target": target, "kind": "push"}
