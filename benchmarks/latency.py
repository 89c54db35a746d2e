"""From a sample's append to the Slack request's arrival, with the whole pipeline as real processes.

    python benchmarks/latency.py [--quick] [--json] [--kafka HOST:PORT] [--alertmanager PATH]

Detect, alert and notify run as they do in production, each in a process of its own, on a real Kafka; Slack is a
server on loopback. Under a steady load of good samples, single targets turn bad; the clock starts with the time
the broker stamped on the bad sample and stops when Slack's server has the request.

The peer, where its binary is at hand (Debian: prometheus-alertmanager), is Alertmanager with group_wait 0s: from
the POST of an alert to the same Slack server. It evaluates no rule, keeps no log and no ledger: it is the last
third of the way, and the ratio says what the whole way costs beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, on_kafka, options, percentile
from schemas import SampleBatch, encode
from streams.kafka import KafkaSettings, producer_options
from streams.partition import partition_of
from streams.topics import SAMPLES, create_topics, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TARGETS = 1000
PARTITIONS = 4
CONFIG = """
kafka: {{partitions: {partitions}, prefix: "{prefix}"}}
detect: {{unknown_targets: accept}}
rules:
  - {{name: down, severity: critical, metric: up, operator: "==", value: 0, cooldown: 0s}}
route: {{receiver: slack}}
receivers:
  - name: slack
    slack_configs: [{{api_url: "http://127.0.0.1:{port}/slack", send_resolved: false}}]
"""


class Slack:
    """Answers `ok` to every POST and notes when each target's message arrived, in milliseconds since the epoch."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.waiting: dict[str, asyncio.Event] = {}
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                at = now_ms()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                body = (await reader.readexactly(length)).decode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")
                for target, event in list(self.waiting.items()):
                    if target in body:
                        self.arrived.setdefault(target, at)
                        event.set()
        writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Slack]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def wait_for(self, target: str, timeout_s: float = 30.0) -> float:
        async with asyncio.timeout(timeout_s):
            await self.waiting[target].wait()
        del self.waiting[target]
        return self.arrived[target]


@contextlib.asynccontextmanager
async def roles(folder: Path, bootstrap: str) -> AsyncIterator[None]:
    """detect, alert and notify, each in its process, ready."""
    processes, waits = [], []
    for role in ("detect", "alert", "notify"):
        ready = folder / f"{role}.ready"
        with (folder / f"{role}.log").open("wb") as out:
            processes.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "probestream", "run", role,
                    "--config", str(folder / "p.yaml"), "--data", str(folder),
                    env={**os.environ, "PROBESTREAM_KAFKA": bootstrap, "PROBESTREAM_READY_FILE": str(ready)},
                    stdout=out, stderr=out,
                )
            )  # fmt: skip
        waits.append((role, ready, processes[-1]))
    try:
        for role, ready, process in waits:
            async with asyncio.timeout(60.0):
                while not ready.exists():
                    if process.returncode is not None:
                        raise RuntimeError((folder / f"{role}.log").read_text()[-3000:])
                    await asyncio.sleep(0.05)
        yield
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*(p.wait() for p in processes))


async def load(producer: AIOKafkaProducer, topic: str, rate: int, stop: asyncio.Event) -> int:
    """Good samples at `rate` a second, every 100 ms one batch a partition; returns how many were sent."""
    home = {f"load-{i}": partition_of(f"load-{i}", PARTITIONS) for i in range(TARGETS)}
    names, every, sent, turn = list(home), 0.1, 0, 0
    share = round(rate * every)
    due = time.perf_counter()
    while not stop.is_set():
        picked = [names[(turn * share + k) % TARGETS] for k in range(share)]
        now = now_ms()
        for partition in range(PARTITIONS):
            some = [t for t in picked if home[t] == partition]
            n = len(some)
            if n:
                batch = SampleBatch(probe="load", target=some, time=[now] * n, ok=[True] * n, latency_ms=[20.0] * n)
                await producer.send(topic, encode(batch), partition=partition)
                sent += n
        turn += 1
        due += every
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return sent


