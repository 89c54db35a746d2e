"""Alerts: the list, the story of one, and taking one on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query
from starlette.responses import Response

from agents.gateway import models
from agents.gateway.alert_log import SEVERITIES
from agents.gateway.context import Gateway, Ready
from agents.gateway.errors import ApiError, reply
from agents.gateway.present import alert_json, notification_json
from schemas import Alert, Notification
from streams import history_queries as queries
from streams.history_queries import ACTIVE, ENDED

router = APIRouter(prefix="/api", tags=["alerts"])
_STATES = ("pending", *ACTIVE, *ENDED)
_ERRORS: dict[int | str, dict[str, object]] = {n: {"model": models.Error} for n in (404, 409, 503, 504)}
_ACK_TIMEOUT_S = 3.0


@router.get("/health/alerts", response_model=models.AlertList, responses={400: {"model": models.Error}})
async def alerts(
    gateway: Ready,
    state: Annotated[str, Query(description="One or more states by commas, or `active`.", max_length=200)] = "",
    severity: Annotated[str, Query(description="One or more severities by commas.", max_length=100)] = "",
    target: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The latest transition of each alert, newest first."""
    states = _states(state)
    severities = _listed("severity", severity, SEVERITIES)
    before = _place(cursor) if cursor else None
    known = [
        a
        for a in gateway.view.alerts.all_latest()
        if (before is None or (a.at, a.id) < before)
        and (not states or a.state in states)
        and (not severities or a.severity in severities)
        and (target is None or a.target == target)
    ]
    page = known[: limit + 1]
    if len(page) <= limit:  # memory ends here; what ended long ago is in SQL
        older = await gateway.archive.ask(
            queries.latest_alerts,
            states=states, severities=severities, target=target, before=before, limit=limit + len(page) + 1,
        )  # fmt: skip
        fresh = gateway.view.alerts.by_id
        page += [Alert.from_dict(values) for values in older or () if values["id"] not in fresh]
        page = sorted(page, key=lambda a: (a.at, a.id), reverse=True)[: limit + 1]
    following = f"{page[limit - 1].at!r}~{page[limit - 1].id}" if len(page) > limit else None
    return reply({"success": True, "alerts": [alert_json(a) for a in page[:limit]], "next_cursor": following})


@router.get("/alerts/{alert_id}", response_model=models.AlertStory, responses={404: {"model": models.Error}})
async def alert(alert_id: str, gateway: Ready) -> Response:
    """One alert with every transition and every notification."""
    transitions = {a.number: a for a in gateway.view.alerts.by_id.get(alert_id, ())}
    steps = gateway.view.deliveries.of(alert_id)
    if 1 not in transitions:  # it began before what memory holds
        for values in await gateway.archive.ask(queries.transitions, alert_id) or ():
            transitions.setdefault(values["number"], Alert.from_dict(values))
        if not steps:
            rows = await gateway.archive.ask(queries.notifications, alert_id)
            steps = [Notification.from_dict(values) for values in rows or ()]
    if not transitions:
        raise _unknown(alert_id)
    story = [alert_json(transitions[n]) for n in sorted(transitions)]
    return reply(
        {
            "success": True,
            "alert": story[-1],
            "transitions": story,
            "notifications": [notification_json(n) for n in steps],
        }
    )


@router.post("/alerts/{alert_id}/acknowledge", response_model=models.AlertAnswer, responses=_ERRORS)
async def acknowledge(
    alert_id: str,
    gateway: Ready,
    request: Annotated[models.AcknowledgeRequest | None, Body()] = None,
) -> Response:
    """Take an alert on, and wait until the alert role says so."""
    request = request or models.AcknowledgeRequest()
    latest = gateway.view.alerts.latest(alert_id)
    if latest is None:
        if await gateway.archive.ask(queries.transitions, alert_id):
            raise ApiError(409, "already_resolved", f"alert {alert_id} ended long ago")
        raise _unknown(alert_id)
    _refuse_ack(latest)
    await gateway.controls.write("ack", alert_id, request.actor, {"comment": request.comment})

    def settled() -> bool:
        now = _latest(gateway, alert_id)
        return now.number > latest.number and now.state in ("acknowledged", *ENDED)

    if not await gateway.view.wait_for(settled, _ACK_TIMEOUT_S):
        raise ApiError(
            504, "timeout", "the acknowledgement is written, but the alert role has not taken it up yet; is it running?"
        )
    now = _latest(gateway, alert_id)
    if now.state in ENDED:
        _refuse_ack(now)
    return reply({"success": True, "alert": alert_json(now)})


def _latest(gateway: Gateway, alert_id: str) -> Alert:
    latest = gateway.view.alerts.latest(alert_id)
    if latest is None:
        raise _unknown(alert_id)
    return latest


def _refuse_ack(alert: Alert) -> None:
    if alert.state in ENDED:
        raise ApiError(409, "already_resolved", f"alert {alert.id} is {alert.state}")
    if alert.state == "acknowledged":
        by = f" by {alert.actor}" if alert.reason == "acknowledged" else ""  # it may have been edited since
        raise ApiError(409, "already_acknowledged", f"alert {alert.id} was acknowledged{by}")
    if alert.state == "pending":
        raise ApiError(409, "not_firing", f"alert {alert.id} does not fire yet")


def _unknown(alert_id: str) -> ApiError:
    return ApiError(404, "unknown_alert", f"no alert has the id {alert_id[:200]!r}; GET /api/health/alerts lists them")


def _states(text: str) -> list[str]:
    found = _listed("state", text, (*_STATES, "active"))
    return [s for name in found for s in (ACTIVE if name == "active" else (name,))]


def _listed(field: str, text: str, allowed: tuple[str, ...]) -> list[str]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if wrong := [part for part in found if part not in allowed]:
        raise ApiError(400, "bad_request", f"{field} {wrong[0]!r} is none of {', '.join(allowed)}")
    return found


def _place(cursor: str) -> tuple[float, str]:
    at, _, alert_id = cursor.partition("~")
    try:
        return float(at), alert_id
    except ValueError:
        raise ApiError(400, "bad_request", "cursor must be a next_cursor of an earlier answer") from None
