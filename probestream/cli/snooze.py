"""``probestream snooze``, ``audit`` and ``reload``."""

from __future__ import annotations

from typing import Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem, config_path
from probestream.cli.control import ActorOption, Session, accepted, actor_of, run, show_changes, tell


def snooze(
    alert: Annotated[str, typer.Argument(help="The alert's id, or how it begins.")],
    for_: Annotated[str | None, typer.Option("--for", help="How long, such as 30m.", show_default=False)] = None,
    until: Annotated[str | None, typer.Option("--until", help="Until when.", show_default=False)] = None,
    wake: Annotated[bool, typer.Option("--wake", help="End the snooze.")] = False,
    comment: Annotated[str, typer.Option("--comment", "-m", help="Why.", show_default=False)] = "",
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

    async def work(session: Session) -> None:
        from probestream.cli.active import active_alerts  # noqa: PLC0415

        active = {a.id: a for a in await active_alerts(session.kafka)}
        found = [a for i, a in active.items() if i.startswith(alert)]
        if len(found) != 1:
            raise Failure(f"{len(found) or 'no'} active alerts have an id that begins with {alert!r}")
        body = None if wake else {"until": end, "comment": comment}
        done = accepted(await session.client.change("snooze", found[0].id, body, None, actor_of(actor)))
        what = f"{found[0].rule} on {found[0].target}"
        tell(done, f"{what} is awake" if wake else f"{what} is quiet until {iso(end)}", as_json)

    run(config, data, work)


def audit(
    kind: Annotated[str, typer.Option("--kind", help="Only this kind: rule, silence, …", show_default=False)] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1)] = 50,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every change at run time, accepted and refused, newest first: who, when, from what to what."""

    async def work(session: Session) -> None:
        changes = [c for c in (await session.client.refresh()).audit() if not kind or c.kind == kind]
        show_changes(changes[:count], as_json, named=True)

    run(config, data, work)


def reload(config: ConfigOption = None, data: DataOption = None) -> None:
    """Bring what changed in the configuration file to roles that run by themselves; `probestream up` does it itself."""

    async def work(session: Session) -> None:
        from probestream.config import located  # noqa: PLC0415
        from probestream.reload import publish  # noqa: PLC0415
        from streams.control_client import ControlClient  # noqa: PLC0415

        path = config_path(config)
        client = ControlClient(session.kafka, "cli-reload")
        try:
            done = await publish(located(path), client, str(path))
        finally:
            await client.close()
        for line in done:
            typer.echo(line)
        typer.echo(f"{path}: {len(done)} change{'' if len(done) == 1 else 's'}")

    run(config, data, work)
