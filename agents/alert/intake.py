"""Findings as they come from the log: in order, none missing, and what is no finding set aside."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from agents.letters import dead_letter
from schemas import DecodeError, Finding, decode, encode
from streams import groups
from streams.partition import partition_of

if TYPE_CHECKING:
    from streams.alerting.terms import Terms
    from streams.kafka import KafkaSettings

log = logging.getLogger("probestream.alert")
_DONE = -1


class Intake:
    """How far each partition of `findings` is read, and the events that are not let go yet."""

    def __init__(self, kafka: KafkaSettings, terms: Terms) -> None:
        self.kafka, self.terms = kafka, terms
        self.seen: dict[int, int] = {}
        self._behind: dict[int, int] = {}
        self._events: list[Any] = []
        self._letters: list[bytes] = []
        self._decoded: tuple[Any, Finding | DecodeError] | None = None

    def begin(self, seen: dict[int, int], ends: dict[int, int]) -> None:
        """Read on after these offsets; up to `ends` there is a backlog."""
        self.seen, self._behind, self._events = seen, ends, []

    def caught_up(self) -> bool:
        """Whether a partition's backlog has been read since the last call."""
        done = [p for p, end in self._behind.items() if end != _DONE and self.seen[p] + 1 >= end]
        for partition in done:
            self._behind[partition] = _DONE
        return bool(done)

    def is_behind(self, partition: int) -> bool:
        """Whether the partition has a backlog that is not read."""
        return self._behind.get(partition, 0) != _DONE

    def take(self, event: Any) -> Finding | None:
        """Note the event, and return its finding; None where it cannot be used, which is then a dead letter."""
        message = event.message
        self.seen[message.partition] = message.offset
        self._events.append(event)
        finding = self._decode(message)
        if isinstance(finding, DecodeError):
            self._refuse(message, finding.reason, str(finding))
            return None
        rule, labels = self.terms.judged.get(finding.rule), self.terms.labels_of(finding.target)
        key = f"{finding.target}/{finding.rule}" if rule is None else groups.finding_key(rule, finding.target, labels)
        if not math.isfinite(finding.time):
            self._refuse(message, "bad_value", f"finding of {key:.100} at no time")
        elif rule is None and finding.holds:
            self._refuse(message, "unknown_rule", f"no rule {finding.rule} in the configuration")
        elif rule is not None and partition_of(key, self.kafka.partitions) != message.partition:
            self._refuse(message, "wrong_partition", f"finding of {key:.100} does not belong here")
        else:
            return finding
        return None

    def rule_of(self, message: Any) -> str | None:
        """Name of the rule that a message is about; None where it is no finding."""
        finding = self._decode(message)
        return None if isinstance(finding, DecodeError) else finding.rule

    def _decode(self, message: Any) -> Finding | DecodeError:
        if self._decoded is None or self._decoded[0] is not message:
            try:
                self._decoded = (message, decode(message.value, Finding))
            except DecodeError as error:
                self._decoded = (message, error)
        return self._decoded[1]

    def _refuse(self, message: Any, reason: str, error: str) -> None:
        log.warning("%s/%d/%d: %.300s", message.topic, message.partition, message.offset, error)
        letter = dead_letter(message, hop="alert", reason=reason, error=error, at=message.timestamp * 1000.0)
        self._letters.append(encode(letter))

    def cut(self) -> tuple[list[Any], list[bytes]]:
        """The events and dead letters since the last cut."""
        events, self._events = self._events, []
        letters, self._letters = self._letters, []
        return events, letters
