"""What benchmarks share: options, a table for people, and one JSON object as the last line for programs."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from probestream.broker.process import running
from probestream.data import DataFolder


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a smaller run, under a minute")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--kafka", help="host:port of a Kafka to use; an embedded one where absent")
    return parser


@contextlib.contextmanager
def on_kafka(args: argparse.Namespace) -> Iterator[str]:
    """host:port of the Kafka that `--kafka` names, or of one that is started for the time."""
    if args.kafka:
        yield args.kafka
        return
    with tempfile.TemporaryDirectory() as folder, running(DataFolder(Path(folder))) as bootstrap:
        yield bootstrap


def percentile(values: list[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed: nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def machine() -> dict[str, Any]:
    """What the numbers were taken on."""
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.system()}


def finish(result: dict[str, Any], *, as_json: bool) -> None:
    """Print the JSON line where it was asked for."""
    if as_json:
        print(json.dumps({**result, "machine": machine()}), flush=True)
