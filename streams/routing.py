"""Who hears of an alert: a tree of routes as in Alertmanager's configuration.

Source: Alertmanager documentation, "Configuration", `<route>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from streams.labels import MatcherText, matches
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from schemas import Alert


class Route(Settings):
    """A node of the tree. An alert goes down to the deepest routes that match; `continue` lets siblings see it too."""

    receiver: str | None = Field(default=None, description="Inherited from the parent where absent.")
    matchers: tuple[MatcherText, ...] = ()
    continue_: bool = Field(default=False, alias="continue")
    routes: tuple[Route, ...] = ()


def labels_of(alert: Alert) -> dict[str, str]:
    """What routes match on: the alert's labels, and its rule as Alertmanager calls it."""
    return _matched(alert, {**alert.labels, "severity": alert.severity})


def labels_told(alert: Alert) -> list[dict[str, str]]:
    """The labels, as `labels_of`, that the alert was told with so far, oldest first: its rule may have been edited."""
    return [_matched(alert, labels) for labels in alert.told_as] or [labels_of(alert)]


def _matched(alert: Alert, labels: Mapping[str, str]) -> dict[str, str]:
    called = labels.get("alertname", "")  # the two rules of a pair have one name
    name = called if alert.rule.startswith(f"{called}:") else alert.rule
    return {**labels, "alertname": name, "rule": alert.rule, "target": alert.target}


def receivers_of(route: Route, labels: Mapping[str, str]) -> list[str]:
    """Receivers that an alert with `labels` goes to, each once, in the order of the tree."""
    return list(dict.fromkeys(_walk(route, labels, None)))


def _walk(route: Route, labels: Mapping[str, str], inherited: str | None) -> Iterator[str]:
    receiver = route.receiver or inherited
    reached = False
    for child in route.routes:
        if matches(child.matchers, labels):
            reached = True
            yield from _walk(child, labels, receiver)
            if not child.continue_:
                break
    if not reached and receiver is not None:
        yield receiver


def named_receivers(route: Route) -> set[str]:
    """Every receiver that the tree names."""
    own = {route.receiver} if route.receiver else set()
    return own.union(*(named_receivers(r) for r in route.routes)) if route.routes else own
