"""Rules that people changed while the hops were at work: a backtest, and explanations, know them as they were then."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest

from probestream.backtest.episodes import episodes
from probestream.backtest.log import KafkaLog
from probestream.backtest.past import past
from probestream.backtest.picture import ms
from probestream.backtest.report import as_bytes
from probestream.backtest.run import Asked, backtest
from probestream.config import load_text
from probestream.explaining import setup_of
from streams.control_checks import Checks
from streams.control_client import ControlClient
from streams.explain.ask import explain_alert, explain_target
from streams.explain.log import Log
from streams.explain.text import in_words
from streams.instants import iso
from streams.topics import ALERTS, FINDINGS
from streams.units import now_ms
from tests.acceptance.test_backtest import lived, steps
from tests.kit.cli import Cli
from tests.kit.role import until

CONFIG = """
kafka: {{bootstrap: "{bootstrap}", prefix: "{prefix}", partitions: 2}}
alert: {{tick: 50ms, cooldown: 0}}
detect: {{commit_every: 100ms}}
targets:
  - {{name: shop, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: blog, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: wiki, http: {{url: "http://127.0.0.1:1"}}}}
  - {{name: mail, http: {{url: "http://127.0.0.1:1"}}}}
rules:
  - {{name: slow, metric: latency, value: 100}}
  - {{name: many, metric: latency, value: 100, group_by: [], at_least: 2}}
  - {{name: web, metric: latency, value: 50, match: ['team="web"']}}
