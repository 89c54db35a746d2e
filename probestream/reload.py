"""Brings what changed in the configuration file to everything that runs, through the control topic.

What the file said last is on the topic too, as digests: so a change made while nothing ran is found at the next start,
and a rule that somebody changed at run time stays as it is until the file says something new of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from agents.probe.settings import face_of
from probestream.config import ConfigError, Located, located
from streams.control_bodies import SINGLE, TARGETS_READ, BodyError
from streams.control_client import Conflict, ControlClient, Edit, UnavailableError
from streams.inhibition import id_of
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.control import Controls
    from streams.kafka import KafkaSettings

ACTOR = "file"
EVERY_S = 0.5
_SETTLED_S = 0.1
_BUCKETS = 64
_LISTS = {
    "rules": "rule",
    "maintenance": "maintenance",
    "silences": "silence",
    "preferences": "preference",
    "inhibit_rules": "inhibit_rule",
}
_NOT_NAMED = ("silence", "preference")  # their bodies have no name: the id is it
_SECTIONS = (*_LISTS, "targets", "dependencies")
Item = tuple[str, str]


def items(found: Located) -> dict[Item, dict[str, Any]]:
    """By kind and id, what a file says that may change while the program runs, as bodies of control records.

    Of targets only what every role may know: how they are checked, and with which secrets, is not among it.
    """
    bodies: dict[Item, dict[str, Any]] = {}
    for section, kind in _LISTS.items():
        for place, item in enumerate(found.data.get(section) or ()):
            body = _plain(item)
            name = str(body.get("name", body.get("id")))
            if kind == "inhibit_rule":
                name = id_of(found.config.inhibit_rules[place])
            if kind in _NOT_NAMED:
                body.pop("name", None)
            bodies[kind, name] = body
    if found.data.get("dependencies"):
        bodies["dependencies", SINGLE["dependencies"]] = _plain(found.data["dependencies"])
    for target in found.config.targets:
        bodies["target", target.name] = face_of(target).model_dump(mode="json", exclude_none=True)
    return bodies


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS))


def edits(
    bodies: Mapping[Item, Mapping[str, Any]],
    controls: Controls,
    note: str,
    *,
    before: Mapping[Item, Mapping[str, Any]] | None = None,
    reread: bool = False,
) -> list[Edit]:
    """What must be written so that the log says what the file says; the first time, only what the file says.

    `before` is what it said, where somebody knows. With `reread`, the probes are asked to read their targets again.
    """
    known: dict[Item, str] = {}
    files = {key: bucket for key, bucket in controls.live("file").items() if key != TARGETS_READ}
    for bucket in files.values():
        known |= {(kind, name): digest for kind, name, digest in bucket["items"]}
    now = {item: _digest(body) for item, body in bodies.items()}
    wishes: list[Edit] = []
    if files:
        changed = [item for item in now if known.get(item) != now[item]] + sorted(known.keys() - now.keys())
        for item in changed:
            old = (before or {}).get(item)
            same = old is not None and _digest(old) == known.get(item)
            wishes.append(Edit(*item, bodies.get(item), None, note, item in known, old if same else None))
    buckets: dict[str, list[tuple[str, str, str]]] = {}
    for (kind, name), digest in sorted(now.items()):
        buckets.setdefault(_bucket(kind, name), []).append((kind, name, digest))
    for key in sorted(buckets.keys() | files.keys() | {_bucket("", "")}):
        body = {"items": [list(i) for i in buckets.get(key, ())]}
        if controls.value("file", key) != body:
            wishes.append(Edit("file", key, body))
    return [*wishes, Edit("file", TARGETS_READ, {"items": [], "nonce": uuid.uuid4().hex})] if reread else wishes


def _bucket(kind: str, name: str) -> str:
    return f"{zlib.crc32(f'{kind}/{name}'.encode()) % _BUCKETS}"


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


async def publish(
    found: Located, client: ControlClient, note: str, *, before: Located | None = None, reread: bool = True
) -> list[str]:
    """Write what is new in a file, all or none; the changes in words. Raises BodyError and UnavailableError.

    `before` is the file as it was taken in last, so that the history has what was replaced. With `reread`, the probes
    read their own copy of the file again: how targets are checked is not written.
    """
    try:
        controls = await client.refresh()
    except Exception as error:  # whatever the client raises while Kafka is away
        raise UnavailableError(f"Kafka cannot be read: {error}") from error
    was = items(before) if before is not None else None
    wanted = edits(items(found), controls, note, before=was, reread=reread)
    if wanted and isinstance(done := await client.change_all(wanted, ACTOR), Conflict):
        raise UnavailableError(done.message)
    return [f"{e.kind} {e.id} {'taken out' if e.body is None else 'changed'}" for e in wanted if e.kind != "file"]


def at_next_start(old: Located, new: Located) -> list[str]:
    """What differs and is read at a start only: sections, or their fields, as ``gateway.port``."""
    found: list[str] = []
    for section in type(new.config).model_fields:
        was, now = getattr(old.config, section), getattr(new.config, section)
        if section in _SECTIONS or was == now:
            continue
        fields = type(now).model_fields if isinstance(now, Settings) and section != "route" else {}
        found += [f"{section}.{name}" for name in fields if getattr(was, name) != getattr(now, name)] or [section]
    return found


class FileWatch:
    """Looks at the file every half second; `say(text, style)` tells the person at the terminal.

    Made before the roles are started: they may have read the file before it is first looked at here.
    """

    def __init__(self, path: Path, kafka: KafkaSettings, say: Callable[[str, str], None]) -> None:
        self.path, self.say = path, say
        self._client = ControlClient(kafka, "file-watch")
        self._began = self._signature()
        self._taken: Located | None = None

    async def run(self) -> None:
        """Publish what changed since the last run, then each change, until cancelled."""
        loaded: Located | None = None
        seen: object = None
        first, pending, reread = True, False, False
        try:
            while True:
                await asyncio.sleep(0 if first else EVERY_S)
                first, signature = False, self._signature()
                # An empty file is one that somebody is about to fill: nothing of what it said is taken out for it.
                news = signature != seen and (loaded is None or signature is None or signature[1] > 0)
                if news and await self._is_settled(signature):
                    seen, fresh = signature, await asyncio.to_thread(self._load)
                    if fresh is not None:
                        if loaded is None:
                            reread = seen != self._began
                        else:
                            reread |= fresh.config.targets != loaded.config.targets
                            if later := at_next_start(loaded, fresh):
                                self.say(f"{self.path}: {', '.join(later)} changed: read at a start only", "yellow")
                        loaded, pending = fresh, True
                if pending and loaded is not None:
                    pending = not await self._publish(loaded, reread=reread)
                    reread &= pending
        finally:
            await self._client.close()

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            stat = self.path.stat()
        except OSError:  # an editor replaces it
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino

    async def _is_settled(self, signature: tuple[int, int, int] | None) -> bool:
        """Whether nobody is writing the file: the half of one may be valid, and would take out what the other says."""
        await asyncio.sleep(_SETTLED_S)
        return self._signature() == signature

    def _load(self) -> Located | None:
        try:
            return located(self.path)
        except ConfigError as error:
            self.say(f"the configuration goes on as it was, for the file cannot be used:\n{error}", "red")
            return None

    async def _publish(self, loaded: Located, *, reread: bool) -> bool:
        """Whether it is done with, one way or the other."""
        try:
            done = await publish(loaded, self._client, str(self.path), before=self._taken, reread=reread)
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
        self._taken = loaded
        if done:
            more = f" and {len(done) - 10} more" if len(done) > 10 else ""
            self.say(f"{self.path} taken in: {', '.join(done[:10])}{more}", "")
        return True
