"""What the operator of the pipeline looks at."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from agents import watch
from agents.gateway import models
from agents.gateway.context import Anytime, Ready
from agents.gateway.errors import reply
from agents.gateway.federation import federated
from agents.gateway.metrics import CONTENT_TYPE, exposition
from agents.gateway.present import dead_letter_json

router = APIRouter(tags=["operations"])


@router.get("/api/notifications/stats", response_model=models.NotificationStats)
async def notification_stats(gateway: Ready) -> Response:
    """Deliveries by channel and outcome."""
    deliveries = gateway.view.deliveries
    channels: dict[str, dict[str, int]] = {}
    for (channel, outcome), count in sorted(deliveries.counts.items()):
        channels.setdefault(channel, {})[outcome] = count
    return reply({"success": True, "channels": channels, "repeats": deliveries.repeats})


@router.get("/api/dead-letters", response_model=models.DeadLetterList)
async def dead_letters(gateway: Ready, limit: Annotated[int, Query(ge=1, le=100)] = 100) -> Response:
    """The last messages that a hop could not use, newest first."""
    letters = gateway.view.dead_letters
    counts = [{"hop": hop, "reason": reason, "count": n} for (hop, reason), n in sorted(letters.counts.items())]
    last = [dead_letter_json(letter, size) for letter, size in list(letters.last)[::-1][:limit]]
    return reply({"success": True, "counts": counts, "dead_letters": last})


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(gateway: Anytime) -> Response:
    """Prometheus exposition: the gateway's numbers, and those of every role that shares its data folder."""
    return Response(exposition(gateway) + await federated(watch.folder), media_type=CONTENT_TYPE)
