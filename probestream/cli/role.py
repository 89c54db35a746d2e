"""``probestream run ROLE``: one role, as containers start it."""

from __future__ import annotations

from typing import Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, UsageProblem, data_folder, load_config
from probestream.roles import ROLES


def _complete(incomplete: str) -> list[str]:
    return [name for name in ROLES if name.startswith(incomplete)]


def run(
    role: Annotated[str, typer.Argument(help=f"One of {', '.join(ROLES)}.", autocompletion=_complete)],
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Run one role in the foreground until SIGTERM; for containers, one process a role.

    It needs kafka.bootstrap or PROBESTREAM_KAFKA, and the topics (`probestream topics --create`). Several processes
    of one role share its partitions.
    """
    import difflib  # noqa: PLC0415

    if role not in ROLES:
        close = difflib.get_close_matches(role, ROLES, n=1)
        raise UsageProblem(
            f"no role {role!r}; {f'did you mean {close[0]}? ' if close else ''}roles: {', '.join(ROLES)}"
        )
    settings = load_config(config)
    folder = data_folder(data)
    if not settings.kafka.bootstrap:
        raise UsageProblem("no Kafka: set kafka.bootstrap or PROBESTREAM_KAFKA=host:port, or use `probestream up`")
    from probestream.roles import run as run_role  # noqa: PLC0415

    folder.make()
    raise typer.Exit(run_role(role, settings, folder, lambda: load_config(config)))
