"""The rules and targets in force: those of the file, overlaid by what the control topic says."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Control, DecodeError, decode
from streams.admission import Declared
from streams.control import Controls
from streams.kafka import KafkaSettings, consumer_options
from streams.rules import expand
from streams.topics import CONTROL, full_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agents.probe.settings import Target
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")
_KINDS = ("rule", "threshold", "target")


class Watched(Protocol):
    """What is to be known of a target."""

    @property
    def name(self) -> str: ...
    @property
    def all_labels(self) -> dict[str, str]: ...


class Terms:
    """Rules, with the version of each that came by the control topic, labels by target, and what is declared normal."""

    def __init__(self, targets: Iterable[Target], rules: Iterable[Rule]) -> None:
        self._targets, self._base = list(targets), tuple(rules)
        self._controls = Controls()
        self.rules: tuple[Rule, ...] = ()
        self.versions: dict[str, int] = {}
        self.labels: dict[str, Mapping[str, str]] = {}
        self.declared: dict[str, Declared] = {}
        self.refresh()

    def take(self, control: Control) -> bool:
        """Take in a record of the control topic; whether it may change what is in force."""
        if control.kind not in _KINDS:
            return False
        refused = self._controls.take(control)
        if refused is not None:
            log.warning("control: %s", refused.message)
        return refused is None

    def refresh(self) -> bool:
        """Bring what was taken in into force; whether anything is different."""
        there: dict[str, Watched] = {t.name: t for t in self._targets}
        declared = {t.name: Declared(t.baseline_ms, t.baseline_error_rate) for t in self._targets}
        for record in self._controls.records("target"):
            there.pop(record.id, None)
        there |= self._controls.live("target")
        labels: dict[str, Mapping[str, str]] = {name: target.all_labels for name, target in there.items()}
        rules = self._controls.rules(expand(self._base))
        different = (rules, labels) != (self.rules, self.labels)
        self.rules, self.labels = rules, labels
        self.declared = {name: d for name, d in declared.items() if name in labels}
        self.versions = {
            r.name: max(self._controls.version("rule", n) for n in (r.name, r.pair) if n) for r in self.rules
        }
        return different

    def labels_of(self, target: str) -> Mapping[str, str]:
        """The labels of a target, also of one that nobody configured: it pushes its samples."""
        return self.labels.get(target) or {"target": target, "kind": "push"}


async def follow(kafka: KafkaSettings, terms: Terms, informed: asyncio.Event, changed: Callable[[], None]) -> None:
    """Read the control topic from its beginning, and on; `informed` is set once it is read to its end.

    `changed` is called whenever other rules or targets have come into force after that.
    """
    tp = TopicPartition(full_name(kafka, CONTROL), 0)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "detect-control"))
    await consumer.start()
    try:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        stale = False
        while True:
            if not informed.is_set() and await consumer.position(tp) >= end:
                terms.refresh()
                stale = False
                informed.set()
            for record in (await consumer.getmany(tp, timeout_ms=500)).get(tp, ()):
                if record.value is None:
                    continue
                try:
                    stale |= terms.take(decode(record.value, Control))
                except DecodeError as error:
                    log.warning("control/%d: %s", record.offset, error)
            if stale and informed.is_set():
                stale = False
                if terms.refresh():
                    changed()
    finally:
        await consumer.stop()
