"""``probestream lint``: rules that can be read and yet cannot do what they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.common import ConfigOption, DataOption, JsonOption, UsageProblem, config_path

if TYPE_CHECKING:
    from probestream.config.load import Located
    from streams.rules.lint import Past


def lint(
    config: ConfigOption = None,
    as_json: JsonOption = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 for warnings as well.")] = False,
    history: Annotated[
        str | None,
        typer.Option("--history", help="Look at what the rules did lately as well, for instance 7d.", metavar="SPAN"),
    ] = None,
    data: DataOption = None,
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
    past = None if history is None else _past(history, found, data)
    remarks = look(settings.rules, settings.targets, complete=complete, history=past)
    index = found.rule_index()
    placed = [(r, found.at(("rules", index[r.written], *r.field.split(".")), r.message)) for r in remarks]
    errors = sum(r.level == "error" for r in remarks)
    warnings = sum(r.level == "warning" for r in remarks)
    if as_json:
        _print_json(path, [{"level": r.level, "code": r.code, "rule": r.rule, **asdict(p)} for r, p in placed])
    else:
        for r, p in placed:
            place = f"{p.file}:{p.line}:{p.column}" if p.line else p.file
            typer.echo(f"{place}: {r.level}: {p.field}: {p.message} [{r.code}]")
        counts = [_number(len(index), "rule"), _number(errors, "error"), _number(warnings, "warning")]
        if notes := len(remarks) - errors - warnings:
            counts.append(_number(notes, "note"))
        typer.echo(f"{path}: {', '.join(counts)}")
    if errors or (strict and warnings):
        raise typer.Exit(1)


def _past(span: str, found: Located, data: Path | None) -> Past:
    """What the rules did in the last `span`. Raises UsageProblem, Failure."""
    from probestream.cli.backtest import progress  # noqa: PLC0415
    from probestream.cli.common import cluster, data_folder, quiet_clients, reaching  # noqa: PLC0415
    from probestream.cli.past import own_past  # noqa: PLC0415
    from streams.units import now_ms, seconds  # noqa: PLC0415

    try:
        span_s = seconds(span)
    except ValueError as error:
        raise UsageProblem(f"--history: {error}") from error
    if not span_s:
        raise UsageProblem("--history: how far back? for instance 7d")
    quiet_clients()
    kafka = cluster(found.config, data_folder(data))
    with reaching(kafka), progress() as told:
        return own_past(kafka, found, span_s, now_ms(), told)


def _print_json(path: Path, remarks: list[dict[str, Any]]) -> None:
    errors = sum(r["level"] == "error" for r in remarks)
    warnings = sum(r["level"] == "warning" for r in remarks)
    counts = {"errors": errors, "warnings": warnings, "notes": len(remarks) - errors - warnings}
    typer.echo(json.dumps({"file": str(path), **counts, "remarks": remarks}, indent=2))


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
