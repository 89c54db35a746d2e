"""What became of notifications, and of messages that no hop could use."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas import DeadLetter, Notification


class Deliveries:
    """Counts of deliveries, and the steps of the last `keep` alerts that were told."""

    def __init__(self, keep: int = 10_000) -> None:
        self.keep = keep
        self.counts: Counter[tuple[str, str]] = Counter()
        self.repeats = 0
        self._by_alert: OrderedDict[str, list[Notification]] = OrderedDict()

    def add(self, notification: Notification) -> None:
        """Take one step of a delivery."""
        self.counts[notification.channel, notification.outcome] += 1
        # Counted when the repeat arrived, not for each attempt at it.
        self.repeats += notification.repeat and notification.outcome == "delivered"
        self._by_alert.setdefault(notification.alert_id, []).append(notification)
        self._by_alert.move_to_end(notification.alert_id)
        if len(self._by_alert) > self.keep:
            self._by_alert.popitem(last=False)

    def of(self, alert_id: str) -> list[Notification]:
        """The steps of an alert's deliveries, oldest first."""
        return sorted(self._by_alert.get(alert_id, ()), key=lambda n: (n.at, n.attempt))


class DeadLetters:
    """Counts by hop and reason, and the last `keep` letters."""

    def __init__(self, keep: int = 100) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.last: deque[tuple[DeadLetter, int]] = deque(maxlen=keep)

    def add(self, letter: DeadLetter) -> None:
        """Take a dead letter. Its bytes are let go, their length stays."""
        self.counts[letter.hop, letter.reason] += letter.count
        size = len(letter.value or b"")
        letter.value = letter.key = None
        self.last.append((letter, size))
