"""One delivery's attempts: intent, send, and again after a pause, until there is an outcome."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

from agents.letters import dead_letter
from agents.notify import metrics
from agents.notify.context import Context, Outcome, Outlet
from agents.notify.delivery import Delivery, Sent
from agents.notify.retry import RETRY_AFTER_CAP_S, DeliveryError, backoff, may_have_arrived, next_try
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.notify.commit import Committer

log = logging.getLogger("probestream.notify")

_PAUSE_WITHOUT_RETRY_AFTER_S = 1.0


class Attempts:
    """Makes attempts; notes in `sending` the tasks that are between an intent and its outcome."""

    def __init__(
        self,
        context: Context,
        committer: Committer,
        sending: set[asyncio.Task[None]],
        closing: Callable[[], bool],
    ) -> None:
        self._context = context
        self._committer = committer
        self._sending = sending
        self._closing = closing

    async def until_outcome(self, delivery: Delivery) -> Outcome | None:
        """How the delivery ended; None where the partition is being closed. Raises on errors of Kafka only."""
        outlet = self._context.outlets[delivery.receiver, delivery.integration]
        task = asyncio.current_task()
        assert task is not None
        while not self._closing():
            async with outlet.gate.turn():
                if self._closing():
                    break
                self._sending.add(task)
                try:
                    result = await self._once(outlet, delivery)
                    if isinstance(result, Outcome):
                        return result
                finally:
                    self._sending.discard(task)
            await asyncio.sleep(result)
        return None

    async def _once(self, outlet: Outlet, delivery: Delivery) -> Outcome | float:
        """The outcome of one attempt, or the seconds until the next."""
        began = asyncio.get_running_loop().time()
        delivery.attempt += 1
        at = now_ms()
        if delivery.since is None:
            delivery.since = at
        try:
            sent = await self._send(outlet, delivery, began, at)
        except DeliveryError as error:
            if error.reason == "http_429":
                pause = _PAUSE_WITHOUT_RETRY_AFTER_S if error.retry_after is None else error.retry_after
                now = asyncio.get_running_loop().time()
                outlet.gate.pacer.throttled(now, min(pause, RETRY_AFTER_CAP_S))
            return await self._failed(delivery, error)
        step = delivery.note("delivered", "ok", now_ms(), error=sent.error, reference=sent.reference)
        return Outcome(delivery.source.offset, step)

    async def _send(self, outlet: Outlet, delivery: Delivery, began: float, at: float) -> Sent:
        first = "quiet_hours_over" if delivery.late else "first"
        reason = "may_have_arrived" if delivery.repeat else "retry" if delivery.attempt > 1 else first
        # Before the intent too, or a late one would stand in the ledger after the new owner's outcome.
        await self._committer.confirm(began)
        intent = asyncio.ensure_future(self._context.write(delivery, delivery.note("intent", reason, at)))
        try:
            await asyncio.sleep(0)  # the intent is on its way while the message is made
            if delivery.message is None:
                delivery.message = _rendered(outlet, delivery)
        finally:
            await intent
        await self._committer.confirm(began)
        if delivery.repeat:
            metrics.REPEATS.labels(self._context.channel).inc()
        try:
            async with asyncio.timeout(self._context.settings.timeout):
                return await outlet.integration.send(delivery, delivery.message)
        except DeliveryError:
            raise
        except TimeoutError:
            raise DeliveryError("timeout", "no answer in time", permanent=False) from None
        except Exception as error:  # a fault in one channel's code must not stop the others
            log.exception("%s: sending failed", delivery.channel)
            raise DeliveryError(f"unexpected_{type(error).__name__}", str(error), permanent=False) from error

    async def _failed(self, delivery: Delivery, error: DeliveryError) -> Outcome | float:
        settings, now = self._context.settings, now_ms() / 1000
        assert delivery.since is not None
        again = None
        if not error.permanent:
            delay = backoff(
                delivery.attempt,
                initial=settings.retry_initial,
                longest=settings.retry_max,
                rand=random.random(),  # noqa: S311 - jitter
            )
            deadline = delivery.since / 1000 + settings.retry_for
            again = next_try(now=now, delay=delay, retry_after=error.retry_after, deadline=deadline)
        where = f"{delivery.receiver}/{delivery.channel}/{delivery.integration}"
        if again is None:
            why = "permanent" if error.permanent else f"tried for {settings.retry_for:.0f} s"
            text = f"{where}: attempt {delivery.attempt}: {error.reason} ({why}): {error}"
            log.error("gave up on alert %s (%s) for %s", delivery.alert.id, delivery.alert.state, text)
            step = delivery.note("given_up", error.reason, now * 1000, error=str(error))
            dead = dead_letter(delivery.source, hop="notify", reason=error.reason, error=text, at=now * 1000)
            return Outcome(delivery.source.offset, step, dead)
        log.warning(
            "alert %s (%s) for %s: attempt %d failed: %s; again in %.1f s",
            delivery.alert.id, delivery.alert.state, where, delivery.attempt, error.reason, again - now,
        )  # fmt: skip
        await self._context.write(delivery, delivery.note("failed", error.reason, now * 1000, error=str(error)))
        delivery.repeat = delivery.repeat or may_have_arrived(error.reason)
        return again - now


def _rendered(outlet: Outlet, delivery: Delivery) -> object:
    try:
        return outlet.integration.render(delivery)
    except Exception as error:  # whatever an alert's texts lead a template into
        log.exception("%s: the message cannot be made", delivery.channel)
        raise DeliveryError("render_failed", f"{type(error).__name__}: {error}", permanent=True) from error
