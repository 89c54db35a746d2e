"""Connecting to one of several addresses."""

from __future__ import annotations

import asyncio
import time

import pytest

from agents.probe import dial
from agents.probe.dial import LookupFailedError, addresses_of, first_of


class Network:
    """Addresses that open after a time, or fail; knows what was tried and what is still open."""

    def __init__(self, **after: float | Exception) -> None:
        self.after, self.tried, self.closed = after, [], []

    async def connect(self, address: str) -> str:
        self.tried.append(address)
        what = self.after[address]
        if isinstance(what, Exception):
            raise what
        await asyncio.sleep(what)
        return address

    async def close(self, opened: str) -> None:
        self.closed.append(opened)


async def test_a_hanging_address_delays_the_next_by_a_quarter_of_a_second():
    """The second address is tried while the first one hangs, and wins."""
    network = Network(a=3600.0, b=0.0)
    began = time.perf_counter()
    assert await first_of(["a", "b"], network.connect, network.close) == "b"
    assert time.perf_counter() - began > 0.2


async def test_a_failing_address_delays_nothing(monkeypatch):
    """The next address is tried at once where the first one fails."""
    monkeypatch.setattr(dial, "_STAGGER_S", 3600.0)
    network = Network(a=ConnectionRefusedError(), b=0.0)
    assert await first_of(["a", "b"], network.connect, network.close) == "b"


async def test_the_first_address_is_preferred(monkeypatch):
    """Where the first address answers in time, no other is tried."""
    monkeypatch.setattr(dial, "_STAGGER_S", 3600.0)
    network = Network(a=0.01, b=0.0)
    assert await first_of(["a", "b"], network.connect, network.close) == "a"
    assert network.tried == ["a"]


async def test_where_all_fail_the_last_error_is_raised():
    """With no address left, what went wrong last is raised."""
    network = Network(a=OSError("one"), b=OSError("two"))
    with pytest.raises(OSError, match="two"):
        await first_of(["a", "b"], network.connect, network.close)


async def test_a_connection_that_comes_second_is_closed():
    """Of two that open at the same moment one is kept, the other closed."""
    gate = asyncio.Event()
    opened, closed = [], []

    async def connect(address: str) -> str:
        if address == "a":
            await gate.wait()
        else:
            gate.set()
        opened.append(address)
        return address

    async def close(address: str) -> None:
        closed.append(address)

    won = await first_of(["a", "b"], connect, close)
    assert sorted([won, *closed]) == sorted(opened)


async def test_a_name_without_an_address():
    """A name that does not resolve is named in the error, as is a text that can be no name."""
    with pytest.raises(LookupFailedError, match=r"no address for nowhere\.invalid"):
        await addresses_of("nowhere.invalid", allow_private=False)
    with pytest.raises(LookupFailedError, match="no address for"):
        await addresses_of("a" * 300, allow_private=False)
