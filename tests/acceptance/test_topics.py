"""Topics that somebody else has made."""

from __future__ import annotations

import uuid

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.kafka import KafkaSettings, client_options
from streams.topics import SAMPLES, create_topics, full_name


async def test_a_topic_that_goes_by_its_producers_clocks_is_told_of(broker, caplog):
    """The time of a record is the broker's: where a topic was made with another, the log says so, and what to do."""
    kafka = KafkaSettings(bootstrap=broker, prefix=f"t{uuid.uuid4().hex[:10]}.", partitions=1)
    name = full_name(kafka, SAMPLES)
    admin = AIOKafkaAdminClient(**client_options(kafka, "admin"))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()
    with caplog.at_level("WARNING", "probestream.streams"):
        assert name not in await create_topics(kafka)
        await create_topics(kafka)
    told = [r.getMessage() for r in caplog.records if r.name == "probestream.streams"]
    assert len(told) == 2
    assert all(f"topic {name} has message.timestamp.type=CreateTime" in t and "kafka-configs.sh" in t for t in told)
