"""``probestream ack``, ``snooze`` and ``resolve``: what a person asks of one alert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem
from probestream.cli.control import ActorOption, Session, accepted, actor_of, run, tell

if TYPE_CHECKING:
    from schemas import Alert as Active

_MOST_SHOWN = 20
Alert = Annotated[str, typer.Argument(help="The alert's id, or how it begins.")]
Comment = Annotated[str, typer.Option("--comment", "-m", help="Why.", show_default=False)]


def ack(
    alert: Alert,
    undo: Annotated[bool, typer.Option("--undo", help="Nobody cares for it any more.")] = False,
    comment: Comment = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that you care for an alert: no reminders and no escalation until it resolves."""
    body = None if undo else {"comment": comment}
    done = "is for anybody again" if undo else f"is acknowledged by {actor_of(actor)}"
    _ask("ack", alert, body, done, actor, (config, data), as_json)


def resolve(
    alert: Alert,
    comment: Comment = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call an alert over; none follows before its rule has ceased to hold."""
    _ask("resolve", alert, {"comment": comment}, "is called resolved", actor, (config, data), as_json)


def snooze(
    alert: Alert,
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 30m.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when.", show_default=False)] = None,
    wake: Annotated[bool, typer.Option("--wake", help="End the snooze.")] = False,
    comment: Comment = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell nothing of an alert for a while; if it still fires then, it is told again."""
    from streams.instants import instant, iso  # noqa: PLC0415
    from streams.units import now_ms, seconds  # noqa: PLC0415

    if [for_ is not None, until is not None, wake].count(True) != 1:
        raise UsageProblem("give --for, --until or --wake, one of them")
    end = 0.0
    try:
        if not wake:
            end = instant(until) if until is not None else now_ms() + seconds(for_) * 1000.0
    except ValueError as error:
        raise UsageProblem(str(error)) from error
    body = None if wake else {"until": end, "comment": comment}
    _ask("snooze", alert, body, "is awake" if wake else f"is quiet until {iso(end)}", actor, (config, data), as_json)


def _ask(
    kind: str,
    alert: str,
    body: dict[str, Any] | None,
    done: str,
    actor: str,
    where: tuple[Path | None, Path | None],
    as_json: bool,
) -> None:
    """Write what is asked of the one active alert whose id begins so."""

    async def work(session: Session) -> None:
        from probestream.cli.active import active_alerts  # noqa: PLC0415

        active = await active_alerts(session.kafka)
        found = [a for a in active if a.id.startswith(alert)]
        if len(found) != 1:
            missed = f"{len(found) or 'no'} active alerts have an id that begins with {alert!r}"
            raise Failure(missed + _which(found or [a for a in active if alert in (a.target, a.rule)] or active))
        change = await session.client.change(kind, found[0].id, body, None, actor_of(actor))
        tell(accepted(change), f"{found[0].rule} on {found[0].target} {done}", as_json)

    run(*where, work)


def _which(alerts: list[Active]) -> str:
    """The alerts to choose from, the latest first, as the end of a complaint."""
    if not alerts:
        return "; none is active"
    shown = [f"\n  {a.id}  {a.severity} {a.rule} on {a.target}, {a.state}" for a in alerts[::-1][:_MOST_SHOWN]]
    more = f"\n  and {len(alerts) - _MOST_SHOWN} more" if len(alerts) > _MOST_SHOWN else ""
    return f"; choose from:{''.join(shown)}{more}"
