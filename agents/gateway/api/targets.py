"""Targets, and their past."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import Connection
from starlette.responses import Response

from agents.gateway import models
from agents.gateway.context import Gateway, Ready
from agents.gateway.errors import ApiError, reply
from agents.gateway.present import alert_json, iso, points_json
from streams import history_queries as queries
from streams.history import MERGED_MS

router = APIRouter(prefix="/api/targets", tags=["targets"])
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": models.Error}}
_MEMORY_MINUTES = 60
_POINTS = 400


@router.get("", response_model=models.TargetList)
async def targets(gateway: Ready) -> Response:
    """Every target."""
    now = gateway.now()
    return reply({"success": True, "targets": [gateway.present.target(n, now) for n in gateway.present.names(now)]})


# Names may hold slashes; so these two come before the one that takes whatever is left.
@router.get("/{name:path}/series", response_model=models.Series, responses=_NOT_FOUND)
async def series(
    name: str,
    gateway: Ready,
    minutes: Annotated[float, Query(ge=1, le=50_400, allow_inf_nan=False)] = 60,
    step_s: Annotated[float | None, Query(ge=1, le=86_400, allow_inf_nan=False)] = None,
    metric: Annotated[str, Query(max_length=200, description="one of the target's metrics, beside its checks")] = "",
) -> Response:
    """A target over time: up to an hour from memory, more from the SQL history."""
    _known(gateway, name)
    pane = gateway.view.panes.pane_ms
    least = math.ceil(minutes * 60_000.0 / _POINTS / pane) * pane
    if least > MERGED_MS:  # the history's merged panes then fit into steps: none has more of them than the next
        least = math.ceil(least / MERGED_MS) * MERGED_MS
    step = least if step_s is None else max(pane, math.ceil(step_s * 1000.0 / pane) * pane)
    # Steps begin at the same times whenever one asks, so that a line does not wobble while it is refreshed.
    end = math.floor(gateway.now() / step) * step + step
    start = end - math.ceil(minutes * 60_000.0 / step) * step
    points, source = await _points(gateway, (name, start, end, step), metric, minutes)
    answer = {"success": True, "target": name, "step_s": step / 1000.0, "source": source, "points": points}
    return reply(answer | ({"metric": metric} if metric else {}))


async def _points(
    gateway: Gateway, span: tuple[str, float, float, float], metric: str, minutes: float
) -> tuple[list[dict[str, Any]], str]:
    """The points of `span` (target, start, end, step) and where they are from."""
    _, start, _, _ = span
    panes = gateway.view.panes
    metrics = ("", metric) if metric else ("",)
    if minutes > _MEMORY_MINUTES or not all(panes.whole_since(start, m) for m in metrics):
        found = await gateway.archive.ask(_from_history, span, metrics)
        if found is not None:
            return points_json(*found), "history"
        if minutes > _MEMORY_MINUTES:
            return [], "none"
    return points_json(*[panes.series(*span, m) for m in metrics]), "memory"


def _from_history(
    connection: Connection, span: tuple[str, float, float, float], metrics: Iterable[str]
) -> list[list[queries.Point]]:
    return [queries.series(connection, *span, m) for m in metrics]


@router.get("/{name:path}/uptime", response_model=models.UptimeAnswer, responses=_NOT_FOUND)
async def uptime(
    name: str, gateway: Ready, hours: Annotated[float, Query(gt=0, le=840, allow_inf_nan=False)] = 24
) -> Response:
    """Share of the checks of a target that succeeded."""
    _known(gateway, name)
    end = gateway.now()
    start = end - hours * 3_600_000.0
    found, source = None, "memory"
    if hours > 1:
        found, source = await gateway.archive.ask(queries.uptime, name, start, end), "history"
    if found is None:  # the last hour is all that memory has: better than nothing, and `from` says so
        start, source = max(start, end - 3_600_000.0), "memory"
        points = gateway.view.panes.series(name, start, end + 60_000.0, 60_000.0)
        found = queries.Uptime(sum(p.count for p in points), sum(p.errors for p in points))
    return reply(
        {
            "success": True,
            "target": name,
            "from": iso(start),
            "to": iso(end),
            "count": found.count,
            "errors": found.errors,
            "uptime": found.share,
            "source": source,
        }
    )


@router.get("/{name:path}", response_model=models.TargetAnswer, responses=_NOT_FOUND)
async def target(name: str, gateway: Ready) -> Response:
    """One target with its active alerts."""
    _known(gateway, name)
    alerts = [alert_json(a) for a in gateway.view.alerts.active(name)]
    return reply({"success": True, "target": gateway.present.target(name, gateway.now()), "alerts": alerts})


def _known(gateway: Gateway, name: str) -> None:
    if name not in gateway.present.targets and name not in gateway.view.health:
        raise ApiError(404, "unknown_target", f"no target is named {name!r}; GET /api/targets lists them")
