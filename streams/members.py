"""Leaves a consumer group in the name of members that died: their partitions need not wait for their sessions' end.

A member's client id names the machine's boot, the space of process ids, the process and when it began. Whoever starts
in the same space sees which of the members there have no process any more, and leaves the group in their name. A
frozen process is still there and is left alone; what it would write is fenced off by its transactional id.

Static membership, which would spare the wait too, is no way: Faust never comes out of the rebalance (tried).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest

from streams.kafka import client_options, consumer_options

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

log = logging.getLogger("probestream.streams")

_PATIENCE_S = 3.0
_CLIENT = re.compile(r"-([0-9a-f]+)-(\d+)-(\d+)$")


def _space() -> str:
    """A name for this boot of this machine and its space of process ids; empty where none can be had."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot.replace('-', '')}{Path('/proc/self/ns/pid').stat().st_ino:x}"
    except OSError:
        return ""


def _began(pid: int | str) -> str:
    """When a process began, in ticks since the boot; empty where there is none, or only what is left of one."""
    try:
        # proc(5): the name, in brackets, may hold anything; then the state, and 19 further on the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def member_name(name: str) -> str:
    """The client id of a member called `name` in this process."""
    return f"{name}-{_space() or '0'}-{os.getpid()}-{_began('self') or '0'}"


def is_dead(client_id: str, name: str) -> bool:
    """Whether the member `client_id`, one of those called `name`, was a process of this space that is no more."""
    found = _CLIENT.search(client_id)
    if found is None or client_id[: found.start()] != name or found[1] != _space():
        return False
    return found[3] != _began(found[2])


def member_options(kafka: KafkaSettings, name: str) -> dict[str, Any]:
    """Keyword arguments for the `AIOKafkaConsumer` of a member of the group `name`; `bury_the_dead` knows its kind."""
    return consumer_options(kafka, name, name) | {"client_id": member_name(f"{kafka.prefix}{name}")}


async def bury_the_dead(kafka: KafkaSettings, name: str) -> int:
    """Leave the group `name` in the name of its dead members of this machine; how many there were.

    Never raises: without it their partitions come when their sessions end. To be called before joining.
    """
    group = f"{kafka.prefix}{name}"
    admin = AIOKafkaAdminClient(**client_options(kafka, "members"))
    left = 0
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await admin.start()
            node = await admin.find_coordinator(group)
            for response in await admin.describe_consumer_groups([group], node):
                for member_id in _dead(response, group):
                    await admin._send_request_to_node(node, LeaveGroupRequest(group, member_id))  # noqa: SLF001 - no public way
                    left += 1
    except (KafkaError, TimeoutError, OSError, ValueError) as error:
        log.debug("cannot look for dead members of %s: %r", group, error)
    finally:
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            async with asyncio.timeout(_PATIENCE_S):
                await admin.close()
    if left:
        log.info("%s: left in the name of %d members that died", group, left)
    return left


def _dead(response: Any, name: str) -> list[str]:
    return [
        member[0]
        for _, _, _, _, _, members, *_ in (tuple(g) for g in response.groups)
        for member in members
        if is_dead(member[1], name)
    ]
