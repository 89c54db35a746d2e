"""Which partition a key belongs to: the default of Kafka's own producers.

Source: Apache Kafka, `org.apache.kafka.common.utils.Utils.murmur2` and `BuiltInPartitioner`.
"""

from __future__ import annotations

from functools import lru_cache

from aiokafka.partitioner import murmur2


@lru_cache(maxsize=1 << 20)
def partition_of(key: str, partitions: int) -> int:
    """Partition of `key` among `partitions`, as the Java producer chooses it."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
