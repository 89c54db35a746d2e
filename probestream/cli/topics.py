"""``probestream topics`` and ``tail``: what lies on the log."""

from __future__ import annotations

import asyncio
import json
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
    table_console,
)


def topics(
    create: Annotated[bool, typer.Option("--create", help="Create those that are missing.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the topics in flow order: partitions, retention, records, who writes and who reads."""
    from probestream.cli.inspect import overview  # noqa: PLC0415 - Kafka's client is for commands that use it
    from streams.topics import create_topics  # noqa: PLC0415

    quiet_clients()
    kafka = cluster(load_config(config), data_folder(data))
    with reaching(kafka):
        if create:
            made = asyncio.run(create_topics(kafka))
            typer.echo(f"{len(made)} created", err=True)
        rows = asyncio.run(overview(kafka))
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, header_style="bold")
    for column in ("topic", "key", "partitions", "kept", "records", "written by", "read by"):
        number = column in ("partitions", "records")
        table.add_column(column, justify="right" if number else "left", no_wrap=number or column == "topic")
    for row in rows:
        records = "missing" if row["records"] is None else f"{row['records']:,}"
        table.add_row(
            *(str(row["topic"]), str(row["key"]), str(row["partitions"]), str(row["kept"]), records),
            *(", ".join(row["written_by"]), ", ".join(row["read_by"])),
        )
    console = table_console()
    console.print(table)
    console.print(f"\non {kafka.servers}, each name with the prefix {kafka.prefix!r}", highlight=False)


def _complete(incomplete: str) -> list[str]:
    from streams.topics import FLOW  # noqa: PLC0415

    return [t.name for t in FLOW if t.name.startswith(incomplete)]


def tail(
    topic: Annotated[str, typer.Argument(help="Name, with or without the prefix.", autocompletion=_complete)],
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All that is kept, then what comes.")
    ] = False,
    count: Annotated[
        int | None, typer.Option("--count", "-n", min=1, help="Stop after this many records.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Print a topic's records, decoded, as they come; Ctrl-C ends it."""
    import difflib  # noqa: PLC0415

    from probestream.cli.inspect import follow  # noqa: PLC0415
    from streams.topics import BY_NAME, FLOW  # noqa: PLC0415

    quiet_clients()
    settings = load_config(config)
    name = topic.removeprefix(settings.kafka.prefix)
    if name not in BY_NAME:
        close = difflib.get_close_matches(name, list(BY_NAME), n=1)
        raise UsageProblem(
            f"no topic {topic!r}; {f'did you mean {close[0]}? ' if close else ''}"
            f"topics: {', '.join(t.name for t in FLOW)}"
        )
    kafka = cluster(settings, data_folder(data))
    with reaching(kafka):
        asyncio.run(follow(kafka, BY_NAME[name], from_beginning=from_beginning, count=count, as_json=as_json))
