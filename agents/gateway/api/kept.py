"""Preferences, targets, inhibitions and settings of dependencies; and the way back of everything that people change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import AliasChoices, Field
from starlette.responses import Response

from agents.gateway import control_models
from agents.gateway.api import changing
from agents.gateway.api.changing import ERRORS, Who
from agents.gateway.api.rules import ActorQuery, ExpectedQuery, RollbackRequest
from agents.gateway.context import Ready
from agents.gateway.errors import ApiError, reply

router = APIRouter(prefix="/api/v1", tags=["control"])
# Rules, silences and windows have routes of their own, which say more of them.
KINDS = {
    "preferences": "preference",
    "targets": "target",
    "inhibitions": "inhibit_rule",
    "dependencies": "dependencies",
}
_HISTORY: dict[int | str, dict[str, Any]] = {404: ERRORS[404], 503: ERRORS[503]}


class KeptRequest(Who):
    """What is to be in force under the id, as the configuration file has it."""

    body: dict[str, Any] = Field(
        validation_alias=AliasChoices("body", "preference", "target", "inhibition", "dependencies")
    )


def _add(path: str, kind: str) -> None:
    """The routes of one kind."""

    @router.get(f"/{path}", response_model=control_models.KeptList, responses={503: ERRORS[503]})
    async def listing(gateway: Ready) -> Response:
        """Everything of this kind that is in force: the file's, overlaid by what was changed at run time."""
        found = await changing.controls(gateway)
        items = [
            {
                "id": key,
                "source": "file" if found.current(kind, key) is None else "control",
                "version": found.version(kind, key),
                "body": value.model_dump(mode="json", by_alias=True, exclude_defaults=True),
            }
            for key, value in sorted(found.laid_over(kind, gateway.declared.get(kind, {})).items())
        ]
        return reply({"success": True, "kind": kind, "items": items})

    @router.put(f"/{path}/{{key:path}}", response_model=control_models.Changed, responses=ERRORS)
    async def put(key: str, gateway: Ready, request: Annotated[KeptRequest, Body()]) -> Response:
        """Make or replace it; it is in force everywhere within two seconds."""
        return await changing.change(gateway, kind, key, request.body, request)

    @router.delete(f"/{path}/{{key:path}}", response_model=control_models.Changed, responses=ERRORS)
    async def delete(
        key: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
    ) -> Response:
        """Take it out, also one of the file."""
        found = await changing.controls(gateway)
        if key not in found.laid_over(kind, gateway.declared.get(kind, {})):
            raise ApiError(404, "not_found", f"no {kind} {key[:200]!r}; GET /api/v1/{path} lists them")
        return await changing.change(gateway, kind, key, None, Who(actor=actor, expected_version=expected_version))


def _add_history(path: str, kind: str) -> None:
    @router.get(f"/{path}/{{key:path}}/history", response_model=control_models.ChangeList, responses=_HISTORY)
    async def history(key: str, gateway: Ready) -> Response:
        """Who changed it, when, from what to what; the last 50 versions, oldest first."""
        return changing.history(await changing.controls(gateway), kind, key)


def _add_rollback(path: str, kind: str) -> None:
    @router.post(f"/{path}/{{key:path}}/rollback", response_model=control_models.Changed, responses=ERRORS)
    async def rollback(key: str, gateway: Ready, request: Annotated[RollbackRequest, Body()]) -> Response:
        """Make an earlier version the latest once more."""
        return await changing.roll_back(gateway, kind, key, request.version, request)


for _path, _kind in KINDS.items():
    _add(_path, _kind)
for _path, _kind in {**KINDS, "thresholds": "threshold"}.items():
    _add_history(_path, _kind)
for _path, _kind in {**KINDS, "thresholds": "threshold", "silences": "silence", "maintenance": "maintenance"}.items():
    _add_rollback(_path, _kind)
