"""Why somebody was, or was not, told: an alert's story, or a target's at a time, from the log."""

from __future__ import annotations

import asyncio
import functools
import importlib
from typing import Annotated

from aiokafka.errors import KafkaError
from fastapi import APIRouter, Query
from starlette.responses import Response

from agents.gateway import explain_models, models
from agents.gateway.api.changing import controls
from agents.gateway.context import Gateway, Ready
from agents.gateway.errors import ApiError, reply
from schemas import Alert, Notification
from streams import history_queries as queries
from streams.explain.model import AlertStory, TargetStory
from streams.explain.text import as_json
from streams.explain.when import moment

router = APIRouter(prefix="/api/v1", tags=["explain"])
_LIMIT_S = 20.0
_MOST_RECORDS = 500_000
_ERRORS: dict[int | str, dict[str, object]] = {n: {"model": models.Error} for n in (400, 404, 503, 504)}


async def _archived(gateway: Gateway, alert: str) -> tuple[list[Alert], list[Notification]]:
    """What the SQL history has of an alert that is no longer on the log."""
    transitions = await gateway.archive.ask(queries.transitions, alert) or ()
    steps = await gateway.archive.ask(queries.notifications, alert) or ()
    return [Alert.from_dict(v) for v in transitions], [Notification.from_dict(v) for v in steps]


@router.get("/explain", response_model=explain_models.Explained, responses=_ERRORS)
async def explain(
    gateway: Ready,
    alert: Annotated[str | None, Query(min_length=4, max_length=100, description="An alert's id.")] = None,
    target: Annotated[str | None, Query(min_length=1, max_length=200, description="A target.")] = None,
    at: Annotated[str, Query(max_length=60, description="With target: now, -10m, RFC 3339, seconds.")] = "now",
) -> Response:
    """The values, thresholds, decisions and deliveries that led to a page, or to silence."""
    if (alert is None) == (target is None):
        raise ApiError(400, "bad_request", "give alert, or target (and at), one of them")
    now = gateway.now()
    try:
        when = moment(at, now)
    except ValueError as error:
        raise ApiError(400, "bad_request", f"at: {error}") from error
    # The kernel, which a gateway has no use for otherwise: read when it is first asked for.
    ask = await asyncio.to_thread(importlib.import_module, "streams.explain.ask")
    if target is not None:
        await ask.prepare()
    story: AlertStory | TargetStory
    try:
        async with asyncio.timeout(_LIMIT_S), gateway.explain_slots, ask.Log(gateway.kafka) as log:
            known = await controls(gateway)
            if alert is not None:
                older = functools.partial(_archived, gateway)
                story = await ask.explain_alert(log, known, gateway.explaining, alert, now, older)
            else:
                bounds = ask.Bounds(most_records=_MOST_RECORDS)
                story = await ask.explain_target(log, known, gateway.explaining, target, when, bounds)
    except ask.UnknownError as error:
        raise ApiError(404, f"unknown_{'alert' if alert is not None else 'target'}", str(error)) from error
    except TimeoutError as error:
        raise ApiError(
            504, "timeout", f"the log could not be read in {_LIMIT_S:g} s; `probestream explain` has no such limit"
        ) from error
    except (KafkaError, OSError) as error:
        raise ApiError(503, "kafka_unavailable", "Kafka does not answer; try again") from error
    return reply({"success": True, "explanation": as_json(story)})
