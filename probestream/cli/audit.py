"""``probestream audit`` and ``reload``."""

from __future__ import annotations

from typing import Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, JsonOption, UsageProblem, config_path
from probestream.cli.control import Session, run, show_changes


def audit(
    kind: Annotated[str, typer.Option("--kind", help="Only this kind: rule, silence, …", show_default=False)] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1)] = 50,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show every change at run time, accepted and refused, newest first: who, when, from what to what."""
    from streams.control_bodies import MODELS  # noqa: PLC0415
    from streams.refusals import meant  # noqa: PLC0415

    if kind and kind not in MODELS:
        raise UsageProblem(f"there is no kind {kind!r}{meant(kind, MODELS)}\nthere are: {', '.join(MODELS)}")

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
