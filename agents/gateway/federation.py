"""The numbers of the roles that share this one's data folder, as one exposition."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from agents import watch

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from prometheus_client import Metric

_log = logging.getLogger("probestream.gateway")


class _Merged(Collector):
    """Families of several roles under one name each, as the format wants it."""

    def __init__(self) -> None:
        self.families: dict[str, Metric] = {}

    def add(self, text: str, role: str, worker: str) -> None:
        for family in text_string_to_metric_families(text):
            mine = self.families.setdefault(family.name, family)
            samples = [
                Sample(s.name, {**s.labels, "role": role, "worker": worker}, s.value, s.timestamp, s.exemplar)
                for s in family.samples
            ]
            mine.samples = samples if mine is family else mine.samples + samples

    def collect(self) -> Iterable[Metric]:
        return self.families.values()


async def federated(folder: Path | None) -> bytes:
    """The metrics of every role that left a note in `folder`; `probestream_role_up` is 0 where one does not answer."""
    notes = [] if folder is None else _notes(folder)
    texts = await asyncio.gather(*(_fetch(str(n["host"]), int(n["port"])) for n in notes))
    merged, up = (
        _Merged(),
        GaugeMetricFamily(
            "probestream_role_up", "1 where the role answers within two seconds, else 0", labels=["role", "worker"]
        ),
    )
    for note, text in zip(notes, texts, strict=True):
        role, worker = str(note["role"]), str(note["worker"])
        up.add_metric([role, worker], 0.0 if text is None else 1.0)
        if text is not None:
            try:
                merged.add(text, role, worker)
            except ValueError as error:
                _log.warning("the metrics of %s cannot be read: %s", role, error)
    merged.families[up.name] = up
    registry = CollectorRegistry(auto_describe=False)
    registry.register(merged)
    return generate_latest(registry)


def _notes(folder: Path) -> list[dict[str, Any]]:
    return [note for file in sorted(folder.glob("*.json")) if (note := _read(file)) is not None]


def _read(file: Path) -> dict[str, Any] | None:
    try:
        note = json.loads(file.read_text())
        return note if {"role", "worker", "host", "port"} <= note.keys() else None
    except (OSError, ValueError, AttributeError):
        return None  # written or removed this very moment


async def _fetch(host: str, port: int) -> str | None:
    try:
        async with asyncio.timeout(watch.PATIENCE_S):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return None
    return body.decode() if b" 200 " in head.split(b"\r\n", 1)[0] else None
