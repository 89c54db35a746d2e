"""Writes changes to the control topic, so that of two edits at once the first wins and the second hears of it.

Each change is a Kafka transaction under one transactional id for the whole topic. To begin one shuts out every other
writer and waits until what that one had committed is readable; then the log is read to its end, the version compared,
and the change written with its record of history. Whoever is shut out meanwhile has written nothing, reads again, and
finds the other's version. So no refused record is ever on the log, and compaction cannot bring one back.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from schemas import Control, DecodeError, decode, encode
from streams.control import FILE_UNKNOWN, KEEP_VERSIONS, REFUSED_SLOTS, Change, Controls, body_of, conflict_text
from streams.control_bodies import DECLARED, MOST_BYTES, BodyError, parse_body
from streams.kafka import KafkaSettings, close, consumer_options, producer_options
from streams.topics import CONTROL, full_name
from streams.units import now_ms

_TRANSACTION_MS = 15_000
_TRIES = 30
_KEEP_MS = 35 * 86_400_000.0
_PRUNE_AT_ONCE = 200
# Their ids are never used again: an alert's, or one made up for a silence.
_PASSING = ("silence", "ack", "snooze", "resolve")


@dataclass(frozen=True, slots=True)
class Edit:
    """One wish: `body` None deletes. `expected` is the version that was edited, 0 for what is new; None: whatever.

    Of what the topic has nothing of, `declared` is whether the file had it, and `before` what it said, where known.
    """

    kind: str
    id: str
    body: Mapping[str, Any] | None
    expected: int | None = None
    note: str = ""
    declared: bool = False
    before: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The change is on the log, under this version."""

    version: int
    record: Control


@dataclass(frozen=True, slots=True)
class Conflict:
    """Somebody was faster: what is there `current`ly, None where there is nothing."""

    expected: int
    current: Control | None

    @property
    def message(self) -> str:
        """Who changed it, when, and what to do."""
        return conflict_text(self.current, self.expected)


class UnavailableError(RuntimeError):
    """Kafka does not answer, or other writers were always faster."""


Check = Callable[[Controls, Sequence[Edit]], None]


