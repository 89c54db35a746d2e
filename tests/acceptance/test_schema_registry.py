"""Any Avro consumer reads every topic, with the gateway as its schema registry (row K2)."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from schemas import registry
from tests.kit.gateway import gateway
from tests.kit.records import one_of_each, writer

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings


def read_all(kafka: KafkaSettings, registry_settings: dict[str, Any], topics: list[str]) -> dict[str, dict[str, Any]]:
    """The first record of each topic, decoded as a stranger would."""
    with SchemaRegistryClient(registry_settings) as client:
        deserialize = AvroDeserializer(client)
        consumer = Consumer({"bootstrap.servers": kafka.servers, "group.id": f"{kafka.prefix}stranger"})
        try:
            found: dict[str, dict[str, Any]] = {}
            partitions = {t: list(consumer.list_topics(t, timeout=60).topics[t].partitions) for t in topics}
            consumer.assign([TopicPartition(t, p, 0) for t in topics for p in partitions[t]])
            for _ in range(600):
                message = consumer.poll(0.1)
                if message is None or message.error():
                    continue
                context = SerializationContext(message.topic(), MessageField.VALUE)
                found[message.topic()] = deserialize(message.value(), context)
                if len(found) == len(topics):
                    break
            return found
        finally:
            consumer.close()


@pytest.mark.parametrize("token", [None, "t0ken"])
async def test_a_stranger_reads_every_topic(kafka: KafkaSettings, token: str | None) -> None:
    """confluent-kafka's deserializer decodes a record of each topic, field by field, knowing only the gateway."""
    records = {f"{kafka.prefix}{name}": record for name, record in one_of_each().items()}
    async with writer(kafka) as w:
        await w.write(*records.values())
    async with gateway(kafka, **({"token": token} if token else {})) as g:
        settings: dict[str, Any] = {"url": f"http://127.0.0.1:{g.port}"}
        if token:
            settings["basic.auth.user.info"] = f"any:{token}"
        found = await asyncio.to_thread(read_all, kafka, settings, list(records))
    assert set(found) == set(records)
    for topic, record in records.items():
        assert found[topic] == record.to_dict(), topic


async def test_subjects_versions_and_errors_are_confluents(kafka: KafkaSettings) -> None:
    """Lists, shapes, content type and error codes are those of Confluent's registry; its own client reads them."""
    subject = f"{kafka.prefix}alerts-value"
    async with gateway(kafka) as g:

        def by_client() -> None:
            with SchemaRegistryClient({"url": f"http://127.0.0.1:{g.port}"}) as client:
                assert subject in client.get_subjects()
                latest = client.get_latest_version(subject)
                assert latest.schema_id == registry.latest("alert").id
                assert client.get_versions(subject) == list(range(1, registry.latest("alert").version + 1))
                assert client.get_version(subject, 1).version == 1
                assert client.get_compatibility() == "BACKWARD"
                assert '"name":"Alert"' in client.get_schema(latest.schema_id).schema_str
                with pytest.raises(SchemaRegistryError) as missing:
                    client.get_schema(9999)
                assert (missing.value.http_status_code, missing.value.error_code) == (404, 40403)

        await asyncio.to_thread(by_client)
        answer = await g.http.get("/schemas/ids/1")
        assert answer.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
        assert await g.get("/schemas/types") == ["AVRO"]
        schema_id = registry.latest("alert").id
        for topic, name in (("alerts", "alert"), ("findings", "finding"), ("logs", "log_batch")):
            # Records of an earlier version are on the log as long as it is kept: its schema stays.
            for schema in (s for s in registry.all_schemas() if s.name == name):
                told = {"subject": f"{kafka.prefix}{topic}-value", "version": schema.version}
                assert await g.get(f"/schemas/ids/{schema.id}/versions") == [told]
        assert registry.latest("alert").version >= 2
        assert await g.get(f"/schemas/ids/{schema_id}/subjects") == [subject]
        assert (await g.get(f"/subjects/{subject}/versions/latest/schema"))["name"] == "Alert"
        assert await g.get(f"/config/{subject}") == {"compatibilityLevel": "BACKWARD"}
        for path, status, code in (
            ("/subjects/nope/versions", 404, 40401),
            ("/subjects/nope/versions/1", 404, 40401),
            (f"/subjects/{subject}/versions/99", 404, 40402),
            (f"/subjects/{subject}/versions/0", 422, 42202),
            (f"/subjects/{subject}/versions/newest", 422, 42202),
            ("/schemas/ids/99", 404, 40403),
            ("/schemas/ids/99/versions", 404, 40403),
            ("/schemas/ids/x", 404, 40403),
            ("/config/nope", 404, 40401),
        ):
            assert (await g.get(path, status))["error_code"] == code, path
        assert (await g.http.post("/subjects/x/versions", json={"schema": "{}"})).status_code == 405


def test_the_records_of_this_test_are_comparable() -> None:
    """No value of the sample records is NaN, which would differ from itself."""
    for record in one_of_each().values():
        for value in record.to_dict().values():
            assert not (isinstance(value, float) and math.isnan(value))
