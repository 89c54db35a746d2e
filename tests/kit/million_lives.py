"""python -m tests.kit.million_lives [COUNT] [FIRST]: as many random histories, lived and told, on every processor.

Prints how many there were, how many transitions they made, and the first difference, if there is one.
"""

from __future__ import annotations

import os
import sys
import time
from multiprocessing import Pool

from tests.kit.histories import compare

_CHUNK = 1000


def _chunk(first: int) -> int:
    return sum(compare(seed) for seed in range(first, first + _CHUNK))


def main(count: int = 1_000_000, first: int = 0) -> None:
    began, done, transitions = time.monotonic(), 0, 0
    with Pool(int(os.environ.get("PROBESTREAM_PROCESSES", os.cpu_count() or 1))) as pool:
        for made in pool.imap_unordered(_chunk, range(first, first + count, _CHUNK)):
            done, transitions = done + _CHUNK, transitions + made
            if done % 20_000 == 0:
                rate = done / (time.monotonic() - began)
                print(f"{done:,} histories, {transitions:,} transitions, no difference, {rate:,.0f}/s", flush=True)
    print(f"{done:,} histories, {transitions:,} transitions, no difference")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
