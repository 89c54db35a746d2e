"""Brings what changed in the configuration file to everything that runs, through the control topic.

What the file said last is on the topic too, as digests: so a change made while nothing ran is found at the next start,
and a rule that somebody changed at run time stays as it is until the file says something new of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from probestream.config import ConfigError, Located, located
from streams.control_bodies import BodyError
from streams.control_client import Conflict, ControlClient, Edit, UnavailableError

if TYPE_CHECKING:
    from streams.control import Controls
    from streams.kafka import KafkaSettings

ACTOR = "file"
EVERY_S = 0.5
_BUCKETS = 64
_SECTIONS = {"rules": "rule", "maintenance": "maintenance", "silences": "silence", "targets": "target"}
Item = tuple[str, str]


def items(found: Located) -> dict[Item, dict[str, Any]]:
    """By kind and id, what a file says that may change while the program runs, as bodies of control records.

    Of targets only what every role may know: how they are checked, and with which secrets, is not among it.
    """
    bodies: dict[Item, dict[str, Any]] = {}
    for section in ("rules", "maintenance", "silences"):
        for item in found.data.get(section) or ():
            body = orjson.loads(orjson.dumps(item, default=str, option=orjson.OPT_NON_STR_KEYS))
            name = str(body.get("name", body.get("id")))
            if section == "silences":
                body.pop("name", None)
            bodies[_SECTIONS[section], name] = body
    for target in found.config.targets:
        bodies["target", target.name] = {
            "name": target.name,
            "kind": target.kind,
            "labels": target.labels,
            "depends_on": list(target.depends_on),
            "every": target.every,
        }
    return bodies


def edits(bodies: Mapping[Item, Mapping[str, Any]], controls: Controls, note: str) -> list[Edit]:
    """What must be written so that the log says what the file says; the first time, only what the file says."""
    known: dict[Item, str] = {}
    for bucket in controls.live("file").values():
        known |= {(kind, name): digest for kind, name, digest in bucket["items"]}
    now = {item: _digest(body) for item, body in bodies.items()}
    wishes: list[Edit] = []
    if controls.live("file"):
        wishes = [Edit(*item, bodies[item], note=note) for item in now if known.get(item) != now[item]]
        wishes += [Edit(*item, None, note=note) for item in known.keys() - now.keys()]
    buckets: dict[str, list[tuple[str, str, str]]] = {}
    for (kind, name), digest in sorted(now.items()):
        buckets.setdefault(_bucket(kind, name), []).append((kind, name, digest))
    for key in sorted(buckets.keys() | controls.live("file").keys() | {_bucket("", "")}):
        body = {"items": [list(i) for i in buckets.get(key, ())]}
        if controls.value("file", key) != body:
            wishes.append(Edit("file", key, body))
    return wishes


def _bucket(kind: str, name: str) -> str:
    return f"{zlib.crc32(f'{kind}/{name}'.encode()) % _BUCKETS}"


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


async def publish(found: Located, client: ControlClient, note: str) -> list[str]:
    """Write what is new in a file, all or none; the changes in words. Raises BodyError and UnavailableError."""
    try:
        controls = await client.refresh()
    except Exception as error:  # whatever the client raises while Kafka is away
        raise UnavailableError(f"Kafka cannot be read: {error}") from error
    wanted = edits(items(found), controls, note)
    if wanted and isinstance(done := await client.change_all(wanted, ACTOR), Conflict):
        raise UnavailableError(done.message)
    return [f"{e.kind} {e.id} {'taken out' if e.body is None else 'changed'}" for e in wanted if e.kind != "file"]


def at_next_start(old: Located, new: Located) -> list[str]:
    """Sections that differ and are read at a start only."""
    return [
        name
        for name in type(new.config).model_fields
        if name not in ("rules", "maintenance", "silences") and getattr(old.config, name) != getattr(new.config, name)
    ]


class FileWatch:
    """Looks at the file every half second; `say(text, style)` tells the person at the terminal."""

    def __init__(self, path: Path, kafka: KafkaSettings, say: Callable[[str, str], None]) -> None:
        self.path, self.say = path, say
        self._client = ControlClient(kafka, "file-watch")

    async def run(self) -> None:
        """Publish what changed since the last run, then each change, until cancelled."""
        loaded: Located | None = None
        seen: object = None
        pending = False
        try:
            while True:
                await asyncio.sleep(EVERY_S if seen is not None else 0)
                signature = self._signature()
                if signature != seen:
                    seen, fresh = signature, await asyncio.to_thread(self._load)
                    if fresh is not None:
                        if loaded is not None and (later := at_next_start(loaded, fresh)):
                            self.say(f"{self.path}: {', '.join(later)} changed: in full at the next start", "yellow")
                        loaded, pending = fresh, True
                if pending and loaded is not None:
                    pending = not await self._publish(loaded)
        finally:
            await self._client.close()

    def _signature(self) -> object:
        try:
            stat = self.path.stat()
        except OSError:  # an editor replaces it
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    def _load(self) -> Located | None:
        try:
            return located(self.path)
        except ConfigError as error:
            self.say(f"the configuration goes on as it was, for the file cannot be used:\n{error}", "red")
            return None

    async def _publish(self, loaded: Located) -> bool:
        """Whether it is done with, one way or the other."""
        try:
            done = await publish(loaded, self._client, str(self.path))
        except UnavailableError as error:
            self.say(f"{self.path}: {error}; trying again", "yellow")
            await asyncio.sleep(2.0)
            return False
        except BodyError as error:
            self.say(f"{self.path} goes on as it was: {error}", "red")
            return True
        except Exception as error:  # a fault of ours must not end the watching
            self.say(f"{self.path} could not be taken in: {type(error).__name__}: {error}", "red")
            return True
        if done:
            more = f" and {len(done) - 10} more" if len(done) > 10 else ""
            self.say(f"{self.path} taken in: {', '.join(done[:10])}{more}", "")
        return True
