"""From a host name to a connection: look up, check, connect to just that address.

The address that was checked is the address that is connected to, so a name server that answers differently the second
time (DNS rebinding) gains nothing. Several addresses are tried as in RFC 8305, "Happy Eyeballs": families alternate,
and the next one starts when the one before has failed or has taken 250 ms.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from itertools import zip_longest
from typing import TYPE_CHECKING, TypeVar

from agents.probe.guard import permitted
from agents.probe.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

_STAGGER_S = 0.25
_MOST_ADDRESSES = 6


class LookupFailedError(OSError):
    """The name has no address."""


async def addresses_of(host: str, *, allow_private: bool) -> list[str]:
    """The IP addresses of `host` that a probe may reach, in the order to try.

    Raises LookupFailedError, and guard.RefusedError where there are only others.
    """
    try:
        return permitted([str(ipaddress.ip_address(host.strip("[]")))], allow_private=allow_private)
    except ValueError:
        pass
    try:
        found = await in_thread(socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no host name"
        raise LookupFailedError(f"no address for {host}: {reason}") from error
    unique = dict.fromkeys(str(entry[4][0]) for entry in found)
    return _alternating(permitted(list(unique), allow_private=allow_private))[:_MOST_ADDRESSES]


def _alternating(addresses: list[str]) -> list[str]:
    six = [a for a in addresses if ":" in a]
    four = [a for a in addresses if ":" not in a]
    first, second = (six, four) if addresses and ":" in addresses[0] else (four, six)
    return [a for pair in zip_longest(first, second) for a in pair if a is not None]


async def first_of(
    addresses: list[str], connect: Callable[[str], Awaitable[T]], close: Callable[[T], Awaitable[None]]
) -> T:
    """The first connection that `connect` opens to one of `addresses`; every other one is closed.

    Raises what `connect` raised for the last address that failed.
    """
    if len(addresses) == 1:
        return await connect(addresses[0])
    waiting = list(addresses)
    running: set[asyncio.Task[T]] = set()
    problem: BaseException | None = None
    won: asyncio.Task[T] | None = None
    try:
        while won is None and (waiting or running):
            if waiting:
                running.add(asyncio.ensure_future(connect(waiting.pop(0))))
            done, _ = await asyncio.wait(
                running, timeout=_STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                problem = task.exception()
                if problem is None:
                    won = won or task
                else:
                    running.discard(task)
        await _close_all(running - {won}, close)
    except asyncio.CancelledError:
        await _close_all(running, close)
        raise
    if won is None:
        raise problem or OSError("no address")
    return won.result()


async def _close_all(tasks: set[asyncio.Task[T]], close: Callable[[T], Awaitable[None]]) -> None:
    for task in tasks:
        task.cancel()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if not isinstance(outcome, BaseException):
            await close(outcome)
