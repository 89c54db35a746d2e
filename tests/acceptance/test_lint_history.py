"""``probestream lint --history`` on real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from streams.units import now_ms
from tests.kit.records import alert, writer

CONFIG = """
targets: [{name: shop, push: {}}]
rules:
  - {name: slow, metric: latency, window: 5m, value: 100}
  - {name: down, metric: consecutive_failures, operator: ">=", value: 3, severity: critical}
"""
DAY_MS = 86_400_000.0


@pytest.fixture
def lint(kafka, tmp_path):
    path = tmp_path / "probestream.yaml"
    path.write_text(CONFIG)
    env = {k: v for k, v in os.environ.items() if not k.startswith("PROBESTREAM")} | {
        "PROBESTREAM_KAFKA": kafka.servers,
        "PROBESTREAM__KAFKA__PREFIX": kafka.prefix,
        "PROBESTREAM__KAFKA__PARTITIONS": str(kafka.partitions),
        "PROBESTREAM_CONFIG": str(path),
    }

    async def run(*arguments):
        return await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "probestream", "lint", *arguments], env=env, cwd=tmp_path,
            capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    return run


async def test_the_log_tells_which_rules_flap_and_which_never_fired(kafka, lint):
    """Six alerts of a minute each within a week are told; a rule without any is a note, which --strict lets pass."""
    began = now_ms() - 3 * DAY_MS
    async with writer(kafka) as w:
        for i in range(6):
            at = began + i * 600_000.0
            same = {"id": f"a{i}", "rule": "slow", "began": at, "fired": at}
            await w.write(alert(at=at, **same))
            ended = alert(number=2, state="resolved", at=at + 60_000, resolved=at + 60_000, **same)
            await w.write(ended)
    done = await lint("--history", "7d", "--json")
    told = json.loads(done.stdout)
    assert (told["errors"], told["warnings"], told["notes"], done.returncode) == (0, 1, 1, 0)
    flapped, never = told["remarks"]
    assert (flapped["code"], flapped["rule"], flapped["line"]) == ("flapped", "slow", 4)
    assert flapped["message"].startswith("6 episodes of less than 5m on shop, in 7d: write for: 1m")
    assert (never["code"], never["level"], never["rule"]) == ("never-fired", "note", "down")
    assert (await lint("--history", "7d", "--strict")).returncode == 1
    plain = await lint()
    assert plain.stdout.endswith("2 rules, 0 errors, 0 warnings\n")


async def test_an_empty_log_is_no_hindrance(lint):
    """No alert ever: each rule is a note."""
    done = await lint("--history", "2d", "--strict")
    assert done.returncode == 0
    assert done.stdout.endswith("2 rules, 0 errors, 0 warnings, 2 notes\n")


async def test_a_span_that_is_none_is_told(lint):
    """Wrong use, exit code 2."""
    done = await lint("--history", "week")
    assert (done.returncode, "--history: 'week' is no duration" in done.stderr) == (2, True)
