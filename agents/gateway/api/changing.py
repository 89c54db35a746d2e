"""What every route that changes something at run time shares: writing it, and answering what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiokafka.errors import KafkaError
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from agents.gateway import control_models, models
from agents.gateway.errors import ApiError, error_body, reply
from streams.control import Change, Controls, body_of
from streams.control_bodies import BodyError
from streams.control_client import Accepted, Conflict, UnavailableError
from streams.instants import iso

if TYPE_CHECKING:
    from agents.gateway.context import Gateway
    from schemas import Control

ERRORS: dict[int | str, dict[str, Any]] = {
    409: {"model": control_models.Conflict},
    **{n: {"model": models.Error} for n in (404, 422, 503)},
}


class Who(BaseModel):
    """Who asks, and which version they have seen."""

    model_config = ConfigDict(extra="forbid")

    actor: str = Field(default="api", min_length=1, max_length=200)
    expected_version: int | None = Field(
        default=None,
        ge=0,
        description="The version that was edited, 0 for what must be new; without it, the last wins.",
    )
    note: str = Field(default="", max_length=2000, description="Why; kept in the history.")


async def controls(gateway: Gateway) -> Controls:
    """The control topic as it stands. Raises ApiError where Kafka does not answer."""
    try:
        return await gateway.changes.refresh()
    except (KafkaError, OSError, TimeoutError) as error:
        raise ApiError(503, "kafka_unavailable", "Kafka does not answer; try again") from error


async def change(gateway: Gateway, kind: str, key: str, body: Mapping[str, Any] | None, who: Who) -> Response:
    """Write a change and answer with what is there now: 200, 409 with the other's version, or 422 with the field."""
    try:
        done = await gateway.changes.change(kind, key, body, who.expected_version, who.actor, note=who.note)
    except BodyError as error:
        raise invalid(error) from error
    except UnavailableError as error:
        raise ApiError(503, "kafka_unavailable", f"{error}; try again") from error
    return answer(done)


async def roll_back(gateway: Gateway, kind: str, key: str, to: int, who: Who) -> Response:
    """Make version `to` the latest once more."""
    try:
        done = await gateway.changes.roll_back(kind, key, to, who.expected_version, who.actor)
    except BodyError as error:
        raise invalid(error) from error
    except (UnavailableError, KafkaError, OSError, TimeoutError) as error:
        raise ApiError(503, "kafka_unavailable", f"{error}; try again") from error
    return answer(done)


def answer(done: Accepted | Conflict) -> Response:
    """The change as it is now on the log, or the conflict with what is there."""
    if isinstance(done, Conflict):
        body = error_body("conflict", done.message)
        body["error"]["current"] = record_json(done.current) if done.current is not None else None
        return reply(body, 409)
    return reply({"success": True, **record_json(done.record)})


def invalid(error: BodyError) -> ApiError:
    """Status 422 with every field."""
    return ApiError(422, "invalid", str(error))


def record_json(record: Control) -> dict[str, Any]:
    """A record of the control topic."""
    return {
        "kind": record.kind,
        "id": record.id,
        "version": record.version,
        "deleted": record.deleted,
        "actor": record.actor,
        "at": iso(record.at),
        "body": body_of(record),
    }


def change_json(done: Change) -> dict[str, Any]:
    """One line of a history, or of the audit trail."""
    return {
        "kind": done.kind,
        "id": done.id,
        "version": done.version,
        "outcome": done.outcome,
        "actor": done.actor,
        "at": iso(done.at),
        "old": done.old,
        "new": done.new,
        "note": done.note,
        "message": done.message,
    }


def history(found: Controls, kind: str, key: str) -> Response:
    """Every kept version, oldest first. Raises ApiError where there never was one."""
    changes = found.history(kind, key)
    if not changes:
        raise ApiError(404, "not_found", f"{kind} {key[:200]!r} was never changed at run time")
    return reply({"success": True, "changes": [change_json(c) for c in changes]})
