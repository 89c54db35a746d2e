"""The configuration's JSON Schema, for editors."""

from __future__ import annotations

import json
from typing import Any

from probestream.config.model import Config

_DRAFT = "https://json-schema.org/draft/2020-12/schema"

_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a probestream.yaml, ``*_file`` beside each field that may come from a file."""
    schema = Config.model_json_schema(by_alias=True, mode="validation")
    for part in (schema, *schema.get("$defs", {}).values()):
        _allow_files(part)
        _allow_variables(part)
    return {"$schema": _DRAFT, **schema, "title": "probestream.yaml"}


def _allow_files(part: dict[str, Any]) -> None:
    """A secret may be the content of a file: the loader takes ``x_file`` for every ``x``, and ``${NAME}`` anywhere."""
    properties = part.get("properties", {})
    secret = [name for name, value in properties.items() if _is_secret(value)]
    for name in secret:
        properties[f"{name}_file"] = {
            "type": "string",
            "title": f"{properties[name].get('title', name)} File",
            "description": f"File with {name} in it.",
        }
    if not secret or "required" not in part:
        return
    either = [name for name in part["required"] if name in secret]
    if either:
        part["required"] = [name for name in part["required"] if name not in either]
        part["allOf"] = [{"oneOf": [{"required": [name]}, {"required": [f"{name}_file"]}]} for name in either]


def _allow_variables(part: dict[str, Any]) -> None:
    """``port: ${PORT}`` is a text until the loader has read it, whatever the field wants."""
    for name, value in part.get("properties", {}).items():
        if value.get("type") in ("integer", "number", "boolean") or value.keys() & {"pattern", "enum"}:
            outer = {key: value.pop(key) for key in ("title", "description", "default") if key in value}
            part["properties"][name] = {**outer, "anyOf": [value, _VARIABLE]}
        elif "anyOf" in value and not any(one.keys() == {"type"} and one["type"] == "string" for one in value["anyOf"]):
            value["anyOf"].append(_VARIABLE)


def _is_secret(value: dict[str, Any]) -> bool:
    """Pydantic marks a SecretStr, and one that may be absent, with the format ``password``."""
    return any(one.get("format") == "password" for one in (value, *value.get("anyOf", ())))


def text() -> str:
    """The schema as the repository keeps it."""
    return json.dumps(json_schema(), indent=2) + "\n"
