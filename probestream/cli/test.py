"""``probestream test``: series in, alerts out, and whether they are the ones that were wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from probestream.cli.common import JsonOption, UsageProblem

if TYPE_CHECKING:
    from probestream.rule_tests.load import Loaded
    from probestream.rule_tests.report import Report


def rule_tests(
    files: Annotated[list[Path], typer.Argument(help="Files of rule tests.", show_default=False)],
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name the tests that pass as well.")] = False,
    only: Annotated[str, typer.Option("--only", "-k", help="Run only tests whose name contains this.")] = "",
    junit: Annotated[Path | None, typer.Option("--junit", help="Write JUnit's XML to this file.")] = None,
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Tell which rules fired, and what no test looked at.")
    ] = False,
    min_coverage: Annotated[
        float | None,
        typer.Option("--min-coverage", min=0, max=100, help="Exit code 1 if fewer per cent of the rules fired."),
    ] = None,
) -> None:
    """Test rules: exit code 0 if every alert is as wanted, 1 if one is not, 2 if a file cannot be loaded."""
    from probestream.rule_tests.report import as_json as to_json  # noqa: PLC0415 - the kernel takes its time to load
    from probestream.rule_tests.report import lines  # noqa: PLC0415

    report = _run(files, only)
    if junit is not None:
        _write_junit(report, junit)
    if as_json:
        typer.echo(json.dumps(to_json(report), indent=2))
    else:
        for line in lines(report, verbose=verbose, coverage=coverage or min_coverage is not None):
            typer.echo(line)
    if report.unloaded:
        raise typer.Exit(2)
    if only and not report.results:
        raise UsageProblem(f"no test has {only!r} in its name")
    # Rounding must not let through what the figure that is shown does not reach.
    short = min_coverage is not None and report.share * 100.0 < min_coverage - 1e-9
    if short and not as_json:
        typer.echo(f"coverage is {report.share:.1%}, at least {min_coverage:g} % are wanted", err=True)
    if report.failed or short:
        raise typer.Exit(1)


def _run(files: list[Path], only: str) -> Report:
    import threading  # noqa: PLC0415
    import time  # noqa: PLC0415

    from probestream.config import ConfigError  # noqa: PLC0415
    from probestream.rule_tests.load import load, world_of  # noqa: PLC0415
    from probestream.rule_tests.report import Report  # noqa: PLC0415
    from streams.rule_tests.coverage import Coverage  # noqa: PLC0415
    from streams.rule_tests.run import run  # noqa: PLC0415

    report = Report()
    began = time.perf_counter()
    # The first run of a version compiles: nobody should wonder for half a minute.
    compiling = threading.Timer(5.0, lambda: typer.echo("compiling detection, once for each version …", err=True))
    compiling.daemon = True
    compiling.start()
    for file in files:
        try:
            loaded: Loaded = load(file)
        except ConfigError as error:
            report.unloaded[str(file)] = error.problems
            continue
        world = world_of(loaded.config)
        covered = report.coverage.setdefault(loaded.config_file, Coverage.of(loaded.config.rules))
        for i, case in enumerate(loaded.tests):
            if only in case.name:
                result = run(case, world, loaded.interval_s)
                compiling.cancel()
                covered.take(result)
                report.results.append((loaded, i, result))
    compiling.cancel()
    report.took_s = time.perf_counter() - began
    return report


def _write_junit(report: Report, path: Path) -> None:
    import socket  # noqa: PLC0415

    from probestream.rule_tests.junit import junit  # noqa: PLC0415
    from streams.units import now_ms  # noqa: PLC0415

    try:
        path.write_text(junit(report, now_ms(), socket.gethostname()), "utf-8")
    except OSError as error:
        raise UsageProblem(f"{path} cannot be written: {error.strerror}") from error
