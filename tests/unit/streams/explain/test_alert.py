"""The story of an alert, from transitions that the real engine made."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
import pytest

from schemas import Control, Notification, SampleBatch
from streams.causes import DependencySettings
from streams.changes import Changes
from streams.control import Controls
from streams.dependencies import Dependencies
from streams.explain import alert as of_alert
from streams.explain.episode import Episode, told_before
from streams.explain.past import Past
from streams.explain.quiet import Who
from streams.explain.setup import Setup
from streams.explain.text import as_json, in_words
from streams.life import LifeDefaults
from streams.maintenance import Window
from streams.replay import Replay
from streams.routing import Route
from streams.rules import Rule, expand
from streams.silences import DeclaredSilence
from streams.suppression import Suppressions

START = 1_700_000_000_000.0  # 2023-11-14T22:13:20Z
pytestmark = pytest.mark.usefixtures("compiled")


def target(name, depends_on=(), **labels):
    return SimpleNamespace(
        name=name, labels=labels, depends_on=depends_on, all_labels={"kind": "http", **labels, "target": name}
    )  # fmt: skip


class Story:
    """A setup, and what people do and samples say in it; then the story of one of its alerts."""

    def __init__(self, *rules, targets=(), silences=(), maintenance=(), **defaults):
        self.targets = targets or (target("api", team="web"),)
        self.setup = Setup(
            rules=expand([Rule.model_validate(r) for r in rules]),
            targets=self.targets,
            route=Route(receiver="ops"),
            channels={"ops": ["slack"]},
            silences=tuple(silences),
            maintenance=tuple(maintenance),
            defaults=LifeDefaults(**defaults),
        )
        self.controls, self.now, self.versions = Controls(), START, 0
        self.replay = Replay(
            self.setup.rules,
            self.targets,
            defaults=self.setup.defaults,
            suppressions=Suppressions(
                dependencies=Dependencies(self.targets),
                settings=DependencySettings(),
                silences=silences,
                maintenance=maintenance,
            ),
            start_ms=START,
        )

    def samples(self, after_s, *oks, name="api", latency=10.0):
        self.now += after_s * 1000.0
        n = len(oks)
        self.replay.samples(
            self.now,
            SampleBatch(
                probe="p", target=[name] * n, time=[self.now + i for i in range(n)], ok=list(oks), latency_ms=[latency] * n,
                details=[{"row": n - 1, "status": "", "message": "no route to host"}] if not oks[-1] else [],
            ),
        )  # fmt: skip
        return self

    def asks(self, after_s, kind, alert, **body):
        self.wait(after_s)
        self.versions += 1
        control = Control(
            kind=kind,
            id=alert.id,
            version=self.versions,
            actor="ada",
            at=self.now + 1,
            body=orjson.dumps(body).decode(),
        )
        self.now += 1.0
        self.replay.control(self.now, control)
        return self

    def wait(self, after_s):
        self.now += after_s * 1000.0
        self.replay.advance(self.now)
        return self

    def of(self, rule, which=-1):
        self.wait(0.5)
        ids = list(dict.fromkeys(a.id for a in self.replay.transitions if a.rule == rule))
        return [a for a in self.replay.transitions if a.id == ids[which]]

    def told(self, transitions):
        """A ledger in which everything that was to be told was delivered 100 ms later."""
        return [step(a, "delivered", "ok", after=100.0) for a in transitions if a.notify]

    def episode(self, rule, steps=None, which=-1):
        mine, every = self.of(rule, which), {}
        for a in self.replay.transitions:
            every.setdefault(a.id, []).append(a)
        changes = Changes(self.controls)
        return Episode(
            mine,
            Past(self.setup, changes).policies(rule, mine[0].at, mine[-1].at),
            Who(changes, self.setup, every),
            steps=self.told(mine) if steps is None else steps,
            told_before=told_before(self.replay.transitions, mine[0]),
        )

    def story(self, rule, steps=None, which=-1):
        episode = self.episode(rule, steps, which)
        findings = [f.finding for f in self.replay.findings if f.finding.rule == rule]
        return of_alert.story(episode, findings, self.setup, self.now)


def step(alert, outcome, reason, *, after=0.0, attempt=1, error="", receiver="ops", channel="slack"):
    return Notification(
        alert_id=alert.id, number=alert.number, state=alert.state, receiver=receiver, channel=channel,
        outcome=outcome, reason=reason, attempt=attempt, idempotency_key="k", at=alert.at + after, error=error,
    )  # fmt: skip


DOWN = {"name": "down", "metric": "consecutive_failures", "operator": ">=", "value": 2, "severity": "critical"}
SLOW = {"name": "slow", "metric": "latency", "value": "100ms"}


def said(story):
    return [m.said for m in story.timeline if m.what == "decision"]


def test_the_answer_names_receiver_time_and_cause():
    """Who, when and why in one sentence; the sample's words and place below it."""
    story = Story(DOWN).samples(1, False, False).story("down")
    assert story.told
    assert story.answer == ("api was paged to ops by slack at 22:13:21 because down: consecutive_failures was 2 (>= 2)")
    assert story.message == "no route to host"
    text = in_words(story)
    assert text.splitlines()[0] == story.answer
    assert "  the sample said: no route to host" in text
    assert "routes:\n  ops (slack)\n    route: its own receiver is ops" in text
    assert as_json(story)["began"] == "2023-11-14T22:13:21.001Z"


