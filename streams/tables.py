"""Every Faust table: its name, its changelog, and the raw bytes it holds."""

from __future__ import annotations

from typing import Any

import faust

from streams.app import raw_topic
from streams.kafka import KafkaSettings
from streams.topics import ALERT_STATE, Topic, partitions


def _table(app: faust.App, kafka: KafkaSettings, topic: Topic) -> Any:
    return app.Table(
        topic.name,
        partitions=partitions(kafka, topic),
        key_type=bytes,
        value_type=bytes,
        # As Faust's own changelogs: else it takes one that is read at a start only for a stream that hangs, and says so
        # in the log from five minutes on, every few seconds.
        changelog_topic=raw_topic(app, kafka, topic, acks=False),
        recovery_buffer_size=1000,
    )


def alert_state(app: faust.App, kafka: KafkaSettings) -> Any:
    """Life of the alert of each target and rule: see streams/life/life.py for the entries."""
    return _table(app, kafka, ALERT_STATE)
