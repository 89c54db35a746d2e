"""What several commands share: the options for files, the cluster to talk to, and errors for people."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from rich.console import Console

    from probestream.config import Config
    from probestream.data import DataFolder
    from streams.kafka import KafkaSettings

CONFIG_NAME = "probestream.yaml"
DEFAULT_CONFIG = Path(__file__).parent.parent / "default.yaml"

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="PROBESTREAM_CONFIG",
        help=f"Configuration file. Without it: ./{CONFIG_NAME}, or the built-in default.",
        show_default=False,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="PROBESTREAM_DATA",
        help="Data folder. Without it: probestream in your user data folder.",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


class UsageProblem(Exception):  # noqa: N818 - it is about what was typed
    """The command cannot do what was asked for; exit code 2."""


class Failure(Exception):  # noqa: N818 - the counterpart of success
    """The command tried and did not succeed; exit code 1."""


def config_path(chosen: Path | None) -> Path:
    """The configuration file to use."""
    if chosen is not None:
        return chosen.expanduser().absolute()
    here = Path.cwd() / CONFIG_NAME
    return here if here.exists() else DEFAULT_CONFIG


def load_config(chosen: Path | None) -> Config:
    """The configuration. Raises ConfigError."""
    from probestream.config import load  # noqa: PLC0415 - pydantic's models take 0.3 s; `version` needs none

    return load(config_path(chosen))


def data_folder(chosen: Path | None) -> DataFolder:
    """The data folder."""
    from probestream.data import DataFolder  # noqa: PLC0415

    return DataFolder(chosen)


def cluster(config: Config, data: DataFolder) -> KafkaSettings:
    """The cluster to talk to: the configured one, or the embedded one if it runs. Raises Failure."""
    from probestream.supervisor.status import read  # noqa: PLC0415

    if config.kafka.bootstrap:
        return config.kafka
    running = read(data)
    if running is None:
        raise Failure(
            f"no Kafka: nothing runs on the data folder {data.path}. Start it with `probestream up`, name the folder "
            f"with --data, or name a cluster with PROBESTREAM_KAFKA=host:port."
        )
    return config.kafka.model_copy(update={"bootstrap": running.kafka})


@contextlib.contextmanager
def reaching(kafka: KafkaSettings) -> Iterator[None]:
    """Turns a cluster that does not answer into a Failure that names it."""
    from aiokafka.errors import KafkaConnectionError  # noqa: PLC0415

    try:
        yield
    except KafkaConnectionError as error:
        raise Failure(
            f"Kafka at {kafka.servers} does not answer. Does it run, and is kafka.security ({kafka.security}) right?"
        ) from error


def explain(error: Exception) -> tuple[int, str] | None:
    """Exit code and text for an error that a person can set right; None for one of ours."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415

    from probestream.broker.jars import BrokerError  # noqa: PLC0415
    from probestream.config import ConfigError  # noqa: PLC0415
    from probestream.data import DataError  # noqa: PLC0415
    from probestream.supervisor.supervisor import StartError  # noqa: PLC0415
    from streams.topics import TopicError  # noqa: PLC0415

    if isinstance(error, (ConfigError, UsageProblem)):
        return 2, f"{error}"
    if isinstance(error, (Failure, BrokerError, DataError, StartError, TopicError)):
        return 1, f"{error}"
    if isinstance(error, KafkaError):
        return 1, f"Kafka refused: {type(error).__name__}: {error}"
    return None


def quiet_clients() -> None:
    """Keep libraries' log lines off the terminal of a short command; PROBESTREAM_LOG=debug shows them."""
    import logging  # noqa: PLC0415

    logging.basicConfig(level=os.environ.get("PROBESTREAM_LOG", "CRITICAL").upper())


def table_console() -> Console:
    """A console for tables; into a pipe or a file they are as wide as they need to be."""
    from rich.console import Console  # noqa: PLC0415

    return Console(width=None if sys.stdout.isatty() else 200, highlight=False)


def show_table(
    columns: Iterable[str], rows: Iterable[Iterable[str]], *, whole: Container[str] = (), right: Container[str] = ()
) -> None:
    """Print a table; no line of a column in `whole` is broken, and those in `right` are set to the right."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in whole)
    for row in rows:
        table.add_row(*row)
    table_console().print(table, markup=False)  # brackets in a cell are text
