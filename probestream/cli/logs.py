"""``probestream logs``: log lines into the pipeline, and what was learnt of them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from probestream.cli.common import (
    ConfigOption,
    DataOption,
    JsonOption,
    UsageProblem,
    cluster,
    data_folder,
    load_config,
    quiet_clients,
    reaching,
    show_table,
)

app = typer.Typer(no_args_is_help=True, help="Send log lines, watch them, and see the templates they follow.")
TargetOption = Annotated[str, typer.Option("--target", "-t", help="The target whose lines they are.")]


@app.command("send")
def send(
    target: TargetOption,
    files: Annotated[list[Path] | None, typer.Argument(help="Files to send; without one, standard input.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Each line is a JSON object with message, level, time.")
    ] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Send lines of files or of standard input, as they come: `tail -F app.log | probestream logs send -t api`.

    Passwords, tokens, keys and card numbers are replaced before a line leaves this process.
    """
    from probestream.cli.log_sender import Sender  # noqa: PLC0415 - Kafka's client is for commands that use it

    quiet_clients()
    settings = load_config(config)
    _check(target, {t.name: t.kind for t in settings.targets}, settings.detect.unknown_targets == "accept")
    if missing := [f for f in files or () if not f.is_file()]:
        raise UsageProblem(f"{missing[0]} is no file")
    kafka = cluster(settings, data_folder(data))
    with reaching(kafka):
        sent = asyncio.run(Sender(kafka, target, as_json=as_json).run(files or []))
    typer.echo(f"{sent.lines:,} lines sent", err=True)
    if sent.bad:
        typer.echo(f"{sent.bad:,} lines were no JSON objects with a message, and went as text", err=True)


@app.command("tail")
def tail(
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="Only this target's.", show_default=False)
    ] = None,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All that is kept, then what comes.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Stop after so many lines.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print lines as they come in; Ctrl-C ends it."""
    from probestream.cli.log_reader import lines  # noqa: PLC0415

    quiet_clients()
    kafka = cluster(load_config(config), data_folder(data))

    async def follow() -> None:
        left = count
        async for name, level, message in lines(kafka, target, from_beginning=from_beginning):
            typer.echo(f"{name}{f' {level}' if level else ''}: {message}")
            sys.stdout.flush()
            if left is not None and (left := left - 1) == 0:
                return

    with reaching(kafka):
        asyncio.run(follow())


@app.command("templates")
def templates(
    target: TargetOption, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """List the templates that a target's lines follow, as far as the logs role has stored them."""
    import json  # noqa: PLC0415

    from probestream.cli.log_reader import known_templates  # noqa: PLC0415

    quiet_clients()
    settings = load_config(config)
    kafka = cluster(settings, data_folder(data))
    with reaching(kafka):
        found = asyncio.run(known_templates(kafka, settings.logs, target))
    if as_json:
        values = [{"id": t.id, "level": t.level, "template": t.text, "example": t.example} for t in found]
        typer.echo(json.dumps(values, indent=2))
        return
    if not found:
        typer.echo(f"no lines of {target} were counted yet")
        return
    rows = ((str(one.id), one.level, one.text) for one in found)
    show_table(("id", "level", "template"), rows, whole=("id", "level"), right=("id",))


def _check(target: str, kinds: dict[str, str], accept_unknown: bool) -> None:
    """Refuse now what the logs role would refuse later."""
    import difflib  # noqa: PLC0415

    kind = kinds.get(target)
    if kind is None and not accept_unknown:
        close = difflib.get_close_matches(target, list(kinds), n=1)
        raise UsageProblem(
            f"no target {target!r} in the configuration; {f'did you mean {close[0]}? ' if close else ''}"
            f"add one: {{name: {target}, push: {{}}}}"
        )
    if kind not in (None, "push"):
        raise UsageProblem(
            f"target {target} is checked by a probe ({kind}), and its lines would count as checks: give them a target "
            f"of their own: {{name: {target}-logs, push: {{}}}}"
        )
