"""What the commands share that change something at run time: the cluster, who asks, and telling what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import json
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from probestream.cli.common import (
    Failure,
    UsageProblem,
    cluster,
    config_path,
    data_folder,
    quiet_clients,
    reaching,
)

if TYPE_CHECKING:
    from probestream.config import Config
    from streams.control import Change
    from streams.control_client import Accepted, Conflict, ControlClient
    from streams.kafka import KafkaSettings

T = TypeVar("T")

ActorOption = Annotated[
    str,
    typer.Option("--actor", envvar="PROBESTREAM_ACTOR", help="Who asks; without it, your login.", show_default=False),
]
ExpectedOption = Annotated[
    int | None,
    typer.Option("--expect", min=0, help="Only if it is still at this version; 0 for what is new.", show_default=False),
]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept in the history.", show_default=False)]


class Session:
    """One command: its configuration, its cluster and a client."""

    def __init__(self, config: Config, kafka: KafkaSettings, client: ControlClient) -> None:
        self.config, self.kafka, self.client = config, kafka, client


def actor_of(given: str) -> str:
    """Who asks."""
    if given:
        return given[:200]
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def run(config: Path | None, data: Path | None, work: Callable[[Session], Awaitable[T]]) -> T:
    """What `work` returns. Raises UsageProblem on what was typed, Failure where the cluster does not take it."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - Kafka's client is for commands that use it

    from agents.probe.settings import target_of  # noqa: PLC0415
    from probestream.config import load  # noqa: PLC0415
    from streams.control_bodies import BodyError  # noqa: PLC0415
    from streams.control_checks import Checks  # noqa: PLC0415
    from streams.control_client import ControlClient, UnavailableError  # noqa: PLC0415

    quiet_clients()
    settings = load(config_path(config))
    kafka = cluster(settings, data_folder(data))

    async def whole() -> T:
        names = [receiver.name for receiver in settings.receivers]
        checks = Checks(settings.rules, settings.targets, probed=target_of, receivers=names)
        client = ControlClient(kafka, "cli", checks)
        try:
            return await work(Session(settings, kafka, client))
        finally:
            await client.close()

    with reaching(kafka):
        try:
            return asyncio.run(whole())
        except BodyError as error:
            lines = [f"{field}: {message}" if field else message for field, message in error.problems]
            raise UsageProblem("\n".join(lines)) from error
        except UnavailableError as error:
            raise Failure(str(error)) from error
        except TimeoutError as error:
            raise Failure(f"Kafka at {kafka.servers} does not answer in time") from error
        except KafkaError as error:
            if type(error).__name__ == "UnknownTopicOrPartitionError":
                raise Failure(
                    f"no topic {kafka.prefix}control on {kafka.servers}; `probestream topics --create`"
                ) from error
            raise


def accepted(done: Accepted | Conflict) -> Accepted:
    """The change. Raises Failure where somebody was faster."""
    from streams.control_client import Conflict  # noqa: PLC0415

    if isinstance(done, Conflict):
        raise Failure(f"conflict: {done.message}")
    return done


def tell(done: Accepted, what: str, as_json: bool) -> None:
    """Print what was done."""
    record = done.record
    if as_json:
        typer.echo(json.dumps({"kind": record.kind, "id": record.id, "version": record.version, "actor": record.actor}))
    else:
        typer.echo(f"{what} (version {record.version})")


def show_changes(changes: list[Change], as_json: bool, *, named: bool = False) -> None:
    """Print who changed what, when."""
    from streams.instants import iso  # noqa: PLC0415

    if as_json:
        rows = [{**c.body(), "actor": c.actor, "at": iso(c.at)} for c in changes]
        for row in rows:
            del row["nonce"], row["sequence"]
        typer.echo(json.dumps(rows, indent=2))
        return
    for change in changes:
        what = f"{change.kind} {change.id} " if named else ""
        outcome = "" if change.outcome == "accepted" else f"  {change.outcome}: {change.message}"
        note = f"  ({change.note})" if change.note else ""
        typer.echo(f"{iso(change.at)}  {what}v{change.version}  {change.actor}{note}{outcome}")
        if change.outcome == "accepted":
            for line in differences(change.old, change.new):
                typer.echo(f"    {line}")


def differences(old: dict[str, Any] | None, new: dict[str, Any] | None) -> list[str]:
    """What a change did, field by field."""
    from streams.changes import readable  # noqa: PLC0415

    if new is None:
        return ["deleted"]
    before = old or {}
    changed = [name for name in {**before, **new} if before.get(name) != new.get(name)]
    lines = []
    for name in changed:
        was, now = (json.dumps(readable(name, x[name]), ensure_ascii=False) if name in x else "" for x in (before, new))
        lines.append(f"{name}: {was} → {now}" if was and now else f"{name}: {now}" if now else f"{name}: {was} → gone")
    return lines


class Written:
    """The YAML or JSON mapping of a file, `-` for standard input, and where its fields stand.

    Raises UsageProblem where it cannot be read, ConfigError with the place where it is no such text.
    """

    def __init__(self, path: str) -> None:
        from probestream.config.load import Reader  # noqa: PLC0415
        from probestream.config.problem import read_text  # noqa: PLC0415

        self._reader = Reader("standard input" if path == "-" else path, {}, Path.cwd())
        self._reader.wanted = "one mapping is wanted, as {name: ..., ...}"
        read = self._reader.read(sys.stdin.read() if path == "-" else read_text(Path(path)))
        # As JSON carries it: dates are texts there.
        text = json.dumps({str(k): v for k, v in read.items()}, default=lambda x: getattr(x, "isoformat", x.__str__)())
        self.body: dict[str, Any] = json.loads(text)

    def problem(self, field: str, message: str, kind: str = "") -> str:
        """A complaint about a field, `all.0.metric` for instance, with file, line and column."""
        from probestream.config.fields import suggest  # noqa: PLC0415
        from streams.control_bodies import MODELS, UNKNOWN_FIELD  # noqa: PLC0415

        path = tuple(int(step) if step.isdecimal() else step for step in field.split(".") if step)
        if message == UNKNOWN_FIELD and kind in MODELS:
            message += suggest(path, MODELS[kind])
        return str(self._reader.problem(path, message))

    @contextlib.contextmanager
    def blamed(self, kind: str) -> Iterator[None]:
        """Turns what is wrong with the body of a record of `kind` into a UsageProblem with its places."""
        from streams.control_bodies import BodyError  # noqa: PLC0415

        try:
            yield
        except BodyError as error:
            raise UsageProblem("\n".join(self.problem(*each, kind) for each in error.problems)) from error
