"""Log lines in."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from agents.gateway import models
from agents.gateway.context import Anytime, Gateway
from agents.gateway.errors import ApiError, reply
from streams.log_lines import LineError, parse

router = APIRouter(prefix="/api/v1", tags=["logs"])
_ERRORS: dict[int | str, dict[str, object]] = {n: {"model": models.Error} for n in (400, 404, 409, 413, 415, 503)}
_LINE: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {
                "message": {"type": "string"},
                "level": {"type": "string"},
                "time": {"anyOf": [{"type": "string"}, {"type": "number"}]},
                "target": {"type": "string"},
            },
            "required": ["message"],
        },
    ]
}
_TARGETED = {
    "type": "object",
    "properties": {"target": {"type": "string"}, "lines": {"type": "array", "items": _LINE}},
    "required": ["lines"],
}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"anyOf": [_TARGETED, {"type": "array", "items": _LINE}, _LINE]}},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post("/logs", response_model=models.LogsAnswer, responses=_ERRORS, openapi_extra=_BODY)
async def logs(
    gateway: Anytime,
    request: Request,
    target: Annotated[str, Query(max_length=200, description="of lines that do not name theirs")] = "",
) -> Response:
    """Take log lines, all of them or none; once this answers, none is lost."""
    try:
        found = parse(await request.body(), target)
    except LineError as error:
        raise ApiError(400, "bad_request", f"{error}") from None
    for name in found:
        _check(gateway, name)
    await gateway.logs.write(found)
    counts = {name: len(lines) for name, lines in found.items()}
    return reply({"success": True, "lines": sum(counts.values()), "targets": counts})


def _check(gateway: Gateway, name: str) -> None:
    """Refuse now what the logs role would refuse later."""
    configured = gateway.present.targets.get(name)
    if len(name) > 200:
        raise ApiError(400, "bad_request", "a target name has at most 200 characters")
    if configured is None and not gateway.accept_unknown:
        raise ApiError(404, "unknown_target", f"no target is named {name!r}; GET /api/targets lists them")
    if configured is not None and configured.kind != "push":
        raise ApiError(
            409,
            "wrong_kind",
            f"target {name!r} is checked by a probe, and its lines would count as checks: "
            "give them a target of their own, with push: {}",
        )
