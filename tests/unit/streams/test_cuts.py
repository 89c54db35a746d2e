"""The same log, fetched in other pieces."""

from __future__ import annotations

import random

import numpy as np
import pytest

from schemas import encode
from streams import blocks, fetched
from streams.partition_state import Limits
from tests.kit.fetches import fetch, written
from tests.kit.folding import START, batch, fold, rule

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
RULES = [
    rule(severity="critical"),
    rule("slow", "latency", ">", 200.0, aggregate="p95", window="5m", min_samples=1, resolve={"samples": 2}),
    rule("errors", "error_rate", ">", 0.2, window="1h"),
    rule("full", "m", ">", 40.0, aggregate="max", window="1m"),
    rule("gone", "absent", ">", 600.0),
    rule("sick", "status", "==", "unhealthy"),
]


def value(dice, now):
    """Mostly samples; of some a part is bad; some are none, and no bytes at all."""
    kind = dice.random()
    if kind < 0.1:
        return dice.choice([None, b"", b"no samples"])
    samples = [
        (f"t{dice.randrange(20)}", now - dice.choice([0, 0, 0, 700_000, 5_000_000]), dice.random() < 0.8,
         dice.expovariate(0.01), dice.randrange(50))
        for _ in range(dice.randrange(12))
    ]  # fmt: skip
    return encode(batch(*samples, metrics={"m": [dice.random() * 50 for _ in samples]} if kind < 0.4 else None))


def log(dice):
    """Batches of records, in all compressions, as (first offset, bytes); some offsets are a transaction's marks."""
    found, base, later = [], 0, 0
    for _ in range(120):
        records = []
        for _ in range(dice.randrange(1, 6)):
            later += dice.choice([0, 10, 900, 3_000, 60_000, 900_000 if dice.random() < 0.3 else 0])
            records.append((None, value(dice, START + later), [], later))
        found.append((base, written(records, dice.randrange(5), base)))
        base += len(records) + dice.choice([0, 0, 1])
    return found


def folded(batches, dice):
    """State and outcomes of a log that is fetched in pieces: each begins in a batch that was read in part before."""
    one, done = fold(RULES, limits=Limits(forget_ms=7_200_000.0)), 0
    told, refused = [], []
    while done < len(batches):
        end = min(done + dice.randrange(1, 30), len(batches))
        since = max(done - dice.randrange(2), 0)
        records = fetched.columns(list(fetch(b"".join(raw for _, raw in batches[since:end]), one.offset + 1)))
        at = int(np.searchsorted(records.offset, one.offset, side="right"))
        while at < len(records):
            stop = dice.randrange(at, len(records)) + 1
            outcome = one.take(records.part(at, stop))
            told += [repr(change) for change in outcome.changes]
            refused += [(r.record, r.refusal, r.rows) for r in outcome.refused]
            at = stop
            if dice.random() < 0.2 and stop < len(records):
                break  # a restart, which fetches the batch again that it was in
        offsets = [base for base, _ in batches]
        done = int(np.searchsorted(offsets, one.offset + 1, side="right")) - 1 if at < len(records) else end
    return dict(blocks.dump(one, everything=True)), told, refused


@pytest.mark.parametrize("seed", range(4))
def test_state_and_findings_are_the_same_however_the_log_is_fetched(seed):
    """Cut into fetches anywhere, read again from the middle of a batch: to the last byte the same state and findings."""
    batches = log(random.Random(seed))
    state, told, refused = folded(batches, random.Random(0))
    for cuts in range(1, 4):
        again, told_again, refused_again = folded(batches, random.Random(cuts))
        assert told_again == told
        assert sorted(refused_again, key=repr) == sorted(refused, key=repr)
        assert again == state
    assert min(len(told), len(refused)) > 50
