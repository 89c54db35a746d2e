"""Every published schema with its id, version and subject.

The ids are the ones in the Confluent wire format's header. They are fixed in ``avsc/ids.json``: an id,
once published, never means another schema.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro


@dataclass(frozen=True, slots=True)
class Schema:
    """One version of one schema."""

    name: str
    version: int
    id: int
    text: str
    parsed: Any


@cache
def all_schemas() -> tuple[Schema, ...]:
    """Every schema of every version, by growing id."""
    root = files("schemas") / "avsc"
    ids: dict[str, dict[str, int]] = json.loads((root / "ids.json").read_text("utf-8"))
    found = []
    for name, versions in ids.items():
        for version, schema_id in versions.items():
            raw = json.loads((root / name / f"v{version}.avsc").read_text("utf-8"))
            found.append(
                Schema(
                    name=name,
                    version=int(version),
                    id=schema_id,
                    text=json.dumps(raw, separators=(",", ":")),
                    parsed=fastavro.parse_schema(raw, named_schemas={}),
                )
            )
    return tuple(sorted(found, key=lambda s: s.id))


@cache
def by_id() -> dict[int, Schema]:
    """Schemas by id."""
    return {s.id: s for s in all_schemas()}


@cache
def latest(name: str) -> Schema:
    """The newest version of schema `name`. Raises KeyError where there is none."""
    versions = [s for s in all_schemas() if s.name == name]
    if not versions:
        raise KeyError(name)
    return max(versions, key=lambda s: s.version)
