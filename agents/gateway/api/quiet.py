"""Silences and maintenance windows: what is kept quiet, by whom, until when, and what a new one would hit."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from agents.gateway import control_models
from agents.gateway.api import changing
from agents.gateway.api.changing import ERRORS, Who
from agents.gateway.api.rules import ActorQuery, ExpectedQuery
from agents.gateway.context import Gateway, Ready
from agents.gateway.errors import ApiError, reply
from agents.gateway.present import alert_json
from streams.control import Controls
from streams.control_bodies import BodyError, parse_body
from streams.maintenance import Window
from streams.preview import Hits, preview
from streams.silences import Silence, expired
from streams.units import seconds

router = APIRouter(prefix="/api/v1", tags=["suppression"])
_MOST_SHOWN = 1000


class SilenceRequest(Who):
    """Matchers, and from when until when: `ends`, or `for` (such as 2h) from now or from `starts` on."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    matchers: list[Any] = Field(min_length=1, max_length=100, description="Texts, or Alertmanager's objects.")
    starts: str | float | None = None
    ends: str | float | None = None
    for_: str | float | None = Field(default=None, alias="for")
    comment: str = Field(default="", max_length=2000)
    author: str | None = Field(default=None, max_length=200, description="Without it, the actor.")


class WindowRequest(Who):
    """A maintenance window as the configuration file has it, without its name."""

    window: dict[str, Any]


def _silence_body(request: SilenceRequest, now: float) -> dict[str, Any]:
    """The record's body. Raises ApiError."""
    if (request.ends is None) == (request.for_ is None):
        raise ApiError(422, "invalid", "ends: give ends or for, one of them")
    starts: str | float = request.starts if request.starts is not None else now
    body = {"matchers": request.matchers, "starts": starts, "comment": request.comment}
    body["author"] = request.author if request.author is not None else request.actor
    if request.ends is not None:
        return {**body, "ends": request.ends}
    try:
        length = seconds(request.for_) * 1000.0
        begin = parse_body("silence", "x", {**body, "ends": 253_402_300_000_000.0}).starts
    except BodyError as error:
        raise changing.invalid(error) from error
    except ValueError as error:
        raise ApiError(422, "invalid", f"for: {error}") from error
    return {**body, "starts": begin, "ends": begin + length}


def _preview_json(gateway: Gateway, found: Controls, hits: Hits) -> dict[str, Any]:
    """The active alerts and the targets with their rules that `hits` holds for."""
    alerts = [alert_json(a) for held in gateway.view.alerts.all_active() for a in held if hits(a.target, _labels_of(a))]
    targets = preview(hits, gateway.present.targets.values(), found.rules(gateway.rules))
    return {
        "alerts": alerts[:_MOST_SHOWN],
        "targets": [{"target": n, "rules": r} for n, r in list(targets.items())[:_MOST_SHOWN]],
        "counts": {"alerts": len(alerts), "targets": len(targets), "rules": sum(map(len, targets.values()))},
    }


def _labels_of(alert: Any) -> Mapping[str, str]:
    labels: Mapping[str, str] = alert.labels
    return labels if "target" in labels else {**labels, "target": alert.target}


@router.get("/silences", response_model=control_models.SilenceList, responses={503: ERRORS[503]})
async def silences(
    gateway: Ready, state: Annotated[str, Query(pattern="^(|pending|active|expired)$", max_length=20)] = ""
) -> Response:
    """Every silence, the last to end first; `state` is pending, active or expired."""
    found = await changing.controls(gateway)
    now = gateway.now()
    listed = [
        s.described(key, found.version("silence", key), now)
        for key, s in sorted(found.overlaid("silence", gateway.silences).items(), key=lambda i: -i[1].ends)
        if not state or s.state(now) == state
    ]
    return reply({"success": True, "silences": listed})


@router.post("/silences", response_model=control_models.Changed, responses=ERRORS)
async def add_silence(gateway: Ready, request: Annotated[SilenceRequest, Body()]) -> Response:
    """Silence what passes every matcher, from now or `starts` on."""
    body = _silence_body(request, gateway.now())
    return await changing.change(
        gateway, "silence", uuid.uuid4().hex, body, Who(actor=request.actor, expected_version=0, note=request.note)
    )


@router.post("/silences/preview", response_model=control_models.Preview, responses={422: ERRORS[422], 503: ERRORS[503]})
async def preview_silence(gateway: Ready, request: Annotated[SilenceRequest, Body()]) -> Response:
    """What a silence would hit: active alerts, and targets with the rules whose alerts would not be told."""
    if request.ends is None and request.for_ is None:
        request = request.model_copy(update={"for_": "1h"})
    try:
        silence: Silence = parse_body("silence", "x", _silence_body(request, gateway.now()))
    except BodyError as error:
        raise changing.invalid(error) from error
    found = await changing.controls(gateway)
    return reply({"success": True, **_preview_json(gateway, found, lambda _, labels: silence.hits(labels))})


