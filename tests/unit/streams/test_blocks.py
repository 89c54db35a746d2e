"""A partition's state written and read back."""

from __future__ import annotations

import math
import random
import struct

import pytest

from streams import blocks
from streams.partition_state import Limits
from tests.kit.folding import SETS, START, Log, fold, named, record, rule, tick, told
from tests.unit.streams.kernel.test_judge import rule_book, stream

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000


def records_of(seed, count=300):
    """A log that brings all there is: late ones, failures with text, metrics, long silences."""
    dice = random.Random(seed)
    return [
        record(
            offset, now, *samples, metrics=metrics,
            details=[(r, "500", f"no {offset}") for r, s in enumerate(samples) if not s[2]],
        )
        for offset, now, samples, metrics in stream(dice, count)
    ]  # fmt: skip


def through_restarts(make, records, dice):
    """Findings and the last fold, with commits at random, and restarts that lose what came since the last of them."""
    one, table, found, stored, at = make(), {}, [], 0, 0
    kept = []
    while at < len(records):
        size = dice.randint(1, 40)
        found += told(one, one.take(records[at : at + size]))
        at += size
        if dice.random() < 0.5:
            table.update(blocks.dump(one))
            stored, kept = at, list(found)
        if dice.random() < 0.3:
            one, at, found = make(), stored, list(kept)
            blocks.load(one, table)
            assert one.offset == stored - 1
    table.update(blocks.dump(one))
    return found, one, table


def alike(one, other):
    """Whether two folds would be stored as the same bytes."""
    return dict(blocks.dump(one, everything=True)) == dict(blocks.dump(other, everything=True))


def of_weeks(count=26 * 24):
    """A record an hour, of a target whose latency has its hours, with a spell of wrong ones at the end."""
    for i in range(count):
        usual = 100.0 + 60.0 * math.sin(i / 24 * 2 * math.pi) + i * 37 % 11
        yield record(
            i, START + i * HOUR, ("t", START + i * HOUR, True, usual * (2 if count - 40 < i < count - 20 else 1))
        )


@pytest.fixture
def table():
    one = fold(SETS["metrics and time"])
    for part in (slice(0, 50), slice(50, 100)):
        one.take(records_of(0, 100)[part])
        last = dict(blocks.dump(one, everything=True))
    return last


def load(table):
    one = fold(SETS["metrics and time"])
    blocks.load(one, table)
    return one


def kind(key):
    return key[0]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("seed", range(3))
def test_restarts_change_nothing(name, seed):
    """Written and read back at random points, the state is the undisturbed one's to the last byte, and so are findings."""
    records, dice = records_of(seed), random.Random(seed)

    def make():
        return fold(SETS[name])

    whole = make()
    wanted = told(whole, whole.take(records))
    found, one, _ = through_restarts(make, records, dice)
    assert sorted(found, key=lambda f: f[3:]) == sorted(wanted, key=lambda f: f[3:])
    assert alike(one, whole)


@pytest.mark.parametrize("seed", range(8))
def test_restarts_change_no_kind_of_rule(seed):
    """The same with rules of every kind, joined in every way."""
    conditions = rule_book(random.Random(seed))
    records, dice = records_of(seed, 150), random.Random(seed)

    def make():
        return fold(named(conditions), conditions)

    whole = make()
    wanted = told(whole, whole.take(records))
    found, one, _ = through_restarts(make, records, dice)
    assert sorted(found) == sorted(wanted)
    assert alike(one, whole)


@pytest.mark.parametrize("seed", range(4))
def test_restarts_change_nothing_where_targets_are_forgotten(seed):
    """Targets by the hundred that come, fall silent and are forgotten: rows are used again as if nothing had happened."""
    dice, log = random.Random(seed), Log()
    for k in range(120):
        some = [f"t{k // 10}-{dice.randrange(60)}" for _ in range(20)]
        log(*((n, dice.random() < 0.7) for n in some), after=HOUR // 8, metrics={"cpu": [dice.random()] * 20} if k % 3 else {},
            details=[(0, "503", "no")])  # fmt: skip

    def make():
        return fold(SETS["metrics and time"], limits=Limits(forget_ms=2.0 * HOUR))

    whole = make()
    wanted = told(whole, whole.take(log.records))
    found, one, table = through_restarts(make, log.records, dice)
    assert sorted(found) == sorted(wanted)
    assert len(found) > 500
    again = make()
    blocks.load(again, table)
    assert alike(again, one)
    assert (again.targets, sorted(again.memory.names), len(again.text)) == (
        whole.targets,
        sorted(whole.memory.names),
        len(whole.text),
    )
    rest = [record(len(log.records) + i, log.now + i * 30_000, ("new", log.now, True, 1.0)) for i in range(300)]
    assert sorted(told(again, again.take(rest))) == sorted(told(whole, whole.take(rest)))


def test_what_is_stored_is_only_what_changed():
    """After a commit a sample of one target is stored as its own block's entries, and nothing at all without one."""
    one = fold(SETS["reference"])
    one.take([record(0, START, *((f"t{i}", START, True, 1.0) for i in range(1000)))])
    first = dict(blocks.dump(one))
    assert [k for k, _ in blocks.dump(one)] == [k for k in first if k[0] == blocks.META]
    one.take([record(1, START + 1, ("t700", START + 1, True, 1.0))])
    second = [struct.unpack(">BIII", k) for k, _ in blocks.dump(one)]
    assert {block for kind, _, block, _ in second if kind != blocks.META} == {2}
    assert {kind for kind, *_ in second} == {blocks.META, blocks.LATEST, blocks.PANE, blocks.SKETCH}


