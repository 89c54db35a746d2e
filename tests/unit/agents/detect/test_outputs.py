"""What detect tells: findings, health and rollups."""

from __future__ import annotations

import math
import random

import pytest

from agents.detect import intake, outputs
from schemas import SampleBatch, decode, encode
from streams.kernel import state
from streams.partition_state import Limits
from streams.records import Record
from streams.rules import Rule
from tests.kit.folding import START, Log, fold, record, rule, tick

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
PANE = 10_000


def health_of(one, name, now=START):
    outputs.due_health(one, float(now), 0.0, 1000)
    target = int(one.memory.target_of[one.memory.number[name]])
    return outputs.health(one, target, outputs.metric_rows(one, [target]))


def test_health_says_how_a_target_is():
    """Status, since when, latest values, sums over 5 min and an hour, baseline, rules, text, labels."""
    rules = [rule("down", value=2, severity="critical"), rule("hot", "cpu", ">", 90.0, severity="warning")]
    one, log = fold(rules, labels_of=lambda t: {"target": t, "team": "web"}), Log()
    for _ in range(25):
        log(("t", True, 100.0), metrics={"cpu": [50.0], "disk": [math.nan]})
    log(("t", False, 7.0), after=600_000, metrics={"cpu": [95.0]})
    log(("t", False, math.nan), after=1000, details=[(0, "503", "no")])
    one.take(log.records)
    found = health_of(one, "t")
    assert (found.target, found.status, found.since, found.time, found.ok) == (
        "t",
        "unhealthy",
        log.now,
        log.now,
        False,
    )
    assert (found.latency_ms, found.latency_mean_ms, found.baseline_ms) == (None, 7.0, 100.0)
    assert (found.error_rate, found.count_1h, found.errors_1h, found.consecutive_failures) == (1.0, 27.0, 2.0, 2)
    assert (found.metrics, found.rules, found.code, found.message) == ({"cpu": 95.0}, ["down", "hot"], "503", "no")
    assert found.labels == {"target": "t", "team": "web"}
    assert decode(encode(found), type(found)) == found


def test_health_of_a_target_without_a_sample_can_be_told():
    """A target that is only expected has a health that can be written: unknown, nothing counted."""
    one = fold([rule("gone", "absent", ">", 60.0)])
    one.expect(["t"])
    one.take([tick(i, START + i * PANE) for i in range(10)])
    found = health_of(one, "t")
    assert (found.count_1h, found.error_rate, found.latency_ms, found.rules) == (0.0, 0.0, None, ["gone"])
    assert encode(found)


def test_changed_status_is_told_at_once_and_the_rest_when_it_is_due():
    """A status that changed is told at each commit, one that stays only so often, and of these at most so many, oldest first."""
    one, names = fold([rule("down", value=1, severity="critical")]), [f"t{i}" for i in range(10)]
    one.take([record(0, START, *((n, START, True, 1.0) for n in names))])
    assert sorted(outputs.due_health(one, START, 1000.0, 3)) == list(range(10))  # each has a status now
    assert outputs.due_health(one, START + 5000, 1000.0, 3) == []  # nothing came
    one.take([record(1, START, *((n, START, n != "t4", 1.0) for n in names))])
    assert outputs.due_health(one, START + 500, 1000.0, 3) == [4]
    waiting = [outputs.due_health(one, START + 1000, 1000.0, 3) for _ in range(4)]
    assert [len(w) for w in waiting] == [3, 3, 3, 0]
    assert sorted(t for w in waiting for t in w) == [0, 1, 2, 3, 5, 6, 7, 8, 9]


def test_forgotten_target_has_no_health():
    """What is given up is not told again."""
    one = fold(limits=Limits(forget_ms=7_200_000.0))
    one.take([record(0, START, ("a", START, True, 1.0), ("b", START, True, 1.0)), tick(1, START + 4 * 3_600_000)])
    assert outputs.due_health(one, START, 0.0, 10) == []


def told(one, now):
    """Rollups as {(pane start, pane length): {target or metric: (count, errors, values, sum, least, most)}}."""
    found = {}
    for r in outputs.rollups(one, float(now)):
        rows = zip(
            r.target, r.metric, r.count, r.errors, r.value_count, r.value_sum, r.value_min, r.value_max, strict=True
        )
        found.setdefault((r.pane_start, r.pane_ms), {}).update({(t, m): tuple(v) for t, m, *v in rows})
        assert r.partition == one.partition
        assert decode(encode(r), type(r)).count == r.count
    return found


def test_pane_that_is_over_is_told_once():
    """A pane is told when it is over, each target and metric with its sums, and not again while nothing comes."""
    one = fold()
    start = START // PANE * PANE
    rows = [("t", start, True, 5.0), ("t", start + 9_999, False, math.nan), ("u", start + 1, True, 7.0)]
    one.take([record(0, start + 9_999, *rows, metrics={"cpu": [50.0, math.nan, math.nan]})])
    assert told(one, start + 9_999) == {}
    ((pane, found),) = told(one, start + PANE).items()
    assert pane == (start, PANE)
    assert found["t", ""] == (2, 1, 1, 5.0, 5.0, 5.0)
    assert found["u", ""] == (1, 0, 1, 7.0, 7.0, 7.0)
    assert found["t", "cpu"] == (1, 0, 1, 50.0, 50.0, 50.0)
    assert len(found) == 3
    assert told(one, start + PANE) == {}


