"""Addresses that a probe may not reach unless its target says so."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.dial import addresses_of
from agents.probe.guard import RefusedError, permitted, refusal

REFUSED = {
    "127.0.0.1": "a loopback", "127.255.0.9": "a loopback", "::1": "a loopback", "10.1.2.3": "a private", "172.16.0.1": "a private", "172.31.255.255": "a private",
    "192.168.1.1": "a private", "fc00::1": "a private", "fd12:3456::1": "a private", "fec0::1": "a private (site-local)", "169.254.1.1": "a link-local", "fe80::1": "a link-local", "fe80::1%eth0": "a link-local",
    "169.254.169.254": "a cloud metadata", "169.254.170.2": "a cloud metadata", "fd00:ec2::254": "a cloud metadata", "100.100.100.200": "a cloud metadata",
    "100.64.0.1": "a shared (CGNAT)", "100.127.255.255": "a shared (CGNAT)", "0.0.0.0": "an unspecified", "0.1.2.3": "an unspecified", "::": "an unspecified",
    "224.0.0.1": "a multicast", "239.255.255.250": "a multicast", "ff02::1": "a multicast", "255.255.255.255": "a broadcast", "240.0.0.1": "a reserved", "198.18.0.1": "a benchmarking", "192.0.2.1": "a documentation",
    "::ffff:127.0.0.1": "a loopback", "::ffff:10.0.0.1": "a private", "::ffff:169.254.169.254": "a cloud metadata", "::ffff:0:10.0.0.1": "a private", "::127.0.0.1": "a loopback",
    "2002:7f00:1::": "a loopback", "2002:a9fe:a9fe::1": "a cloud metadata", "64:ff9b::10.0.0.1": "a private", "64:ff9b::169.254.169.254": "a cloud metadata", "64:ff9b:1::1": "a private (NAT64)",
    "2001:0:a00:1::1": "a private", "2001:0:808:808::f5ff:fffe": "a private",
}  # fmt: skip
ALLOWED = ["8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "169.253.1.1", "11.0.0.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"]  # fmt: skip


@pytest.mark.parametrize("address", REFUSED)
def test_refused(address):
    """The refusal names the address and the kind that it is of."""
    reason = refusal(address)
    assert reason is not None
    assert reason.startswith(f"{address} is {REFUSED[address]} address")


@pytest.mark.parametrize("address", ALLOWED)
def test_allowed(address):
    """Public addresses are reached, also those beside a refused range and inside IPv6."""
    assert refusal(address) is None


@given(st.ip_addresses())
def test_whatever_python_holds_for_not_global_is_refused(ip):
    """No address that the standard library calls private, loopback, link-local, multicast or unspecified passes."""
    if ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in ipaddress.ip_network("fc00::/7") or (ip.version == 4 and not ip.is_global and str(ip) not in ("192.0.0.9", "192.0.0.10", "192.88.99.1")):  # fmt: skip
        assert refusal(str(ip)) is not None


def test_a_name_with_public_and_private_addresses_is_reached_at_the_public_ones():
    """Only the addresses that pass are connected to; with none left the error says what to do."""
    assert permitted(["10.0.0.1", "8.8.8.8"], allow_private=False) == ["8.8.8.8"]
    assert permitted(["10.0.0.1"], allow_private=True) == ["10.0.0.1"]
    with pytest.raises(RefusedError, match=r"^refused: 10\.0\.0\.1 is a private address; set allow_private: true on this target to allow it$"):  # fmt: skip
        permitted(["10.0.0.1"], allow_private=False)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f.1", "2130706433", "[::1]", "127.0.0.1"])
async def test_however_the_loopback_is_written(host):
    """Every spelling of an address that the system understands is checked as what it stands for."""
    with pytest.raises(RefusedError, match="is a loopback address"):
        await addresses_of(host, allow_private=False)