class ControlClient:
    """Reads and changes the control topic. One change at a time; `check` may raise BodyError on what it would do."""

    def __init__(self, kafka: KafkaSettings, name: str = "control", check: Check | None = None) -> None:
        self.kafka, self.name, self._check = kafka, name, check
        self.controls = Controls()
        self._consumer: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()
        self._tp = TopicPartition(full_name(kafka, CONTROL), 0)

    async def close(self) -> None:
        """Let the reader go."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await close(consumer)

    async def refresh(self) -> Controls:
        """The control topic as it stands now. Raises KafkaError or TimeoutError."""
        async with self._lock:
            await self._read()
        return self.controls

    async def change(
        self, kind: str, key: str, body: Mapping[str, Any] | None, expected: int | None, actor: str, *, note: str = ""
    ) -> Accepted | Conflict:
        """Write one change; body None deletes.

        Raises BodyError where it is no good, which is written down as well, and UnavailableError.
        """
        done = await self.change_all([Edit(kind, key, body, expected, note)], actor)
        return done if isinstance(done, Conflict) else done[0]

    async def roll_back(self, kind: str, key: str, to: int, expected: int | None, actor: str) -> Accepted | Conflict:
        """Write the body of version `to` anew. Raises as `change` does, and BodyError where it is not kept."""
        known = {c.version: c for c in (await self.refresh()).history(kind, key)}
        if to not in known:
            kept = f"kept are {', '.join(map(str, known))}" if known else "there never was one"
            raise BodyError([("version", f"{kind} {key} has no version {to} to go back to; {kept}")])
        return await self.change(kind, key, known[to].new, expected, actor, note=f"back to version {to}")

    async def change_all(self, edits: Sequence[Edit], actor: str) -> list[Accepted] | Conflict:
        """Write several changes, all or none. Raises as `change` does."""
        nonce = uuid.uuid4().hex
        async with self._lock:
            for turn in range(_TRIES):
                try:
                    return await self._attempt(edits, actor, nonce)
                except (KafkaError, OSError, TimeoutError) as error:
                    # Shut out by another writer, mostly; where it is not known whether it was written, `nonce` tells.
                    await self._drop_reader()
                    if turn == _TRIES - 1 or _hopeless(error):
                        raise UnavailableError(
                            f"the change could not be written: {type(error).__name__}: {error}"
                        ) from error
                await asyncio.sleep(random.uniform(0.02, 0.1) * min(turn + 1, 5))  # noqa: S311 - so that two do not meet again
        raise AssertionError("unreachable")

    async def _drop_reader(self) -> None:
        await self.close()
        self.controls = Controls()

    async def _attempt(self, edits: Sequence[Edit], actor: str, nonce: str) -> list[Accepted] | Conflict:
        producer = AIOKafkaProducer(
            **producer_options(self.kafka, self.name),
            transactional_id=f"{self.kafka.prefix}control",
            transaction_timeout_ms=_TRANSACTION_MS,
        )
        sends: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(_TRANSACTION_MS / 1000):
                await producer.start()
                await self._read()
                done = self._written(edits, nonce)
                if done is not None:
                    return done
                outcome, records = self._decide(edits, actor, nonce)
                await producer.begin_transaction()
                topic = self._tp.topic
                for key, value in [*((_key(r), encode(r)) for r in records), *self._outdated(records)]:
                    sends.append(await producer.send(topic, value, key=key, partition=0))
                last = max(sent.offset for sent in await asyncio.gather(*sends))
                await producer.commit_transaction()
                await self._read(past=last)
        finally:
            await close(producer)
            await asyncio.gather(*sends, return_exceptions=True)  # of one that was shut out, nobody else asks
            _asked(producer)
        if isinstance(outcome, BodyError):
            raise outcome
        return outcome

    def _written(self, edits: Sequence[Edit], nonce: str) -> list[Accepted] | None:
        """What an attempt before wrote, though it did not hear so."""
        done = []
        for edit in edits:
            change = next((c for c in self.controls.history(edit.kind, edit.id)[::-1] if c.nonce == nonce), None)
            record = self.controls.current(edit.kind, edit.id)
            if change is None or record is None:
                return None
            done.append(Accepted(change.version, record))
        return done

    def _decide(
        self, edits: Sequence[Edit], actor: str, nonce: str
    ) -> tuple[list[Accepted] | Conflict | BodyError, list[Control]]:
        """The outcome, and what is to be written: all of it with its history, or a refusal."""
        at = now_ms()
        for edit in edits:
            there = self.controls.current(edit.kind, edit.id)
            if edit.expected is not None and not _meets(there, edit.expected):
                conflict = Conflict(edit.expected, there)
                return conflict, [self._refusal(edit, actor, at, nonce, "conflict", conflict.message)]
        try:
            for edit in edits:
                _checked(edit, self.controls, named=len(edits) > 1)
            if self._check is not None:
                self._check(self.controls, edits)
        except BodyError as error:
            return error, [
                self._refusal(edits[0] if len(edits) == 1 else edit, actor, at, nonce, "invalid", str(error))
            ]
        accepted, history = [], []
        for edit in edits:
            there = self.controls.current(edit.kind, edit.id)
            record = Control(
                kind=edit.kind,
                id=edit.id,
                version=(there.version if there else 0) + 1,
                deleted=edit.body is None,
                actor=actor,
                at=at,
                body=orjson.dumps(edit.body or {}).decode(),
            )
            accepted.append(Accepted(record.version, record))
            if edit.kind == "file":
                continue
            history.append(
                _audit(
                    Change(
                        kind=edit.kind, id=edit.id, version=record.version, actor=actor, at=at, outcome="accepted",
                        old=dict(edit.before) if there is None and edit.before else body_of(there), new=body_of(record),
                        note=edit.note, nonce=nonce,
                        message=FILE_UNKNOWN if there is None and edit.declared and not edit.before else "",
                    )
                )
            )  # fmt: skip
        return accepted, [a.record for a in accepted] + history

    def _refusal(self, edit: Edit, actor: str, at: float, nonce: str, outcome: str, message: str) -> Control:
        there = self.controls.current(edit.kind, edit.id)
        new = dict(edit.body) if edit.body is not None and len(orjson.dumps(edit.body)) <= MOST_BYTES else None
        return _audit(
            Change(
                kind=edit.kind[:60], id=edit.id[:400], version=edit.expected or 0, actor=actor, at=at, outcome=outcome,
                old=body_of(there), new=new, note=edit.note, message=message[:2000], nonce=nonce,
                sequence=self.controls.sequence + 1,
            )
        )  # fmt: skip

    def _outdated(self, records: Sequence[Control]) -> list[tuple[bytes, None]]:
        """Keys of what need not be kept any longer, with no value: Kafka's way to delete."""
        before = now_ms() - _KEEP_MS
        keys = [
            f"audit/{r.kind}/{r.id}/{r.version - KEEP_VERSIONS}"
            for r in records
            if r.kind != "audit" and r.version > KEEP_VERSIONS
        ]
        keys += self.controls.over(_PASSING, before)
        return [(k.encode(), None) for k in keys[:_PRUNE_AT_ONCE]]

    async def _read(self, past: int = -1) -> None:
        """Fold everything up to the end of the log as it is now, and past an offset of a committed transaction.

        A commit is answered before its marker is written, and until then the log seems to end before its records.
        """
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**consumer_options(self.kafka, f"{self.name}-reader"))
            try:
                await consumer.start()
                consumer.assign([self._tp])
                async with asyncio.timeout(10.0):  # asyncio.wait_for may lose a cancellation
                    first = await consumer.beginning_offsets([self._tp])
                consumer.seek(self._tp, first[self._tp])
            except BaseException:
                await close(consumer)
                raise
            self._consumer, self.controls = consumer, Controls()
        async with asyncio.timeout(10.0):
            end = max(past + 1, (await self._consumer.end_offsets([self._tp]))[self._tp])
            while await self._consumer.position(self._tp) < end:
                for messages in (await self._consumer.getmany(timeout_ms=200)).values():
                    for message in messages:
                        fold(self.controls, message.key, message.value)


