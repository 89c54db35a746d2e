"""The reference work one sample at a time, in plain Python: what a user writes on a streaming library.

Imports nothing of Probestream's, so that a peer can run in an environment of its own.
"""

from __future__ import annotations

import io
import json
from math import isnan, nan, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fastavro

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = ("errors", "slow", "odd")
_AVSC = Path(__file__).resolve().parents[2] / "schemas" / "avsc" / "sample_batch" / "v1.avsc"
_SCHEMA = fastavro.parse_schema(json.loads(_AVSC.read_text("utf-8")))
_LENGTHS = (6, 30, 360)  # panes of 10 s: 1 min, 5 min, 1 h


def samples(record: bytes) -> Iterator[tuple[str, float, bool, float]]:
    """Target, time, ok and latency of each sample in a record of the samples topic."""
    body = io.BytesIO(record)
    body.seek(5)
    batch: Any = fastavro.schemaless_reader(body, _SCHEMA, None)
    return zip(batch["target"], batch["time"], batch["ok"], batch["latency_ms"], strict=True)


def fresh() -> dict[str, Any]:
    """The state of a target that was never seen; it fits into JSON."""
    windows = [[0, 0, 0.0, 0] for _ in _LENGTHS]  # count, errors, sum, index of the first pane
    return {"head": None, "panes": [], "windows": windows, "time": 0.0, **baseline()}


def baseline() -> dict[str, Any]:
    """The learnt part of a fresh state, and which rules hold."""
    return {"mean": 0.0, "variance": 0.0, "seen": 0, "holds": [False, False, False]}


def fold(state: dict[str, Any], time: float, ok: bool, latency: float, head: int) -> list[tuple[int, float]]:
    """Take a sample into `state`, its windows ending with pane `head`; returns rules that changed, with values."""
    panes, windows = state["panes"], state["windows"]
    if head != state["head"]:
        _advance(state, head)
    pane, i = int(time // 10_000), len(panes) - 1
    while i >= 0 and panes[i][0] > pane:
        i -= 1
    if i < 0 or panes[i][0] != pane:
        i += 1
        panes.insert(i, [pane, 0, 0, 0.0])
        for window, length in zip(windows, _LENGTHS, strict=True):
            if i < window[3] or pane <= head - length:
                window[3] += 1
    at = panes[i]
    at[1] += 1
    at[2] += not ok
    at[3] += latency
    for window in windows:
        if i >= window[3]:
            window[0] += 1
            window[1] += not ok
            window[2] += latency
    z = nan
    if time >= state["time"]:
        state["time"] = time
        if ok:
            z = learn(state, latency)
    minute, five, _ = windows
    return judge(state, five[1] / five[0], minute[2] / minute[0], z)


def learn(state: dict[str, Any], latency: float) -> float:
    """z-score of `latency`, NaN for the first 20; the baseline learns it unless it lies beyond four deviations."""
    mean, variance, seen = state["mean"], state["variance"], state["seen"]
    z = nan if seen < 20 else (latency - mean) / max(sqrt(variance), 0.05 * abs(mean), 2.0)
    if not abs(z) > 4.0:
        alpha, step = max(0.05, 1.0 / (seen + 1.0)), latency - mean
        state["mean"] = mean + alpha * step if seen else latency
        state["variance"] = (1.0 - alpha) * (variance + alpha * step * step) if seen else 0.0
        state["seen"] = seen + 1
    return z


def judge(state: dict[str, Any], error_rate: float, mean: float, z: float) -> list[tuple[int, float]]:
    """The three rules; returns those that changed, with the value that changed them."""
    normal = state["mean"] if state["seen"] >= 20 else nan
    holds, changed = state["holds"], []
    for rule, (value, limit) in enumerate(((error_rate, 0.05), (mean / normal, 2.0), (z, 4.0))):
        if not isnan(value) and (value > limit) != holds[rule]:
            holds[rule] = value > limit
            changed.append((rule, value))
    return changed


def _advance(state: dict[str, Any], head: int) -> None:
    """Subtract what leaves each window; drop what leaves the last."""
    state["head"] = head
    panes, windows = state["panes"], state["windows"]
    for window, length in zip(windows, _LENGTHS, strict=True):
        while window[3] < len(panes) and panes[window[3]][0] <= head - length:
            _, count, errors, total = panes[window[3]]
            window[0] -= count
            window[1] -= errors
            window[2] -= total
            window[3] += 1
    if gone := windows[-1][3]:
        del panes[:gone]
        for window in windows:
            window[3] -= gone
