"""Writes findings as detect would, and control records as the gateway would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from schemas import Control, Finding, encode
from streams.groups import finding_key
from streams.kafka import KafkaSettings
from streams.rules import Rule
from streams.topics import CONTROL, FINDINGS, full_name
from streams.units import now_ms


class Feed:
    """Findings about targets that all have `labels`, and changes, each with the version after the one before."""

    def __init__(
        self, kafka: KafkaSettings, producer: AIOKafkaProducer, labels: Mapping[str, str] | None = None
    ) -> None:
        self.kafka, self.producer, self.labels = kafka, producer, labels or {}
        self.versions: dict[tuple[str, str], int] = {}

    async def finding(self, rule: Rule, holds: bool = True, target: str = "shop") -> None:
        finding = Finding(
            target=target, rule=rule.name, holds=holds, time=now_ms(), severity=rule.severity,
            metric=rule.metric or "up", aggregate="last", operator=rule.operator, threshold=rule.value or 0.0,
            value=0.0,
        )  # fmt: skip
        await self.raw(encode(finding), finding_key(rule, target, self.labels).encode())

    async def raw(self, value: bytes, key: bytes) -> None:
        await self.producer.send_and_wait(full_name(self.kafka, FINDINGS), value, key=key)

    async def control(self, kind: str, key: str, *, deleted: bool = False, **body: Any) -> None:
        version = self.versions[kind, key] = self.versions.get((kind, key), 0) + 1
        text = orjson.dumps(body).decode()
        record = Control(kind=kind, id=key, version=version, deleted=deleted, actor="ada", at=now_ms(), body=text)
        topic = full_name(self.kafka, CONTROL)
        await self.producer.send_and_wait(topic, encode(record), key=f"{kind}/{key}".encode(), partition=0)
