"""The codec: what goes in comes out, and garbage raises DecodeError, nothing else."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Alert, DecodeError, Health, decode, encode, registry
from schemas.codec import HEADER_BYTES, decode_any, schema_of
from schemas.records import RECORDS, Record
from tests.kit.records import one_of_each

LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=20),
    "bytes": st.binary(max_size=20),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "null": st.none(),
}


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values that an Avro schema takes."""
    if isinstance(schema, list):
        return st.one_of([values_of(s) for s in schema])
    if isinstance(schema, str):
        return LEAVES[schema]
    match schema["type"]:
        case "array":
            return st.lists(values_of(schema["items"]), max_size=3)
        case "map":
            return st.dictionaries(st.text(max_size=5), values_of(schema["values"]), max_size=3)
        case "record":
            return st.fixed_dictionaries({f["name"]: values_of(f["type"]) for f in schema["fields"]})
    return values_of(schema["type"])


records = st.one_of([values_of(registry.latest(name).parsed).map(kind.from_dict) for name, kind in RECORDS.items()])


def reason_of(data: bytes) -> str | None:
    """Why `data` is refused; None where it is a record."""
    try:
        decode_any(data)
    except DecodeError as error:
        return error.reason
    return None


@given(records)
def test_round_trip(record: Record) -> None:
    """Every record decodes to itself."""
    data = encode(record)
    assert decode(data, type(record)) == record
    assert decode_any(data) == record
    assert schema_of(data).name == record.schema_name()


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    """Whatever the bytes, the codec gives a record or raises DecodeError with a reason."""
    assert reason_of(data) in (None, "not_avro", "unknown_schema")


@given(st.sampled_from(registry.all_schemas()), st.binary(max_size=300))
def test_garbage_behind_a_good_header_is_refused(schema: registry.Schema, body: bytes) -> None:
    """Even where the header is right, only DecodeError comes out."""
    assert reason_of(struct.pack(">bI", 0, schema.id) + body) in (None, "not_avro")


@given(records, st.data())
def test_damaged_records_are_refused_or_read(record: Record, data: st.DataObject) -> None:
    """A flipped byte or a cut raises DecodeError or gives another record."""
    good = bytearray(encode(record))
    at = data.draw(st.integers(0, len(good) - 1))
    good[at] ^= data.draw(st.integers(1, 255))
    assert reason_of(bytes(good)) in (None, "not_avro", "unknown_schema")
    assert reason_of(bytes(good[:at])) is not None


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "not_avro"),
        (b"", "not_avro"),
        (b"\x00\x00\x00", "not_avro"),
        (b'{"json": 1}', "not_avro"),
        (struct.pack(">bI", 0, 4_000_000), "unknown_schema"),
    ],
)
def test_reasons_are_named(data: bytes | None, reason: str) -> None:
    """The reason says what kind of bad it is."""
    with pytest.raises(DecodeError) as told:
        decode(data, Alert)
    assert told.value.reason == reason


def test_a_record_of_another_topic_is_refused() -> None:
    """A health record on the alerts topic is no alert."""
    with pytest.raises(DecodeError, match="a health where a alert belongs") as told:
        decode(encode(one_of_each()["health"]), Alert)
    assert told.value.reason == "wrong_schema"


def test_trailing_bytes_are_refused() -> None:
    """A record with something after it is not what its writer wrote."""
    with pytest.raises(DecodeError, match="1 bytes after"):
        decode(encode(one_of_each()["health"]) + b"\x00", Health)


def test_the_header_is_confluents() -> None:
    """A zero byte, then the id, big-endian."""
    data = encode(one_of_each()["alerts"])
    assert data[:HEADER_BYTES] == struct.pack(">bI", 0, registry.latest("alert").id)
