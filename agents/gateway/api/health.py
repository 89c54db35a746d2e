"""Health of the platforms, checks on demand, and the schedule."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from starlette.responses import Response

from agents.gateway import models
from agents.gateway.context import Anytime, Gateway, Ready
from agents.gateway.errors import ApiError, reply
from agents.gateway.present import iso, worst
from streams.control_bodies import DEMAND

router = APIRouter(prefix="/api", tags=["health"])
_NOT_FOUND: dict[int | str, dict[str, object]] = {404: {"model": models.Error}}


@router.get("/ping", response_model=models.Ping)
async def ping(gateway: Anytime) -> Response:
    """Whether the gateway is there; needs no token."""
    return reply({"success": True, "service": "probestream", "time": iso(gateway.now())})


@router.get("/health/status", response_model=models.Status)
async def status(gateway: Ready) -> Response:
    """Every platform."""
    now = gateway.now()
    found = _platforms(gateway, gateway.present.platforms(now), now)
    return reply({"success": True, "status": worst(p["status"] for p in found), "time": iso(now), "platforms": found})


@router.get("/health/platform/{platform:path}", response_model=models.PlatformList, responses=_NOT_FOUND)
async def platform(platform: str, gateway: Ready) -> Response:
    """One platform."""
    now = gateway.now()
    names = _members(gateway, platform, now)
    return reply({"success": True, "platforms": _platforms(gateway, {platform: names}, now)})


@router.post(
    "/health/check",
    response_model=models.CheckResult,
    responses={**_NOT_FOUND, 202: {"model": models.CheckResult}, 503: {"model": models.Error}},
)
async def check(gateway: Ready, request: Annotated[models.CheckRequest | None, Body()] = None) -> Response:
    """Check now, and wait for what the checks find; 202 where some did not answer in time."""
    began = gateway.now()
    names, everything = _chosen(gateway, request or models.CheckRequest(), began)
    configured = gateway.present.targets
    checkable = [n for n in names if n in configured and configured[n].kind != "push"]
    for control_id in ["*"] if everything and checkable else checkable:
        await gateway.controls.write(DEMAND, control_id, "api", {})

    def missing() -> list[str]:
        health = gateway.view.health
        return [n for n in checkable if n not in health or health[n].health.time < began]

    longest = max((configured[n].timeout for n in checkable), default=0.0)
    complete = await gateway.view.wait_for(lambda: not missing(), longest + 1.0)
    now = gateway.now()
    late = missing()
    wanted = {gateway.present.platform_of(n) for n in names}
    members = {p: m for p, m in gateway.present.platforms(now).items() if p in wanted}
    answer = {
        "success": True,
        "complete": complete,
        "checked": [n for n in checkable if n not in late],
        "missing": late,
        "not_checkable": [n for n in names if n not in checkable],
        "platforms": _platforms(gateway, members, now),
    }
    return reply(answer, 200 if complete else 202)


@router.get("/health/scheduler/status", response_model=models.Scheduler)
async def scheduler(gateway: Ready) -> Response:
    """The schedule, as far as the samples show it: the gateway and the probes share nothing but the log."""
    now = gateway.now()
    jobs = []
    upcoming = []
    for name, target in gateway.present.targets.items():
        if target.kind == "push":
            continue
        known = gateway.view.health.get(name)
        last = known.health.time if known else None
        following = now if last is None else max(last + target.every * 1000.0, now)
        upcoming.append(following)
        jobs.append(
            {
                "target": name,
                "trigger": f"interval {target.every:g}s",
                "every_s": target.every,
                "last_run": iso(last),
                "next_run": iso(following),
                "overdue": known is None or gateway.present.overdue(name, now),
            }
        )
    return reply(
        {
            "success": True,
            "running": any(not j["overdue"] for j in jobs),
            "jobs": len(jobs),
            "next_run": iso(min(upcoming, default=None)),
            "trigger": "interval",
            "targets": jobs,
        }
    )


@router.get("/health/websocket/stats", response_model=models.LiveStats)
async def websocket_stats(gateway: Anytime) -> Response:
    """The live connections."""
    return reply({"success": True, **gateway.hub.stats()})


def _platforms(gateway: Gateway, members: dict[str, list[str]], now: float) -> list[dict[str, Any]]:
    return [gateway.present.platform(p, names, now) for p, names in members.items()]


def _members(gateway: Gateway, platform: str, now: float) -> list[str]:
    platforms = gateway.present.platforms(now)
    if platform not in platforms:
        raise ApiError(404, "unknown_platform", f"no platform is named {platform!r}; GET /api/health/status lists them")
    return platforms[platform]


def _chosen(gateway: Gateway, request: models.CheckRequest, now: float) -> tuple[list[str], bool]:
    """The targets that a request means, and whether that is all of them."""
    if request.targets is not None and request.platform is not None:
        raise ApiError(400, "bad_request", "give targets or platform, not both")
    if request.platform is not None:
        return _members(gateway, request.platform, now), False
    names = gateway.present.names(now)
    if request.targets is None:
        return names, True
    if unknown := [n for n in request.targets if n not in names]:
        raise ApiError(404, "unknown_target", f"no target is named {unknown[0]!r}; GET /api/targets lists them")
    return list(dict.fromkeys(request.targets)), False
