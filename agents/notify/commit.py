"""Outcomes and the source offset, in one transaction; its id shuts out whoever had the partition before."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from agents.notify import metrics
from agents.notify.context import KAFKA_LIMIT_S
from agents.notify.delivery import ledger_key
from agents.notify.pulse import FROZEN_S
from schemas import encode
from streams.kafka import close, producer_options
from streams.topics import ALERTS, DEAD_LETTERS, NOTIFICATIONS, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.notify.context import Context, Outcome
    from agents.notify.progress import Progress
    from agents.notify.withheld import Mark

LAZY_S = 1.0
"""An offset without an outcome beside it may wait so long for company."""
_TRANSACTION_MS = 15_000


class Committer:
    """Writes what is finished in one partition. One transaction at a time, of all that came up meanwhile."""

    def __init__(
        self, context: Context, partition: int, progress: Progress, mark: Callable[[], Mark | None] = lambda: None
    ) -> None:
        self._context = context
        self._partition = partition
        self._progress = progress
        self._mark = mark
        self._outcomes: list[Outcome] = []
        self._confirmations: list[asyncio.Future[None]] = []
        self._committed = progress.committable(), mark()
        self._ours_at = float("-inf")
        self._wake = asyncio.Event()
        self._finishing = False
        self._timer: asyncio.TimerHandle | None = None
        name = f"notify-{context.channel}-{partition}"
        self._producer = AIOKafkaProducer(
            **producer_options(context.kafka, name),
            transactional_id=f"{context.kafka.prefix}{name}",
            transaction_timeout_ms=_TRANSACTION_MS,
        )

    async def start(self, first_offset: int | None) -> None:
        """Shut out the predecessor, ending its transaction; commit `first_offset` where the group had none."""
        async with asyncio.timeout(KAFKA_LIMIT_S):
            await self._producer.start()
            self._ours_at = asyncio.get_running_loop().time()
        if first_offset is not None:
            await self._transact([], first_offset, self._mark())

    async def run(self) -> None:
        """Commit whenever there is something, until `finish`."""
        while not self._finishing:
            await self._wake.wait()
            await self._commit()

    async def finish(self, running: asyncio.Task[None], limit_s: float) -> None:
        """Let the transaction that `run` is in come to its end, and commit the rest. Raises TimeoutError."""
        self._finishing = True
        self._wake.set()
        async with asyncio.timeout(limit_s):
            await running
            await self._commit()

    def add(self, outcome: Outcome) -> None:
        """One delivery has ended."""
        self._outcomes.append(outcome)
        if outcome.notification is not None:
            self._context.carried[_key(outcome)] = outcome
        if outcome.offset is not None:
            self._progress.finish_one(outcome.offset)
        self._wake.set()

    def passed(self) -> None:
        """A record needed nothing: its offset goes with the next transaction, or alone after a moment."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LAZY_S, self._wake.set)

    async def confirm(self, began: float) -> None:
        """Return once it is sure that the partition is still ours. Raises ProducerFenced where it is not.

        At once, unless the process stood still since the last transaction or the work that began at `began` (the
        loop's clock) took long: then a transaction decides.
        """
        now = asyncio.get_running_loop().time()
        if self._context.pulse.froze_at() < self._ours_at and now - began < FROZEN_S:
            return
        confirmation = asyncio.get_running_loop().create_future()
        self._confirmations.append(confirmation)
        self._wake.set()
        await confirmation  # cancelled, and this task with it, where the transaction fails

    async def _commit(self) -> None:
        """Write all that is finished now. Raises whatever the producer does; then only a new start helps."""
        self._wake.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Taken together, without an await between: an offset never runs ahead of its outcomes.
        batch, self._outcomes = self._outcomes, []
        confirmations, self._confirmations = self._confirmations, []
        offset, mark = self._progress.committable(), self._mark()
        try:
            if batch or confirmations or (offset, mark) != self._committed:
                await self._transact(batch, offset, mark)
        except BaseException:
            for confirmation in confirmations:
                confirmation.cancel()
            raise
        for confirmation in confirmations:
            if not confirmation.done():
                confirmation.set_result(None)
        for outcome in batch:
            if outcome.notification is not None:
                self._context.carried.pop(_key(outcome), None)
                metrics.OUTCOMES.labels(
                    self._context.channel, outcome.notification.outcome, outcome.notification.reason
                ).inc()
        metrics.UNFINISHED.labels(self._context.channel, str(self._partition)).set(len(self._progress))

    async def close(self) -> None:
        """Give up the producer; what is not committed stays for the next owner."""
        if self._timer is not None:
            self._timer.cancel()
        await close(self._producer, 1.0)

    async def _transact(self, batch: list[Outcome], offset: int | None, mark: Mark | None) -> None:
        kafka, producer = self._context.kafka, self._producer
        began = asyncio.get_running_loop().time()
        async with asyncio.timeout(KAFKA_LIMIT_S):
            await producer.begin_transaction()
            acks = []
            for outcome in batch:
                if outcome.notification is not None:
                    acks.append(
                        await producer.send(
                            full_name(kafka, NOTIFICATIONS),
                            encode(outcome.notification),
                            key=_key(outcome).encode(),
                            partition=self._partition,
                        )
                    )
                if outcome.dead is not None:
                    acks.append(await producer.send(full_name(kafka, DEAD_LETTERS), encode(outcome.dead), partition=0))
            if offset is not None:
                tp = TopicPartition(full_name(kafka, ALERTS), self._partition)
                place = (offset, mark.text if mark is not None else "")
                await producer.send_offsets_to_transaction({tp: place}, self._context.group)
            await asyncio.gather(*acks)
            await producer.commit_transaction()
        self._committed, self._ours_at = (offset, mark), began


def _key(outcome: Outcome) -> str:
    step = outcome.notification
    assert step is not None
    return ledger_key(step.alert_id, step.number, step.receiver, step.channel, step.integration)
