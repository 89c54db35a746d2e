"""TCP, host and Kafka checks, and what all kinds share."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from agents.probe.context import Context
from agents.probe.kinds import KINDS
from agents.probe.kinds.host import _Counters, _rates
from agents.probe.once import check_once
from agents.probe.runner import observe
from agents.probe.settings import KINDS as CONFIGURABLE
from agents.probe.settings import HostCheck, KafkaCheck, PushCheck, Target, TcpCheck
from streams.kafka import KafkaSettings
from tests.kit.services import TcpService


def tcp(address: str, **more) -> Target:
    return Target(name="t", timeout=60, tcp=TcpCheck(address=address), **more)


async def test_tcp():
    """An open port is ok with the time of the handshake; a closed one and a refused address say what they are."""
    async with TcpService() as service:
        found = await check_once(tcp(service.address, allow_private=True))
        assert (found.ok, found.status) == (True, "connected")
        assert found.latency_ms == pytest.approx(found.metrics["tcp.dns_ms"] + found.metrics["tcp.connect_ms"])
        assert (await check_once(tcp(service.address))).status == "refused_by_guard"
        await service.down()
        found = await check_once(tcp(service.address, allow_private=True))
        assert found.message == f"connection refused: {service.address}"
        assert math.isnan(found.latency_ms)


async def test_tcp_over_ipv6():
    """An IPv6 address is written in brackets."""
    async with TcpService(host="::1") as service:
        assert (await check_once(tcp(f"[::1]:{service.port}", allow_private=True))).ok
        assert "::1 is a loopback address" in (await check_once(tcp(f"[::1]:{service.port}"))).message


async def test_host():
    """The machine's shares and sizes are told from the first check on, without a latency."""
    target = Target(name="m", host=HostCheck(disks=("/", "/proc")))
    async with Context() as ctx:
        for _ in range(2):
            found = await observe(target, ctx)
            assert found.ok, found.message
            assert math.isnan(found.latency_ms)
            names = {"cpu.used_percent", "memory.used_percent", "disk.used_percent", "disk.used_percent:/", "swap.used_percent"}  # fmt: skip
            assert all(0 <= found.metrics[n] <= 100 for n in names)
            assert found.metrics["disk.free_bytes"] >= 0
            assert found.metrics["memory.available_bytes"] > 1_000_000
            assert found.metrics["load.1m"] >= 0
            assert found.metrics["net.bytes_in_per_s"] >= 0


async def test_a_disk_that_is_not_there():
    """A disk that cannot be read fails the check by name; everything else is told all the same."""
    found = await check_once(Target(name="m", host=HostCheck(disks=("/", "/no/such/disk"))))
    assert not found.ok
    assert found.message == "disk /no/such/disk cannot be read: No such file or directory"
    assert "disk.used_percent" in found.metrics


def test_rates_are_between_two_readings():
    """Cpu share and bytes per second are those of the time between; counters that started anew give none."""
    before = _Counters(at=10.0, busy=100.0, total=200.0, received=1000, sent=50)
    now = _Counters(at=12.0, busy=101.0, total=204.0, received=3000, sent=10)
    assert _rates(before, now) == {"cpu.used_percent": 25.0, "net.bytes_in_per_s": 1000.0}


async def test_kafka_away_is_an_observation():
    """A broker that does not answer fails the check within its timeout and names the servers."""
    target = Target(name="k", timeout=1, kafka=KafkaCheck())
    found = await check_once(target, kafka=KafkaSettings(bootstrap="127.0.0.1:1"))
    assert not found.ok
    assert "127.0.0.1:1" in found.message
    assert (await check_once(target)).status == "no_kafka"


async def test_a_fault_of_a_probe_costs_one_sample(monkeypatch):
    """An error or a hang inside a kind becomes a failed observation."""

    async def broken(target, ctx):
        raise ZeroDivisionError

    monkeypatch.setitem(KINDS, "tcp", broken)
    assert (await check_once(tcp("a:1"))).status == "probe_error"


async def test_push_targets_are_not_probed():
    """There is nothing to check about a target that reports by itself."""
    assert (await check_once(Target(name="p", push=PushCheck()))).status == "not_probed"


def test_every_kind_but_push_has_a_probe():
    """A kind that can be configured is a kind that is probed."""
    assert {*KINDS, "push"} == set(CONFIGURABLE)


def test_settings_do_not_load_the_probes():
    """The settings are imported by every command: reading a configuration must not load httpx or aiokafka's admin."""
    code = "import sys, agents.probe.settings; sys.exit('httpx' in sys.modules or 'psutil' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
