"""What detection has compiled after `warm`, a function a line: `python -m tests.kit.compiling`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from numba.core.dispatcher import Dispatcher

from schemas import encode
from streams import blocks, fetched, kernel, seeing
from streams.warm import warm
from tests.kit import folding
from tests.kit.fetches import fetch, written

DAY_MS = 86_400_000
RULES = [
    folding.rule(),
    folding.rule("slow", "latency", ">", 5.0, aggregate="p95", window="5m", resolve={"samples": 2}),
    folding.rule("spread", "latency", ">", 2.0, aggregate="ratio", window="1m"),
    folding.rule("metric", "m", ">", 5.0, aggregate="max", window="1m"),
    folding.rule("errors", "error_rate", ">", 0.05, window="5m"),
    folding.rule("gone", "absent", ">", 30.0),
]


def signatures() -> set[str]:
    """Every compiled function of the kernel with the types that it is compiled for."""
    modules = [import_module(f"{kernel.__name__}.{m.name}") for m in pkgutil.iter_modules(kernel.__path__)]
    found = {(f, s) for m in modules for f in vars(m).values() if isinstance(f, Dispatcher) for s in f.signatures}
    return {f"{f.py_func.__module__}.{f.py_func.__name__}:{s}".replace(" ", "") for f, s in found}


def read(values, base, compression=0):
    """The records of a batch of the values, as a consumer hands them on."""
    records = [(None, value, [], 1000 * (base + i)) for i, value in enumerate(values)]
    return fetched.columns(list(fetch(written(records, compression, base))))


def live() -> None:
    """What a partition may go through, from its first fetch on."""
    fold = folding.fold(RULES)
    fold.expect(["expected"])
    at = folding.START
    values = [
        encode(folding.batch(*((f"t{k}", at + 1000 * i, k % 3, 10.0, i) for k in range(300)), metrics={"m": [1.0] * 300},
                             details=[(0, "500", "no")]))
        for i in range(40)
    ]  # fmt: skip
    fold.take(read(values, 0))
    fold.take(read([*values, None, b"", b"no batch"], 40, compression=3))
    seeing.held(fold)
    seeing.see(fold, "t1")
    dict(blocks.dump(fold))
    # A rule that looks at something else from now on, and held.
    again = folding.fold([*RULES[1:], folding.rule(metric="m", operator=">", value=1000.0)])
    blocks.rebuild(fold, again)
    again.take([folding.tick(200, at + 10 * DAY_MS)])
    again.take([folding.record(201, at + 10 * DAY_MS, ("t1", at + 10 * DAY_MS, True, 1.0))])
    again.give_up_unknown()
    dict(blocks.dump(again, everything=True))


if __name__ == "__main__":
    warm()
    before = signatures()
    live()
    print("\n".join(sorted(signatures() - before)))