def test_expected_target_is_stored_though_nothing_came_of_it():
    """A target without a sample is absent since it was first expected, after a restart too."""
    rules = [rule("gone", "absent", ">", 60.0)]
    one = fold(rules)
    one.take([record(0, START, ("t", START, True, 1.0))])
    table = dict(blocks.dump(one))
    one.expect(["later"])
    one.take([tick(1, START + 10_000)])
    table.update(blocks.dump(one))
    again = fold(rules)
    blocks.load(again, table)
    again.expect(["later"])
    found = [f for i in range(2, 9) for f in told(again, again.take([tick(i, START + i * 10_000)]))]
    assert [(f[1], f[3]) for f in found] == [("t", 7), ("later", 7)]


def test_time_passes_after_a_restart_as_it_would_have_without():
    """What time alone decides is decided at the first record of a pane, not at the first after a restart."""
    rules = [rule("gone", "absent", ">", 55.0)]
    records = [
        record(0, START + 4_000, ("t", START, True, 1.0)),
        *(tick(i, START + 4_000 + i * 2_700) for i in range(1, 30)),
    ]
    whole = fold(rules)
    wanted = told(whole, whole.take(records))
    assert len(wanted) == 1
    for cut in range(1, 30):
        one, again = fold(rules), fold(rules)
        found = told(one, one.take(records[:cut]))
        blocks.load(again, dict(blocks.dump(one)))
        assert found + told(again, again.take(records[cut:])) == wanted


def test_season_and_the_change_of_the_ratio_to_it_go_on_across_restarts():
    """Means of the hours, and what has been added up since the ratio to them changed, are stored: written and read back
    at every record of a spell, findings and state are the undisturbed one's."""
    rules = [rule("odd", "latency", ">", 8.5, aggregate="seasonal_change"), rule("slow", "latency", ">", 1.5, aggregate="ratio", window="1h")]  # fmt: skip
    whole, log = fold(rules), list(of_weeks())
    wanted = told(whole, whole.take(log))
    assert [(f[0], f[2], f[3] - len(log) + 40) for f in wanted if f[3] > 15 * 24] == [
        ("slow", True, 1), ("odd", True, 2), ("slow", False, 20), ("odd", False, 30)
    ]  # fmt: skip
    one, found, table = fold(rules), [], {}
    found += told(one, one.take(log[:-45]))
    for each in log[-45:]:
        table.update(blocks.dump(one))
        one = fold(rules)
        blocks.load(one, table)
        found += told(one, one.take([each]))
    assert found == wanted
    assert alike(one, whole)


def test_state_that_knew_fewer_scores_is_read():
    """A state written before a score was known is read, and that score begins; the others go on."""
    rules = [rule("change", "latency", ">", 8.5, aggregate="change")]
    one, log = fold(rules), list(of_weeks(200))
    one.take(log[:100])
    table = dict(blocks.dump(one))
    for key, value in table.items():
        if kind(key) == blocks.LATEST:
            table[key] = value.replace(b",-1]}", b"]}", 1)
            rows, own, length = struct.unpack_from("<III", value, 9)
            table[key] = table[key][:9] + struct.pack("<III", rows, own, length - 3) + table[key][21:]
            assert table[key] != value
    again = fold([*rules, rule("odd", "latency", ">", 8.5, aggregate="seasonal_change")])
    blocks.load(again, table)
    assert told(again, again.take(log[100:])) == told(one, one.take(log[100:]))


def test_nothing_stored_is_an_empty_state(table):
    """No entries, or those of other partitions, leave the state empty."""
    others = {struct.pack(">BIII", k[0], 7, *struct.unpack(">BIII", k)[2:]): v for k, v in table.items()}
    for nothing in ({}, others):
        assert (load(nothing).offset, load(nothing).targets) == (-1, 0)
    assert load({**table, **others}).offset == 99


def test_entries_of_two_commits_are_torn(table):
    """An entry that is newer than the commit it should be of, or entries without their commit, are a TornStateError."""
    key = next(k for k in table if kind(k) == blocks.LATEST)
    newer = table[key][:1] + struct.pack("<q", 4711) + table[key][9:]
    with pytest.raises(blocks.TornStateError, match="entries up to record 4711, commit up to 99"):
        load({**table, key: newer})
    with pytest.raises(blocks.TornStateError, match="none says of which commit"):
        load({k: v for k, v in table.items() if kind(k) != blocks.META})
    without = {k: v for k, v in table.items() if kind(k) != blocks.NAMES}
    with pytest.raises(blocks.StateError):
        load(without)


@pytest.mark.parametrize("version", [0, blocks.VERSION - 1, blocks.VERSION + 1, 255])
def test_other_version_is_refused(table, version):
    """Entries of another version are refused, with both versions in the message."""
    key = next(iter(table))
    with pytest.raises(blocks.StateError, match=f"entries of version {version}, this program reads {blocks.VERSION}"):
        load({**table, key: bytes([version]) + table[key][1:]})


def test_damage_is_a_state_error(table):
    """Whatever is cut, changed or put among the entries: a StateError, or a state; never another error."""
    dice, refused = random.Random(3), 0
    keys = list(table)
    for _ in range(400):
        bad = dict(table)
        key = dice.choice(keys)
        match dice.randrange(4):
            case 0:
                bad[key] = table[key][: dice.randrange(len(table[key]))]
            case 1:
                bad[key] = table[key] + b"\0" * 3
            case 2:
                at = dice.randrange(min(60, len(table[key])))
                bad[key] = table[key][:at] + bytes([dice.randrange(256)]) + table[key][at + 1 :]
            case _:
                bad[dice.choice([b"", b"x", b"a foreign key", key + b"\0", bytes([9]) + key[1:]])] = table[key]
        try:
            load(bad)
        except (blocks.StateError, blocks.TornStateError) as error:
            refused += bool(str(error))
    assert refused > 150
