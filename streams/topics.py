"""The map: every topic, in flow order, with who writes it and who reads it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import TopicAlreadyExistsError, for_code

from streams.kafka import client_options

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

_DAY_MS = 86_400_000
_CLOCK = "message.timestamp.type"

log = logging.getLogger("probestream.streams")


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what it carries, how long it is kept, and who is at its two ends."""

    name: str
    schema: str | None
    key: str
    days: int | None
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    spread: bool = True
    compacted: bool = False
    max_record_bytes: int = 1_048_588
    internal: bool = False


SAMPLES = Topic(
    "samples", "sample_batch", "none; the partition is murmur2(target)", 7, ("probe", "gateway", "logs"), ("detect",)
)
DETECT_STATE = Topic(
    "detect-state",
    None,
    "block and slot",
    None,
    ("detect",),
    ("detect",),
    compacted=True,
    max_record_bytes=16 * 1024 * 1024,
    internal=True,
)
LOGS = Topic("logs", "log_batch", "target; the partition is murmur2(target)", 7, ("gateway",), ("logs",))
LOGS_STATE = Topic(
    "logs-state",
    None,
    "what and target",
    None,
    ("logs",),
    ("logs",),
    compacted=True,
    max_record_bytes=8 * 1024 * 1024,
    internal=True,
)
ROLLUPS = Topic("rollups", "rollup", "partition/block/pane", 35, ("detect",), ("history", "gateway"))
HEALTH = Topic("health", "health", "target", None, ("detect",), ("history", "gateway"), compacted=True)
FINDINGS = Topic("findings", "finding", "target + rule", 7, ("detect",), ("alert",))
CONTROL = Topic(
    "control",
    "control",
    "kind/id",
    None,
    ("gateway", "cli", "supervisor", "alert"),
    ("probe", "logs", "detect", "alert", "notify", "gateway"),
    spread=False,
    compacted=True,
)
ALERT_STATE = Topic(
    "alert-state",
    None,
    "target + rule",
    None,
    ("alert",),
    ("alert",),
    compacted=True,
    internal=True,
    max_record_bytes=8 * 1024 * 1024,
)
ALERTS = Topic("alerts", "alert", "alert id", 35, ("alert",), ("notify", "history", "gateway"))
NOTIFICATIONS = Topic(
    "notifications",
    "notification",
    "alert id/number/receiver/channel",
    35,
    ("notify",),
    ("notify", "history", "gateway"),
    compacted=True,
)
DEAD_LETTERS = Topic(
    "dead-letters",
    "dead_letter",
    "none",
    35,
    ("logs", "detect", "alert", "notify", "history", "gateway"),
    ("gateway",),
    spread=False,
    max_record_bytes=8 * 1024 * 1024,
)

FLOW: tuple[Topic, ...] = (
    LOGS, LOGS_STATE, SAMPLES, DETECT_STATE, ROLLUPS, HEALTH, FINDINGS, CONTROL, ALERT_STATE, ALERTS, NOTIFICATIONS,
    DEAD_LETTERS,
)  # fmt: skip
BY_NAME = {t.name: t for t in FLOW}


def full_name(kafka: KafkaSettings, topic: Topic) -> str:
    """Name of `topic` on the cluster."""
    return f"{kafka.prefix}{topic.name}"


def partitions(kafka: KafkaSettings, topic: Topic) -> int:
    """How many partitions `topic` has."""
    return kafka.partitions if topic.spread else 1


def topic_config(topic: Topic) -> dict[str, str]:
    """The topic's settings, as Kafka names them."""
    config = {
        "max.message.bytes": str(topic.max_record_bytes),
        # Log append time: a producer's clock must not decide what retention deletes, and notify finds
        # the ledger entries of an alert by time.
        _CLOCK: "LogAppendTime",
    }
    if topic.compacted:
        config["cleanup.policy"] = "compact" if topic.days is None else "compact,delete"
        config["min.cleanable.dirty.ratio"] = "0.2"
        config["segment.ms"] = str(3_600_000)
    if topic.days is not None:
        config["retention.ms"] = str(topic.days * _DAY_MS)
    return config


class TopicError(RuntimeError):
    """The cluster's topics are not as this program needs them."""


async def create_topics(kafka: KafkaSettings) -> list[str]:
    """Create the topics that are missing; return their full names.

    Raises TopicError where a topic exists with another partition count: changing that moves targets to other
    partitions, away from their state, so it is a person's decision.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka, "admin"))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [t for t in FLOW if full_name(kafka, t) not in existing]
        present = [full_name(kafka, t) for t in FLOW if full_name(kafka, t) in existing]
        if missing:
            reply = await admin.create_topics(
                [
                    NewTopic(
                        name=full_name(kafka, t),
                        num_partitions=partitions(kafka, t),
                        replication_factor=kafka.replication,
                        topic_configs=topic_config(t),
                    )
                    for t in missing
                ]
            )
            for error in reply.topic_errors:
                name, code = error[0], error[1]
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise TopicError(f"topic {name} cannot be created: {for_code(code).__name__}")
            await _wait_for_leaders(admin, [full_name(kafka, t) for t in FLOW])
        for described in await admin.describe_topics(present) if present else []:
            topic = BY_NAME[described["topic"].removeprefix(kafka.prefix)]
            have, want = len(described["partitions"]), partitions(kafka, topic)
            if have != want:
                raise TopicError(
                    f"topic {described['topic']} has {have} partitions and kafka.partitions asks for {want}: "
                    f"set kafka.partitions to {have}, or choose another kafka.prefix"
                )
        for name in await _by_producers_clocks(admin, present):
            log.warning(
                "topic %s has message.timestamp.type=CreateTime, so that one producer's wrong clock misleads all "
                "who read it: set it to LogAppendTime with kafka-configs.sh --alter --entity-type topics "
                "--entity-name %s --add-config message.timestamp.type=LogAppendTime",
                name,
                name,
            )
        return [full_name(kafka, t) for t in missing]
    finally:
        await admin.close()


async def _by_producers_clocks(admin: AIOKafkaAdminClient, names: list[str]) -> list[str]:
    """Those of the topics whose records have their producers' times; none where we may not know."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, {_CLOCK: ""}) for name in names]
    found = []
    for response in await admin.describe_configs(asked) if asked else []:
        for error, _, _, name, entries in response.resources:
            if not error and any(e[0] == _CLOCK and e[1] == "CreateTime" for e in entries):
                found.append(name)
    return found


async def _wait_for_leaders(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until each partition of topics just made can be written to."""
    async with asyncio.timeout(30.0):
        while True:
            described = await admin.describe_topics(names)
            if all(t["error_code"] == 0 and all(p["leader"] >= 0 for p in t["partitions"]) for t in described):
                return
            await asyncio.sleep(0.05)


async def wait_for_topics(kafka: KafkaSettings, timeout_s: float = 60.0) -> None:
    """Wait until every topic is there. Raises TopicError after `timeout_s`, naming what is missing."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        missing = {full_name(kafka, t) for t in FLOW}
        problem = ""
        admin = AIOKafkaAdminClient(**client_options(kafka, "admin"))
        try:
            await admin.start()
            missing -= set(await admin.list_topics())
        except Exception as error:  # whatever the client raises while the broker boots
            problem = f": {error}"
        finally:
            await admin.close()
        if not missing:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise TopicError(
                f"no topic {', '.join(sorted(missing))} on {kafka.servers} after {timeout_s:.0f} s{problem}; "
                f"`probestream topics --create` makes them"
            )
        await asyncio.sleep(0.1)
