"""``probestream lint --history`` on real Kafka."""

from __future__ import annotations

import functools
import json

import pytest

from schemas import SampleBatch, encode
from streams.control_client import ControlClient
from streams.partition import partition_of
from streams.units import now_ms
from tests.kit.cli import Cli
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
    cli = Cli(kafka, tmp_path)
    cli.config.write_text(CONFIG)
    return functools.partial(cli.run, "lint")


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
    told = json.loads(done.out)
    assert (told["errors"], told["warnings"], told["notes"], done.code) == (0, 1, 1, 0)
    flapped, never = told["remarks"]
    assert (flapped["code"], flapped["rule"], flapped["line"]) == ("flapped", "slow", 4)
    assert flapped["message"].startswith("6 episodes of less than 5m on shop, in 7d: write for: 1m")
    assert (never["code"], never["level"], never["rule"]) == ("never-fired", "note", "down")
    assert (await lint("--history", "7d", "--strict")).code == 1
    plain = await lint()
    assert plain.out.endswith("2 rules, 0 errors, 0 warnings\n")


async def test_an_empty_log_is_no_hindrance(lint):
    """No alert ever: each rule is a note."""
    done = await lint("--history", "2d", "--strict")
    assert done.code == 0
    assert done.out.endswith("2 rules, 0 errors, 0 warnings, 2 notes\n")


async def test_a_rule_answers_for_itself_and_not_for_what_it_was(kafka, lint, compiled, tmp_path):
    """Once it is edited, what its former version did is forgotten; the samples say what it would have done itself."""
    began, client = now_ms() - 3 * DAY_MS, ControlClient(kafka, "test")
    async with writer(kafka) as w:
        for i in range(6):
            at = began + i * 600_000.0
            same = {"id": f"a{i}", "rule": "slow", "began": at, "fired": at}
            await w.write(alert(at=at, **same), alert(number=2, state="resolved", at=at + 9, resolved=at + 9, **same))

        async def slow() -> str:
            told = json.loads((await lint("--history", "7d", "--json")).out)["remarks"]
            return next(r["message"] for r in told if r["code"] in ("flapped", "never-fired") and r["rule"] == "slow")

        assert (await slow()).startswith("6 episodes of less than 5m on shop, in 7d")
        edited = {"name": "slow", "metric": "latency", "value": 500, "recover": 400, "cooldown": 0}
        await client.change("rule", "slow", edited, 0, "ada")
        # The file's is not in force any more: what it did is of the past, and nothing is known of what it would do.
        assert (await slow()).startswith("is not in force as it is here, and there are no samples to try it on")
        (tmp_path / "probestream.yaml").write_text(
            json.dumps({"targets": [{"name": "shop", "push": {}}], "rules": [edited]})
        )
        assert " since it was changed: " in await slow()
        batch = {"probe": "p", "target": ["shop"], "ok": [True]}
        for latency in [600.0, 10.0] * 5:
            value = encode(SampleBatch(**batch, time=[now_ms()], latency_ms=[latency]))
            await w.raw("samples", value, partition=partition_of("shop", kafka.partitions))
        assert (await slow()).startswith("as it is now, it would have had 5 episodes of less than 5m on shop, in ")
    await client.close()


async def test_a_span_that_is_none_is_told(lint):
    """Wrong use, exit code 2."""
    done = await lint("--history", "week")
    assert (done.code, "--history: 'week' is no duration" in done.err) == (2, True)
