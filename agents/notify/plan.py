"""Who is told of a transition, and who is not and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.routing import Route, labels_of, receivers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from schemas import Alert

TO_SEND = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """One integration to tell; with `skip`, the named reason why it is not told."""

    receiver: str
    integration: int
    skip: str = TO_SEND


def plan(
    alert: Alert,
    route: Route,
    send_resolved: Mapping[str, Sequence[bool]],
    *,
    told: AbstractSet[tuple[str, int]] | None,
    reports_unrouted: bool,
) -> list[Planned]:
    """The integrations of one channel that `alert` concerns.

    `send_resolved` holds one entry per integration of each receiver in this channel. `told` are the (receiver,
    integration) pairs told of this alert before, None where its beginning was not seen. `reports_unrouted` is true
    for the one channel that puts on record that an alert had no receiver at all.
    """
    if not alert.notify:
        return []
    # Those that an escalation names hear of its step and of the end, whatever the routes say.
    names = list(dict.fromkeys([*receivers_of(route, labels_of(alert)), *alert.receivers]))
    if not names:
        return [Planned("", 0, "no_route")] if reports_unrouted else []
    return [
        Planned(name, number, _skip(alert, told, (name, number), resolved=resolved))
        for name in names
        for number, resolved in enumerate(send_resolved.get(name, ()))
    ]


def _skip(
    alert: Alert, told: AbstractSet[tuple[str, int]] | None, integration: tuple[str, int], *, resolved: bool
) -> str:
    if alert.state != "resolved":
        return TO_SEND
    if not resolved:
        return "send_resolved_off"
    # Only a beginning that was seen proves that nobody was told; after a restart in between, one message too many
    # is better than one too few.
    if told is not None and integration not in told:
        return "firing_not_told"
    return TO_SEND
