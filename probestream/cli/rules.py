"""``probestream rules``: the rules in force, and their change at run time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from probestream.cli.changing import Kind, add_delete, add_history, add_rollback, add_set
from probestream.cli.common import ConfigOption, DataOption, JsonOption, UsageProblem, show_table
from probestream.cli.control import (
    ActorOption,
    NoteOption,
    Session,
    accepted,
    actor_of,
    run,
    tell,
)

app = typer.Typer(help="The rules in force, and their change at run time.", no_args_is_help=True)
RULE = Kind("rule", "rule", named_by=("name", "id"))
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
    columns = ("rule", "severity", "metric", "", "value", "version", "by")
    show_table(columns, map(_cells, rows), whole=("rule",))


def _cells(row: dict[str, Any]) -> Iterator[str]:
    rule = row["rule"]
    yield from (row["name"], row["severity"], str(rule.get("metric", "")), str(rule.get("operator", ">")))
    yield f"{rule.get('value', '')}{' (threshold changed)' if row['threshold'] else ''}"
    yield from (str(row["version"] or "-"), row["by"])


add_set(app, RULE, "Make or replace a rule; it is in force everywhere within two seconds.")
add_delete(app, RULE, "Take a rule out, also one of the file; its alerts are resolved and people are told.")


add_history(app, RULE)
add_rollback(app, RULE)


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
