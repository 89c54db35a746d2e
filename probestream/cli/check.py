"""``probestream check``, ``schema`` and ``init``: the configuration file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer

from probestream.cli.common import CONFIG_NAME, DEFAULT_CONFIG, ConfigOption, JsonOption, UsageProblem, config_path


def check(
    file: Annotated[
        Path | None,
        typer.Argument(help=f"The file; without it ./{CONFIG_NAME}, or the built-in default.", show_default=False),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration file: exit code 0 if it is good, 2 with every problem and its place if not."""
    from dataclasses import asdict  # noqa: PLC0415

    from probestream.config import ConfigError, load  # noqa: PLC0415
    from streams.rules.expand import written_name  # noqa: PLC0415

    config = file or config  # as every other command takes it, too
    path = config_path(config)
    shown = config if config is not None else path
    try:
        settings = load(shown)
    except ConfigError as error:
        if as_json:
            typer.echo(json.dumps({"valid": False, "problems": [asdict(p) for p in error.problems]}, indent=2))
            raise typer.Exit(2) from None
        count = len(error.problems)
        raise UsageProblem(f"{error}\n{count} problem{'s' if count > 1 else ''}") from None
    counts = {
        "targets": len(settings.targets),
        "rules": len({written_name(r) for r in settings.rules}),
        "receivers": len(settings.receivers),
    }
    if as_json:
        typer.echo(json.dumps({"valid": True, "file": str(shown), **counts}, indent=2))
    else:
        typer.echo(
            f"{shown} is good: {', '.join(f'{n} {what if n != 1 else what[:-1]}' for what, n in counts.items())}"
        )


def schema() -> None:
    """Print the configuration's JSON Schema, with which editors complete and check the file."""
    from probestream.config.schema import text  # noqa: PLC0415

    typer.echo(text(), nl=False)


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path(CONFIG_NAME),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write the default configuration, every part explained, to a file for you to edit."""
    if path.exists() and not force:
        raise UsageProblem(f"{path} exists; --force replaces it")
    shutil.copyfile(DEFAULT_CONFIG, path)
    typer.echo(f"wrote {path}; `probestream check {path}` checks it, `probestream up` uses ./{CONFIG_NAME}")
