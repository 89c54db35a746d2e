"""One channel: a consumer group of its own, the partitions it was given, and an eye on whether they move."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.structs import TopicPartition

from agents.notify import metrics
from agents.notify.context import KAFKA_LIMIT_S, Context, Outcome, Outlet
from agents.notify.pace import Gate
from agents.notify.partition import Partition, Place
from agents.notify.pulse import Pulse
from agents.notify.withheld import mark_of
from streams.kafka import close, producer_options
from streams.members import bury_the_dead, member_options
from streams.topics import ALERTS, NOTIFICATIONS, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from agents.notify.channels import Channel
    from agents.notify.preferences import Preferences
    from agents.notify.settings import NotifySettings, Receiver
    from streams.kafka import KafkaSettings
    from streams.routing import Route

log = logging.getLogger("probestream.notify")

CLOSE_LIMIT_S = 2.0
_WATCH_EVERY_S = 2.0
_STUCK_AFTER_S = 10.0


class StuckError(RuntimeError):
    """The consumer does not get on though there are records."""


class Worker(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """One start of one channel. `carried` outlives it."""

    def __init__(
        self,
        channel: Channel,
        *,
        kafka: KafkaSettings,
        settings: NotifySettings,
        route: Route,
        receivers: tuple[Receiver, ...],
        preferences: Preferences,
        first: bool,
        carried: dict[str, Outcome],
    ) -> None:
        self._alerts = full_name(kafka, ALERTS)
        self._kafka, self._settings = kafka, settings
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assigned = asyncio.Event()
        self._partitions: dict[int, Partition] = {}
        self._closings: set[asyncio.Future[None]] = set()
        self._closed = False
        options = member_options(kafka, f"notify-{channel.name}") | {
            # The shortest that brokers allow by default: after a crash the next owner waits for it.
            "session_timeout_ms": 6_000,
            "heartbeat_interval_ms": 1_500,
            # A rebalance waits for messages that are being sent.
            "rebalance_timeout_ms": 10_000,
        }
        self._consumer = AIOKafkaConsumer(**options)
        self._context = Context(
            channel=channel.name,
            kafka=kafka,
            settings=settings,
            route=route,
            send_resolved={r.name: [c.send_resolved for c in channel.configs(r)] for r in receivers},
            reports_unrouted=first,
            preferences=preferences,
            outlets={
                (r.name, number): Outlet(channel.open(config, settings), Gate(settings.concurrency))
                for r in receivers
                for number, config in enumerate(channel.configs(r))
            },
            intents=AIOKafkaProducer(**producer_options(kafka, f"notify-{channel.name}")),
            partitions=self,
            pulse=Pulse(),
            fail=self._fail,
            carried=carried,
        )

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Deliver until `stop`. Raises what went wrong, when only a new start helps."""
        tasks: list[asyncio.Future[Any]] = []
        try:
            tasks = [asyncio.ensure_future(self._start()), asyncio.ensure_future(stop.wait())]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[1].done():
                return
            tasks[0].result()
            tasks[1].cancel()
            self._consumer.subscribe([self._alerts], listener=self)
            work: tuple[Coroutine[Any, Any, Any], ...] = (
                self._read(),
                self._watch(),
                self._announce(ready),
                self._context.pulse.run(),
                stop.wait(),
            )
            tasks = [self._failure, *map(asyncio.ensure_future, work)]
            waiting = set(tasks)
            while not tasks[-1].done():
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            await self._close(tasks)

    async def _start(self) -> None:
        async with asyncio.timeout(KAFKA_LIMIT_S):
            await self._context.intents.start()
            await self._context.intents.partitions_for(full_name(self._kafka, NOTIFICATIONS))
            await self._consumer.start()
        await bury_the_dead(self._kafka, f"notify-{self._context.channel}")

    async def position(self, partition: int) -> int:
        tp = TopicPartition(self._alerts, partition)
        return int(await self._consumer.position(tp)) if tp in self._consumer.assignment() else -1

    async def end_offset(self, partition: int) -> int:
        tp = TopicPartition(self._alerts, partition)
        async with asyncio.timeout(KAFKA_LIMIT_S):
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets([tp])
        return ends[tp]

    def hold(self, partition: int, held: bool) -> None:
        tp = TopicPartition(self._alerts, partition)
        if tp in self._consumer.assignment():
            (self._consumer.pause if held else self._consumer.resume)(tp)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Finish and commit before the next owner starts: the group waits for this."""
        del revoked  # a rebalance here takes all of them
        await self._close_partitions()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Start a partition's work; it shuts out its predecessor before it sends anything."""
        try:
            if not self._closed:
                await self._close_partitions()
                for tp in assigned:
                    place = await self._place(tp)
                    metrics.UNFINISHED.labels(self._context.channel, str(tp.partition)).set(0)
                    self._partitions[tp.partition] = Partition(self._context, tp.partition, place)
                self._assigned.set()
        except Exception as error:  # aiokafka would only log it
            self._fail(error)

    async def _place(self, tp: TopicPartition) -> Place:
        """Where to go on; without a committed offset, with what a slow channel would still be trying to send.

        Everything kept would be 35 days of alerts for the first webhook that a user adds.
        """
        # `committed` gives the offset without what stands beside it, and the two must be of one moment.
        found = (await self._consumer._coordinator.fetch_committed_offsets([tp])).get(tp)  # noqa: SLF001
        if found is not None:
            # Nor must the consumer go on from where another moment's answer says.
            self._consumer.seek(tp, found.offset)
            return Place(found.offset, mark_of(found.metadata or ""))
        since = max(0, int(now_ms() - self._settings.retry_for * 1000))
        begin = (await self._consumer.offsets_for_times({tp: since}))[tp]
        offset = begin.offset if begin is not None else await self.end_offset(tp.partition)
        self._consumer.seek(tp, offset)
        return Place(int(offset), new=True)

    async def _read(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=500)
            for tp, records in batches.items():
                if (partition := self._partitions.get(tp.partition)) is not None:
                    partition.accept(records)

    async def _announce(self, ready: Callable[[], None]) -> None:
        await self._assigned.wait()
        while opening := [p.opened for p in self._partitions.values() if not p.opened.done()]:
            await asyncio.wait(opening)
        ready()

    async def _watch(self) -> None:
        """Raise StuckError where records wait and nothing comes: a consumer can be deaf after a broker's death."""
        loop = asyncio.get_running_loop()
        seen: dict[TopicPartition, tuple[int, float]] = {}
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            assigned = self._consumer.assignment() - self._consumer.paused()
            try:
                async with asyncio.timeout(5.0):
                    ends = await self._consumer.end_offsets(list(assigned)) if assigned else {}
                    places = {tp: await self._consumer.position(tp) for tp in ends}
            except Exception as error:  # no broker: its clients say so themselves, or the next look does
                log.debug("%s: cannot compare offsets: %r", self._context.channel, error)
                continue
            for tp, place in places.items():
                before, since = seen.get(tp, (-1, 0.0))
                if place != before or place >= ends[tp]:
                    seen[tp] = (place, loop.time())
                elif loop.time() - since > _STUCK_AFTER_S:
                    raise StuckError(f"{tp.topic}/{tp.partition} stays at {place} of {ends[tp]}")

    def _fail(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _close_partitions(self) -> None:
        closing, self._partitions = self._partitions, {}
        if not closing:
            return

        async def close() -> None:
            await asyncio.gather(*(p.close(CLOSE_LIMIT_S) for p in closing.values()))
            for number in closing:
                metrics.UNFINISHED.remove(self._context.channel, str(number))

        task = asyncio.ensure_future(close())
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)
        # The consumer may be stopped, and this callback of its with it: what is begun here comes to its end.
        await asyncio.shield(task)

    async def _close(self, tasks: list[asyncio.Future[Any]]) -> None:
        self._closed = True
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=0.5)
        if self._failure.done() and not self._failure.cancelled():
            self._failure.exception()
        await self._close_partitions()
        if self._closings:
            await asyncio.wait(set(self._closings))
        await asyncio.gather(close(self._consumer, 1.0), close(self._context.intents, 1.0))
        for outlet in self._context.outlets.values():
            await outlet.integration.close()
