"""``probestream preferences``, ``targets``, ``inhibitions``, ``dependencies``: what the file has and people change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import typer

from probestream.cli.changing import Kind, add_delete, add_history, add_rollback, add_set
from probestream.cli.common import ConfigOption, DataOption, JsonOption, show_table
from probestream.cli.control import Session, run

if TYPE_CHECKING:
    from streams.control import Controls


def _group(what: Kind, about: str) -> typer.Typer:
    """A group of commands: list, set, delete, history, rollback."""
    app = typer.Typer(help=about, no_args_is_help=True)

    def in_force(session: Session, found: Controls) -> dict[str, Any]:
        from agents.probe.settings import face_of  # noqa: PLC0415 - commands load what they use
        from probestream.declared import declared_of  # noqa: PLC0415

        file = {**declared_of(session.config), "target": {t.name: face_of(t) for t in session.config.targets}}
        return found.laid_over(what.kind, file[what.kind])

    @app.command("list", help=f"List each {what.noun} in force: the file's, overlaid by what was changed.")
    def listing(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
        async def work(session: Session) -> list[dict[str, Any]]:
            found = await session.client.refresh()
            return [
                {
                    "id": key,
                    "version": found.version(what.kind, key),
                    "by": there.actor if (there := found.current(what.kind, key)) else "file",
                    "body": value.model_dump(mode="json", by_alias=True, exclude_defaults=True),
                }
                for key, value in sorted(in_force(session, found).items())
            ]

        rows = run(config, data, work)
        if as_json:
            typer.echo(json.dumps(rows, indent=2))
            return
        cells = [(r["id"], str(r["version"] or "-"), r["by"], json.dumps(r["body"], ensure_ascii=False)) for r in rows]
        show_table((what.noun, "version", "by", "body"), cells, whole=(what.noun,))

    add_set(app, what, f"Make or replace one {what.noun}; it is in force everywhere within two seconds.")
    add_delete(app, what, f"Take one {what.noun} out, also of the file's.", in_force)
    add_history(app, what)
    add_rollback(app, what)
    return app


preferences = _group(
    Kind("preference", "preference", named_by=("name", "person")),
    "What people want to be told of: least severity, channels, mute, quiet hours.",
)
targets = _group(Kind("target", "target"), "Targets: labels, interval, what they depend on; and new ones.")
inhibitions = _group(Kind("inhibit_rule", "inhibition"), "Which alerts keep which others quiet.")
dependencies = _group(
    Kind("dependencies", "dependency setting", single="all"), "How alerts of targets with depends_on are treated."
)
