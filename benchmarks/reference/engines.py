"""The engines that are compared, each a process of its own, and how each is made ready to run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from probestream.processes import die_with_parent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streams.kafka import KafkaSettings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONFIG = """
kafka: {{partitions: 1, prefix: "{prefix}"}}
detect: {{unknown_targets: accept, health_every: 1h}}
rules:
  - {{name: errors, metric: error_rate, window: 5m, operator: ">", value: 0.05}}
  - {{name: slow, metric: latency, aggregate: ratio, window: 1m, operator: ">", value: 2}}
  - {{name: odd, metric: latency, aggregate: zscore, operator: ">", value: 4}}
"""


@dataclass(slots=True)
class Run:
    """One run of one engine: where it reads and writes, and a folder of its own."""

    kafka: KafkaSettings
    source: str
    sink: str
    group: str
    folder: Path


@dataclass(slots=True)
class Engine:
    """How to start an engine; `missing` says why it cannot, and what to do about it."""

    name: str
    command: Callable[[Run], list[str]] = lambda _: []
    missing: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def ours() -> Engine:
    """The detect role, as it runs in production."""

    def command(run: Run) -> list[str]:
        config = run.folder / "probestream.yaml"
        config.write_text(CONFIG.format(prefix=run.kafka.prefix))
        return [
            sys.executable, "-m", "probestream", "run", "detect", "--config", str(config), "--data", str(run.folder)
        ]  # fmt: skip

    return Engine("ours", command)


def _arguments(run: Run) -> list[str]:
    return [run.kafka.servers, run.source, run.sink, run.group, str(run.folder)]


def faust_table() -> Engine:
    """Faust's own windowed tables."""
    return Engine("faust_table", lambda run: [sys.executable, str(HERE / "faust_peer.py"), *_arguments(run)])


def quix(python: str | None, folder: Path, *, install: bool) -> Engine:
    """Quix Streams, from this environment, from that of `python`, or installed into `folder`."""
    if python is None and install:
        wanted = _extra("bench")
        print(f"installing {' '.join(wanted)} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    python = python or sys.executable
    probe = subprocess.run([python, "-c", "import quixstreams, fastavro"], capture_output=True, check=False)
    if probe.returncode:
        return Engine(
            "quix",
            missing="Quix Streams is not installed: --install-peers gets it into a temporary folder, or "
            'pip install -e ".[bench]" into this environment',
        )
    return Engine("quix", lambda run: [python, str(HERE / "quix_peer.py"), *_arguments(run)])


def _extra(name: str) -> list[str]:
    """The requirements of one of our extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted: list[str] = project["optional-dependencies"][name]
    return wanted


def kafka_streams(folder: Path) -> list[Engine]:
    """Kafka Streams, built into `folder` by Maven: written for speed, and with the libraries' own parts."""
    names = ("kafka_streams", "kafka_streams_library")
    if not (shutil.which("java") and shutil.which("mvn")):
        missing = "no java and mvn on PATH: no Kafka Streams beside it (Debian: apt-get install maven)"
        return [Engine(name, missing=missing) for name in names]
    shutil.copytree(HERE.parent / "kafka_streams", folder)
    print("building the Kafka Streams peer ...", flush=True)
    built = subprocess.run(
        ["mvn", "-q", "-B", "compile", "dependency:build-classpath", "-Dmdep.outputFile=path.txt"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if built.returncode:
        return [
            Engine(name, missing=f"the Kafka Streams peer does not build: {built.stdout[-1000:]}") for name in names
        ]
    path = f"{folder / 'target' / 'classes'}:{(folder / 'path.txt').read_text().strip()}"
    java = ["java", "-cp", path, "bench.ReferenceWork"]
    schema = str(ROOT / "schemas" / "avsc" / "sample_batch" / "v1.avsc")
    return [
        Engine(names[0], lambda run: [*java, *_arguments(run)]),
        Engine(names[1], lambda run: [*java, *_arguments(run), schema]),
    ]


@contextlib.asynccontextmanager
async def started(engine: Engine, run: Run, cores: set[int]) -> AsyncIterator[asyncio.subprocess.Process]:
    """The engine's process, bound to `cores` where any are named; ours is asked to end, a peer is killed."""
    stay = die_with_parent()

    def before() -> None:
        if cores:
            os.sched_setaffinity(0, cores)
        if stay is not None:
            stay()

    with (run.folder / "log").open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *engine.command(run),
            cwd=ROOT,
            env={**os.environ, "PROBESTREAM_KAFKA": run.kafka.servers},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=before,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                if engine.name == "ours":  # its state is looked at afterwards
                    process.terminate()
                    async with asyncio.timeout(15.0):
                        await process.wait()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def bind(process_id: int, cores: set[int]) -> None:
    """Bind every thread of a running process to `cores`."""
    for thread in Path(f"/proc/{process_id}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), cores)


def folder() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the run is over."""
    return tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
