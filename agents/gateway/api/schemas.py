"""The Avro schemas, read-only, in the shape of Confluent's Schema Registry API, version 1.

Source: Confluent Platform documentation, "Schema Registry API Reference". Subjects follow its TopicNameStrategy.
"""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from agents.gateway import models
from agents.gateway.context import Anytime, Gateway
from schemas import registry
from streams.topics import FLOW, full_name

router = APIRouter(tags=["schemas"])
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
_LARGEST_VERSION = 2**31 - 1
_ERRORS: dict[int | str, dict[str, object]] = {404: {"model": models.RegistryError}}


def _reply(data: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(data), status, media_type=MEDIA_TYPE)


def _subjects(gateway: Gateway) -> dict[str, str]:
    """Schema names by subject."""
    return {f"{full_name(gateway.kafka, t)}-value": t.schema for t in FLOW if t.schema is not None}


def _versions(name: str) -> dict[int, registry.Schema]:
    return {s.version: s for s in sorted(registry.all_schemas(), key=lambda s: s.version) if s.name == name}


def _by_id(schema_id: str) -> registry.Schema | Response:
    found = registry.by_id().get(int(schema_id)) if schema_id.isascii() and schema_id.isdigit() else None
    return found or _reply({"error_code": 40403, "message": f"Schema {schema_id[:50]} not found"}, 404)


def _by_version(gateway: Gateway, subject: str, version: str) -> registry.Schema | Response:
    name = _subjects(gateway).get(subject)
    if name is None:
        return _no_subject(subject)
    if version in ("latest", "-1"):
        return registry.latest(name)
    if not (version.isascii() and version.isdigit() and 1 <= int(version) <= _LARGEST_VERSION):
        message = (
            f"The specified version '{version[:50]}' is not a valid version id. Allowed values are between "
            f'[1, 2^31-1] and the string "latest"'
        )
        return _reply({"error_code": 42202, "message": message}, 422)
    found = _versions(name).get(int(version))
    return found or _reply({"error_code": 40402, "message": f"Version {version} not found."}, 404)


def _no_subject(subject: str) -> Response:
    return _reply({"error_code": 40401, "message": f"Subject '{subject[:300]}' not found."}, 404)


@router.get("/schemas/types", response_model=list[str])
async def types() -> Response:
    """The one format."""
    return _reply(["AVRO"])


@router.get("/schemas/ids/{schema_id}", response_model=models.SchemaText, responses=_ERRORS)
async def by_id(schema_id: str) -> Response:
    """The schema that a record's header names."""
    found = _by_id(schema_id)
    return found if isinstance(found, Response) else _reply({"schema": found.text})


@router.get("/schemas/ids/{schema_id}/schema", responses=_ERRORS)
async def text_by_id(schema_id: str) -> Response:
    """The schema alone."""
    found = _by_id(schema_id)
    return found if isinstance(found, Response) else Response(found.text, media_type=MEDIA_TYPE)


@router.get("/schemas/ids/{schema_id}/subjects", response_model=list[str], responses=_ERRORS)
async def subjects_by_id(schema_id: str, gateway: Anytime) -> Response:
    """The subjects that a schema is registered under."""
    found = _by_id(schema_id)
    if isinstance(found, Response):
        return found
    return _reply([subject for subject, name in _subjects(gateway).items() if name == found.name])


@router.get("/schemas/ids/{schema_id}/versions", response_model=list[models.SubjectVersion], responses=_ERRORS)
async def versions_by_id(schema_id: str, gateway: Anytime) -> Response:
    """The subjects and versions that a schema is registered as."""
    found = _by_id(schema_id)
    if isinstance(found, Response):
        return found
    return _reply(
        [
            {"subject": subject, "version": found.version}
            for subject, name in _subjects(gateway).items()
            if name == found.name
        ]
    )


@router.get("/subjects", response_model=list[str])
async def subjects(gateway: Anytime) -> Response:
    """A subject for each topic that carries records."""
    return _reply(sorted(_subjects(gateway)))


@router.get("/subjects/{subject}/versions", response_model=list[int], responses=_ERRORS)
async def versions(subject: str, gateway: Anytime) -> Response:
    """The versions of a subject."""
    name = _subjects(gateway).get(subject)
    return _no_subject(subject) if name is None else _reply(list(_versions(name)))


@router.get("/subjects/{subject}/versions/{version}", response_model=models.RegisteredSchema, responses=_ERRORS)
async def version(subject: str, version: str, gateway: Anytime) -> Response:
    """One version of a subject, or the `latest`."""
    found = _by_version(gateway, subject, version)
    if isinstance(found, Response):
        return found
    return _reply({"subject": subject, "version": found.version, "id": found.id, "schema": found.text})


@router.get("/subjects/{subject}/versions/{version}/schema", responses=_ERRORS)
async def version_text(subject: str, version: str, gateway: Anytime) -> Response:
    """The schema of one version alone."""
    found = _by_version(gateway, subject, version)
    return found if isinstance(found, Response) else Response(found.text, media_type=MEDIA_TYPE)


@router.get("/config", response_model=models.Compatibility)
async def config() -> Response:
    """A newer version reads what the one before wrote; a test holds every version to it."""
    return _reply({"compatibilityLevel": "BACKWARD"})


@router.get("/config/{subject}", response_model=models.Compatibility, responses=_ERRORS)
async def subject_config(subject: str, gateway: Anytime) -> Response:
    """The same for every subject."""
    if subject not in _subjects(gateway):
        return _no_subject(subject)
    return _reply({"compatibilityLevel": "BACKWARD"})
