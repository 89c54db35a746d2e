"""One partition of `alerts` in one channel: from a record to its deliveries' outcomes.

The order, which docs/decisions/notify-ledger.md draws: intent → send → outcome and source offset in one transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from agents.letters import Source, dead_letter
from agents.notify import ledger, metrics
from agents.notify.attempts import Attempts
from agents.notify.commit import Committer
from agents.notify.context import Context, Outcome
from agents.notify.delivery import Delivery, of_key
from agents.notify.message import late
from agents.notify.past import Past, transitions
from agents.notify.plan import Planned, concerned, plan
from agents.notify.progress import Progress
from agents.notify.withheld import Withheld
from schemas import Alert, DecodeError, decode
from streams.preferences import QUIET_HOURS
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from aiokafka.structs import ConsumerRecord

    from agents.notify.withheld import Mark, Page

log = logging.getLogger("probestream.notify")

MOST_UNFINISHED = 5000
"""Records of a partition read and not dealt with; beyond it, reading waits for the oldest."""
_REMEMBERED_ALERTS = 20_000
_LEDGER_LIMIT_S = 40.0
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where to go on: the group's offset, and the mark beside it. `new` where the group had none so far."""

    offset: int
    mark: Mark | None = None
    new: bool = False


class Partition:
    """Delivers the alerts of one partition while this process has it."""

    def __init__(self, context: Context, number: int, place: Place) -> None:
        self.number = number
        self.opened = asyncio.get_running_loop().create_future()
        self._context = context
        self._place = place
        self._inbox: asyncio.Queue[ConsumerRecord] = asyncio.Queue()
        self._progress = Progress(place.offset)
        self._withheld = Withheld(place.mark)
        self._committer = Committer(context, number, self._progress, self._withheld.mark)
        self._entries: dict[str, ledger.Entry] = {}
        self._past = Past(context, number, _LEDGER_LIMIT_S)
        self._told: OrderedDict[str, set[tuple[str, int]]] = OrderedDict()
        self._last: dict[tuple[str, str, int], asyncio.Task[None]] = {}
        self._deliveries: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._closing = False
        self._held = False
        self._beginning = False
        self._feeder = self._task(self._feed())
        self._looker: asyncio.Task[None] | None = None
        self._commits: asyncio.Task[None] | None = None

    def accept(self, records: list[ConsumerRecord]) -> None:
        """Take records in the order of the log."""
        for record in records:
            self._inbox.put_nowait(record)
        self._hold()

    async def close(self, limit_s: float) -> None:
        """Finish what is being sent, commit what is finished, and let go of the partition."""
        self._closing = True
        readers = [self._feeder, *([self._looker] if self._looker is not None else [])]
        for task in (*readers, *(self._deliveries - self._sending)):
            task.cancel()
        if self._sending:
            await asyncio.wait(set(self._sending), timeout=limit_s)
        for task in self._deliveries:
            task.cancel()
        await asyncio.wait([*readers, *self._deliveries], timeout=0.5)
        if self._commits is not None:
            try:
                await self._committer.finish(self._commits, 1.5)
            except Exception as error:  # fenced, or no broker: the next owner does it again from the ledger
                log.warning("%s/%d: last commit failed: %r", self._context.channel, self.number, error)
        await self._committer.close()
        if not self.opened.done():
            self.opened.cancel()

    async def _feed(self) -> None:
        await self._committer.start(self._place.offset if self._place.new else None)
        self._commits = self._task(self._committer.run())
        end = await self._context.partitions.end_offset(self.number)
        self.opened.set_result(None)
        mark = (
            self._place.mark if self._place.mark is not None and self._place.mark.offset < self._place.offset else None
        )
        if mark is not None:
            await self._restore(mark, min(self._place.offset, end))  # a log that was cut off ends before
        self._withheld.restored()
        self._looker = self._task(self._tell_late(end))
        record = await self._inbox.get()
        self._beginning = True
        if record.offset < end and (mark is None or record.offset < self._place.offset):
            # It was there before us, so somebody may have begun it.
            self._entries = await ledger.load(
                self._context.kafka, self._context.channel, self.number, record.timestamp, _LEDGER_LIMIT_S
            )
        while True:
            await self._begin(record)
            self._beginning = False
            self._hold()
            record = await self._inbox.get()
            self._beginning = True

    async def _restore(self, mark: Mark, end: int) -> None:
        """Keep again what was withheld, from the record of `mark` up to offset `end`; go on with what was begun."""
        context = self._context
        self._entries = await ledger.load(context.kafka, context.channel, self.number, mark.time, _LEDGER_LIMIT_S)
        keys: dict[tuple[str, int], list[str]] = {}
        for key in self._entries:
            keys.setdefault(of_key(key)[:2], []).append(key)
        async for record, alert in transitions(context, self.number, mark.offset, end, _LEDGER_LIMIT_S):
            self._withheld.saw(alert)
            for key in keys.pop((alert.id, alert.number), ()):
                self._keep_again(record, alert, key, self._entries.pop(key))

    def _keep_again(self, record: ConsumerRecord, alert: Alert, key: str, entry: ledger.Entry) -> None:
        """Take in what became of telling a transition, which was dealt with by an earlier owner of the partition."""
        integration = of_key(key)[2:]
        if integration not in self._context.outlets or (entry.outcome == "skipped" and not entry.withheld):
            return
        carried = self._carried(key, entry)
        if entry.final and not entry.withheld:
            self._withheld.told(alert.id, integration)
        elif carried is not None:
            self._committer.add(replace(carried, offset=None))
            self._withheld.told(alert.id, integration)
        else:
            page = self._withheld.keep(alert, _source(record), record.timestamp, integration)
            if not entry.withheld:
                self._send_late(alert, integration, page, entry)

    async def _tell_late(self, end: int) -> None:
        """Tell what was withheld and still fires, once it is quiet no more.

        Not before all records up to `end`, the partition's end as it was taken over, were read: it may be over.
        """
        read = False
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            read = read or await self._context.partitions.position(self.number) >= end
            if read and not self._beginning and self._inbox.empty():
                self._send_due(now_ms())

    def _send_due(self, now: float) -> None:
        channel, wishes = self._context.channel, self._context.preferences
        due = self._withheld.due(lambda receiver, severity: wishes.keeps(receiver, channel, severity, now))
        for alert, integration, page in list(due):
            self._send_late(alert, integration, page, None)

    def _send_late(self, alert: Alert, integration: tuple[str, int], page: Page, entry: ledger.Entry | None) -> None:
        page.under_way = True
        told = late(alert, page.number, page.since)
        delivery = Delivery(told, page.source, integration[0], self._context.channel, integration[1], late=True)
        if alert.id in self._told:
            self._told[alert.id].add(integration)
        else:
            self._past.tells(alert.id, integration)
        self._start(delivery, entry, asyncio.get_running_loop().time())

    async def _begin(self, record: ConsumerRecord) -> None:
        source = _source(record)
        read = asyncio.get_running_loop().time()
        try:
            alert = decode(record.value, Alert)
        except DecodeError as error:
            # Every channel reads the record; one of them reports it.
            dead = dead_letter(source, hop="notify", reason=error.reason, error=str(error), at=now_ms())
            self._progress.begin(source.offset, 1)
            self._committer.add(Outcome(source.offset, None, dead if self._context.reports_unrouted else None))
            return
        if self._needs_past(alert) and (before := await self._past.told(alert)) is not None:
            self._told[alert.id] = before
        told = self._told.get(alert.id)
        if told is not None:
            told |= self._withheld.under_way(alert.id)  # its intent may not be in the ledger yet
        now, channel, wishes = now_ms(), self._context.channel, self._context.preferences
        planned = plan(
            alert,
            self._context.route,
            self._context.send_resolved,
            told=told,
            reports_unrouted=self._context.reports_unrouted,
            withheld=lambda receiver: wishes.withheld(receiver, channel, alert.severity, now),
        )
        self._progress.begin(source.offset, len(planned))
        self._withheld.saw(alert)
        if not planned:
            self._committer.passed()
        tells = {
            (p.receiver, p.integration)
            for p in planned
            if self._one(p, Delivery(alert, source, p.receiver, channel, p.integration), read, record.timestamp)
        }
        for integration in tells:
            self._withheld.told(alert.id, integration)
        self._remember(alert, tells)

    def _one(self, planned: Planned, delivery: Delivery, read: float, time: int) -> bool:
        """Begin a delivery, or go on where the ledger says; whether the integration is told, or was.

        What was decided, or begun, stays so whatever people prefer by now: the end must fit the beginning.
        """
        offset = delivery.source.offset
        entry = self._entries.pop(delivery.key, None)
        carried = self._carried(delivery.key, entry)
        integration = delivery.receiver, delivery.integration
        if entry is not None and entry.final:
            self._progress.finish_one(offset)
            self._committer.passed()
            if entry.withheld:
                self._withheld.keep(delivery.alert, delivery.source, time, integration)
            return entry.outcome != "skipped"
        step = carried.notification if carried is not None else None
        if carried is None and planned.skip and entry is None:
            step = delivery.note("skipped", planned.skip, now_ms(), error=planned.why)
        if step is not None:
            self._committer.add(Outcome(offset, step, carried.dead if carried is not None else None))
            if (step.outcome, step.reason) == ("skipped", QUIET_HOURS):
                self._withheld.keep(delivery.alert, delivery.source, time, integration)
            return step.outcome != "skipped"
        if entry is not None and entry.late:  # the record itself was dealt with when the page was withheld
            self._progress.finish_one(offset)
            page = self._withheld.keep(delivery.alert, delivery.source, time, integration)
            self._send_late(delivery.alert, integration, page, entry)
            return True
        self._start(delivery, entry, read)
        return True

    def _carried(self, key: str, entry: ledger.Entry | None) -> Outcome | None:
        """The outcome that was not written as far as this process knows; forgotten where the ledger knows better.

        It does where it has the outcome, whose commit then went unanswered, or where another owner began to tell
        what was to be skipped here.
        """
        found = self._context.carried.get(key)
        if found is None or found.notification is None or entry is None:
            return found
        if (entry.final and not entry.withheld) or found.notification.outcome == "skipped":
            del self._context.carried[key]
            return None
        return found

    def _needs_past(self, alert: Alert) -> bool:
        """Whether somebody may have been told less than all, before this process had the alert."""
        context = self._context
        unseen = alert.id not in self._told and alert.previous not in ("", "pending")
        wished = alert.id in self._withheld or context.preferences.concern(concerned(alert, context.route))
        return unseen and alert.notify and wished

    def _remember(self, alert: Alert, told: set[tuple[str, int]]) -> None:
        if alert.state in ("resolved", "cancelled"):
            self._told.pop(alert.id, None)
        elif alert.previous in ("", "pending") or alert.id in self._told:  # its beginning was seen, or is known
            self._told.setdefault(alert.id, set()).update(told)
            if len(self._told) > _REMEMBERED_ALERTS:
                self._told.popitem(last=False)

    def _start(self, delivery: Delivery, entry: ledger.Entry | None, read: float) -> None:
        if entry is not None:
            delivery.attempt, delivery.since, delivery.repeat = entry.attempt, entry.since, entry.may_have_arrived
        line = (delivery.alert.id, delivery.receiver, delivery.integration)
        task = self._task(self._deliver(delivery, self._last.get(line), read))
        self._last[line] = task
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)
        task.add_done_callback(lambda t: self._last.pop(line, None) if self._last.get(line) is t else None)

    async def _deliver(self, delivery: Delivery, before: asyncio.Task[None] | None, read: float) -> None:
        # One alert's messages to one integration keep their order: a resolved never overtakes its firing.
        if before is not None:
            await asyncio.wait({before})
        attempts = Attempts(self._context, self._committer, self._sending, lambda: self._closing)
        outcome = await attempts.until_outcome(delivery)
        if outcome is None:
            return
        if delivery.late:
            outcome = replace(outcome, offset=None)
            self._withheld.ended(delivery.alert.id, (delivery.receiver, delivery.integration))
        self._committer.add(outcome)
        self._hold()
        if delivery.attempt == 1 and not outcome.dead:
            metrics.SECONDS.labels(self._context.channel).observe(asyncio.get_running_loop().time() - read)

    def _hold(self) -> None:
        waiting = self._inbox.qsize() + len(self._progress)
        if not self._held and waiting > MOST_UNFINISHED:
            self._held = True
            log.warning("%s/%d: %d alerts are unfinished; reading waits", self._context.channel, self.number, waiting)
            self._context.partitions.hold(self.number, True)
        elif self._held and waiting < MOST_UNFINISHED // 2:
            self._held = False
            self._context.partitions.hold(self.number, False)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and not self._closing:
            self._context.fail(error)


def _source(record: ConsumerRecord) -> Source:
    return Source(record.topic, record.partition, record.offset, record.key, record.value, record.headers)
