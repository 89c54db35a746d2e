"""Samples in, alerts out: by a clock that only the input moves."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import orjson
import pytest

from schemas import Control, SampleBatch, encode
from streams.partition import partition_of
from streams.records import Record
from streams.replay import Replay
from streams.rules import Rule
from streams.silences import DeclaredSilence
from streams.suppression import Suppressions

START = 1_760_000_000_000
pytestmark = pytest.mark.usefixtures("compiled")


@dataclass
class Target:
    name: str
    labels: dict[str, str] = field(default_factory=dict)

    @property
    def all_labels(self) -> dict[str, str]:
        return {"kind": "http", **self.labels, "target": self.name}


def rule(name: str = "down", **more) -> Rule:
    return Rule.model_validate({"name": name, "metric": "up", "operator": "==", "value": 0, **more})


def sampled(replay: Replay, at_s: float, **oks: bool) -> None:
    at = START + at_s * 1000.0
    n = len(oks)
    replay.samples(
        at, SampleBatch(probe="p", target=list(oks), time=[at] * n, ok=list(oks.values()), latency_ms=[1.0] * n)
    )


def told(replay: Replay) -> list[tuple[str, str, str, float]]:
    return [(a.rule, a.target, a.state, (a.at - START) / 1000.0) for a in replay.transitions]


def replayed(rules, targets=("a", "b"), **more) -> Replay:
    return Replay(rules, [Target(t) for t in targets], partitions=2, start_ms=START, **more)


def test_a_duration_is_over_at_its_time():
    """An alert fires when its rule has held for so long, though no sample comes then, and ends with the sample."""
    replay = replayed([rule(**{"for": "1m"})])
    sampled(replay, 10, a=False, b=True)
    sampled(replay, 100, a=True, b=True)
    replay.advance(START + 200_000)
    assert told(replay) == [
        ("down", "a", "pending", 10.0), ("down", "a", "firing", 70.0), ("down", "a", "resolved", 100.0),
    ]  # fmt: skip


def test_what_ends_at_the_very_time_does_not_fire():
    """A sample comes before the clock of the same moment, as the role reads what there is before it looks at the time."""
    replay = replayed([rule(**{"for": "1m"})])
    sampled(replay, 10, a=False)
    sampled(replay, 70, a=True)
    replay.advance(START + 200_000)
    assert [state for _, _, state, _ in told(replay)] == ["pending", "cancelled"]


def test_absence_is_noticed_though_nothing_comes():
    """Time passes in a partition without samples: the one target that is silent is noticed, at its time."""
    replay = replayed([Rule(name="silent", metric="absent", value=60)])
    for at in range(0, 200, 10):
        sampled(replay, at, a=True)
    replay.advance(START + 200_000)
    [(name, target, state, at)] = told(replay)
    assert (name, target, state) == ("silent", "b", "firing")
    assert 60 <= at <= 70


def test_a_silence_begins_and_ends_at_its_times():
    """An alert that fires is quiet from the start of a silence to its end, and told then."""
    silence = DeclaredSilence(name="s", matchers=("target=a",), starts=START + 30_000, ends=START + 60_000)
    replay = replayed([rule()], suppressions=Suppressions(silences=[silence]))
    sampled(replay, 10, a=False)
    replay.advance(START + 100_000)
    assert told(replay) == [
        ("down", "a", "firing", 10.0), ("down", "a", "suppressed", 30.0), ("down", "a", "firing", 60.0),
    ]  # fmt: skip


def test_what_people_ask_for_is_taken_in_at_its_time():
    """A silence of the control topic keeps quiet from when it was asked for, not before."""
    replay = replayed([rule()])
    body = {"matchers": ["target=a"], "starts": START, "ends": START + 1_000_000, "author": "ada", "comment": "c"}
    control = Control(kind="silence", id="1", version=1, actor="ada", at=0.0, body=orjson.dumps(body).decode())
    replay.control(START + 50_000, control)
    sampled(replay, 10, a=False)
    replay.advance(START + 100_000)
    assert [(state, round(at)) for _, _, state, at in told(replay)] == [("firing", 10), ("suppressed", 50)]


def test_groups_and_composites_follow_their_parts():
    """A group fires when enough of its targets fail, and a composite when what it is made of does."""
    rules = [rule(), rule("both-down", at_least=2), Rule(name="all-red", alerts={"all": ["down"]}, severity="critical")]
    replay = replayed(rules)
    sampled(replay, 10, a=False, b=True)
    sampled(replay, 20, a=False, b=False)
    sampled(replay, 30, a=True, b=True)
    replay.advance(START + 100_000)
    fired = {(r, t): at for r, t, state, at in told(replay) if state == "firing"}
    ended = {(r, t): at for r, t, state, at in told(replay) if state == "resolved"}
    assert fired == {
        ("down", "a"): 10, ("down", "b"): 20, ("both-down", "group:all"): 20, ("all-red", "a"): 10, ("all-red", "b"): 20,
    }  # fmt: skip
    assert ended == dict.fromkeys(fired, 30.0)


def test_time_does_not_go_back():
    """A record from before the clock is refused, not put in where it no longer belongs."""
    replay = replayed([rule()])
    replay.advance(START + 10_000)
    with pytest.raises(ValueError, match="is not after"):
        sampled(replay, 10, a=True)


def history(seed: int) -> list[tuple[float, str, bool]]:
    rng = random.Random(seed)
    at, found = 0.0, []
    for _ in range(300):
        at += rng.choice([0.001, 0.5, 3.0, 20.0, 90.0])
        found.append((round(at, 3), rng.choice("abcd"), rng.random() < 0.6))
    return found


RULES = [
    rule(**{"for": "20s", "keep_firing_for": "15s", "cooldown": "1m"}),
    Rule(name="errors", metric="error_rate", window="1m", value=0.4, min_samples=2, severity="critical"),
    Rule(name="silent", metric="absent", value=120, severity="info"),
    rule("some", share=0.5, **{"for": "5s"}),
    Rule(name="worse", alerts={"all": ["down", "errors"]}),
]


@pytest.mark.parametrize("seed", range(5))
def test_how_the_input_is_cut_does_not_matter(seed):
    """All at once, by the minute, by the sample, fed partition by partition: the same transitions to the last byte."""
    some = history(seed)

    def run(every: float | None) -> bytes:
        replay = replayed(RULES, "abcd")
        due = 0.0
        for at, target, ok in some:
            if every is not None and at > due:
                replay.advance(START + due * 1000.0)
                due = at + every
            sampled(replay, at, **{target: ok})
        replay.advance(START + some[-1][0] * 1000.0 + 600_000)
        assert replay.transitions
        return orjson.dumps([a.to_dict() for a in replay.transitions], option=orjson.OPT_SERIALIZE_NUMPY)

    whole = run(None)
    assert run(60.0) == whole
    assert run(0.0) == whole


def test_a_log_is_taken_as_it_stands():
    """Records of a log keep their offsets, and no empty ones are put in."""
    replay = replayed([rule()], idle=False)
    batch = SampleBatch(probe="p", target=["a"], time=[START + 1000.0], ok=[False], latency_ms=[1.0])
    home = partition_of("a", 2)
    replay.feed(home, [Record(700, START + 1000, encode(batch))])
    replay.advance(START + 100_000)
    assert [(a.source_partition, a.source_offset) for a in replay.transitions] == [(home, 700)]


def slow(version: int, value: float | None = None, **more) -> Control:
    body = {"name": "slow", "metric": "latency", "value": value, "cooldown": 0, **more}
    return Control(
        kind="rule", id="slow", version=version, deleted=value is None, actor="ada", at=0.0,
        body=orjson.dumps(body if value is not None else {}).decode(),
    )  # fmt: skip


def timed(replay: Replay, at_s: float, **latencies: float) -> None:
    at, n = START + at_s * 1000.0, len(latencies)
    batch = SampleBatch(
        probe="p", target=list(latencies), time=[at] * n, ok=[True] * n, latency_ms=list(latencies.values())
    )
    replay.samples(at, batch)


def test_a_rule_is_judged_as_it_stands_at_each_moment():
    """A rule that is set, edited and taken out on the way counts from then on, by what was counted before as well."""
    replay = replayed([rule()], targets="a")
    for at in range(0, 70, 10):
        timed(replay, at, a=200.0)
    replay.control(START + 15_000, slow(1, 100.0, window="1m"))
    replay.control(START + 35_000, slow(2, 300.0, window="1m"))
    replay.control(START + 45_000, slow(3, 150.0, window="1m"))
    replay.control(START + 57_000, slow(4))
    replay.advance(START + 100_000)
    assert [(f.at - START, f.finding.holds, f.finding.rule_version, f.finding.count) for f in replay.findings] == [
        (20_000, True, 1, 3.0), (40_000, False, 2, 5.0), (50_000, True, 3, 6.0), (57_000, False, 0, 6.0),
    ]  # fmt: skip
    assert (replay.transitions[-1].state, replay.transitions[-1].reason) == ("resolved", "rule_removed")


def test_a_target_that_joins_the_matchers_of_a_rule_is_judged_from_then_on():
    """Labels that are changed on the way count from then on."""
    replay = replayed([rule(match=['team="web"'])], targets="a")
    body = {"name": "a", "kind": "http", "labels": {"team": "web"}}
    replay.control(
        START + 15_000, Control(kind="target", id="a", version=1, actor="ada", at=0.0, body=orjson.dumps(body).decode())
    )
    for at in (10, 20):
        sampled(replay, at, a=False)
    replay.advance(START + 30_000)
    assert [(f.at - START, f.finding.rule) for f in replay.findings] == [(20_000, "down")]


@pytest.mark.parametrize("seed", range(3))
def test_changes_on_the_way_do_not_depend_on_how_the_input_is_cut(seed):
    """Rules that change again and again, at the very time of a sample too: the same transitions to the last byte."""
    some, rng = history(seed), random.Random(seed)
    changes = [(round(at, 3), rng.choice([None, 0, 1])) for at, _, _ in some[:: rng.randint(7, 15)]]

    def run(every: float | None) -> bytes:
        replay, due = replayed(RULES, "abcd"), 0.0
        moments = [(at, 0, v) for at, v in changes] + [(at, 1, (target, ok)) for at, target, ok in some]
        version = 0
        for at, kind, what in sorted(moments, key=lambda m: m[:2]):
            if every is not None and at > due:
                replay.advance(START + due * 1000.0)
                due = at + every
            if kind == 1:
                sampled(replay, at, **{what[0]: what[1]})
                continue
            version += 1
            body = {"name": "down", "metric": "up", "operator": "==", "value": what}
            control = Control(
                kind="rule", id="down", version=version, deleted=what is None, actor="ada", at=0.0,
                body=orjson.dumps(body if what is not None else {}).decode(),
            )  # fmt: skip
            replay.control(START + at * 1000.0, control)
        replay.advance(START + some[-1][0] * 1000.0 + 600_000)
        assert len({f.finding.rule_version for f in replay.findings}) > 3
        found = [[f.at, f.partition, f.offset, f.finding.rule, f.finding.rule_version] for f in replay.findings]
        told = [a.to_dict() for a in replay.transitions]
        return orjson.dumps([sorted(found), told], option=orjson.OPT_SERIALIZE_NUMPY)

    whole = run(None)
    assert run(60.0) == whole
    assert run(0.0) == whole
