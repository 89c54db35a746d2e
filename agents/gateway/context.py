"""What every route needs, and how it gets it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import Depends
from starlette.requests import HTTPConnection

from agents.gateway.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agents.gateway.archive import Archive
    from agents.gateway.controls import Controls
    from agents.gateway.hub import Hub
    from agents.gateway.log_intake import LogIntake
    from agents.gateway.present import Presenter
    from agents.gateway.settings import GatewaySettings
    from agents.gateway.tail import Tail
    from agents.gateway.view import View
    from streams.control_client import ControlClient
    from streams.explain.setup import Setup
    from streams.kafka import KafkaSettings
    from streams.maintenance import Window
    from streams.rules import Rule
    from streams.silences import DeclaredSilence


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of a running gateway; `now` is the wall clock in milliseconds."""

    kafka: KafkaSettings
    settings: GatewaySettings
    view: View
    tail: Tail
    hub: Hub
    present: Presenter
    controls: Controls
    archive: Archive
    changes: ControlClient
    rules: tuple[Rule, ...]
    maintenance: tuple[Window, ...]
    silences: tuple[DeclaredSilence, ...]
    logs: LogIntake
    accept_unknown: bool
    declared: Mapping[str, Mapping[str, Any]]
    explaining: Setup
    explain_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))
    now: Callable[[], float]


def _any(connection: HTTPConnection) -> Gateway:
    return cast("Gateway", connection.app.state.gateway)


def _ready(connection: HTTPConnection) -> Gateway:
    gateway = _any(connection)
    if not gateway.view.ready:
        raise ApiError(503, "not_ready", "the gateway is still reading the log; try again in a moment")
    return gateway


Anytime = Annotated[Gateway, Depends(_any)]
Ready = Annotated[Gateway, Depends(_ready)]
