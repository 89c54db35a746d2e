"""Confluent wire format: a zero byte, the schema id as four big-endian bytes, the Avro body.

Source: Confluent Schema Registry documentation, "Wire format".
"""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any, TypeVar

import fastavro

from schemas import registry
from schemas.records import RECORDS, Record

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = struct.Struct(">bI")
HEADER_BYTES = _HEADER.size
R = TypeVar("R", bound=Record)


class DecodeError(ValueError):
    """Bytes that are no record of ours. `reason` is a short name for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def encode(record: Record) -> bytes:
    """The bytes of `record`, with the newest version of its schema."""
    schema = registry.latest(record.schema_name())
    return encode_dict(schema, record.to_dict())


def encode_dict(schema: registry.Schema, values: Mapping[str, Any]) -> bytes:
    """The bytes of `values` under `schema`. Raises ValueError where they do not fit it."""
    out = io.BytesIO()
    out.write(_HEADER.pack(0, schema.id))
    fastavro.schemaless_writer(out, schema.parsed, values)
    return out.getvalue()


def schema_of(data: bytes | None) -> registry.Schema:
    """The schema that `data` was written with. Raises DecodeError."""
    if data is None or len(data) < HEADER_BYTES:
        raise DecodeError("not_avro", f"{len(data or b'')} bytes are too few for a header")
    magic, schema_id = _HEADER.unpack_from(data)
    if magic != 0:
        raise DecodeError("not_avro", f"first byte is {data[0]:#04x}, not the format's 0x00")
    schema = registry.by_id().get(schema_id)
    if schema is None:
        raise DecodeError("unknown_schema", f"schema id {schema_id} is not a published one")
    return schema


def decode_dict(data: bytes | None) -> tuple[registry.Schema, dict[str, Any]]:
    """The writer's schema and the values, read with the newest version. Raises DecodeError."""
    schema = schema_of(data)
    assert data is not None
    body = io.BytesIO(data)
    body.seek(HEADER_BYTES)
    reader = registry.latest(schema.name)
    try:
        values = fastavro.schemaless_reader(body, schema.parsed, reader.parsed if reader.id != schema.id else None)
    except Exception as error:  # fastavro raises whatever the bytes lead it into
        raise DecodeError("not_avro", f"no {schema.name}: {type(error).__name__}: {error}") from error
    if body.tell() != len(data):
        raise DecodeError("not_avro", f"{len(data) - body.tell()} bytes after the {schema.name}")
    if not isinstance(values, dict):  # every schema of ours is a record
        raise DecodeError("not_avro", f"no {schema.name}")
    return schema, values


def decode(data: bytes | None, kind: type[R]) -> R:
    """The record of type `kind` in `data`. Raises DecodeError."""
    schema, values = decode_dict(data)
    if schema.name != kind.schema_name():
        raise DecodeError("wrong_schema", f"a {schema.name} where a {kind.schema_name()} belongs")
    return kind.from_dict(values)


def decode_any(data: bytes | None) -> Record:
    """The record in `data`, of whatever type. Raises DecodeError."""
    schema, values = decode_dict(data)
    return RECORDS[schema.name].from_dict(values)
