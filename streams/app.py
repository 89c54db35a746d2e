"""The Faust application of a hop: made the same way everywhere, with the settings that its traps ask for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import tempfile
from typing import TYPE_CHECKING, Any

import faust
from faust.auth import SASLCredentials, SSLCredentials

from streams.kafka import FETCH_WAIT_MS
from streams.members import bury_the_dead, member_name
from streams.recovery import Restored, table_manager
from streams.topics import Topic, full_name, partitions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from streams.kafka import Isolation, KafkaSettings

log = logging.getLogger("probestream.streams")


class _App(faust.App):  # type: ignore[misc]  # Faust ships no types
    """A Faust app that does not wait for the sessions of its predecessors on this machine to end."""

    logger = logging.getLogger("faust.app")
    kafka: KafkaSettings
    isolation: Isolation

    async def on_start(self) -> None:
        await bury_the_dead(self.kafka, self.conf.id.removeprefix(self.kafka.prefix))
        _fetch_as_ours_do(self.consumer._thread, self.isolation)  # noqa: SLF001 - there is no public seam
        await super().on_start()


def _fetch_as_ours_do(thread: Any, isolation: Isolation) -> None:
    """Have a consumer wait at the broker for records as long as our other clients do, and for transactions if it is to.

    A broker answers the requests of a connection in turn: a question for offsets waits until the fetch before it is
    answered. Faust lets a fetch without records wait for a second and a half.
    """
    create = thread._create_consumer  # noqa: SLF001

    def quick(*args: Any, **more: Any) -> Any:
        consumer = create(*args, **more)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS  # noqa: SLF001
        consumer._isolation_level = isolation  # noqa: SLF001
        return consumer

    thread._create_consumer = quick  # noqa: SLF001


def make_app(
    kafka: KafkaSettings,
    name: str,
    restored: Restored,
    bundles: tuple[Topic, ...] = (),
    isolation: Isolation = "read_uncommitted",
) -> faust.App:
    """A Faust app named `name` that serves no web page, makes no topics and loses nothing at a restart.

    `restored` is called after each recovery with the source partitions, and records of `bundles` come as bundles; see
    streams/recovery.py. `isolation` is Kafka's: whether records of a transaction come before it has ended.
    """
    app = _App(
        f"{kafka.prefix}{name}",
        broker_client_id=member_name(f"{kafka.prefix}{name}"),
        broker=[f"kafka://{server.strip()}" for server in kafka.servers.split(",")],
        broker_credentials=_credentials(kafka),
        origin=f"agents.{name}",
        autodiscover=False,
        web_enabled=False,
        topic_partitions=kafka.partitions,
        topic_replication_factor=kafka.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        datadir=tempfile.gettempdir(),
        consumer_auto_offset_reset="earliest",
        # How long a dead worker's partitions wait for another: six seconds are the least that brokers allow unless
        # told otherwise. (A static member would not have to wait, but Faust never comes out of the rebalance: tried.)
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.5,
        broker_request_timeout=15.0,
        broker_commit_interval=1.0,
        broker_max_poll_interval=120.0,
        broker_max_poll_records=20_000 if bundles else None,
        consumer_max_fetch_size=4 * 1024 * 1024 if bundles else 1024 * 1024,
        producer_request_timeout=15.0,
        producer_linger=0.0,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=4096,
        # What is not acknowledged is read again, from the state: no stop and no rebalance waits for it.
        stream_wait_empty=False,
        processing_guarantee="at_least_once",
        TableManager=table_manager(restored, frozenset(full_name(kafka, t) for t in bundles)),
    )
    app.kafka, app.isolation = kafka, isolation
    return app


def _credentials(kafka: KafkaSettings) -> Any:
    context = kafka.ssl_context()
    if kafka.security.startswith("SASL") and kafka.sasl_password is not None:
        return SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def raw_topic(app: faust.App, kafka: KafkaSettings, topic: Topic, *, acks: bool = True) -> Any:
    """`topic` as a Faust topic of raw bytes: decoding is the agent's, where an error can be answered.

    Without `acks` no stream is expected to process its records one by one.
    """
    return app.topic(
        full_name(kafka, topic),
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        partitions=partitions(kafka, topic),
        allow_empty=True,
        internal=topic.internal,
        acks=acks,
    )


class WorkerFailedError(RuntimeError):
    """The Faust worker stopped by itself; a restart goes on from the state."""


async def serve(
    app: faust.App,
    stop: asyncio.Event,
    failed: asyncio.Event,
    ready: Callable[[], None],
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Run `app` until `stop`; call `ready` when it takes input, and `drain` before an orderly end.

    Raises WorkerFailedError where the worker crashed or `failed` was set.
    """
    app.finalize()
    await app.start()
    waits = {
        asyncio.create_task(stop.wait(), name="stop"),
        asyncio.create_task(failed.wait(), name="failed"),
        asyncio.create_task(app.wait_until_stopped(), name="stopped"),
        asyncio.create_task(app._crashed.wait(), name="crashed"),  # noqa: SLF001 - mode has no public event,
    }
    recovered = asyncio.create_task(app.tables.recovery.completed.wait(), name="recovered")
    try:
        await asyncio.wait({recovered, *waits}, return_when=asyncio.FIRST_COMPLETED)
        if recovered.done():
            ready()
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (recovered, *waits):
            task.cancel()
        if stop.is_set() and not failed.is_set():
            with contextlib.suppress(Exception):  # what is not stored now is read again
                async with asyncio.timeout(3.0):
                    await drain()
                    await app.consumer.commit()
        # Not a timeout around the call: the services under it swallow the cancellation and wait on.
        stopping = asyncio.create_task(app.stop(), name="stopping")
        _, late = await asyncio.wait({stopping}, timeout=5.0)
        if late:
            log.warning("the Faust worker did not stop in time; what it had not committed will be read again")
            stopping.cancel()
    if not stop.is_set():
        raise WorkerFailedError(f"the worker stopped: {app.crash_reason!r}" if app.crashed else "the worker gave up")
