"""How many log lines one core turns into counts: secrets out, numbers masked, template and classes found.

    python benchmarks/log_lines.py [--quick] [--json]

The lines are of six kinds, as web servers and applications write them. Decoding of the records that carry them is
counted, Kafka's part is not. Where drain3 is installed (it is no dependency), its template miner runs beside, with
like masks and without the search for secrets.
"""

from __future__ import annotations

import random
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from agents.logs.app import counting_of
from agents.logs.settings import LogsSettings
from benchmarks.common import finish, options
from schemas import LogBatch, decode, encode
from streams.log_counts import Book
from streams.log_lines import Line, batches
from streams.log_templates import Templates
from streams.log_text import Masker

KINDS = (
    '10.0.{b}.{b} - - [12/Oct/2025:13:55:{s:02d} +0000] "GET /api/items/{n} HTTP/1.1" {code} {n} "-" "Mozilla/5.0"',
    "2025-10-12 13:55:{s:02d},123 INFO app.orders Order {id} created for user {n} in {b} ms",
    "2025-10-12T13:55:{s:02d}.123Z ERROR db.pool Connection to 10.1.2.{b}:5432 refused after {s} attempts",
    "WARN cache miss for key session:{hex} took {s}.{n}ms",
    "INFO User {name} logged in from 192.168.1.{b}",
    "DEBUG worker {s} processed batch {n} of topic events partition {s} offset {n}",
)


def lines(count: int) -> list[str]:
    """Lines of every kind, in a random order that is always the same."""
    dice = random.Random(1)
    return [
        dice.choice(KINDS).format(
            b=dice.randrange(255), s=dice.randrange(60), n=dice.randrange(10**6),
            code=dice.choice((200, 200, 404, 500)),
            id=uuid.UUID(int=dice.getrandbits(128)), hex=f"{dice.getrandbits(64):016x}",
            name=dice.choice(("alice", "bob", "carol", "dave")),
        )
        for _ in range(count)
    ]  # fmt: skip


def rate(count: int, work: Any) -> float:
    """Lines a second of processor time."""
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


def main() -> None:
    arguments = options(__doc__ or "").parse_args()
    texts = lines(20_000 if arguments.quick else 200_000)
    records = [encode(b) for b in batches("api", map(Line, texts))]
    counting = counting_of(LogsSettings())
    book, templates = Book("api", counting), Templates(counting.mask, lambda _: ())
    mask = Masker()

    def whole() -> None:
        for record in records:
            batch = decode(record, LogBatch)
            for message in batch.message:
                book.add(message, None, "", 1e12)

    result: dict[str, Any] = {
        "lines_per_s": rate(len(texts), whole),
        "templates_only_per_s": rate(len(texts), lambda: [templates.add(t) for t in texts]),
        "masking_only_per_s": rate(len(texts), lambda: [mask(t) for t in texts]),
    }
    if (peer := _drain3(texts)) is not None:
        result["drain3_per_s"] = peer
    for name, value in result.items():
        print(f"{name:24} {value:12,.0f}")
    finish(result, as_json=arguments.json)


def _drain3(texts: list[str]) -> float | None:
    try:
        from drain3 import TemplateMiner  # type: ignore[import-not-found]  # noqa: PLC0415 - no dependency
        from drain3.masking import MaskingInstruction  # type: ignore[import-not-found]  # noqa: PLC0415
        from drain3.template_miner_config import TemplateMinerConfig  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return None
    config = TemplateMinerConfig()
    config.masking_instructions = [
        MaskingInstruction(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "uuid"),
        MaskingInstruction(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b", "ip"),
        MaskingInstruction(r"\b0x[0-9a-fA-F]+\b|\b[0-9a-f]{12,}\b", "hex"),
        MaskingInstruction(r"(?<![A-Za-z])\d+(?:\.\d+)?", "num"),
    ]
    miner = TemplateMiner(config=config)
    return rate(len(texts), lambda: [miner.add_log_message(t) for t in texts])


if __name__ == "__main__":
    main()
