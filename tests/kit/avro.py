"""Whether a reader's Avro schema reads what a writer's wrote.

Source: Apache Avro 1.12 specification, "Schema Resolution".
"""

from __future__ import annotations

from typing import Any

PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def problems(writer: Any, reader: Any, at: str = "") -> list[str]:
    """Everything that keeps `reader` from reading what `writer` wrote; empty where nothing does."""
    if isinstance(writer, list):
        return [p for branch in writer for p in problems(branch, reader, at)]
    if isinstance(reader, list):
        if any(not problems(writer, branch, at) for branch in reader):
            return []
        return [f"{at}: {_name(writer)} fits no branch of the reader's union"]
    kinds = _kind(writer), _kind(reader)
    if kinds[0] != kinds[1]:
        if kinds[1] in PROMOTIONS.get(kinds[0], ()):
            return []
        return [f"{at}: {_name(writer)} became {_name(reader)}"]
    match kinds[0]:
        case "record":
            return _record(writer, reader, at)
        case "array":
            return problems(writer["items"], reader["items"], f"{at}[]")
        case "map":
            return problems(writer["values"], reader["values"], f"{at}{{}}")
        case "enum":
            gone = set(writer["symbols"]) - set(reader["symbols"])
            return [f"{at}: symbols {sorted(gone)} are gone"] if gone and "default" not in reader else []
        case "fixed":
            return [] if writer["size"] == reader["size"] else [f"{at}: another size"]
    return []


def _record(writer: Any, reader: Any, at: str) -> list[str]:
    found: list[str] = []
    if writer["name"] != reader["name"] and writer["name"] not in reader.get("aliases", ()):
        found.append(f"{at}: record {writer['name']} became {reader['name']}")
    written = {f["name"]: f for f in writer["fields"]}
    for field in reader["fields"]:
        place = f"{at}.{field['name']}"
        old = next((written[n] for n in (field["name"], *field.get("aliases", ())) if n in written), None)
        if old is not None:
            found += problems(old["type"], field["type"], place)
        elif "default" not in field:
            found.append(f"{place}: new, without a default")
    return found


def _kind(schema: Any) -> str:
    return schema["type"] if isinstance(schema, dict) else schema


def _name(schema: Any) -> str:
    return schema.get("name", schema["type"]) if isinstance(schema, dict) else str(schema)
