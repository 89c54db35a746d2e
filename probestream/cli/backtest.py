"""``probestream backtest`` and ``probestream export``: rules tried on the log of samples, and that log in a file."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from probestream.cli.common import (
    ConfigOption,
    DataOption,
    Failure,
    UsageProblem,
    cluster,
    config_path,
    data_folder,
    load_config,
    quiet_clients,
    reaching,
    table_console,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from probestream.backtest.episodes import Episode
    from probestream.backtest.log import Log
    from probestream.backtest.run import Asked, Told
    from probestream.config import Config
    from streams.kafka import KafkaSettings

FromOption = Annotated[str, typer.Option("--from", help="A duration before --to such as 30d, or a time in ISO 8601.")]
ToOption = Annotated[str, typer.Option("--to", help="The same; without it the end of the log.", show_default=False)]


def backtest(
    rules: Annotated[
        Path | None,
        typer.Option(
            "--rules",
            help="File with the rules to try, or `current`, those in force. Without it: those of the configuration.",
        ),
    ] = None,
    from_: FromOption = "30d",
    to: ToOption = "",
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            help="`current`, the rules in force at each moment, or a file: what differs.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[list[str] | None, typer.Option("--target", help="Tell of this target; may be repeated.")] = None,
    match: Annotated[
        list[str] | None, typer.Option("--match", help='Tell of alerts whose labels match, as team="web".')
    ] = None,
    samples: Annotated[
        Path | None, typer.Option("--samples", help="File of `probestream export samples`, instead of Kafka.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV: label (false_positive, true_positive), alert, rule, target.")
    ] = None,
    night: Annotated[str, typer.Option("--night", help="Hours of a night.")] = "22-7",
    timezone: Annotated[str, typer.Option("--timezone", help="The zone whose nights they are.")] = "UTC",
    warm_up: Annotated[
        str | None,
        typer.Option("--warm-up", help="How much earlier to begin reading. Without it: the longest window."),
    ] = None,
    format_: Annotated[Literal["table", "csv", "json", "html"], typer.Option("--format", help="How to tell it.")] = (
        "table"
    ),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, instead of printing.")] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Processes. Without it: one a core.", show_default=False)
    ] = None,
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Replay the log of samples by other rules: what would have fired, when, how long, and how many pages a night."""
    from probestream.backtest.file import FileError, FileLog  # noqa: PLC0415
    from probestream.backtest.labels import LabelError, read  # noqa: PLC0415
    from probestream.backtest.log import KafkaLog  # noqa: PLC0415
    from probestream.backtest.past import past  # noqa: PLC0415
    from probestream.backtest.reading import ReadError  # noqa: PLC0415
    from probestream.backtest.rules_file import with_rules  # noqa: PLC0415
    from probestream.backtest.run import Asked, EmptyError  # noqa: PLC0415
    from probestream.backtest.side import CURRENT  # noqa: PLC0415
    from probestream.backtest.span import Nights  # noqa: PLC0415
    from streams.units import seconds  # noqa: PLC0415

    quiet_clients()
    base = load_config(config)
    tried = base if rules is None or str(rules) == CURRENT else with_rules(rules, base)
    other = None if against is None else base if against == CURRENT else with_rules(Path(against), base)
    if not tried.rules and str(rules) != CURRENT:
        raise UsageProblem(f"{rules or config_path(config)} has no rules to try")
    try:
        nights = Nights.of(night, timezone)
        warm_up_s = None if warm_up is None else seconds(warm_up)
        marks = tuple(read(labels)) if labels is not None else ()
        wanted = _wanted(target or [], match or [])
    except (LabelError, ValueError) as error:
        raise UsageProblem(f"{error}") from error

    def ask(kafka: KafkaSettings | None) -> Asked:
        alerts, controls = past(kafka) if kafka is not None else (None, None)
        return Asked(
            config=tried, name=str(rules or config_path(config)), from_=from_, to=to, against=other,
            against_name=against or "", nights=nights, warm_up_s=warm_up_s,
            jobs=jobs or os.cpu_count() or 1, labels=marks, wanted=wanted, only=tuple(target or ()),
            match=tuple(match or ()), alerts=alerts, controls=controls,
        )  # fmt: skip

    try:
        if samples is not None:
            found = _run(FileLog(samples), ask(None))
        else:
            kafka = cluster(base, data_folder(data))
            with reaching(kafka):
                found = _run(KafkaLog(kafka), ask(kafka))
    except FileError as error:
        raise UsageProblem(f"{error}") from error
    except (EmptyError, ReadError) as error:
        raise Failure(f"{error}") from error
    except ValueError as error:  # a time that cannot be used
        raise UsageProblem(f"{error}") from error
    _write(found, format_, output)


