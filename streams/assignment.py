"""What a member of a consumer group was given to read."""

from __future__ import annotations

from collections.abc import Iterable

from aiokafka import ConsumerRebalanceListener, TopicPartition


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """The partitions given, and how often that changed, so that work begun under an earlier assignment is known."""

    def __init__(self) -> None:
        self.number = 0
        self.partitions: set[TopicPartition] = set()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:  # noqa: ARG002 - the interface's
        self.number += 1
        self.partitions = set()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.number += 1
        self.partitions = set(assigned)
