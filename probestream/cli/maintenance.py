"""``probestream maintenance``: windows by the calendar."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.changing import Kind, add_delete, add_history, add_rollback, add_set
from probestream.cli.common import ConfigOption, DataOption, JsonOption
from probestream.cli.control import Session, Written, run
from probestream.cli.silence import show_hits

if TYPE_CHECKING:
    from streams.control import Controls
    from streams.maintenance import Window

WINDOW = Kind("maintenance", "window")
app = typer.Typer(help="Maintenance windows by the calendar.", no_args_is_help=True)
File = Annotated[str, typer.Argument(help="YAML or JSON file with one window; - for standard input.")]
Count = Annotated[int, typer.Option("--next", "-n", min=1, max=100, help="How many occurrences to show.")]


@app.command("list")
def listing(
    count: Count = 3, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the windows with their next occurrences; one that goes on is the first of them."""
    from streams.units import now_ms  # noqa: PLC0415

    async def work(session: Session) -> list[dict[str, Any]]:
        controls = await session.client.refresh()
        held = sorted(_held(session, controls).items())
        return [window.described(controls.version("maintenance", name), now, count) for name, window in held]

    now = now_ms()
    rows = run(config, data, work)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        show(row)


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


@app.command("preview")
def preview(file: File, count: Count = 10, config: ConfigOption = None, data: DataOption = None) -> None:
    """Show the next occurrences of a window, and what it would keep quiet, without making it."""
    from streams.control_bodies import parse_body  # noqa: PLC0415
    from streams.units import now_ms  # noqa: PLC0415

    written = Written(file)

    async def work(session: Session) -> None:
        with written.blamed("maintenance"):
            window: Window = parse_body("maintenance", str(written.body.get("name", "preview")), written.body)
        await session.client.refresh()
        show(window.described(0, now_ms(), count))
        await show_hits(session, window.hits)

    run(config, data, work)


def _held(session: Session, controls: Controls) -> dict[str, Window]:
    return controls.overlaid("maintenance", session.config.maintenance)


add_set(app, WINDOW, "Make or replace a window.")
add_delete(app, WINDOW, "Take a window out, also one of the file.", _held)
add_history(app, WINDOW)
add_rollback(app, WINDOW)
