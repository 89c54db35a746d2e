"""Rules at run time: those in force, and their change, history and way back; and other thresholds for them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import Field
from starlette.responses import Response

from agents.gateway import control_models
from agents.gateway.api import changing
from agents.gateway.api.changing import ERRORS, Who
from agents.gateway.context import Ready
from agents.gateway.errors import ApiError, reply
from streams.control import Controls

router = APIRouter(prefix="/api/v1", tags=["rules"])


class RuleRequest(Who):
    """A rule as the configuration file has it."""

    rule: dict[str, Any]


class ThresholdRequest(Who):
    """Other numbers for a rule, in the unit of its metric."""

    value: float | None = None
    recover: float | None = None
    warning: float | None = None
    critical: float | None = None
    comment: str = Field(default="", max_length=2000)


class RollbackRequest(Who):
    """The version to go back to."""

    version: int = Field(ge=1)


ActorQuery = Annotated[str, Query(min_length=1, max_length=200)]
ExpectedQuery = Annotated[int | None, Query(ge=0)]


def _rule_json(found: Controls, rule: Any) -> dict[str, Any]:
    names = [n for n in (rule.name, rule.pair) if n]
    changed = next((r for n in names if (r := found.current("rule", n)) is not None), None)
    threshold = next((r for n in names if (r := found.current("threshold", n)) is not None and not r.deleted), None)
    return {
        "name": rule.name,
        "severity": rule.severity,
        "source": "file" if changed is None else "control",
        "version": changed.version if changed is not None else 0,
        "threshold_version": threshold.version if threshold is not None else 0,
        "rule": rule.model_dump(mode="json", by_alias=True, exclude_unset=True),
    }


@router.get("/rules", response_model=control_models.RuleList, responses={503: ERRORS[503]})
async def rules(gateway: Ready) -> Response:
    """Every rule in force, as it is judged: the file's, overlaid by what was changed at run time."""
    found = await changing.controls(gateway)
    return reply({"success": True, "rules": [_rule_json(found, r) for r in found.rules(gateway.rules)]})


@router.get("/rules/{name}", response_model=control_models.RuleAnswer, responses={404: ERRORS[404], 503: ERRORS[503]})
async def rule(name: str, gateway: Ready) -> Response:
    """One rule, or both of a pair, with what was written for it at run time."""
    found = await changing.controls(gateway)
    current = found.current("rule", name)
    mine = [_rule_json(found, r) for r in found.rules(gateway.rules) if name in (r.name, r.pair)]
    if not mine and current is None:
        raise ApiError(404, "not_found", f"no rule is named {name[:200]!r}; GET /api/v1/rules lists them")
    written = changing.record_json(current) if current is not None else None
    return reply({"success": True, "rules": mine, "current": written})


@router.put("/rules/{name}", response_model=control_models.Changed, responses=ERRORS)
async def put_rule(name: str, gateway: Ready, request: Annotated[RuleRequest, Body()]) -> Response:
    """Make or replace a rule; it is in force everywhere within two seconds."""
    return await changing.change(gateway, "rule", name, request.rule, request)


@router.delete("/rules/{name}", response_model=control_models.Changed, responses=ERRORS)
async def delete_rule(
    name: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
) -> Response:
    """Take a rule out, also one of the file; its alerts are resolved and people are told."""
    return await changing.change(gateway, "rule", name, None, Who(actor=actor, expected_version=expected_version))


@router.get(
    "/rules/{name}/history", response_model=control_models.ChangeList, responses={404: ERRORS[404], 503: ERRORS[503]}
)
async def rule_history(name: str, gateway: Ready) -> Response:
    """Who changed it, when, from what to what; the last 50 versions, oldest first."""
    return changing.history(await changing.controls(gateway), "rule", name)


@router.post("/rules/{name}/rollback", response_model=control_models.Changed, responses=ERRORS)
async def rollback_rule(name: str, gateway: Ready, request: Annotated[RollbackRequest, Body()]) -> Response:
    """Make an earlier version the latest once more."""
    return await changing.roll_back(gateway, "rule", name, request.version, request)


@router.put("/thresholds/{rule}", response_model=control_models.Changed, responses=ERRORS)
async def put_threshold(rule: str, gateway: Ready, request: Annotated[ThresholdRequest, Body()]) -> Response:
    """Judge a rule by other numbers, without touching the rest of it."""
    names = ("value", "recover", "warning", "critical")
    body = {n: v for n in names if (v := getattr(request, n)) is not None} | {"comment": request.comment}
    return await changing.change(gateway, "threshold", rule, body, request)


@router.delete("/thresholds/{rule}", response_model=control_models.Changed, responses=ERRORS)
async def delete_threshold(
    rule: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
) -> Response:
    """Judge a rule by its own numbers again."""
    return await changing.change(gateway, "threshold", rule, None, Who(actor=actor, expected_version=expected_version))