def test_a_duration_that_was_not_over_is_told_with_how_long_it_lasted():
    """Cancelled: nobody was told, because it held for 20 of the 60 seconds it has to."""
    story = Story(DOWN | {"for": "60s"}).samples(1, False, False).samples(20, True).story("down")
    assert not story.told
    assert said(story) == [
        "pending, not told: it must hold for 1m, until 22:14:21, before anybody is told",
        "cancelled, not told: it ceased after 20s; it has to hold for 1m",
    ]
    assert story.answer.startswith(
        "Nobody was told about api (down): cancelled at 22:13:41: it ceased after 20s; it has to hold for 1m"
    )


def test_a_pending_alert_says_how_long_it_has_held():
    """As it stands: 20 seconds of 60."""
    told = Story(DOWN | {"for": "60s"}).samples(1, False, False).wait(20)
    _, answer = told.episode("down").answer("api", told.now)
    assert "pending: it had held for 20s of the 1m it has to" in answer
    assert Story(DOWN | {"for": "60s"}).samples(1, False, False).wait(61).story("down").timeline[-2].said == (
        "firing, told: it held for its whole 1m"
    )


def test_an_end_that_is_being_verified_says_how_far_it_is():
    """Why it is not over yet: two good samples of three; and how it ended then."""
    told = Story(DOWN | {"resolve": {"samples": 3, "after": "5s"}}).samples(1, False, False).samples(10, True, True)
    story = told.story("down")
    assert story.answer.endswith("; one more sample with which the rule did not hold (2 of 3 good samples) at 22:13:31")
    assert said(story)[1] == (
        "firing, not told: it ceased; that it stays so is verified for 5s and by 1 of 3 good samples"
    )
    told.samples(10, True)
    assert said(told.story("down"))[-1] == "resolved, told: it did not hold again for 5s and by 3 of 3 good samples"


def test_what_keeps_it_quiet_is_told_whatever_happened_since():
    """Acknowledged, and then its end is being verified: it is still who acknowledged it that counts."""
    told = Story(DOWN | {"resolve": {"samples": 3}}).samples(1, False, False)
    told.asks(10, "ack", told.of("down")[0], comment="on it").samples(10, True)
    assert told.of("down")[-1].reason == "verifying_recovery"
    assert told.episode("down").standing(told.now) == 'acknowledged by ada: "on it"'


def test_a_cooldown_names_the_earlier_telling():
    """The second alert waits for the cooldown of the first."""
    told = (
        Story(SLOW | {"cooldown": "15m"}).samples(1, True, latency=500).samples(10, True).samples(10, True, latency=500)
    )
    story = told.story("slow")
    assert said(story) == [
        "pending, not told: the same alert was told at 22:13:21, and its cooldown of 15m lasts until 22:28:21"
    ]
    told.wait(900)
    assert said(told.story("slow"))[-1] == "firing, told: it still held when its cooldown of 15m was over"


def test_silences_and_maintenance_are_named_with_their_end_and_comment():
    """Both as the file declares them."""
    silence = DeclaredSilence(
        name="migration", matchers=('team="web"',), starts=START, ends=START + 600_000, author="bob", comment="move"
    )
    story = Story(DOWN, silences=[silence]).samples(1, False, False).story("down")
    assert said(story)[-1] == (
        'suppressed, not told: silenced until 22:23:20 by silence migration of bob (team="web"): "move"'
    )
    assert story.answer.startswith("Nobody was told about api (down): silenced until 22:23:20 by silence migration")
    window = Window(name="backups", targets=("api",), start="2023-11-14T22:00", duration="1h", comment="as every day")
    story = Story(DOWN, maintenance=[window]).samples(1, False, False).story("down")
    assert said(story)[-1] == ('suppressed, not told: in maintenance until 23:00:00: window backups: "as every day"')


def test_a_cause_that_is_down_is_named():
    """An alert of a service behind a host that is down says which alert speaks for it."""
    host, api = target("host"), target("api", ("host",))
    told = Story(DOWN, targets=(host, api)).samples(1, False, False, name="host").samples(1, False, False).wait(10)
    story = told.story("down")
    cause = next(a for a in told.replay.transitions if a.target == "host")
    assert story.answer.startswith(
        f"Nobody was told about api (down): the cause is down by alert {cause.id} (down on host, since 2023-11-14 "
    )


def test_the_milder_of_a_pair_says_who_inhibits_it():
    """One rule with two thresholds: the critical one speaks."""
    pair = {"name": "slow", "metric": "latency", "warning": "100ms", "critical": "400ms"}
    told = Story(pair).samples(1, True, latency=500).wait(5)
    mild = next(a.rule for a in told.replay.transitions if a.severity == "warning")
    assert "inhibited by alert " in told.story(mild).answer


