"""Every schema version reads what the one before it wrote."""

from __future__ import annotations

import io
import json
from dataclasses import MISSING, fields
from importlib.resources import files
from typing import Any

import fastavro
import pytest

from schemas import registry
from schemas.records import RECORDS
from streams.topics import FLOW
from tests.kit.avro import problems
from tests.kit.records import one_of_each

PAIRS = [
    (old, new)
    for old in registry.all_schemas()
    for new in registry.all_schemas()
    if old.name == new.name and old.version < new.version
]
NAMES = sorted({s.name for s in registry.all_schemas()})


def test_versions_are_numbered_without_a_hole_and_ids_are_unique() -> None:
    """Versions of a schema count from 1, and an id means one schema."""
    for name in NAMES:
        versions = sorted(s.version for s in registry.all_schemas() if s.name == name)
        assert versions == list(range(1, len(versions) + 1))
    ids = [s.id for s in registry.all_schemas()]
    assert len(ids) == len(set(ids))


def test_every_stored_file_is_registered() -> None:
    """Each .avsc file has an id, and each id a file."""
    root = files("schemas") / "avsc"
    stored = {(d.name, f.name) for d in root.iterdir() if d.is_dir() for f in d.iterdir() if f.name.endswith(".avsc")}
    assert stored == {(s.name, f"v{s.version}.avsc") for s in registry.all_schemas()}


def test_every_newer_version_reads_every_older_one() -> None:
    """By Avro's rules of resolution, and transitively: history is older than one version."""
    for old, new in PAIRS:
        assert problems(json.loads(old.text), json.loads(new.text)) == [], f"{old.name} {old.version}->{new.version}"


@pytest.mark.parametrize("name", NAMES)
def test_a_next_version_with_a_default_would_read_ours(name: str) -> None:
    """The checker and fastavro agree that a field with a default may be added, and what one without would break."""
    old = json.loads(registry.latest(name).text)
    record = next(r for r in one_of_each().values() if r.schema_name() == name)
    grown = {**old, "fields": [*old["fields"], {"name": "added", "type": "long", "default": 7}]}
    assert problems(old, grown) == []
    values = resolve(old, grown, record.to_dict())
    assert values["added"] == 7
    broken = {**old, "fields": [*old["fields"], {"name": "added", "type": "long"}]}
    assert problems(old, broken) == [".added: new, without a default"]
    with pytest.raises(Exception):  # noqa: B017 - fastavro has no class of its own for it
        resolve(old, broken, record.to_dict())


def resolve(writer: Any, reader: Any, values: dict[str, Any]) -> Any:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer, named_schemas={}), values)
    out.seek(0)
    parsed = [fastavro.parse_schema(s, named_schemas={}) for s in (writer, reader)]
    return fastavro.schemaless_reader(out, *parsed)


@pytest.mark.parametrize(
    ("writer", "reader", "fits"),
    [
        ("int", "double", True),
        ("double", "int", False),
        ("string", ["null", "string"], True),
        (["null", "string"], "string", False),
        ({"type": "array", "items": "int"}, {"type": "array", "items": "long"}, True),
        ({"type": "array", "items": "string"}, {"type": "array", "items": "long"}, False),
        ({"type": "map", "values": "string"}, {"type": "map", "values": "double"}, False),
        (
            {"type": "enum", "name": "e", "symbols": ["a", "b"]},
            {"type": "enum", "name": "e", "symbols": ["a"]},
            False,
        ),
        ({"type": "record", "name": "r", "fields": []}, {"type": "record", "name": "q", "fields": []}, False),
    ],
)
def test_the_checker_knows_the_rules(writer: Any, reader: Any, fits: bool) -> None:
    """Promotions, unions, arrays, maps, enums and names, as the specification has them."""
    assert (problems(writer, reader) == []) is fits


@pytest.mark.parametrize("name", NAMES)
def test_records_have_the_schemas_fields(name: str) -> None:
    """A dataclass has its schema's fields, in its order, with its defaults; the id's file names the record."""
    schema = json.loads(registry.latest(name).text)
    record = RECORDS[name]
    assert [f["name"] for f in schema["fields"]] == [f.name for f in fields(record)]  # type: ignore[arg-type]
    for avro, ours in zip(schema["fields"], fields(record), strict=True):  # type: ignore[arg-type]
        if "default" in avro:
            given = ours.default_factory() if ours.default_factory is not MISSING else ours.default
            assert given == avro["default"], ours.name
        else:
            assert ours.default is MISSING, ours.name
            assert ours.default_factory is MISSING, ours.name
        assert avro["doc"], f"{name}.{ours.name} says what it is"
    assert record.__name__ == schema["name"]


def test_every_topic_that_carries_records_names_a_schema() -> None:
    """Topics and schemas know each other; only internal topics carry anything else."""
    assert {t.schema for t in FLOW if t.schema} == set(NAMES)
    assert all(t.internal for t in FLOW if t.schema is None)
