"""A target's samples folded again show what detection saw of it among all the others."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import orjson
import pytest

from schemas import Control
from streams.admission import Admission
from streams.explain.looking import Looking
from streams.findings import finding
from streams.fold import Fold
from streams.kernel import state
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.replay import Detection, Terms
from streams.rules import Rule
from streams.rules.compile import compile_rules
from streams.rules.words import STATUS_NAMES
from streams.seeing import see
from tests.kit.folding import START, Log

TARGETS = ("api", "shop", "blog", "cart")
RULES = tuple(
    Rule.model_validate(r)
    for r in (
        {"name": "down", "metric": "consecutive_failures", "operator": ">=", "value": 2, "severity": "critical"},
        {"name": "errors", "metric": "error_rate", "window": "1m", "value": 0.3, "recover": 0.1, "min_samples": 4},
        {"name": "odd", "metric": "latency", "aggregate": "zscore", "value": 3},
        {"name": "p95", "metric": "latency", "aggregate": "p95", "window": "5m", "value": 200},
        {"name": "gone", "metric": "absent", "value": "25s"},
        {"name": "cpu", "metric": "cpu.used_percent", "value": 90},
        {"name": "sick", "metric": "status", "operator": "==", "value": "unhealthy"},
        {"name": "not-for-it", "metric": "latency", "value": 1, "match": ['target!="api"']},
    )
)
pytestmark = pytest.mark.usefixtures("compiled")


def history(seed: int) -> list:
    """Some minutes of samples of several targets, with gaps in which only time passes."""
    chance, log = random.Random(seed), Log(START)
    for _ in range(chance.randint(20, 120)):
        some = chance.sample(TARGETS, chance.randint(1, 3))
        samples = [(t, chance.random() > 0.35, chance.choice([10.0, 12.0, 11.0, 400.0])) for t in some]
        metrics = {"cpu.used_percent": [chance.choice([50.0, 95.0, math.nan]) for _ in some]}
        details = [(0, "503", f"of {some[0]}")] if chance.random() < 0.3 else ()
        log(*samples, after=chance.choice([0, 500, 3_000, 11_000, 40_000]), metrics=metrics, details=details)
        if chance.random() < 0.2:
            log(after=chance.choice([5_000, 31_000]), probe="tick")
        for _ in range(chance.randint(0, 12) if chance.random() < 0.3 else 0):  # only others, many in a moment
            log(("shop", True), after=chance.choice([700, 2_100]))
    return log.records


def whole(records: list) -> tuple[Fold, list]:
    fold = Fold(
        0,
        RULES,
        compile_rules(RULES),
        Admission(labels_of=lambda t: {"target": t}, known=lambda _: True),
        Limits(),
    )
    fold.expect(["api"])
    return fold, [finding(fold, c) for c in fold.take(records).changes]


def terms() -> Terms:
    return Terms(rules=RULES, labels={"api": {"target": "api"}}, partitions=1)


@pytest.mark.parametrize("seed", range(12))
def test_it_sees_what_detection_saw(seed):
    """Findings, values, truths and status are those of a fold of every record, however the records are cut."""
    assert partition_of("api", 1) == 0
    records = history(seed)
    fold, found = whole(records)
    looking, at, chance = Looking("api", 0, terms()), 0, random.Random(seed)
    while at < len(records):
        step = chance.randint(1, 40)
        looking.take(records[at : at + step])
        at += step
    assert repr(looking.seen(math.inf)) == repr(see(fold, "api"))
    mine = [f for f in found if f.target == "api"]
    assert [repr(f.finding) for f in looking.findings] == [repr(f) for f in mine]
    target = int(fold.memory.target_of[fold.memory.number["api"]])
    if looking.sampled:
        assert looking.status()[0] == STATUS_NAMES[int(fold.state.targets.flag[target, state.STATUS])]
    held = {f.rule for f in mine if f.holds} - {f.rule for i, f in enumerate(mine) if not f.holds and f.rule not in {
        g.rule for g in mine[i + 1 :] if g.holds}}  # fmt: skip
    assert {RULES[s.rule].name for s in looking.seen(math.inf) if s.holds} == held
    assert all((looking.holds_since(r.name) is not None) == (r.name in held) for r in RULES)


def test_looking_changes_nothing():
    """Asked twice, it answers the same, and the truths are as each rule would be judged now."""
    log = Log()
    log(("api", False), ("api", False))
    log(("api", True, 500.0), after=1000, metrics={"cpu.used_percent": [95.0]})
    looking = Looking("api", 0, terms())
    looking.take(log.records)
    first = looking.seen(math.inf)
    assert repr(looking.seen(math.inf)) == repr(first)
    by_name = {RULES[s.rule].name: s for s in first}
    assert "not-for-it" not in by_name
    assert (by_name["cpu"].holds, by_name["cpu"].seen[0][0]) == (True, 95.0)
    assert (by_name["errors"].holds, by_name["errors"].seen[0][2]) == (False, state.UNSURE)
    assert (by_name["down"].holds, by_name["down"].seen[0]) == (False, (0.0, 1.0, state.FALSE))


def test_refused_samples_of_the_target_are_counted_and_those_of_others_are_not():
    """Late and impossible samples are why nothing was seen."""
    log = Log()
    log(("api", True, 1.0, 7_200_000), ("shop", True, 1.0, 7_200_000))
    log(("api", True, -1.0))
    looking = Looking("api", 0, terms())
    looking.take(log.records)
    looking.seen(math.inf)
    assert dict(looking.refused) == {"late_sample": 1, "bad_value": 1}
    assert not looking.sampled
    assert looking.status() == ("unknown", None, 0)


def test_the_last_samples_have_what_came_with_them():
    """At most five, oldest first, with status, message and metrics."""
    log = Log()
    for i in range(7):
        log(("shop", True), ("api", False, float(i)), after=100, metrics={"cpu.used_percent": [1.0, 2.0]},
            details=[(1, "503", f"no. {i}")])  # fmt: skip
    looking = Looking("api", 0, terms())
    looking.take(log.records)
    samples = looking.samples()
    assert [s.message for s in samples] == [f"no. {i}" for i in range(2, 7)]
    assert (samples[-1].latency_ms, samples[-1].metrics, samples[-1].ok) == (6.0, {"cpu.used_percent": 2.0}, False)


@pytest.mark.parametrize("seed", range(6))
def test_it_sees_what_detection_saw_though_rules_were_changed_on_the_way(seed):
    """Rules set, edited and taken out in the middle: findings and what is seen are those of a replay of every record."""
    records, chance = history(seed), random.Random(seed)
    controls = []
    for version in range(1, 4):
        body = {"name": "down", "metric": "consecutive_failures", "operator": ">=", "value": chance.randint(1, 4)}
        gone = version == 2 and chance.random() < 0.5
        at = float(records[len(records) * version // 4].time + chance.choice([0, 1]))
        text = orjson.dumps({} if gone else body).decode()
        record = Control(kind="rule", id="down", version=version, deleted=gone, actor="a", at=at, body=text)
        controls.append((at, record))
    asked = replace(terms(), controls=tuple(controls))
    every = Detection(asked)
    found = [f for f in every.feed(0, records) if f.finding.target == "api"]
    found += [f for f in every.advance(0, math.inf) if f.finding.target == "api"]
    looking = Looking("api", 0, asked)
    looking.take(records)
    assert repr(looking.seen(math.inf)) == repr(see(every.fold(0), "api"))
    # What ceased because its rule changed names the last record before it, and records of others are left out here.
    assert [repr(replace(f.finding, source_offset=-1)) for f in looking.findings] == [
        repr(replace(f.finding, source_offset=-1)) for f in found
    ]
    assert looking.fold.rules[0].value == orjson.loads(controls[-1][1].body)["value"]
