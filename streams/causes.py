"""Which alert is the cause of another: the one of something it depends on, that is down.

A target is down while an alert that passes `cause` fires on it. When a host dies, its services may be noticed first:
so an alert of a target that depends on something waits a moment (`hold`) for the news of a cause, longer while a
cause's alert is already pending, and a moment after the cause is up again (`settle`) it has time to recover by itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from streams.dependencies import Dependencies
from streams.labels import MatcherText, matches
from streams.settings import Settings
from streams.units import Duration


class DependencySettings(Settings):
    """How alerts of targets with `depends_on` are treated; targets without it never wait."""

    cause: tuple[MatcherText, ...] = Field(
        default=('severity="critical"',),
        description="Matchers on an alert that means that its target is down and takes down what depends on it.",
    )
    hold: Duration = Field(
        default=5.0, le=300, description="How long an alert of a dependant waits for the news that its cause is down."
    )
    longest_hold: Duration = Field(
        default=60.0, le=3600, description="The same while an alert of a cause is pending: until it fires or ceases."
    )
    settle: Duration = Field(
        default=60.0, le=3600, description="How long after its cause is up a dependant has to recover by itself."
    )


Reason = tuple[str, str, float | None]


class Causes:
    """What is down, what is about to be, and what came up."""

    def __init__(self, graph: Dependencies, settings: DependencySettings) -> None:
        self.graph, self.settings = graph, settings
        self._down: dict[str, dict[str, float]] = {}  # target -> alert -> began
        self._pending: dict[str, dict[str, float]] = {}
        self._up: dict[str, tuple[float, str]] = {}  # target -> when its last cause ended, and the alert
        self._known: dict[str, str | None] = {}  # target -> cause, as long as `_down` stays
        self._noted: dict[str, tuple[str, Mapping[str, str], float, bool]] = {}  # alert -> what is needed to note it

    def means_down(self, labels: Mapping[str, str]) -> bool:
        """Whether an alert with `labels` means that its target is down."""
        return matches(self.settings.cause, labels)

    def replace(self, graph: Dependencies, settings: DependencySettings) -> None:
        """Go on with other dependencies, or other settings: which alerts mean "down" is asked anew."""
        different = settings.cause != self.settings.cause
        self.graph, self.settings = graph, settings
        self._known.clear()
        if different:
            self._down.clear()
            self._pending.clear()
            for alert, (target, labels, began, firing) in self._noted.items():
                if self.means_down(labels):
                    _put(self._down if firing else self._pending, target, alert, began)

    def note(
        self,
        alert: str,
        target: str,
        labels: Mapping[str, str],
        began: float,
        at: float,
        *,
        firing: bool,
        pending: bool,
    ) -> None:
        """Take in the state of an alert; `at` is when it came into it, 0 where that is not known."""
        if firing or pending:
            self._noted[alert] = (target, labels, began, firing)
        else:
            self._noted.pop(alert, None)
        means_down = self.means_down(labels)
        _put(self._pending, target, alert, began if pending and means_down else None)
        was_down = alert in self._down.get(target, ())
        if firing and means_down:
            if not was_down:
                _put(self._down, target, alert, began)
                self._known.clear()
        elif was_down:
            _put(self._down, target, alert, None)
            self._known.clear()
            if target not in self._down:
                self._up[target] = max(self._up.get(target, (0.0, "")), (at, alert))

    def decide(self, target: str, began: float, now: float) -> Reason | None:
        """Reason, alert and time to ask again, for an alert of `target` that began at `began`; or None: tell it."""
        above = self.graph.ancestors(target)
        if not above:
            return None
        if (cause := self._cause(target, above)) is not None:
            return "cause_down", cause, None
        if self._pending and now < (until := began + self.settings.longest_hold * 1000):
            waiting = [(b, alert) for t in above for alert, b in self._pending.get(t, {}).items()]
            if waiting:
                return "waiting_for_cause", min(waiting)[1], until
        if now < (until := began + self.settings.hold * 1000):
            return "waiting_for_cause", "", until
        if self._up:
            ended, alert = max((self._up[t] for t in above if t in self._up), default=(0.0, ""))
            if began <= ended and now < (until := ended + self.settings.settle * 1000):
                return "waiting_after_cause", alert, until
        return None

    def _cause(self, target: str, above: tuple[str, ...]) -> str | None:
        if not self._down:
            return None
        if target not in self._known:
            # The topmost speaks for all below it; nothing above it is down, for that would lie higher still.
            found = [(self.graph.depth[t], b, alert) for t in above for alert, b in self._down.get(t, {}).items()]
            self._known[target] = min(found)[2] if found else None
        return self._known[target]


def _put(held: dict[str, dict[str, float]], target: str, alert: str, began: float | None) -> None:
    if began is not None:
        held.setdefault(target, {})[alert] = began
    elif target in held:
        held[target].pop(alert, None)
        if not held[target]:
            del held[target]