@router.get(
    "/silences/{silence_id}",
    response_model=control_models.SilenceAnswer,
    responses={404: ERRORS[404], 503: ERRORS[503]},
)
async def silence(silence_id: str, gateway: Ready) -> Response:
    """One silence, and what it hits."""
    found = await changing.controls(gateway)
    held: Silence | None = found.overlaid("silence", gateway.silences).get(silence_id)
    if held is None:
        raise _unknown("silence", silence_id)
    hit = _preview_json(gateway, found, lambda _, labels: held.hits(labels))
    told = held.described(silence_id, found.version("silence", silence_id), gateway.now())
    return reply({"success": True, "silence": told, **hit})


@router.put("/silences/{silence_id}", response_model=control_models.Changed, responses=ERRORS)
async def put_silence(silence_id: str, gateway: Ready, request: Annotated[SilenceRequest, Body()]) -> Response:
    """Change a silence: its matchers, its times, its comment."""
    found = await changing.controls(gateway)
    if silence_id not in found.overlaid("silence", gateway.silences):
        raise _unknown("silence", silence_id)
    return await changing.change(gateway, "silence", silence_id, _silence_body(request, gateway.now()), request)


@router.delete("/silences/{silence_id}", response_model=control_models.Changed, responses=ERRORS)
async def expire_silence(
    silence_id: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
) -> Response:
    """End a silence now; what still fires is told."""
    found = await changing.controls(gateway)
    held: Silence | None = found.overlaid("silence", gateway.silences).get(silence_id)
    if held is None:
        raise _unknown("silence", silence_id)
    who = Who(actor=actor, expected_version=expected_version, note="expired")
    return await changing.change(gateway, "silence", silence_id, expired(held, gateway.now()), who)


@router.get(
    "/silences/{silence_id}/history",
    response_model=control_models.ChangeList,
    responses={404: ERRORS[404], 503: ERRORS[503]},
)
async def silence_history(silence_id: str, gateway: Ready) -> Response:
    """Who changed it, when, from what to what."""
    return changing.history(await changing.controls(gateway), "silence", silence_id)


@router.get("/maintenance", response_model=control_models.WindowList, responses={503: ERRORS[503]})
async def windows(gateway: Ready, count: Annotated[int, Query(alias="next", ge=0, le=100)] = 3) -> Response:
    """Every window with its next occurrences; one that goes on is the first of them."""
    found = await changing.controls(gateway)
    now = gateway.now()
    listed = [
        w.described(found.version("maintenance", name), now, count)
        for name, w in sorted(found.overlaid("maintenance", gateway.maintenance).items())
    ]
    return reply({"success": True, "maintenance": listed})


@router.post(
    "/maintenance/preview", response_model=control_models.WindowPreview, responses={422: ERRORS[422], 503: ERRORS[503]}
)
async def preview_window(gateway: Ready, request: Annotated[WindowRequest, Body()]) -> Response:
    """The next ten occurrences of a window, and what it would hit."""
    try:
        window: Window = parse_body("maintenance", str(request.window.get("name", "preview")), request.window)
    except BodyError as error:
        raise changing.invalid(error) from error
    found = await changing.controls(gateway)
    hit = _preview_json(gateway, found, window.hits)
    return reply({"success": True, "maintenance": window.described(0, gateway.now(), 10), **hit})


@router.put("/maintenance/{name}", response_model=control_models.Changed, responses=ERRORS)
async def put_window(name: str, gateway: Ready, request: Annotated[WindowRequest, Body()]) -> Response:
    """Make or replace a window."""
    return await changing.change(gateway, "maintenance", name, request.window, request)


@router.delete("/maintenance/{name}", response_model=control_models.Changed, responses=ERRORS)
async def delete_window(
    name: str, gateway: Ready, actor: ActorQuery = "api", expected_version: ExpectedQuery = None
) -> Response:
    """Take a window out, also one of the file."""
    found = await changing.controls(gateway)
    if name not in found.overlaid("maintenance", gateway.maintenance):
        raise _unknown("maintenance", name)
    return await changing.change(
        gateway, "maintenance", name, None, Who(actor=actor, expected_version=expected_version)
    )


@router.get(
    "/maintenance/{name}/history",
    response_model=control_models.ChangeList,
    responses={404: ERRORS[404], 503: ERRORS[503]},
)
async def window_history(name: str, gateway: Ready) -> Response:
    """Who changed it, when, from what to what."""
    return changing.history(await changing.controls(gateway), "maintenance", name)


def _unknown(kind: str, key: str) -> ApiError:
    where = "silences" if kind == "silence" else "maintenance"
    return ApiError(404, "not_found", f"no {kind} {key[:200]!r}; GET /api/v1/{where} lists them")
