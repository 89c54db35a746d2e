"""Whether detection is exact however often it is killed: SIGKILL at each named step and at any time, under load.

    python benchmarks/kills.py [--kills 200] [--seed 1] [--json] [--kafka HOST:PORT]

No race with anybody: a proof, or the opposite of one. Samples come in all the while, some late, some twice; at the end
the stored state is compared, byte for byte, with that of the same log folded in one go, and so are the findings. Ends
with exit code 1 where anything differs.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import finish, on_kafka, options
from streams.kafka import KafkaSettings
from streams.topics import create_topics
from tests.kit.kills import at_random, each_step, under_kills

ROUND = 25  # kills before each comparison: the log must still be in one piece to be folded again


async def measure(bootstrap: str, args: Any) -> dict[str, Any]:
    """All the kills, in rounds with topics of their own."""
    dice = random.Random(args.seed)
    result: dict[str, Any] = {"benchmark": "kills", "kills": 0, "samples": 0, "wrong": []}
    number = 0
    while result["kills"] < args.kills:
        number += 1
        count = min(ROUND, args.kills - result["kills"])
        kills = (each_step(dice) + at_random(dice, ROUND))[:count]
        dice.shuffle(kills)
        kafka = KafkaSettings(bootstrap=bootstrap, prefix=f"kills{uuid.uuid4().hex[:8]}.", partitions=2)
        await create_topics(kafka)
        with tempfile.TemporaryDirectory() as folder:
            report = await under_kills(
                kafka, Path(folder), kills, seed=args.seed + number, said=said if args.verbose else mute
            )
        result["kills"] += report.kills
        result["samples"] += report.samples
        result["wrong"] += report.wrong
        print(f"round {number}: {report.kills} kills, {report.samples} samples: {report.wrong or 'exact'}", flush=True)
    return result


def said(line: str) -> None:
    """Print a line at once."""
    print(f"  {line}", flush=True)


def mute(_line: str) -> None:
    """Say nothing."""


def main() -> None:
    parser = options(str(__doc__).split("\n", 1)[0])
    parser.add_argument("--kills", type=int, default=200, help="how many; 25 with --quick")
    parser.add_argument("--seed", type=int, default=1, help="another one, other samples and other moments")
    parser.add_argument("--verbose", action="store_true", help="a line for each kill")
    args = parser.parse_args()
    if args.quick:
        args.kills = ROUND
    with on_kafka(args) as bootstrap:
        result = asyncio.run(measure(bootstrap, args))
    print(
        f"{result['kills']} kills over {result['samples']} samples: {'exact' if not result['wrong'] else 'NOT exact'}"
    )
    finish(result, as_json=args.json)
    if result["wrong"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
