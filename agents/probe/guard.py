"""Which addresses a probe may reach: whoever may write a target must not look around in the network it runs in.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries; RFC 4291 (mapped), 3056 (6to4), 4380 (Teredo),
6052 and 8215 (NAT64), 6598 (shared address space of carriers).
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# The services that hand a machine its credentials. Some lie in ranges that are refused anyway; the name helps.
_METADATA = {ipaddress.ip_address(a) for a in ("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "100.100.100.200")}
_RANGES: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "an unspecified"),
    ("127.0.0.0/8", "a loopback"),
    ("10.0.0.0/8", "a private"),
    ("172.16.0.0/12", "a private"),
    ("192.168.0.0/16", "a private"),
    ("169.254.0.0/16", "a link-local"),
    ("100.64.0.0/10", "a shared (CGNAT)"),
    ("224.0.0.0/4", "a multicast"),
    ("255.255.255.255/32", "a broadcast"),
    ("192.0.0.0/24", "a reserved"),
    ("192.0.2.0/24", "a documentation"),
    ("198.51.100.0/24", "a documentation"),
    ("203.0.113.0/24", "a documentation"),
    ("198.18.0.0/15", "a benchmarking"),
    ("240.0.0.0/4", "a reserved"),
    ("::/128", "an unspecified"),
    ("::1/128", "a loopback"),
    ("fc00::/7", "a private"),
    ("fe80::/10", "a link-local"),
    ("fec0::/10", "a private (site-local)"),
    ("ff00::/8", "a multicast"),
    ("64:ff9b:1::/48", "a private (NAT64)"),
    ("100::/64", "a reserved"),
    ("2001:db8::/32", "a documentation"),
    ("3fff::/20", "a documentation"),
    ("5f00::/16", "a reserved"),
)
_NETWORKS = tuple((ipaddress.ip_network(cidr), words) for cidr, words in _RANGES)
# IPv6 ranges that carry an IPv4 address, and how many bits are right of it.
_CARRIERS = tuple(
    (ipaddress.IPv6Network(cidr), shift)
    for cidr, shift in (
        ("::ffff:0:0/96", 0),  # mapped
        ("::ffff:0:0:0/96", 0),  # translated
        ("::/96", 0),  # compatible
        ("64:ff9b::/96", 0),  # NAT64
        ("2002::/16", 80),  # 6to4
    )
)
_TEREDO = ipaddress.IPv6Network("2001::/32")


class RefusedError(Exception):
    """The target's address is one that it may not reach; the text says which, and what to do."""


@lru_cache(maxsize=65536)
def refusal(address: str) -> str | None:
    """Why a probe may not reach `address`, such as "10.0.0.1 is a private address"; None where it may."""
    try:
        ip = ipaddress.ip_address(address.split("%", 1)[0])
    except ValueError:
        return f"{address} is not an IP address"
    if (words := _words(ip)) is not None:
        return f"{address} is {words} address"
    if isinstance(ip, ipaddress.IPv6Address):
        for inner in _carried(ip):
            if (words := _words(inner)) is not None:
                return f"{address} is {words} address ({inner} inside IPv6)"
    return None


def _words(ip: Address) -> str | None:
    if ip in _METADATA:
        return "a cloud metadata"
    return next((words for network, words in _NETWORKS if ip in network), None)


def _carried(ip: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that `ip` stands for."""
    found = [ipaddress.IPv4Address((int(ip) >> shift) & 0xFFFFFFFF) for network, shift in _CARRIERS if ip in network]
    if ip in _TEREDO:
        found += [ipaddress.IPv4Address((int(ip) >> 64) & 0xFFFFFFFF), ipaddress.IPv4Address(~int(ip) & 0xFFFFFFFF)]
    return found


def permitted(addresses: list[str], *, allow_private: bool) -> list[str]:
    """Those of `addresses` that a probe may reach. Raises RefusedError where there is none left."""
    if allow_private:
        return addresses
    reasons = [refusal(address) for address in addresses]
    left = [address for address, reason in zip(addresses, reasons, strict=True) if reason is None]
    if not left:
        raise RefusedError(f"refused: {reasons[0]}; set allow_private: true on this target to allow it")
    return left