"""


@dataclass
class Life:
    """Somebody who changes things while the hops are at work, and waits until each has come into force."""

    client: ControlClient
    seen: object
    log: pytest.LogCaptureFixture

    def _adopted(self) -> int:
        return sum("are in force" in r.message for r in self.log.records if r.name == "probestream.detect")

    async def change(self, kind: str, name: str, body: dict | None, actor: str = "ada") -> None:
        """Change what detection goes by."""
        before = self._adopted()
        await self.client.change(kind, name, body, None, actor)
        await until(lambda: self._adopted() > before, why="detection did not hear of it")

    async def say(self, kind: str, name: str, body: dict | None, actor: str = "ada") -> None:
        """Change what only alerts go by."""
        await self.client.change(kind, name, body, None, actor)

    async def alert(self, target: str, state: str, rule: str = "slow"):
        """The latest transition, once it is this one."""

        def latest(got):
            mine = [a for a in got if (a.target, a.rule) == (target, rule)]
            return mine and mine[-1].state == state

        return [a for a in await self.seen.wait(ALERTS, latest) if (a.target, a.rule) == (target, rule)][-1]

    async def member(self, target: str, holds: bool) -> None:
        """Wait until the group heard this of one of its members: targets of two partitions have no order before that."""

        def latest(got):
            mine = [f for f in got if (f.target, f.rule) == (target, "many")]
            return mine and mine[-1].holds is holds

        await self.seen.wait(FINDINGS, latest)


def slow(value: float) -> dict:
    return {"name": "slow", "metric": "latency", "value": value}


async def a_day(config, caplog) -> dict[str, float]:
    """What happened, and when: a rule edited, silenced, taken out, set anew, its threshold changed; people answered."""
    caplog.set_level(logging.INFO, "probestream.detect")
    client = ControlClient(config.kafka, "test", check=Checks(config.rules, config.targets))
    moments: dict[str, float] = {}
    async with lived(config.kafka, config) as (feed, seen):
        life = Life(client, seen, caplog)
        await feed.round(shop=10.0, blog=10.0, wiki=10.0, mail=10.0)
        await feed.round(shop=200.0)
        await life.alert("shop", "firing")
        moments["as the file has it"] = now_ms()
        await life.change("rule", "slow", slow(300.0))
        await feed.round(shop=200.0)
        await life.alert("shop", "resolved")
        moments["300"] = now_ms()
        await feed.round(blog=350.0)
        await life.alert("blog", "firing")
        # Of the group as well, which has kept its 100.
        many = await life.alert("group:all", "firing", "many")
        await life.say("ack", many.id, {"comment": "looking"}, "bob")
        await life.alert("group:all", "acknowledged", "many")
        body = {"matchers": ["target=blog"], "starts": now_ms(), "ends": now_ms() + 3_600_000, "author": "bob"}
        await life.say("silence", "s1", body, "bob")
        await life.alert("blog", "suppressed")
        await life.say("silence", "s1", None, "bob")
        await life.alert("blog", "firing")
        await life.change("rule", "slow", None, "eve")
        assert (await life.alert("blog", "resolved")).reason == "rule_removed"
        moments["taken out"] = now_ms()
        await feed.round(wiki=1000.0)
        await life.member("wiki", holds=True)
        await feed.round(shop=10.0)
        await life.member("shop", holds=False)
        await life.change("rule", "slow", slow(500.0))
        await feed.round(wiki=1000.0)
        fired = await life.alert("wiki", "firing")
        await life.say("snooze", fired.id, {"until": now_ms() + 3_600_000}, "bob")
        await life.alert("wiki", "snoozed")
        moments["500"] = now_ms()
        await life.change("threshold", "slow", {"value": 2000.0}, "eve")
        await feed.round(wiki=1000.0)
        await life.alert("wiki", "resolved")
        await feed.round(mail=1500.0)
        await life.member("mail", holds=True)
        await feed.round(blog=10.0)
        await life.member("blog", holds=False)
        await feed.round(mail=2500.0)
        await life.alert("mail", "firing")
        await feed.round(mail=10.0, wiki=10.0)
        await life.alert("mail", "resolved")
        await life.alert("group:all", "resolved", "many")
        moments["2000"] = now_ms()
        # A target that comes to a team, goes into maintenance and out of it, and leaves the team.
        await life.change("target", "blog", {"name": "blog", "kind": "http", "labels": {"team": "web"}})
        await feed.round(blog=60.0)
        await life.alert("blog", "firing", "web")
        window = {"matchers": ["team=web"], "start": iso(now_ms()).removesuffix("Z"), "duration": "1h"}
        await life.say("maintenance", "w1", window, "bob")
        await life.alert("blog", "suppressed", "web")
        await life.say("maintenance", "w1", None, "bob")
        await life.alert("blog", "firing", "web")
        await life.change("target", "blog", {"name": "blog", "kind": "http"})
        await life.alert("blog", "resolved", "web")
        await feed.round(shop=10.0)  # a backtest goes as far as there are samples
    await client.close()
    return moments


async def test_the_rules_in_force_find_what_did_fire_though_they_were_changed(kafka, compiled, caplog, tmp_path):
    """Edited, silenced, taken out, set anew: replayed at their moments, nothing differs, and the bytes are the same."""
    config = load_text(CONFIG.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))
    await a_day(config, caplog)
    alerts, controls = await asyncio.to_thread(past, config.kafka)

    def replay(name: str, jobs: int = 1) -> dict:
        asked = Asked(config=config, name=name, from_="1h", alerts=alerts, controls=controls, jobs=jobs)
        return backtest(KafkaLog(config.kafka, 2), asked)

    told = await asyncio.to_thread(replay, "current")
    assert told["fired"]["only_new"] == told["fired"]["only_old"] == []
    real = {e.id: e for e in episodes(a for _, a in alerts)}
    ours = {a["id"]: a for a in told["alerts"]}
    theirs = {i: steps(e.states) for i, e in real.items()}
    mine = {i: steps([(state, ms(at)) for state, at in a["states"]]) for i, a in ours.items()}
    assert {i: [s for s, _ in e] for i, e in mine.items()} == {i: [s for s, _ in e] for i, e in theirs.items()}
    # Of a target that left the matchers, either hop may hear first: its rule has ceased, or does not match any more.
    left = {"rule_ceased", "rule_no_longer_matches"}
    assert all({e.reason, ours[i]["why_ended"]} <= left for i, e in real.items() if e.rule == "web")
    assert {i: e.reason for i, e in real.items() if e.rule != "web"} == {
        i: a["why_ended"] for i, a in ours.items() if a["rule"] != "web"
    }
    assert {i: e.threshold for i, e in real.items()} == {i: a["threshold"] for i, a in ours.items()}
    assert {(e.rule, e.target, e.threshold) for e in real.values()} == {
        ("slow", "shop", 100.0), ("slow", "blog", 300.0), ("slow", "wiki", 500.0), ("slow", "mail", 2000.0),
        ("many", "group:all", 2.0), ("web", "blog", 50.0),
    }  # fmt: skip
    assert as_bytes(await asyncio.to_thread(replay, "current", 2)) == as_bytes(told)
    assert [(c["kind"], c["version"], c["actor"], c["did"]) for c in told["changes"]] == [
        ("rule", 1, "ada", "value 100 → 300"),
        ("silence", 1, "bob", "set"),
        ("silence", 2, "bob", "taken out"),
        ("rule", 2, "eve", "taken out"),
        ("rule", 3, "ada", "set"),
        ("threshold", 1, "eve", "set to value 2000"),
        ("target", 1, "ada", "set"),
        ("maintenance", 1, "bob", "set"),
        ("maintenance", 2, "bob", "taken out"),
        ("target", 2, "ada", 'labels {"team":"web"} → none'),
    ]  # fmt: skip
    assert [w for w in told["warnings"] if w["code"] == "unknown-before"] == []
    cli = Cli(kafka, tmp_path)
    cli.config.write_text(CONFIG.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))
    printed = (await cli.run("backtest", "--rules", "current", "--from", "1h")).out
    assert "Beside what did fire: 6 alerts for 6," in printed
    assert "6 are the same" in printed
    assert "0 new, 0 no more" in printed
    assert "rule slow, version 2" in printed
    # By the file's rules alone others fire: at 100 all the time, so mail a sample earlier, under another id.
    file = await asyncio.to_thread(replay, "rules.yaml")
    assert {a["threshold"] for a in file["alerts"] if a["rule"] == "slow"} == {100.0}
    assert [a["target"] for a in file["alerts"] if a["id"] not in real and a["rule"] == "slow"][-1] == "mail"


async def test_an_explanation_has_the_rule_as_it_stood_then(kafka, compiled, caplog):
    """Of each time the threshold that was in force, its version, who had set it, and that it was changed since."""
    config = load_text(CONFIG.format(bootstrap=kafka.bootstrap, prefix=kafka.prefix))
    moments = await a_day(config, caplog)
    setup, client = setup_of(config), ControlClient(config.kafka, "test")
    controls = await client.refresh()
    await client.close()
    async with Log(config.kafka) as log:

        async def rule(target: str, moment: str):
            story = await explain_target(log, controls, setup, target, moments[moment])
            return next((r for r in story.rules if r.rule == "slow"), None), story

        shop, _ = await rule("shop", "as the file has it")
        assert (shop.version, shop.set_by, shop.holds) == (0, "", True)
        assert "latency was 200 ms (> 100 ms)" in shop.said
        assert shop.changed.startswith(
            "as the file had it; it was changed since: version 1, value 100 → 300 by ada at "
        )
        shop, story = await rule("shop", "300")
        assert (shop.version, shop.set_by, shop.holds) == (1, "ada", False)
        assert "latency was 200 ms, needs > 300 ms" in shop.said
        before = [m.said for m in story.timeline if m.what == "control" and not m.facts["after"]]
        assert len(before) == 1
        assert before[0].startswith("rule slow: value 100 → 300 by ada at ")
        gone, story = await rule("wiki", "taken out")
        assert gone is None
        assert any("rule slow: taken out by eve at " in m.said for m in story.timeline)
        wiki, _ = await rule("wiki", "500")
        assert (wiki.version, wiki.state) == (3, "snoozed")
        assert "latency was 1000 ms (> 500 ms)" in wiki.said
        mail, _ = await rule("mail", "2000")
        assert "needs > 2000 ms" in mail.said
        assert "its threshold set to value 2000 by eve at " in mail.changed
        alerts = [a for a in await log.alerts((), ["shop", "blog", "wiki", "mail"]) if a.number == 1]
        told = {a.target: await explain_alert(log, controls, setup, a.id, now_ms()) for a in alerts if a.rule == "slow"}
    assert {t: (s.version, s.set_by) for t, s in told.items()} == {
        "shop": (0, ""), "blog": (1, "ada"), "wiki": (3, "ada"), "mail": (3, "ada"),
    }  # fmt: skip
    text = in_words(told["blog"])
    assert "its rule was version 1, value 100 → 300 by ada at " in text
    assert "it was changed since: version 2, taken out by eve at " in text
    order = [m.said for m in told["blog"].timeline if m.what in ("control", "decision")]
    assert [next(w for w in ("silence s1: set", "silence s1: taken out", "suppressed", "firing", "resolved", "rule slow")
                 if said.startswith(w)) for said in order] == [
        "firing", "silence s1: set", "suppressed", "silence s1: taken out", "firing", "rule slow", "resolved",
    ]  # fmt: skip
