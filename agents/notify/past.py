"""Who was told of an alert whose beginning this process has not seen, as the ledger has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agents.notify import ledger
from agents.notify.delivery import of_key

if TYPE_CHECKING:
    from agents.notify.context import Context
    from schemas import Alert

_MARGIN_MS = 6 * 3_600_000.0
"""Read from so long before an alert fired: then others that began about then need no reading of their own."""


class Past:
    """One partition's. What was read is kept until it is asked for."""

    def __init__(self, context: Context, partition: int, limit_s: float) -> None:
        self._context, self._partition, self._limit_s = context, partition, limit_s
        self._told: dict[str, set[tuple[str, int]]] = {}

    async def told(self, alert: Alert) -> set[tuple[str, int]] | None:
        """The receivers and integrations that were told, or may have been; None where the ledger knows nothing of it.

        What is done from now on must be known to who asks: an answer is given once.
        """
        if alert.id not in self._told:
            since = max(0.0, (alert.fired or alert.began) - _MARGIN_MS)
            entries = await ledger.load_within(
                self._context.kafka, self._context.channel, self._partition, since, self._limit_s
            )
            self._told = {}
            for key, entry in entries.items():
                name, receiver, integration = of_key(key)
                told = self._told.setdefault(name, set())
                if entry.outcome != "skipped":
                    told.add((receiver, integration))
        return self._told.pop(alert.id, None)
