"""The gateway role: the log as REST, live messages, metrics, schemas and a page.

Every gateway reads everything itself, without a consumer group: any number run side by side, behind any balancer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware

from agents.gateway.alert_log import AlertLog
from agents.gateway.api import alerts, explain, health, kept, live, logs, operations, people, quiet, schemas, targets
from agents.gateway.api import rules as rule_routes
from agents.gateway.api.page import Page, is_page
from agents.gateway.archive import Archive
from agents.gateway.clerk import run_clerk
from agents.gateway.context import Gateway
from agents.gateway.controls import Controls
from agents.gateway.errors import install
from agents.gateway.guard import Guard
from agents.gateway.hub import Hub
from agents.gateway.log_intake import LogIntake
from agents.gateway.present import Presenter, alert_json, iso
from agents.gateway.server import listen, server
from agents.gateway.tail import Tail
from agents.gateway.view import SOURCES, Change, View
from agents.probe.settings import face_of, target_of
from schemas import Alert
from streams import history_queries as queries
from streams.control_checks import Checks
from streams.control_client import ControlClient
from streams.explain.setup import Setup
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import uvicorn

    from agents.gateway.settings import GatewaySettings
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings
    from streams.maintenance import Window
    from streams.rules import Rule
    from streams.silences import DeclaredSilence

_log = logging.getLogger("probestream.gateway")
_TAGS = ("health", "targets", "alerts", "explain", "rules", "suppression", "control", "logs", "operations", "schemas")


async def run(
    *,
    kafka: KafkaSettings,
    settings: GatewaySettings,
    targets: tuple[Target, ...],
    rules: tuple[Rule, ...],
    url: str,
    stop: asyncio.Event,
    ready: Callable[[], None],
    accept_unknown: bool = False,
    maintenance: tuple[Window, ...] = (),
    silences: tuple[DeclaredSilence, ...] = (),
    explaining: Setup | None = None,
    declared: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Serve until `stop`; call `ready` once when the log is caught up and requests are answered.

    `accept_unknown` is whether log lines of targets that are not in `targets` are taken. `explaining` is what else of
    the configuration explanations need, routes for instance. `declared` is what else the file has that people may
    change, by kind and id.

    `url` is the SQL history's, or empty. Raises PortInUseError, and ValueError on a bad `url`.
    """
    sock = listen(settings.host, settings.port)
    view = View(kafka)
    archive = Archive(url)
    feed = _Feed(view, archive, ready)
    tail = Tail(kafka, SOURCES, begin=view.begin, fold=feed.fold, caught_up=feed.caught_up, after=view.tell)
    gateway = Gateway(
        kafka=kafka,
        settings=settings,
        view=view,
        tail=tail,
        hub=Hub(settings.max_clients, now_ms, settings.heartbeat, settings.silent_after),
        present=Presenter(view, targets),
        controls=Controls(kafka, view),
        archive=archive,
        changes=ControlClient(
            kafka, "gateway-control", Checks(rules, targets, target_of, explaining.channels if explaining else ())
        ),
        rules=rules,
        maintenance=maintenance,
        silences=silences,
        logs=LogIntake(kafka),
        accept_unknown=accept_unknown,
        declared={"target": {t.name: face_of(t) for t in targets}, **(declared or {})},
        explaining=explaining
        or Setup(rules=rules, targets=targets, silences=silences, maintenance=maintenance, accept=accept_unknown),
        now=now_ms,
    )
    feed.gateway = gateway
    web = server(build(gateway))
    serving = asyncio.create_task(web.serve(sockets=[sock]), name="gateway-server")
    reading = asyncio.create_task(tail.run(stop), name="gateway-tail")
    beating = asyncio.create_task(_beat(gateway), name="gateway-beat")
    clerk = asyncio.create_task(run_clerk(kafka), name="gateway-clerk")
    stopping = asyncio.create_task(stop.wait())
    _log.info("listening on http://%s:%d", settings.host, sock.getsockname()[1])
    try:
        done, _ = await asyncio.wait({serving, reading, beating, clerk, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            if not stop.is_set():
                task.result()
                raise RuntimeError(f"{task.get_name()} ended")
    finally:
        await _close(gateway, web, serving, [reading, beating, clerk, stopping])


def build(gateway: Gateway) -> FastAPI:
    """The ASGI application."""
    token = gateway.settings.token is not None
    app = FastAPI(
        title="Probestream",
        summary="Streaming health monitoring and alerting on Kafka.",
        version="1",
        # FastAPI's own pages of documentation load scripts from another host.
        docs_url=None,
        redoc_url=None,
        middleware=[Middleware(Guard, settings=gateway.settings, is_open=lambda p: p == "/api/ping" or is_page(p))],
        openapi_tags=[{"name": n} for n in _TAGS],
    )
    app.state.gateway = gateway
    install(app)
    for area in (health, alerts, explain, targets, rule_routes, quiet, kept, people, logs, operations, schemas, live):
        app.include_router(area.router)
    app.mount("/", Page(), name="page")
    if token:
        _describe_token(app)
    return app


def _describe_token(app: FastAPI) -> None:
    plain = app.openapi

    def described() -> dict[str, Any]:
        schema = plain()
        schema.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"token": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's documented way


class _Feed:
    """From the log into the view, and on to the live clients."""

    gateway: Gateway

    def __init__(self, view: View, archive: Archive, ready: Callable[[], None]) -> None:
        self.view, self.archive, self.ready = view, archive, ready

    def fold(self, topic: str, partition: int, messages: list[Any]) -> None:
        changes = self.view.apply(topic, partition, messages, now_ms())
        if self.view.ready:
            self.tell(changes)

    def tell(self, changes: Iterable[Change]) -> None:
        """Broadcast: a transition first, then what it changes of its target."""
        gateway = self.gateway
        if not gateway.hub.clients:
            return
        for change in changes:
            if change.alert is not None:
                gateway.hub.broadcast(
                    {
                        "type": "health_alert",
                        "alert": alert_json(change.alert),
                        "time": iso(gateway.now()),
                        "cursor": str(change.cursor),
                    }
                )
            gateway.hub.broadcast(live.health_update(gateway, change.targets, change.cursor))

    async def caught_up(self) -> None:
        await _seed(self.view.alerts, self.archive)
        await self.view.become_ready(now_ms())
        self.ready()


async def _seed(log: AlertLog, archive: Archive) -> None:
    """Add the active alerts that began before the part of the log that is read."""
    found = await archive.ask(queries.latest_alerts, states=queries.ACTIVE, limit=10_000)
    for values in found or ():
        if values["id"] in log.by_id:
            continue
        log.seed(Alert.from_dict(v) for v in await archive.ask(queries.transitions, values["id"]) or ())


async def _beat(gateway: Gateway) -> None:
    """Heartbeats, and targets whose checks stay away: no record tells of those."""
    late: set[str] = set()
    while True:
        await asyncio.sleep(1.0)
        gateway.hub.beat()
        now = gateway.now()
        overdue = {name for name in gateway.present.targets if gateway.present.overdue(name, now)}
        if (news := overdue - late) and gateway.hub.clients:
            gateway.hub.broadcast(live.health_update(gateway, sorted(news), gateway.view.cursor))
        late = overdue


async def _close(
    gateway: Gateway, web: uvicorn.Server, serving: asyncio.Task[None], others: list[asyncio.Task[Any]]
) -> None:
    """Clients first, then the server, then what feeds it."""
    await gateway.hub.shutdown("the gateway stops")
    web.should_exit = True
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(serving), 3.0)
    for task in [serving, *others]:
        task.cancel()
    await asyncio.gather(serving, *others, return_exceptions=True)
    await gateway.controls.close()
    await gateway.changes.close()
    await gateway.logs.close()
    await gateway.archive.close()
