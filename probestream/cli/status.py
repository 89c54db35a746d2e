"""``probestream status`` and ``version``."""

from __future__ import annotations

import json

import typer

import probestream
from probestream.cli.common import DataOption, Failure, JsonOption, data_folder, table_console


def status(data: DataOption = None, as_json: JsonOption = False) -> None:
    """What runs on this machine: exit code 0 if everything runs, 1 if something does not or nothing does."""
    from dataclasses import asdict  # noqa: PLC0415

    from probestream.supervisor.status import read  # noqa: PLC0415

    folder = data_folder(data)
    now = read(folder)
    if as_json:
        typer.echo(json.dumps({"running": now is not None, **(asdict(now) if now else {})}, indent=2))
    elif now is None:
        raise Failure(f"nothing runs on the data folder {folder.path}; `probestream up` starts it")
    else:
        _print(asdict(now), str(folder.logs))
    raise typer.Exit(0 if now is not None and all(p.state == "running" for p in now.processes) else 1)


def _print(values: dict[str, object], logs: str) -> None:
    from rich.table import Table  # noqa: PLC0415

    console = table_console()
    table = Table("role", "state", "process", "restarts", "last exit", "since", box=None, header_style="bold")
    colours = {"running": "green", "restarting": "red", "stopped": "red"}
    processes = values["processes"]
    assert isinstance(processes, (list, tuple))
    for p in processes:
        state = f"[{colours.get(p['state'], 'yellow')}]{p['state']}[/]"
        table.add_row(p["role"], state, str(p["pid"] or ""), str(p["restarts"]), p["last_exit"] or "", p["since"])
    console.print(table)
    console.print(f"\nKafka {values['kafka']}   page {values['page'] or '-'}   logs {logs}", highlight=False)


def version() -> None:
    """Print the version."""
    typer.echo(f"probestream {probestream.__version__}")