def test_people_are_named_with_what_they_said():
    """Acknowledged, snoozed, resolved by hand: by whom, until when, why."""
    told = Story(DOWN).samples(1, False, False).wait(1)
    alert = told.of("down")[0]
    told.asks(5, "ack", alert, comment="on it")
    assert said(told.story("down"))[-1] == 'acknowledged, not told: acknowledged by ada: "on it"'
    told.asks(5, "snooze", alert, until=told.now + 600_000, comment="later")
    assert said(told.story("down"))[-1].startswith("snoozed, not told: snoozed by ada until 22:2")
    told.asks(5, "resolve", alert, comment="fixed")
    assert said(told.story("down"))[-1] == "resolved by ada, told: somebody declared it over (fixed)"


def test_an_escalation_tells_its_step_and_its_receivers():
    """Nobody acknowledged: the step, and the receiver that it names beside the route's."""
    rule = DOWN | {"escalate": [{"after": "5m", "receivers": ["boss"]}]}
    story = Story(rule).samples(1, False, False).wait(301).story("down")
    assert said(story)[-1] == (
        "escalated, step 1, told: nobody acknowledged it in time: the next step of the escalation"
    )
    assert [(r.receiver, r.because[-1]) for r in story.routes][-1] == ("boss", "an escalation names it")


def test_deliveries_that_fail_are_the_answer():
    """It was to be told, and nobody could be: the reason of the last attempt, and every attempt in the timeline."""
    told = Story(DOWN).samples(1, False, False)
    (fired,) = told.of("down")
    steps = [
        step(fired, "intent", "", attempt=1),
        step(fired, "failed", "http_503", after=10.0, attempt=1, error="busy"),
        step(fired, "intent", "", after=20.0, attempt=2),
        step(fired, "given_up", "http_503", after=30.0, attempt=2),
    ]
    story = told.story("down", steps)
    assert not story.told
    assert story.answer.endswith("consecutive_failures was 2 (>= 2): ops by slack: given_up (http_503)")
    assert [m.said for m in story.timeline if m.what == "delivery"] == [
        "ops by slack could not be told: firing, attempt 1: http_503: busy; it is tried again",
        "ops by slack was given up after 2 attempts: firing: http_503",
    ]
    assert (
        "no attempt at it is on record: its receivers have no channel, or notify does not run"
        in told.story("down", []).answer
    )
    unrouted = told.story("down", [step(fired, "skipped", "no_route", attempt=0, receiver="")])
    assert unrouted.answer.endswith(": no route has a receiver for it")


def test_a_preference_that_withheld_it_is_the_answer():
    """Whose wish it was, which, and when it is told: in the answer, and in the timeline; until it is told late."""
    told = Story(DOWN).samples(1, False, False)
    (fired,) = told.of("down")
    wish = "ada (version 2): 22:00 to 07:00 Europe/Berlin, until 2026-11-22T06:00:00.000Z"
    skipped = step(fired, "skipped", "preference_quiet_hours", attempt=0, error=wish)
    story = told.story("down", [skipped])
    assert not story.told
    why = f"not wanted, by the preference of {wish}; told when that is over, if it still fires"
    assert story.answer.endswith(f": ops by slack: {why}")
    assert [m.said for m in story.timeline if m.what == "delivery"] == [f"ops by slack was not told: firing: {why}"]
    late = told.story("down", [skipped, step(fired, "delivered", "ok", after=3600.0)])
    assert late.told
    muted = step(fired, "skipped", "preference_muted", attempt=0, error="ada (file): muted")
    assert told.story("down", [muted]).answer.endswith("by the preference of ada (file): muted")


def test_groups_and_rules_on_alerts_say_of_how_many_and_of_which():
    """A group tells its members; a rule on alerts the alerts."""
    targets = tuple(target(n, region="eu") for n in ("a", "b", "c"))
    group = DOWN | {"name": "region", "group_by": ["region"], "at_least": 2}
    both = {"name": "both", "alerts": ["region"], "group_by": ["region"], "severity": "critical"}
    told = Story(group, both, targets=targets)
    for name in ("a", "b"):
        told.samples(1, False, False, name=name)
    assert told.story("region").answer.endswith("because region: it held for 2 of 3 targets (a, b)")
    assert told.story("both").answer.endswith("because both: alerts fired: region")


def test_what_is_no_longer_there_is_noted():
    """Transitions, findings and rules that are gone are told of, not guessed at."""
    told = Story(DOWN).samples(1, False, False).samples(5, True)
    episode = told.episode("down")
    cut = Episode(episode.transitions[1:], [], episode.who)
    story = of_alert.story(cut, [], told.setup, told.now)
    assert [n.split(":")[0] for n in story.notes] == [
        "its first 1 transitions are no longer on the log", "rule down is no more",
        "the findings are no longer on the log",
    ]  # fmt: skip
