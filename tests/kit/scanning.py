"""The fast reader of sample records beside fastavro, over any bytes."""

from __future__ import annotations

import io
import json
import random
import struct
from pathlib import Path

import fastavro
import numpy as np

import schemas
from schemas import SampleBatch, encode
from schemas.codec import HEADER_BYTES
from streams.kernel import names, scan
from streams.records import Record, Records

HEADER = np.frombuffer(encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))[:HEADER_BYTES], np.uint8)
_AVSC = Path(schemas.__file__).parent / "avsc" / "sample_batch" / "v1.avsc"
# On the wire a string is bytes: so the judge sees what is there even where it is no UTF-8.
_SCHEMA = fastavro.parse_schema(
    json.loads(_AVSC.read_text("utf-8").replace('"string"', '"bytes"').replace('"default": ""', '"default": ""'))
)


class Strict(np.ndarray):
    """An array that takes no index from behind: compiled code would read before its start."""

    def __getitem__(self, i):
        if isinstance(i, (int, np.integer)) and i < 0:
            raise IndexError(f"index {i}")
        return super().__getitem__(i)

    def __setitem__(self, i, value):
        if isinstance(i, (int, np.integer)) and i < 0:
            raise IndexError(f"index {i}")
        super().__setitem__(i, value)


def reference(record):
    """What fastavro finds: a list of samples and the probe, or None where it finds no batch that fits together."""
    if len(record) < HEADER_BYTES or record[:HEADER_BYTES] != HEADER.tobytes():
        return None
    body = io.BytesIO(record)
    body.seek(HEADER_BYTES)
    try:
        batch = fastavro.schemaless_reader(body, _SCHEMA, None)
    except Exception:
        return None
    n = len(batch["target"])
    sizes = [len(batch[k]) for k in ("time", "ok", "latency_ms")] + [len(m["value"]) for m in batch["metrics"]]
    if body.tell() != len(record) or set(sizes) - {n} or len(batch["sequence"]) not in (0, n):
        return None
    if any(not m["name"] for m in batch["metrics"]) or any(not 0 <= d["row"] < n for d in batch["details"]):
        return None
    details = {d["row"]: (d["status"], d["message"]) for d in batch["details"]}
    sequence = batch["sequence"] or [float("nan")] * n
    return batch["probe"], [
        (
            batch["target"][i], bits(batch["time"][i]), batch["ok"][i], bits(batch["latency_ms"][i]), bits(sequence[i]),
            [(m["name"], bits(m["value"][i])) for m in batch["metrics"]], details.get(i),
        )
        for i in range(n)
    ]  # fmt: skip


def bits(value):
    return "nan" if value != value else struct.pack("<d", value)


def read(records, *, known=(), most=1000, strict=False):
    """What the fast reader finds in records read together: for each as `reference`, None where it leaves it."""
    raw = b"".join(records)
    data = np.frombuffer(raw, np.uint8)
    columns = Records.of([Record(i, 0, r) for i, r in enumerate(records)])
    starts, ends = columns.at, columns.end
    flat = scan.fresh(len(records), int(scan.samples_in(data, starts, ends, HEADER)), len(raw))
    if strict:
        data, flat = data.view(Strict), scan.Flat(*(a.view(Strict) for a in flat))
    targets, metrics, metric_names = names.fresh(), names.fresh(), []
    for name in known:
        targets, _ = names.add(targets, name)
    found, at = [], 0
    while at < len(records):
        ended, stop, start, end = scan.scan(data, starts, ends, at, HEADER, most, targets, metrics, flat)
        found += [_samples(raw, flat, r, known, metric_names) for r in range(at, stop)]
        at = stop
        if ended == scan.NEW_METRIC:
            text = raw[start:end].decode("latin-1")
            metrics, _ = _add_raw(metrics, raw[start:end])
            metric_names.append(text.encode("latin-1"))
        elif ended == scan.OTHER:
            found.append(None)
            flat.first[stop + 1], flat.column_first[stop + 1] = flat.used[0], flat.used[1]
            at += 1
    return found