async def ours(bootstrap: str, slack: Slack, rate: int, measures: int, pause: float) -> dict[str, Any]:
    """p50 and p99 of our way at `rate` samples a second."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prefix = f"bench{uuid.uuid4().hex[:8]}."
        (folder / "p.yaml").write_text(CONFIG.format(partitions=PARTITIONS, prefix=prefix, port=slack.port))
        kafka = KafkaSettings(bootstrap=bootstrap, prefix=prefix, partitions=PARTITIONS)
        await create_topics(kafka)
        topic = full_name(kafka, SAMPLES)
        producer = AIOKafkaProducer(**producer_options(kafka, "bench"))
        await producer.start()
        stop = asyncio.Event()
        try:
            async with roles(folder, bootstrap):
                loading = asyncio.create_task(load(producer, topic, rate, stop))
                taken, began = [], time.perf_counter()
                for i in range(-5, measures):  # the first five warm the way up
                    target = f"bad-{uuid.uuid4().hex[:12]}"
                    slack.waiting[target] = asyncio.Event()
                    batch = SampleBatch(probe="bench", target=[target], time=[now_ms()], ok=[False], latency_ms=[5.0])
                    meta = await producer.send_and_wait(
                        topic, encode(batch), partition=partition_of(target, PARTITIONS)
                    )
                    arrived = await slack.wait_for(target)
                    if i >= 0:
                        taken.append(arrived - meta.timestamp)
                    await asyncio.sleep(pause)
                stop.set()
                sent = await loading
                reached = sent / (time.perf_counter() - began)
        finally:
            stop.set()
            await producer.stop()
    return {
        "rate": rate,
        "reached": round(reached),
        "measures": len(taken),
        "p50_ms": round(percentile(taken, 0.5), 2),
        "p99_ms": round(percentile(taken, 0.99), 2),
        "max_ms": round(max(taken), 2),
    }


async def alertmanager(binary: str, slack: Slack, measures: int, pause: float) -> dict[str, Any]:
    """p50 and p99 of Alertmanager, from the POST of an alert to Slack's request."""
    with tempfile.TemporaryDirectory() as name:
        config = {
            "route": {"receiver": "slack", "group_by": ["target"], "group_wait": "0s", "group_interval": "1s"},
            "receivers": [
                {
                    "name": "slack",
                    "slack_configs": [
                        {
                            "api_url": f"http://127.0.0.1:{slack.port}/slack",
                            "channel": "#x",
                            "text": "{{ .CommonLabels.target }}",
                        }
                    ],
                }
            ],
        }
        (Path(name) / "am.yml").write_text(json.dumps(config))
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            binary, f"--config.file={name}/am.yml", f"--storage.path={name}", f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=", stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                async with asyncio.timeout(30.0):
                    while True:
                        with contextlib.suppress(httpx.TransportError):
                            if (await client.get("/-/ready")).status_code == 200:
                                break
                        await asyncio.sleep(0.1)
                taken = []
                for i in range(-5, measures):
                    target = f"bad-{uuid.uuid4().hex[:12]}"
                    slack.waiting[target] = asyncio.Event()
                    began = now_ms()
                    answer = await client.post(
                        "/api/v2/alerts", json=[{"labels": {"alertname": "down", "target": target}}]
                    )
                    answer.raise_for_status()
                    arrived = await slack.wait_for(target)
                    if i >= 0:
                        taken.append(arrived - began)
                    await asyncio.sleep(pause)
        finally:
            process.terminate()
            await process.wait()
    return {
        "measures": measures,
        "p50_ms": round(percentile(taken, 0.5), 2),
        "p99_ms": round(percentile(taken, 0.99), 2),
    }


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def measure(bootstrap: str, args: Any) -> dict[str, Any]:
    measures = 80 if args.quick else 400
    result: dict[str, Any] = {"benchmark": "latency", "unit": "ms from append to Slack's request", "ours": []}
    async with Slack().running() as slack:
        for rate in (100, 5000):
            print(f"ours at {rate} samples/s ...", flush=True)
            row = await ours(bootstrap, slack, rate, measures, 0.05)
            result["ours"].append(row)
            told = f"{row['measures']} alerts, {row['reached']} samples/s"
            print(f"  p50 {row['p50_ms']} ms   p99 {row['p99_ms']} ms   ({told})")
        binary = args.alertmanager or shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
        if binary:
            peer = await alertmanager(binary, slack, measures, 0.05)
            result["alertmanager"] = peer
            result["ratio"] = {k: round(result["ours"][0][k] / peer[k], 2) for k in ("p50_ms", "p99_ms")}
            print(f"Alertmanager, from POST: p50 {peer['p50_ms']} ms   p99 {peer['p99_ms']} ms")
            print(f"ours, from append and through every hop, to Alertmanager's last one: {result['ratio']}")
        else:
            result["alertmanager"] = None
            print("no alertmanager on PATH: no peer beside it (Debian: apt-get install prometheus-alertmanager)")
    return result


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--alertmanager", help="Alertmanager's binary; looked for on PATH where absent")
    args = parser.parse_args()
    with on_kafka(args) as bootstrap:
        finish(asyncio.run(measure(bootstrap, args)), as_json=args.json)


if __name__ == "__main__":
    main()