def _asked(producer: AIOKafkaProducer) -> None:
    """Look at how the transaction ended: asyncio logs a failure that nobody has looked at, and aiokafka does not."""
    manager = getattr(producer, "_txn_manager", None)
    waiter = getattr(manager, "_transaction_waiter", None)
    if waiter is not None and waiter.done() and not waiter.cancelled():
        waiter.exception()


def fold(controls: Controls, key: bytes | None, value: bytes | None) -> None:
    """Take one Kafka record in; what is none of ours, or refused, changes nothing."""
    if value is None:
        if key is not None:
            controls.forget(key.decode("utf-8", "replace"))
        return
    try:
        controls.take(decode(value, Control))
    except (DecodeError, TypeError):
        return


def _meets(there: Control | None, expected: int) -> bool:
    """0 is for what is not there, also where it was once and is deleted."""
    if there is None:
        return expected == 0
    return there.version == expected or (expected == 0 and there.deleted)


def _checked(edit: Edit, controls: Controls, *, named: bool) -> None:
    try:
        _check_one(edit, controls)
    except BodyError as error:
        if not named:
            raise
        where = f"{edit.kind} {edit.id}"
        raise BodyError([(f"{where}: {field}" if field else where, text) for field, text in error.problems]) from error


def _check_one(edit: Edit, controls: Controls) -> None:
    if edit.body is None:
        there = controls.current(edit.kind, edit.id)
        if edit.kind not in DECLARED and (there is None or there.deleted):
            raise BodyError([("id", f"there is no {edit.kind} {edit.id!r:.200} to delete")])
        return
    if len(orjson.dumps(edit.body)) > MOST_BYTES:
        raise BodyError([("", f"the body is larger than {MOST_BYTES} bytes")])
    parse_body(edit.kind, edit.id, edit.body)


def _audit(change: Change) -> Control:
    accepted = change.outcome == "accepted"
    key = f"{change.kind}/{change.id}/{change.version}" if accepted else f"refused/{change.sequence % REFUSED_SLOTS}"
    return Control(
        kind="audit", id=key, version=1, actor=change.actor, at=change.at, body=orjson.dumps(change.body()).decode()
    )


def _key(record: Control) -> bytes:
    return f"{record.kind}/{record.id}".encode()


def _hopeless(error: BaseException) -> bool:
    """Whether trying again at once is of no use."""
    return type(error).__name__ in (
        "KafkaConnectionError", "TransactionalIdAuthorizationFailed", "TopicAuthorizationFailedError",
        "ClusterAuthorizationFailedError", "UnknownTopicOrPartitionError", "MessageSizeTooLargeError",
    )  # fmt: skip
