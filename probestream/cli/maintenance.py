"""``probestream maintenance``: windows by the calendar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem
from probestream.cli.control import (
    ActorOption,
    ExpectedOption,
    NoteOption,
    Session,
    accepted,
    actor_of,
    read_mapping,
    run,
    tell,
)
from probestream.cli.silence import show_hits

if TYPE_CHECKING:
    from streams.control import Controls
    from streams.maintenance import Window

app = typer.Typer(help="Maintenance windows by the calendar.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="YAML or JSON file with one window; - for standard input.")]
Count = Annotated[int, typer.Option("--next", "-n", min=1, max=100, help="How many occurrences to show.")]


@app.command("list")
def listing(
    count: Count = 3, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the windows with their next occurrences; one that goes on is the first of them."""
    from streams.units import now_ms  # noqa: PLC0415

    async def work(session: Session) -> list[tuple[Window, int]]:
        controls = await session.client.refresh()
        return [(w, controls.version("maintenance", n)) for n, w in sorted(in_force(session, controls).items())]

    now = now_ms()
    rows = [described(window, version, now, count) for window, version in run(config, data, work)]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        show(row)


def described(window: Window, version: int, now: float, count: int) -> dict[str, Any]:
    """A window with its next occurrences, in UTC."""
    from streams.instants import iso  # noqa: PLC0415

    return {
        "name": window.name,
        "version": version,
        "active": window.calendar.active(now) is not None,
        "next": [{"starts": iso(s), "ends": iso(e)} for s, e in window.calendar.upcoming(now, count)],
        "window": window.model_dump(mode="json", by_alias=True, exclude_defaults=True),
    }


def show(row: dict[str, Any]) -> None:
    """Print a window for people."""
    window = row["window"]
    rule = window.get("rrule", "once")
    about = ", ".join([*window.get("targets", ()), *window.get("matchers", ())])
    active = "  now" if row["active"] else ""
    typer.echo(f"{row['name']}{active}  {about}  {rule} {window['start']} {window.get('timezone', 'UTC')}")
    for one in row["next"]:
        typer.echo(f"    {one['starts']} to {one['ends']}")
    if not row["next"]:
        typer.echo("    over")


def in_force(session: Session, controls: Controls) -> dict[str, Window]:
    """Every window: the file's, overlaid by those of the log."""
    gone = {r.id for r in controls.records("maintenance") if r.deleted}
    both = {w.name: w for w in session.config.maintenance} | controls.live("maintenance")
    return {k: w for k, w in both.items() if k not in gone}


@app.command("preview")
def preview(file: File, count: Count = 10, config: ConfigOption = None, data: DataOption = None) -> None:
    """Show the next occurrences of a window, and what it would keep quiet, without making it."""
    from streams.control_bodies import parse_body  # noqa: PLC0415
    from streams.units import now_ms  # noqa: PLC0415

    body = read_mapping(file)

    async def work(session: Session) -> None:
        window: Window = parse_body("maintenance", str(body.get("name", "preview")), body)
        await session.client.refresh()
        show(described(window, 0, now_ms(), count))
        await show_hits(session, window.hits)

    run(config, data, work)


@app.command("set")
def set_window(
    file: File,
    expected: ExpectedOption = None,
    note: NoteOption = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make or replace a window."""
    body = read_mapping(file)
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise UsageProblem(f"{file}: name: is required")

    async def work(session: Session) -> None:
        done = await session.client.change("maintenance", name, body, expected, actor_of(actor), note=note)
        tell(accepted(done), f"window {name} set", as_json)

    run(config, data, work)


@app.command("delete")
def delete(
    name: Annotated[str, typer.Argument(help="The window's name.")],
    expected: ExpectedOption = None,
    note: NoteOption = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a window out, also one of the file."""

    async def work(session: Session) -> None:
        held = in_force(session, await session.client.refresh())
        if name not in held:
            raise Failure(f"no window is named {name!r}; there are: {', '.join(sorted(held)) or 'none'}")
        done = await session.client.change("maintenance", name, None, expected, actor_of(actor), note=note)
        tell(accepted(done), f"window {name} taken out", as_json)

    run(config, data, work)
