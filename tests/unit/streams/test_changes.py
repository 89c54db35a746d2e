"""What was changed at run time, in the order of time, and how far back that is known."""

from __future__ import annotations

from dataclasses import replace

import orjson

from schemas import Control
from streams.changes import Changes, did
from streams.control import FILE_UNKNOWN
from tests.kit.changes import change, records, written

SLOW = {"name": "slow", "metric": "latency", "value": 100.0}
FAST = SLOW | {"value": 50.0}


def stood(changes: Changes, at: float) -> float | None:
    """The value of the rule at a time; None where there was none on the topic."""
    record = changes.at("rule", "slow", at)
    return None if record is None or record.deleted else orjson.loads(record.body)["value"]


def test_a_time_between_two_changes_has_the_first():
    """What was changed later is taken back, also a deletion; before the first change there is nothing."""
    changes = Changes(written(change(1, 10.0, SLOW), change(2, 20.0, FAST, SLOW), change(3, 30.0, None, FAST)))
    assert {at: stood(changes, at) for at in (5.0, 10.0, 19.0, 20.0, 29.0, 30.0, 99.0)} == {
        5.0: None, 10.0: 100.0, 19.0: 100.0, 20.0: 50.0, 29.0: 50.0, 30.0: None, 99.0: None,
    }  # fmt: skip
    assert changes.at("rule", "slow", 99.0).deleted
    assert changes.at("rule", "slow", 25.0).version == 2
    assert changes.gaps == []


def test_what_a_replay_is_fed_is_what_stood_and_what_came():
    """The last version up to its beginning, at its beginning; each later one at its time; nothing after its end."""
    changes = Changes(written(change(1, 10.0, SLOW), change(2, 20.0, FAST, SLOW), change(3, 30.0, None, FAST)))
    fed = [(at, c.version, c.deleted) for at, c in changes.records(15.0, 29.0)]
    assert fed == [(15.0, 1, False), (20.0, 2, False)]
    assert [(at, c.version, c.deleted) for at, c in changes.records(20.0, 99.0)] == [(20.0, 2, False), (30.0, 3, True)]
    assert changes.records(0.0, 99.0, ("silence",)) == []


def test_compaction_takes_nothing_of_it():
    """Of each key only the last record is left: the changes, and their times, are those of the whole topic."""
    some = [change(1, 10.0, SLOW), change(2, 20.0, FAST, SLOW), change(3, 30.0, None, FAST), change(4, 40.0, SLOW)]
    whole = [(r.at, r) for r in records(*some)]
    left = list({(r.kind, r.id): (at, r) for at, r in whole}.values())
    assert len(left) < len(whole)
    assert Changes.of(left).records(15.0, 99.0) == Changes.of(whole).records(15.0, 99.0)
    assert [c.version for _, c in Changes.of(left).history("rule", "slow")] == [1, 2, 3, 4]


def test_a_change_counts_from_when_the_broker_took_it():
    """Not from when its writer's clock says it was made, which may be wrong."""
    topic = [(1_000.0 + i, r) for i, r in enumerate(records(change(1, 10.0, SLOW)))]
    assert [at for at, _ in Changes.of(topic).between(0.0, 9_999.0)] == [1_000.0]


def test_of_a_history_that_was_cut_short_the_last_version_before_it_is_known():
    """The oldest change that is kept says what it replaced; that others came before is a gap."""
    changes = Changes(written(change(7, 20.0, FAST, SLOW)))
    assert stood(changes, 10.0) == 100.0
    assert changes.at("rule", "slow", 10.0).version == 6
    assert [(g.kind, g.id, g.at, g.why) for g in changes.gaps] == [
        ("rule", "slow", 20.0, "of versions 1 to 6 only the last is known")
    ]
    gone = Changes(written(change(7, 20.0, FAST)))
    assert gone.at("rule", "slow", 10.0).deleted


def test_what_a_writer_without_history_replaced_is_not_known():
    """A record of a stranger: it stands from its time on, and before is a gap."""
    body = orjson.dumps(SLOW).decode()
    changes = Changes.of([(30.0, Control(kind="rule", id="slow", version=4, actor="x", at=20.0, body=body))])
    assert (stood(changes, 10.0), stood(changes, 30.0)) == (None, 100.0)
    assert [g.why for g in changes.gaps] == ["versions 1 to 3 are not known: whoever wrote them kept no history"]


def test_what_the_file_said_before_is_known_where_somebody_kept_it():
    """An edit of the file: with what it replaced, the rule is that before; else, before is a gap. New is new."""
    kept = Changes(written(change(1, 20.0, FAST, SLOW, actor="file")))
    assert (stood(kept, 10.0), kept.at("rule", "slow", 10.0).version, kept.gaps) == (100.0, 0, [])
    new = Changes(written(change(1, 20.0, FAST, actor="file")))
    assert new.at("rule", "slow", 10.0).deleted  # the file has it now, and had it not
    assert new.gaps == []
    for unknown in (
        [change(1, 20.0, FAST, actor="file", message=FILE_UNKNOWN)],
        [change(1, 20.0, None, actor="file")],
        [change(1, 20.0, FAST), change(2, 30.0, SLOW, FAST, actor="file")],
    ):
        changes = Changes(written(*unknown))
        assert [(g.at, g.why) for g in changes.gaps] == [(20.0, FILE_UNKNOWN)]
        assert changes.at("rule", "slow", 10.0) is None


def test_refused_changes_are_no_past():
    """Only what was accepted was ever in force."""
    controls = written(change(1, 10.0, SLOW))
    refused = replace(change(2, 15.0, SLOW | {"value": 1.0}), outcome="conflict")
    controls.take(records(refused)[1])
    assert stood(Changes(controls), 16.0) == 100.0


def test_a_change_is_told_by_what_differs():
    """Fields with what they were and are; what is new, or gone, in a word."""
    assert did(change(2, 1.0, FAST | {"for": "1m"}, SLOW)) == "value 100 → 50, for none → 1m"
    assert did(change(1, 1.0, SLOW)) == "set"
    assert did(change(2, 1.0, None, SLOW)) == "taken out"
    assert did(change(2, 1.0, SLOW, SLOW)) == "set again as it was"
    assert did(change(1, 1.0, {"value": 300.0, "comment": "c"}, kind="threshold")) == "set to value 300"
    many = {f"f{i}": i for i in range(5)}
    assert did(change(2, 1.0, many, {})) == "f0 none → 0, f1 none → 1, f2 none → 2, and 2 fields more"