def test_late_sample_tells_its_pane_again_whole():
    """A late sample brings its pane once more with all that is in it; one whose pane of 10 s is gone, that of 5 min."""
    one, start = fold(), START // 300_000 * 300_000
    one.take([record(0, start, ("t", start, True, 1.0))])
    assert set(told(one, start + PANE)) == {(start, PANE)}
    later = start + 200_000
    one.take([record(1, later, ("t", start + 5, True, 3.0))])
    assert told(one, later) == {(start, PANE): {("t", ""): (2, 0, 2, 4.0, 1.0, 3.0)}}
    much_later = start + 1_000_000
    one.take([record(2, much_later, ("t", start + 15_000, False, 8.0))])
    assert told(one, much_later)[start, 300_000] == {("t", ""): (3, 1, 3, 12.0, 1.0, 8.0)}


@pytest.mark.parametrize("seed", range(5))
def test_no_sample_is_missing_from_what_is_told(seed):
    """Told within a minute, whatever comes late: the fuller of a pane of 5 min and its short ones has every sample."""
    dice, one, log, taken = random.Random(seed), fold(), Log(), 0
    short, long = {}, {}

    def tell(now):
        for (pane, ms), rows in told(one, now).items():
            for (target, _), sums in rows.items():
                (short if ms == PANE else long)[pane, target] = sums[0]

    for k in range(600):
        late = [
            dice.choice([0, 0, 2_000, 30_000, 230_000, 245_000, 280_000, 295_000, 3_500_000])
            for _ in range(dice.randrange(4))
        ]
        one.take(
            [log(*((f"t{dice.randrange(300)}", True, 1.0, ms) for ms in late), after=dice.choice([100, 3000, 9000]))]
        )
        taken += len(late)
        if k % 5 == 0 or dice.random() < 0.2:
            tell(log.now)
    tell(log.now + 400_000)
    sums = {}
    for (pane, target), count in short.items():
        key = (pane // 300_000 * 300_000, target)
        sums[key] = sums.get(key, 0) + count
    assert sum(max(sums.get(key, 0), long.get(key, 0)) for key in sums | long) == taken


def test_finding_names_what_decided():
    """A finding has the rule's words, every condition in words with what was seen, and where in the log it was decided."""
    slow = Rule.model_validate(
        {"name": "slow", "severity": "critical", "all": [
            {"metric": "latency", "aggregate": "mean", "window": "1m", "operator": ">", "value": 50},
            {"metric": "consecutive_failures", "operator": ">=", "value": 1}]}
    )  # fmt: skip
    one = fold([slow])
    (change,) = one.take([record(5, START, ("t", START, False, 80.0), details=[(0, "500", "oops")])]).changes
    found = outputs.finding(one, change)
    assert (found.target, found.rule, found.holds, found.time, found.severity) == ("t", "slow", True, START, "critical")
    assert (found.status, found.message, found.source_partition, found.source_offset) == ("500", "oops", 0, 5)
    assert (found.value, found.count, found.window_s, found.threshold, found.baseline) == (80.0, 1.0, 60.0, 50.0, None)
    assert [(c["value"], c["threshold"], c["holds"], c["window_s"]) for c in found.conditions] == [
        (80.0, 50.0, True, 60.0),
        (1.0, 1.0, True, 0.0),
    ]
    assert all(c["text"] for c in found.conditions)
    assert decode(encode(found), type(found)) == found


class Message:
    key, headers = b"k", (("h", b"v"),)


def test_letter_holds_the_refused_rows_alone():
    """The dead letter of some samples is a batch of those, with their details; of a whole record, its bytes."""
    value = encode(SampleBatch(probe="p", target=["a", "b", "c"], time=[START, math.nan, START], ok=[True] * 3, latency_ms=[1.0, 2.0, -3.0],
                               details=[{"row": 2, "status": "s", "message": "m"}]))  # fmt: skip
    one = fold()
    outcome = one.take([Record(0, START, value), Record(1, START, b"junk")])
    some, whole = (intake.letter(r, "samples", 0, Message) for r in outcome.refused)
    batch = decode(some.value, SampleBatch)
    assert (batch.target, batch.latency_ms, some.count, some.reason) == (["b", "c"], [2.0, -3.0], 2, "bad_value")
    assert [(d["row"], d["status"]) for d in batch.details] == [(1, "s")]
    assert (whole.value, whole.count, whole.reason) == (b"junk", 1, "not_avro")


def test_letter_of_a_batch_that_is_no_text_is_the_record():
    """A batch that fastavro cannot read, for a name that is no UTF-8, can still be written about: as it came."""
    value = encode(SampleBatch(probe="p", target=["aa", "b"], time=[START] * 2, ok=[True] * 2, latency_ms=[1.0, 2.0]))
    bad = value.replace(b"\x04aa", b"\x04a\xff")
    one = fold()
    (refused,) = one.take([Record(0, START, bad)]).refused
    letter = intake.letter(refused, "samples", 0, Message)
    assert (letter.value, letter.count, letter.reason) == (bad, 1, "bad_value")
    assert one.state.clock[state.TARGETS] == 1
