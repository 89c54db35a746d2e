"""What a person asks of an alert: to be left alone by it for a while, to call it resolved; and who asked what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from agents.gateway import control_models
from agents.gateway.api import changing
from agents.gateway.api.changing import ERRORS, Who
from agents.gateway.api.rules import ActorQuery, ExpectedQuery
from agents.gateway.context import Gateway, Ready
from agents.gateway.errors import ApiError, reply
from streams.history_queries import ENDED
from streams.units import seconds

router = APIRouter(prefix="/api/v1", tags=["control"])


class SnoozeRequest(Who):
    """Until when: `until`, or `for` (such as 30m) from now on."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    until: str | float | None = None
    for_: str | float | None = Field(default=None, alias="for")
    comment: str = Field(default="", max_length=2000)


class ResolveRequest(Who):
    """Why it is over."""

    comment: str = Field(default="", max_length=2000)


def _must_be_active(gateway: Gateway, alert_id: str) -> None:
    latest = gateway.view.alerts.latest(alert_id)
    if latest is None:
        raise ApiError(
            404, "unknown_alert", f"no alert has the id {alert_id[:200]!r}; GET /api/health/alerts lists them"
        )
    if latest.state in ENDED:
        raise ApiError(409, "already_resolved", f"alert {alert_id} is {latest.state}")


@router.post("/alerts/{alert_id}/snooze", response_model=control_models.Changed, responses=ERRORS)
async def snooze(alert_id: str, gateway: Ready, request: Annotated[SnoozeRequest, Body()]) -> Response:
    """Tell nothing of an alert for a while; if it still fires then, it is told again."""
    _must_be_active(gateway, alert_id)
    if (request.until is None) == (request.for_ is None):
        raise ApiError(422, "invalid", "until: give until or for, one of them")
    try:
        until = request.until if request.until is not None else gateway.now() + seconds(request.for_) * 1000.0
    except ValueError as error:
        raise ApiError(422, "invalid", f"for: {error}") from error
    return await changing.change(gateway, "snooze", alert_id, {"until": until, "comment": request.comment}, request)


@router.delete("/alerts/{alert_id}/snooze", response_model=control_models.Changed, responses=ERRORS)
async def wake(
    alert_id: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
) -> Response:
    """End a snooze."""
    return await changing.change(gateway, "snooze", alert_id, None, Who(actor=actor, expected_version=expected_version))


@router.post("/alerts/{alert_id}/resolve", response_model=control_models.Changed, responses=ERRORS)
async def resolve(alert_id: str, gateway: Ready, request: Annotated[ResolveRequest, Body()]) -> Response:
    """Call an alert resolved."""
    _must_be_active(gateway, alert_id)
    return await changing.change(gateway, "resolve", alert_id, {"comment": request.comment}, request)


@router.get("/audit", response_model=control_models.ChangeList, responses={503: ERRORS[503]})
async def audit(
    gateway: Ready,
    kind: Annotated[str, Query(max_length=60)] = "",
    outcome: Annotated[str, Query(pattern="^(|accepted|conflict|invalid)$", max_length=20)] = "",
    actor: Annotated[str, Query(max_length=200)] = "",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Every change at run time, accepted and refused, newest first: who, when, from what to what."""
    found = (await changing.controls(gateway)).audit()
    chosen = [
        c
        for c in found
        if (not kind or c.kind == kind) and (not outcome or c.outcome == outcome) and (not actor or c.actor == actor)
    ]
    return reply({"success": True, "changes": [changing.change_json(c) for c in chosen[:limit]]})
