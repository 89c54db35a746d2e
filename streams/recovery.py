"""The cure for the messages that stock Faust loses when a worker restarts.

Faust 0.15.3 ends a recovery with: resume the source partitions, seek them to the committed offsets, then
`flow_control.resume()`, which *clears* the agents' queues. What the fetcher brought in between is gone, and the
read position is past it. Here the order is: seek, resume the flow, resume the partitions. So nothing is fetched
before the queues are clean.

Before the seek the flow is stopped, and the fetch that is under way is waited for. Faust hands it the *live* set of
active partitions; when the changelogs are paused that set becomes empty, which aiokafka takes for "all". So it brings
in source records that nobody asked for, moves the position past them, and, finding the flow stopped, seeks the
committed offsets, all at its own time: over a position that was sought meanwhile, it would leave a hole.

The position comes from the state rather than from the consumer group: `restored` is called when the tables are
whole again, and says which offset of which source partition comes next.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery, ServiceStopped
from faust.types import TP

from streams.fetched import as_one

_TURNS_TO_LET_GO = 100
_PATIENCE_S = 15.0
_LOOK_EVERY_S = 0.1

Restored = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]


@dataclass(slots=True)
class Bundle:
    """Records of one partition that were fetched together, handed on as one: `value` is what was fetched.

    What Faust does for each message takes longer than a sample takes us; it has the last record's place. `value` is
    for `streams.fetched.columns`.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: list[Any]
    key: None = None
    headers: tuple[Any, ...] = ()
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def bundled(records: list[Any]) -> list[Bundle]:
    """The records as one bundle; none of none."""
    if not records:
        return []
    last = records[-1]
    return [Bundle(last.topic, last.partition, last.offset, last.timestamp, last.timestamp_type, records)]


class Fetches:
    """Knows whether a consumer's fetch is under way, and can hold the fetch loop off for a while.

    Records of the topics of `bundles` are handed on as bundles.
    """

    def __init__(self, consumer: Any, bundles: frozenset[str] = frozenset()) -> None:
        self.consumer, self.bundles = consumer, bundles
        self._idle = asyncio.Event()
        self._idle.set()
        self._fetch, self._seek = consumer._getmany, consumer.perform_seek  # noqa: SLF001 - there is no public seam
        consumer._getmany = self._watched  # noqa: SLF001
        self._gap, self._place = consumer._add_gap, consumer._new_offset  # noqa: SLF001
        if bundles:
            consumer._add_gap, consumer._new_offset = self._add_gap, self._new_offset  # noqa: SLF001

    async def _add_gap(self, tp: TP, first: int, last: int) -> None:
        """Keep no account of the offsets within a bundle, which Faust takes for records that are missing.

        It would build a tree of all that are not committed yet at each bundle, and make a list of every offset at each
        commit: with 20,000 records a second findings waited for that, the longer the longer ago the last commit was.
        """
        if tp.topic not in self.bundles:
            await self._gap(tp, first, last)

    def _new_offset(self, tp: TP) -> int | None:
        """What may be committed: bundles are acknowledged in order, so all before the last one is done with."""
        if tp.topic not in self.bundles:
            return self._place(tp)  # type: ignore[no-any-return]
        acked = self.consumer._acked[tp]  # noqa: SLF001
        offset = max(acked, default=None)
        acked.clear()
        self.consumer._acked_index[tp].clear()  # noqa: SLF001
        return None if offset is None else offset + 1

    async def _watched(self, *args: Any, **more: Any) -> Any:
        self._idle.clear()
        if self.bundles:
            as_one(self.consumer._thread._ensure_consumer()._fetcher, self.bundles)  # noqa: SLF001
        try:
            found = await self._fetch(*args, **more)
            if self.bundles and found:
                return {tp: bundled(r) if tp.topic in self.bundles else r for tp, r in found.items()}
            return found
        finally:
            self._idle.set()

    @contextlib.asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        """With the flow stopped: no fetch is under way in here, and the fetch loop seeks nothing by itself."""

        async def nothing() -> None:
            """What the fetch loop does in place of its own seek: the one in here comes after it."""

        self.consumer.perform_seek = nothing
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._idle.wait()
            for _ in range(_TURNS_TO_LET_GO):
                await asyncio.sleep(0)
            self.consumer.perform_seek = self._seek
            yield
        finally:
            self.consumer.perform_seek = self._seek


