"""``probestream rules``: the rules in force, and their change at run time."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, JsonOption, UsageProblem, table_console
from probestream.cli.control import (
    ActorOption,
    ExpectedOption,
    NoteOption,
    Session,
    accepted,
    actor_of,
    read_mapping,
    run,
    show_changes,
    tell,
)

app = typer.Typer(help="The rules in force, and their change at run time.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The rule's name.")]


@app.command("list")
def listing(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the rules as they are judged: the file's, overlaid by what was changed at run time."""

    async def work(session: Session) -> list[dict[str, Any]]:
        controls = await session.client.refresh()
        rows = []
        for rule in controls.rules(session.config.rules):
            names = [n for n in (rule.name, rule.pair) if n]
            changed = next((r for n in names if (r := controls.current("rule", n)) is not None), None)
            rows.append(
                {
                    "name": rule.name,
                    "severity": rule.severity,
                    "version": changed.version if changed else 0,
                    "by": changed.actor if changed else "file",
                    "threshold": any(controls.value("threshold", n) is not None for n in names),
                    "rule": rule.model_dump(mode="json", by_alias=True, exclude_unset=True),
                }
            )
        return rows

    rows = run(config, data, work)
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, header_style="bold")
    for column in ("rule", "severity", "metric", "", "value", "version", "by"):
        table.add_column(column, no_wrap=column == "rule")
    for row in rows:
        rule = row["rule"]
        value = f"{rule.get('value', '')}{' (threshold changed)' if row['threshold'] else ''}"
        table.add_row(
            *(row["name"], row["severity"], str(rule.get("metric", "")), str(rule.get("operator", ">"))),
            *(value, str(row["version"] or "-"), row["by"]),
        )
    table_console().print(table)


@app.command("set")
def set_rule(
    file: Annotated[str, typer.Argument(help="YAML or JSON file with one rule; - for standard input.")],
    expected: ExpectedOption = None,
    note: NoteOption = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make or replace a rule; it is in force everywhere within two seconds."""
    body = read_mapping(file)
    name = body.get("name", body.get("id"))
    if not isinstance(name, str) or not name:
        raise UsageProblem(f"{file}: name: is required")

    async def work(session: Session) -> None:
        done = await session.client.change("rule", name, body, expected, actor_of(actor), note=note)
        tell(accepted(done), f"rule {name} set", as_json)

    run(config, data, work)


@app.command("delete")
def delete(
    name: Name,
    expected: ExpectedOption = None,
    note: NoteOption = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a rule out, also one of the file; its alerts are resolved and people are told."""

    async def work(session: Session) -> None:
        done = await session.client.change("rule", name, None, expected, actor_of(actor), note=note)
        tell(accepted(done), f"rule {name} taken out", as_json)

    run(config, data, work)


@app.command("history")
def history(name: Name, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Show who changed a rule, when, from what to what."""

    async def work(session: Session) -> None:
        changes = (await session.client.refresh()).history("rule", name)
        if not changes:
            raise Failure(f"rule {name!r} was never changed at run time")
        show_changes(changes, as_json)

    run(config, data, work)


@app.command("rollback")
def rollback(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="The version to go back to.")],
    expected: ExpectedOption = None,
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an earlier version of a rule the latest once more."""

    async def work(session: Session) -> None:
        done = await session.client.roll_back("rule", name, version, expected, actor_of(actor))
        tell(accepted(done), f"rule {name} is as in version {version}", as_json)

    run(config, data, work)


@app.command("threshold")
def threshold(
    name: Name,
    value: Annotated[float | None, typer.Option("--value", show_default=False)] = None,
    recover: Annotated[float | None, typer.Option("--recover", show_default=False)] = None,
    warning: Annotated[float | None, typer.Option("--warning", show_default=False)] = None,
    critical: Annotated[float | None, typer.Option("--critical", show_default=False)] = None,
    clear: Annotated[bool, typer.Option("--clear", help="Back to the rule's own numbers.")] = False,
    note: NoteOption = "",
    actor: ActorOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Judge a rule by other numbers, in the unit of its metric (milliseconds, shares), without touching the rest."""
    given = {"value": value, "recover": recover, "warning": warning, "critical": critical}
    body = {k: v for k, v in given.items() if v is not None}
    if clear == bool(body):
        raise UsageProblem("give one of --value, --recover, --warning, --critical, or --clear")

    async def work(session: Session) -> None:
        done = await session.client.change("threshold", name, None if clear else body, None, actor_of(actor), note=note)
        tell(accepted(done), f"threshold of {name} {'cleared' if clear else 'set'}", as_json=False)

    run(config, data, work)
