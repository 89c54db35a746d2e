"""Whether an alert is to be kept quiet now, why, and until when. It never says whether it fires: watching goes on.

`Suppressions` is fed the control topic's records and every alert's latest state, of all partitions, and answers from
these and the time alone: every reader of the same log gives the same answers. In this order: a silence, a maintenance
window, a cause that is down, an inhibition.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from schemas import Control
from streams.causes import Causes, DependencySettings
from streams.control import Controls
from streams.control_bodies import SINGLE
from streams.dependencies import Dependencies, DependencyError
from streams.inhibition import Inhibitor, InhibitRule, id_of
from streams.label_index import LabelIndex
from streams.maintenance import Window
from streams.silences import DeclaredSilence, Silence

log = logging.getLogger("probestream.control")
KINDS = ("silence", "maintenance", "target", "inhibit_rule", "dependencies")
"""Records of the control topic that suppress, or say what depends on what."""
_QUIET = ("", "pending", "resolved", "cancelled")


@dataclass(frozen=True, slots=True)
class AlertView:
    """What the decision needs to know of an alert.

    `began`, and `at`, when it came into this state, are milliseconds since the Unix epoch; without an `at`, alerts of
    dependants are told at once when their cause is up again.
    """

    id: str
    rule: str
    target: str
    labels: Mapping[str, str] = field(compare=False)
    severity: str
    state: str
    began: float
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Suppressed:
    """Keep quiet: `reason` for programs, `by` what does it (the id of a silence, window or alert).

    Reasons: silenced, maintenance, cause_down, waiting_for_cause, waiting_after_cause, inhibited. `until` is the first
    time, in milliseconds, at which to ask again though nothing else has happened; None where only a change of an alert
    or a control record can end it.
    """

    reason: str
    by: str
    until: float | None = None


class Suppressions:
    """Every silence, window, cause and inhibition. A control record replaces what the file declares by its name."""

    def __init__(
        self,
        *,
        dependencies: Dependencies | None = None,
        inhibit_rules: Iterable[InhibitRule] = (),
        maintenance: Iterable[Window] = (),
        silences: Iterable[DeclaredSilence] = (),
        settings: DependencySettings | None = None,
    ) -> None:
        self.dependencies = dependencies or Dependencies()
        self._declared = tuple(self.dependencies.nodes)
        self._declared_rules = {id_of(rule): rule for rule in inhibit_rules}
        self._declared_settings = settings or DependencySettings()
        self._stale: set[str] = set()
        self._inhibitor = Inhibitor(self._declared_rules.values())
        self._causes = Causes(self.dependencies, self._declared_settings)
        self._controls = Controls()
        self._windows = {w.name: w for w in maintenance}
        self._silences: LabelIndex[Silence] = LabelIndex()
        for silence in silences:
            self._silences.put(silence.name, silence.matchers, silence)
        # By alert: what hits its labels whatever the time; dropped when silences or windows change.
        self._hits: dict[str, tuple[Mapping[str, str], list[tuple[str, Silence]], list[tuple[str, Window]]]] = {}

    def take(self, record: Control) -> None:
        """Take in a record of the control topic; kinds that suppress nothing, and refused changes, are passed over."""
        if record.kind not in KINDS or self._controls.take(record) is not None:
            return
        if record.kind not in ("silence", "maintenance"):
            self._stale.add(record.kind)
            return
        self._hits.clear()
        value = self._controls.value(record.kind, record.id)
        if record.kind == "silence":
            self._silences.drop(record.id)
        else:
            self._windows.pop(record.id, None)
        if isinstance(value, Silence):
            self._silences.put(record.id, value.matchers, value)
        elif isinstance(value, Window):
            self._windows[record.id] = value

    def note(self, alert: AlertView) -> None:
        """Take in an alert's latest state, whatever it is."""
        firing = alert.state not in _QUIET
        if not firing and alert.state != "pending":
            self._hits.pop(alert.id, None)
        self._inhibitor.note(alert.id, _labels(alert), alert.began, firing=firing)
        self._causes.note(
            alert.id, alert.target, alert.labels, alert.began, alert.at, firing=firing, pending=alert.state == "pending"
        )

    def decide(self, alert: AlertView, now: float) -> Suppressed | None:
        """Why `alert` is not to be told at `now` (milliseconds), or None where it is."""
        silences, windows = self._hitting(alert)
        # Of several the one that lasts longest, so that an expiry within another is no news.
        ends = [(s.ends, key) for key, s in silences if s.state(now) == "active"]
        if ends:
            until, by = max(ends)
            return Suppressed("silenced", by, until)
        ends = [(span[1], key) for key, w in windows if (span := w.calendar.active(now)) is not None]
        if ends:
            until, by = max(ends)
            return Suppressed("maintenance", by, until)
        self.refresh()
        if (cause := self._causes.decide(alert.target, alert.began, now)) is not None:
            return Suppressed(*cause)
        by_alert = self._inhibitor.by(_labels(alert), alert.id)
        return Suppressed("inhibited", by_alert) if by_alert is not None else None

    def next_begin(self, now: float) -> float:
        """The next time, in milliseconds, at which a silence or a window begins; infinite where none does."""
        starts = [s.starts for _, s in self._silences if s.starts > now]
        for window in self._windows.values():
            starts += [start for start, _ in window.calendar.upcoming(now, 2) if start > now]
        return min(starts, default=math.inf)

    def _hitting(self, alert: AlertView) -> tuple[list[tuple[str, Silence]], list[tuple[str, Window]]]:
        known = self._hits.get(alert.id)
        if known is None or known[0] != alert.labels:
            labels = _labels(alert)
            known = (
                alert.labels,
                list(self._silences.hits(labels)),
                [(key, w) for key, w in self._windows.items() if w.hits(alert.target, labels)],
            )
            self._hits[alert.id] = known
        return known[1], known[2]

    def taken_down(self, target: str) -> list[str]:
        """Every target that depends on `target`, directly or not, in order of name."""
        self.refresh()
        return self.dependencies.taken_down(target)

    def takes_down(self, alert: AlertView) -> list[str]:
        """What the target of `alert` takes down with it, in order of name; nothing where it does not mean "down"."""
        self.refresh()
        return self.taken_down(alert.target) if self._causes.means_down(alert.labels) else []

    def refresh(self) -> None:
        """Bring other targets, inhibitions and settings into force; a graph that cannot be leaves the old one."""
        if not self._stale:
            return
        stale, self._stale = self._stale, set()
        if "target" in stale:
            try:
                self.dependencies = Dependencies(self._controls.overlaid("target", self._declared).values())
            except DependencyError as error:
                log.warning("the targets' dependencies stay as they were: %s", error)
        if "inhibit_rule" in stale:
            self._inhibitor.replace(self._controls.laid_over("inhibit_rule", self._declared_rules).values())
        self._causes.replace(self.dependencies, self._settings())

    def _settings(self) -> DependencySettings:
        key = SINGLE["dependencies"]
        there = self._controls.laid_over("dependencies", {key: self._declared_settings})
        return there.get(key) or DependencySettings()


def _labels(alert: AlertView) -> Mapping[str, str]:
    """The alert's labels with its target, which for a group is the group's name."""
    return alert.labels if "target" in alert.labels else {**alert.labels, "target": alert.target}
