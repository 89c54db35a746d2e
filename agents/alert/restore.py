"""From the recovered table to lives: where reading goes on, and what of them is told already."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agents.alert.flush import offset_in, offset_key
from agents.alert.sent import already_sent
from streams.life import Life, sent
from streams.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.kafka import KafkaSettings

log = logging.getLogger("probestream.alert")
ByPartition = dict[int, dict[str, Life]]


async def restore(
    kafka: KafkaSettings, stored: Mapping[bytes, bytes], earliest: Mapping[int, int], ends: Mapping[int, int]
) -> tuple[ByPartition, dict[int, int], list[Life]]:
    """The lives of some partitions, the offset of the next finding of each, and the lives that are to be stored anew.

    `earliest` and `ends` are offsets of `findings` by partition. What is in the outboxes then is not on `alerts`.
    """
    positions = {p: max(offset_in(stored.get(offset_key(p))) + 1, earliest[p]) for p in ends}
    lives: ByPartition = {p: {} for p in ends}
    for key, value in stored.items():
        if key.startswith(b"\0"):
            continue
        partition = partition_of(key.decode(), kafka.partitions)
        if partition in lives:
            lives[partition][key.decode()] = Life.load(value)
    _fit(lives, positions, ends)
    unsure = [life for held in lives.values() for life in held.values() if life.outbox]
    there = await already_sent(kafka, unsure) if unsure else set()
    for life in unsure:
        for told in list(life.outbox):
            if (told["id"], told["number"]) in there:
                sent(life, told["number"], told["id"])
    return lives, positions, unsure


def _fit(lives: ByPartition, positions: dict[int, int], ends: Mapping[int, int]) -> None:
    """Go back to the end of a log that is shorter than the state: part of it was lost, and what comes is news."""
    for partition, end in ends.items():
        if positions[partition] > end:
            log.error("findings/%d ends at %d, the state goes to %d", partition, end, positions[partition] - 1)
            positions[partition] = end
            for life in lives[partition].values():
                life.offset = min(life.offset, end - 1)