def _add_raw(table, raw):
    """`names.add` of bytes that need not be UTF-8."""

    class Raw(str):
        __slots__ = ()

        def encode(self):
            return raw

    return names.add(table, Raw())


def _samples(raw, flat, r, known, metric_names):
    first = int(flat.first[r])
    out = []
    for i in range(first, int(flat.first[r + 1])):
        number = int(flat.name[i])
        name = raw[flat.text_at[i] : flat.text_end[i]]
        assert number < 0 or known[number].encode() == name
        columns = range(int(flat.column_first[r]), int(flat.column_first[r + 1]))
        values = [
            (metric_names[flat.column_metric[c]], bits(flat.metric_values[flat.column_at[c] + i - first]))
            for c in columns
        ]
        detail = None
        if flat.detail[i] >= 0:
            a, b, c, d = flat.details[flat.detail[i]].tolist()
            detail = raw[a:b], raw[c:d]
        out.append(
            (name, bits(flat.time[i]), bool(flat.ok[i]), bits(flat.value[i]), bits(flat.sequence[i]), values, detail)
        )
    return int(flat.probe[r]), out


def agrees(records, **how):
    """The fast reader leaves each record, or finds in it what fastavro finds; how many it read."""
    found = read(records, **how)
    assert len(found) == len(records)
    for record, got in zip(records, found, strict=True):
        if got is not None:
            wanted = reference(record)
            assert wanted is not None, record
            raw = np.frombuffer(wanted[0], np.uint8)
            assert got == (int(names.hash_of(raw, 0, len(raw))), wanted[1]), record
    return sum(got is not None for got in found)


HUGE = (
    b"\xff" * 9 + b"\x01",
    b"\xfe" + b"\xff" * 8 + b"\x01",
    b"\xff" * 9 + b"\x7f",
    b"\x80" * 9 + b"\x01",
    b"\x80\x80\x80\x80\x10",
    b"\x01",
    b"\x02",
)


def mutated(record, dice):
    """The record with a few bytes changed, cut, put in or said again: mostly lengths, where they hurt."""
    out = bytearray(record)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(out) + 1)
        match dice.randrange(5):
            case 0 if at < len(out):
                out[at] = dice.choice([0, 1, 2, 3, 127, 128, 254, 255, dice.randrange(256)])
            case 1:
                del out[at:]
            case 2:
                del out[at : at + dice.randint(1, 9)]
            case 3:
                out[at : at + dice.randint(0, 1)] = dice.choice(HUGE)
            case _:
                out[at:at] = out[max(0, at - dice.randint(1, 20)) : at]
    return bytes(out)


def sample_batch(dice):
    """Any batch."""
    n = dice.choice([0, 0, 1, 1, 2, 3, 7])
    number = lambda: dice.choice([0.0, -1.0, 1e300, float("nan"), float("inf"), dice.random()])  # noqa: E731
    word = lambda: dice.choice(["", "a", "shop", "ü" * 40, "b" * 200])  # noqa: E731
    return SampleBatch(
        probe=word(),
        target=[word() for _ in range(n)],
        time=[number() for _ in range(n)],
        ok=[dice.random() < 0.5 for _ in range(n)],
        latency_ms=[number() for _ in range(n)],
        sequence=[number() for _ in range(n)] if dice.random() < 0.5 else [],
        metrics=[
            {"name": word() or "m", "value": [number() for _ in range(n)]} for _ in range(dice.choice([0, 0, 1, 3, 60]))
        ],
        details=[
            {"row": dice.randrange(n), "status": word(), "message": word()}
            for _ in range(dice.choice([0, 0, 1, 4]) if n else 0)
        ],
    )


def fuzz(rounds, *, strict):
    """Damaged records by the hundred, several in one call: always as fastavro has it, or left; how many were read."""
    dice, read_ones = random.Random(rounds), 0
    for _ in range(rounds):
        records = [encode(sample_batch(dice)) for _ in range(dice.randint(1, 4))]
        records = [mutated(r, dice) if dice.random() < 0.7 else r for r in records]
        read_ones += agrees(records, strict=strict, known=("a", "shop"))
    return read_ones
