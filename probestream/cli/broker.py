"""``probestream broker``: the embedded Kafka alone, for those who bring their own roles or only want the log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from probestream.cli.common import ConfigOption, DataOption, Failure, data_folder, load_config

if TYPE_CHECKING:
    from probestream.data import DataFolder

app = typer.Typer(help="The embedded Kafka alone, without any role.", no_args_is_help=True)
_START_TIMEOUT_S = 600.0  # the first start fetches 44 MB
_STOP_TIMEOUT_S = 12.0


@app.command()
def start(
    config: ConfigOption = None,
    data: DataOption = None,
    port: Annotated[
        int | None, typer.Option(help="Port; without it kafka.embedded_port.", min=0, max=65535, show_default=False)
    ] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, until Ctrl-C.")] = False,
) -> None:
    """Start the embedded Kafka in the background and return once it answers."""
    from probestream.broker.server import HOST, free_port  # noqa: PLC0415

    kafka = load_config(config).kafka
    folder = data_folder(data)
    chosen = (kafka.embedded_port if port is None else port) or free_port()
    if not foreground:
        typer.echo(_in_background(folder, chosen))
        return
    from probestream.cli.up import supervise  # noqa: PLC0415
    from probestream.supervisor.display import Display  # noqa: PLC0415
    from probestream.supervisor.supervisor import Supervisor  # noqa: PLC0415

    with folder.locked():
        plain = kafka.model_copy(update={"bootstrap": f"{HOST}:{chosen}", "security": "PLAINTEXT"})
        supervise(Supervisor(mode="broker", data=folder, display=Display(), kafka=plain, port=chosen))


def _in_background(folder: DataFolder, port: int) -> str:
    from probestream.supervisor.status import read  # noqa: PLC0415

    folder.make()
    if folder.holder() is not None:
        with folder.locked():  # says who has it
            pass
    log = folder.logs / "supervisor.log"
    command = [sys.executable, "-m", "probestream", "broker", "start", "--foreground"]
    with log.open("wb") as out:
        process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            [*command, "--data", str(folder.path), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failure(log.read_text("utf-8", "replace").strip())
        now = read(folder)
        if now is not None and now.pid == process.pid and all(p.state == "running" for p in now.processes):
            return f"Kafka answers on {now.kafka} (process {now.pid}); data in {folder.path}"
        time.sleep(0.1)
    process.terminate()
    raise Failure(f"Kafka does not answer after {_START_TIMEOUT_S:.0f} s; see {log}")


@app.command()
def stop(data: DataOption = None) -> None:
    """Stop the Kafka that `broker start` started."""
    from probestream.supervisor.status import read  # noqa: PLC0415

    folder = data_folder(data)
    now = read(folder)
    if now is None:
        raise Failure(f"no broker runs on the data folder {folder.path}")
    if now.mode != "broker":
        raise Failure(f"this broker belongs to `probestream up` (process {now.pid}): stop that, with Ctrl-C or kill")
    os.kill(now.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while folder.holder() is not None:
        if time.monotonic() > deadline:
            raise Failure(f"process {now.pid} does not stop; see {folder.logs}")
        time.sleep(0.05)
    typer.echo("stopped")


@app.command("status")
def broker_status(data: DataOption = None) -> None:
    """Whether the embedded Kafka runs: exit code 0 if it does, 1 if not."""
    from probestream.supervisor.status import read  # noqa: PLC0415

    folder = data_folder(data)
    now = read(folder)
    broker = next((p for p in now.processes if p.role == "broker"), None) if now else None
    if now is None or broker is None:
        raise Failure(f"no embedded Kafka runs on the data folder {folder.path}")
    typer.echo(f"{broker.state} on {now.kafka} (process {broker.pid}, {broker.restarts} restarts) since {broker.since}")
    raise typer.Exit(0 if broker.state == "running" else 1)
