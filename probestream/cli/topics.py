"""``probestream topics`` and ``tail``: what lies on the log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

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
    numbers = ("partitions", "records")
    columns = ("topic", "key", "partitions", "kept", "records", "written by", "read by")
    show_table(columns, map(_cells, rows), whole=("topic", *numbers), right=numbers)
    typer.echo(f"\non {kafka.servers}, each name with the prefix {kafka.prefix!r}")


def _cells(row: dict[str, Any]) -> Iterator[str]:
    yield from (str(row[name]) for name in ("topic", "key", "partitions", "kept"))
    yield "missing" if row["records"] is None else f"{row['records']:,}"
    yield from (", ".join(row[name]) for name in ("written_by", "read_by"))


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