def _wanted(targets: list[str], match: list[str]) -> Callable[[Episode], bool]:
    """Which alerts to tell of. Raises ValueError for what is no matcher."""
    from streams.labels import matches, parse  # noqa: PLC0415

    for matcher in match:
        parse(matcher)
    some = set(targets)

    def wanted(episode: Episode) -> bool:
        labels = episode.labels if "target" in episode.labels else {**episode.labels, "target": episode.target}
        return (not some or episode.target in some) and matches(tuple(match), labels)

    return wanted


def _run(log: Log, asked: Asked) -> dict[str, Any]:
    from probestream.backtest.run import backtest as replay  # noqa: PLC0415

    with progress() as told:
        return replay(log, asked, told)


@contextlib.contextmanager
def progress() -> Iterator[Told]:
    """A bar on standard error, where that is a terminal, with samples a second and the time that is left."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    from probestream.backtest.run import Told  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("finding the samples", total=None, rate="")
        began, samples = time.monotonic(), 0

        def begin(records: int) -> None:
            nonlocal began
            began = time.monotonic()
            bar.update(task, description="replaying", total=records)

        def read(records: int, more: int) -> None:
            nonlocal samples
            samples += more
            rate = samples / max(time.monotonic() - began, 0.001)
            bar.update(task, advance=records, rate=f"{samples:,} samples, {rate:,.0f}/s")

        yield Told(begin, read, lambda stage: bar.update(task, description=stage))


def _write(found: dict[str, Any], format_: str, output: Path | None) -> None:
    from probestream.backtest.page import as_html  # noqa: PLC0415
    from probestream.backtest.report import as_bytes  # noqa: PLC0415
    from probestream.backtest.table import as_csv, show  # noqa: PLC0415

    if format_ == "table":
        if output is None:
            show(found, table_console())
            return
        from rich.console import Console  # noqa: PLC0415

        with _file(output, "w") as file:
            show(found, Console(file=file, width=200, highlight=False))
        return
    text = as_bytes(found) if format_ == "json" else (as_csv(found) if format_ == "csv" else as_html(found)).encode()
    if output is None:
        sys.stdout.buffer.write(text)
        sys.stdout.buffer.flush()
        return
    with _file(output, "wb") as file:
        file.write(text)


@contextlib.contextmanager
def _file(path: Path, mode: str) -> Iterator[Any]:
    try:
        with path.open(mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
    except OSError as error:
        raise Failure(f"{path}: cannot be written: {error.strerror}") from error


export = typer.Typer(help="Parts of the log as files.", no_args_is_help=True)


@export.command("samples")
def export_samples(
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; an Avro object container.")],
    from_: FromOption = "30d",
    to: ToOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
) -> None:
    """Write the records of samples, as they stand, to a file that `probestream backtest --samples` reads."""
    from probestream.backtest.file import export as write  # noqa: PLC0415
    from probestream.backtest.log import KafkaLog  # noqa: PLC0415
    from probestream.backtest.span import moment  # noqa: PLC0415

    quiet_clients()
    settings: Config = load_config(config)
    kafka = cluster(settings, data_folder(data))
    with reaching(kafka):
        log = KafkaLog(kafka)
        last = max((p.last_ms for p in log.all() if p.last_ms is not None), default=None)
        if last is None:
            raise Failure(f"{log.topic} is empty: there is nothing to write")
        try:
            to_ms = moment(to, last) if to else last
            parts = log.between(moment(from_, to_ms), to_ms)
        except ValueError as error:
            raise UsageProblem(f"{error}") from error
        if not any(p.end > p.first for p in parts):
            raise Failure(f"{log.topic} has no samples of that time")
        with progress() as told:
            told.begin(sum(p.end - p.first for p in parts))
            try:
                count = write(log, parts, output, lambda records: told.read(records, 0))
            except OSError as error:
                raise Failure(f"{output}: cannot be written: {error.strerror}") from error
    typer.echo(f"{count:,} records written to {output}", err=True)
