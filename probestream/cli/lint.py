"""``probestream lint``: rules that can be read and yet cannot do what they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from probestream.cli.common import ConfigOption, JsonOption, config_path


def lint(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings as well.")] = False,
) -> None:
    """Find rules that never fire, always do, say the same twice, or flap: exit code 1 if one is wrong, 2 as `check`."""
    from dataclasses import asdict  # noqa: PLC0415

    from probestream.config import ConfigError, located  # noqa: PLC0415
    from streams.rules.lint import lint as look  # noqa: PLC0415

    path = config if config is not None else config_path(None)
    try:
        found = located(path)
    except ConfigError as error:
        if not as_json:
            raise
        told = [{"level": "error", "code": "not-loaded", "rule": "", **asdict(p)} for p in error.problems]
        _print_json(path, told)
        raise typer.Exit(2) from None
    settings = found.config
    complete = settings.detect.unknown_targets != "accept"
    remarks = look(settings.rules, settings.targets, complete=complete)
    index = found.rule_index()
    placed = [(r, found.at(("rules", index[r.written], r.field), r.message)) for r in remarks]
    errors = sum(r.level == "error" for r in remarks)
    warnings = len(remarks) - errors
    if as_json:
        _print_json(path, [{"level": r.level, "code": r.code, "rule": r.rule, **asdict(p)} for r, p in placed])
    else:
        for r, p in placed:
            place = f"{p.file}:{p.line}:{p.column}" if p.line else p.file
            typer.echo(f"{place}: {r.level}: {p.field}: {p.message} [{r.code}]")
        typer.echo(f"{path}: {_number(len(index), 'rule')}, {_number(errors, 'error')}, {_number(warnings, 'warning')}")
    if errors or (strict and warnings):
        raise typer.Exit(1)


def _print_json(path: Path, remarks: list[dict[str, Any]]) -> None:
    errors = sum(r["level"] == "error" for r in remarks)
    counts = {"errors": errors, "warnings": len(remarks) - errors}
    typer.echo(json.dumps({"file": str(path), **counts, "remarks": remarks}, indent=2))


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
