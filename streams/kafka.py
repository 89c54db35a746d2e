"""How to reach Kafka, and the few client settings that differ from aiokafka's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from streams.settings import Settings

FETCH_WAIT_MS = 100
Isolation = Literal["read_uncommitted", "read_committed"]


class KafkaSettings(Settings):
    """The cluster. Without `bootstrap`, `probestream up` starts the embedded broker."""

    bootstrap: str | None = Field(
        default=None, description="host:port, comma-separated; empty for the embedded broker."
    )
    prefix: str = Field(
        default="probestream.",
        pattern=r"^[A-Za-z0-9._-]*$",
        max_length=100,
        description="Put before every topic, group and client id.",
    )
    partitions: int = Field(default=4, ge=1, le=1024, description="Partitions of the busy topics.")
    replication: int = Field(default=1, ge=1, le=9, description="Replication factor of new topics.")
    embedded_port: int = Field(
        default=9292, ge=0, le=65535, description="Port of the embedded broker; 0 picks a free one."
    )
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca: str | None = Field(default=None, description="File with the CA that signed the brokers.")
    ssl_cert: str | None = Field(default=None, description="File with our certificate.")
    ssl_key: str | None = Field(default=None, description="File with our key.")

    @model_validator(mode="after")
    def _complete(self) -> KafkaSettings:
        if self.security.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError(f"security {self.security} needs sasl_username and sasl_password")
        return self

    @property
    def servers(self) -> str:
        """The bootstrap servers. Raises ValueError where none is set."""
        if not self.bootstrap:
            raise ValueError("no Kafka: set kafka.bootstrap or PROBESTREAM_KAFKA, or use `probestream up`")
        return self.bootstrap

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS context, or None where `security` wants none."""
        if "SSL" not in self.security:
            return None
        context = ssl.create_default_context(cafile=self.ssl_ca)
        if self.ssl_cert:
            context.load_cert_chain(self.ssl_cert, self.ssl_key)
        return context


def client_options(kafka: KafkaSettings, name: str) -> dict[str, Any]:
    """Keyword arguments that every aiokafka client takes; `name` tells it apart in the broker's log."""
    options: dict[str, Any] = {
        "bootstrap_servers": kafka.servers,
        "client_id": f"{kafka.prefix}{name}-{os.getpid()}",
        "security_protocol": kafka.security,
    }
    if (context := kafka.ssl_context()) is not None:
        options["ssl_context"] = context
    if kafka.security.startswith("SASL") and kafka.sasl_password is not None:
        options["sasl_mechanism"] = kafka.sasl_mechanism
        options["sasl_plain_username"] = kafka.sasl_username
        options["sasl_plain_password"] = kafka.sasl_password.get_secret_value()
    return options


def producer_options(kafka: KafkaSettings, name: str) -> dict[str, Any]:
    """Keyword arguments for an `AIOKafkaProducer` that loses and repeats nothing on its own."""
    return {
        **client_options(kafka, name),
        "acks": "all",
        "enable_idempotence": True,
        "request_timeout_ms": 15_000,
        "retry_backoff_ms": 50,
        "max_request_size": 8 * 1024 * 1024,
    }


def consumer_options(kafka: KafkaSettings, name: str, group: str | None = None) -> dict[str, Any]:
    """Keyword arguments for an `AIOKafkaConsumer` that commits only by hand and reads committed records."""
    options = {
        **client_options(kafka, name),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        "fetch_max_wait_ms": FETCH_WAIT_MS,
        "request_timeout_ms": 15_000,
    }
    if group is not None:
        options |= {
            "group_id": f"{kafka.prefix}{group}",
            "session_timeout_ms": 10_000,
            "heartbeat_interval_ms": 2_000,
        }
    return options


async def close(client: Any, within_s: float = 2.0) -> None:
    """Stop an aiokafka client; never raises, and cuts off one that does not end `within_s`.

    While a broker is away, `stop` may hang, or raise the CancelledError of one of the client's own tasks. A producer's
    waits for its unsent records; no forgotten task must send those later either, so its sender is cancelled.
    """
    stopping = asyncio.ensure_future(client.stop())
    done, _ = await asyncio.wait({stopping}, timeout=within_s)
    if done:
        if not stopping.cancelled() and (error := stopping.exception()) is not None:
            logging.getLogger("probestream.kafka").debug("a client did not close cleanly: %r", error)
        return
    sender = getattr(client, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        sender.sender_task.cancel()
    stopping.cancel()
    connections = getattr(client, "client", None) or getattr(client, "_client", None)
    if connections is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(connections.close(), 0.5)
    await asyncio.wait({stopping}, timeout=0.5)
