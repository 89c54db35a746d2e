"""Who is told of a transition, and who is not and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.routing import Route, labels_of, labels_told, receivers_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agents.notify.preferences import Withheld
    from schemas import Alert

TO_SEND = ""


@dataclass(frozen=True, slots=True)
class Planned:
    """One integration to tell; with `skip`, the named reason why it is not told, and `why` in words."""

    receiver: str
    integration: int
    skip: str = TO_SEND
    why: str = ""


def plan(
    alert: Alert,
    route: Route,
    send_resolved: Mapping[str, Sequence[bool]],
    *,
    told: AbstractSet[tuple[str, int]] | None,
    reports_unrouted: bool,
    withheld: Callable[[str], Withheld | None] = lambda _: None,
) -> list[Planned]:
    """The integrations of one channel that `alert` concerns.

    `send_resolved` holds one entry per integration of each receiver in this channel. `told` are the (receiver,
    integration) pairs told of this alert before, None where its beginning was not seen. `reports_unrouted` is true
    for the one channel that puts on record that an alert had no receiver at all. `withheld` says why people do not
    want a receiver to be told; of the end it hears all the same where it was told of the beginning.
    """
    if not alert.notify:
        return []
    names = concerned(alert, route)
    if not names:
        return [Planned("", 0, "no_route")] if reports_unrouted else []
    return [
        _planned(alert, told, (name, number), resolved=resolved, withheld=withheld)
        for name in names
        for number, resolved in enumerate(send_resolved.get(name, ()))
    ]


def concerned(alert: Alert, route: Route) -> list[str]:
    """The receivers of `alert`, each once, by its labels; of its end, by all the labels that it was told with.

    Those that an escalation names hear of its step and of the end, whatever the routes say.
    """
    labels = labels_told(alert) if alert.state == "resolved" else [labels_of(alert)]
    return list(dict.fromkeys([*(name for some in labels for name in receivers_of(route, some)), *alert.receivers]))


def _planned(
    alert: Alert,
    told: AbstractSet[tuple[str, int]] | None,
    integration: tuple[str, int],
    *,
    resolved: bool,
    withheld: Callable[[str], Withheld | None],
) -> Planned:
    if alert.state != "resolved":
        against = withheld(integration[0])
        return Planned(*integration) if against is None else Planned(*integration, against.reason, against.text)
    if not resolved:
        return Planned(*integration, "send_resolved_off")
    # Only a beginning that was seen proves that nobody was told; after a restart in between, one message too many
    # is better than one too few.
    if told is not None and integration not in told:
        return Planned(*integration, "firing_not_told")
    return Planned(*integration)