class SeekFirstRecovery(Recovery):  # type: ignore[misc]  # Faust ships no types
    """Recovery that seeks before anything is fetched."""

    logger = logging.getLogger("faust.tables.recovery")
    restored: Restored
    fetches: Fetches
    _rebalance = 0

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """As Faust's; the next rebalance does not begin before this returns, so what is counted now is of this one."""
        self._rebalance = self.app.rebalancing_count
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def _wait(self, coro: Any, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the method's own form
        """As Faust's, but a step that takes too long raises: Faust takes it for a stop and never recovers again."""
        began = asyncio.get_running_loop().time()
        try:
            await super()._wait(coro, timeout=timeout)
        except ServiceStopped:
            if timeout is not None and not self.should_stop and asyncio.get_running_loop().time() - began >= timeout:
                raise TimeoutError(f"a step of the recovery took over {timeout:.0f} s") from None
            raise

    async def _resume_streams(self, generation_id: int = 0) -> None:
        """What Faust does in place of a recovery where there are no tables: here the same as after one."""
        self._set_recovery_started()
        await self.on_recovery_completed(generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Bring the tables to life, then the source partitions, in an order that loses nothing."""
        app, consumer = self.app, self.app.consumer
        await app.on_rebalance_complete.send()
        self._set_recovery_ended()
        await asyncio.gather(
            *(
                t.on_recovery_completed(self.actives_for_table[t], self.standbys_for_table[t])
                for t in self.tables.values()
            )
        )
        if self._outdated(generation_id):
            return
        sources = {tp for tp in consumer.assignment() if not self._is_changelog_tp(tp)}
        if sources:
            consumer.stop_flow()
            app.flow_control.suspend()
            try:
                await self._reposition(sources, generation_id)
            except Exception:
                if not self._outdated(generation_id):
                    raise
            if self._outdated(generation_id):
                return
        self.completed.set()
        app.flow_control.resume()
        consumer.resume_flow()
        consumer.resume_partitions(sources)
        await app._fetcher.maybe_start()  # noqa: SLF001 - as the method this one replaces does
        self.tables.on_actives_ready()
        if not app.assignor.assigned_standbys():
            self.tables.on_standbys_ready()
        app.on_rebalance_end()
        self.log.info("Worker ready")

    async def _reposition(self, sources: set[TP], generation_id: int) -> None:
        """Seek where the restored state goes on, with no fetch under way."""
        consumer, patience = self.app.consumer, self.app.conf.broker_request_timeout
        async with self.fetches.stopped():
            await self._wait(consumer.perform_seek(), timeout=patience)
            positions = await self._restored(sources, generation_id)
            if not self._outdated(generation_id):
                await self._wait(consumer.seek_wait(dict(positions)), timeout=patience)

    def _outdated(self, generation_id: int) -> bool:
        """Whether the partitions may be others' by now: the recovery after that rebalance does all of it again.

        The generation counts rebalances that are over, the other number those that have begun.
        """
        return bool(self.app.consumer_generation_id != generation_id or self.app.rebalancing_count != self._rebalance)

    async def _restored(self, sources: set[TP], generation_id: int) -> Mapping[TP, int]:
        """What `restored` says; nothing, its work broken off, as soon as the partitions are being taken away.

        The rebalance waits for us, and all other workers with it: reading a large state to its end would be in vain.
        """
        restoring = asyncio.ensure_future(self.restored(sources))
        try:
            while not (await asyncio.wait({restoring}, timeout=_LOOK_EVERY_S))[0]:
                if self._outdated(generation_id):
                    self.log.warning("Another rebalance has begun: leaving this recovery")
                    return {}
        finally:
            if not restoring.done():
                restoring.cancel()
                await asyncio.gather(restoring, return_exceptions=True)
        return restoring.result()


def table_manager(restored: Restored, bundles: frozenset[str] = frozenset()) -> type[TableManager]:
    """A TableManager class, for `faust.App(TableManager=...)`, that recovers in the right order.

    Records of the topics of `bundles`, by full name, reach their agent as a `Bundle` of all that was fetched.
    """

    class SeekFirstTableManager(TableManager):  # type: ignore[misc]  # Faust ships no types
        logger = logging.getLogger("faust.tables.manager")
        _seek_first: SeekFirstRecovery | None = None

        @property
        def recovery(self) -> SeekFirstRecovery:
            if self._seek_first is None:
                self._recovery = self._seek_first = SeekFirstRecovery(
                    self.app, self, beacon=self.beacon, loop=self.loop
                )
                self._seek_first.restored = restored
                self._seek_first.fetches = Fetches(self.app.consumer, bundles)
            return self._seek_first

        async def on_start(self) -> None:
            _ = self.recovery  # made now, so that it sees the first fetch begin
            # Faust sleeps a second here for tables that are defined late; ours are defined before the start.
            await self._update_channels()
            await self.recovery.start()

    return SeekFirstTableManager
