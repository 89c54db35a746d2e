"""An alert's end verified by good samples, from samples to alerts on real Kafka."""

from __future__ import annotations

import contextlib

import pytest

from agents.alert import app as alert
from agents.alert.settings import AlertSettings
from agents.detect import app as detect
from agents.detect.settings import DetectSettings
from agents.probe.settings import Target
from schemas import SampleBatch
from streams.rules import Rule
from streams.topics import ALERTS, FINDINGS
from streams.units import now_ms
from tests.kit.findings import Feed as Control
from tests.kit.reader import reading
from tests.kit.role import running
from tests.kit.samples import Feed

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(180)]
TARGETS = tuple(Target(name=n, push={}, labels={"region": "eu"}) for n in ("shop", "blog"))
DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical", resolve={"samples": 3})
BOTH = Rule(
    name="both", metric="up", operator="==", value=0, severity="critical", group_by=["region"], at_least=2,
    resolve={"samples": 2},
)  # fmt: skip


@contextlib.asynccontextmanager
async def roles(kafka, *rules):
    async with (
        running(detect.run, kafka=kafka, settings=DetectSettings(), targets=TARGETS, rules=rules),
        running(alert.run, kafka=kafka, settings=AlertSettings(tick=0.05), targets=TARGETS, rules=rules),
    ):
        yield


async def test_three_good_samples_in_a_row_end_it_over_a_restart(kafka, producer):
    """A bad sample starts the count over; what was counted before both roles were restarted counts after it."""
    feed = Feed(kafka, producer)
    async with reading(kafka, ALERTS) as seen:
        async with roles(kafka, DOWN):
            await feed.samples("shop", False, True, True, False, True, True)
            await seen.wait(ALERTS, 6)
        async with roles(kafka, DOWN):
            await feed.samples("shop", True, True)
            await seen.wait(ALERTS, 7)
    assert [(a.number, a.state, a.reason, a.comment, a.notify) for a in seen[ALERTS]] == [
        (1, "firing", "held_at_once", "", True),
        (2, "firing", "verifying_recovery", "1 of 3 good samples", False),
        (3, "firing", "good_sample", "2 of 3 good samples", False),
        (4, "firing", "held_again", "", False),
        (5, "firing", "verifying_recovery", "1 of 3 good samples", False),
        (6, "firing", "good_sample", "2 of 3 good samples", False),
        (7, "resolved", "recovery_verified", "3 of 3 good samples", True),
    ]


async def test_samples_of_one_record_count_each_in_their_order(kafka, producer):
    """A batch that brings a failure, and older and newer good samples: the log's order counts, not that of their times."""
    feed, now = Feed(kafka, producer), now_ms()
    times = [now - 4000, now - 9000, now - 3000, now - 2000]
    async with reading(kafka, ALERTS) as seen, roles(kafka, DOWN):
        batch = SampleBatch(
            probe="p", target=["shop"] * 4, time=times, ok=[False, True, True, True], latency_ms=[1.0] * 4
        )
        await feed.batch(batch)
        await feed.samples("shop", True)
        ended = (await seen.wait(ALERTS, lambda got: any(a.state == "resolved" for a in got)))[-1]
    # The late one came before the failure, by its time: with it, the check that counts is still the failed one.
    assert (ended.number, ended.comment) == (4, "3 of 3 good samples")


async def test_a_member_counts_until_its_end_is_verified(kafka, producer):
    """Two of two are down; one is up again, and the group's alert ends with its second good sample."""
    feed = Feed(kafka, producer)
    async with reading(kafka, ALERTS, FINDINGS) as seen, roles(kafka, BOTH):
        await feed.samples("shop", False)
        await feed.samples("blog", False)
        await seen.wait(ALERTS, 1)
        await feed.samples("shop", True)
        await seen.wait(FINDINGS, 3)
        await feed.samples("blog", False)
        assert len(seen[ALERTS]) == 1
        await feed.samples("shop", True)
        ended = (await seen.wait(ALERTS, 2))[1]
        found = await seen.wait(FINDINGS, lambda got: sum(f.target == "shop" for f in got) == 3)
    assert (ended.state, ended.members, ended.member_total) == ("resolved", ["blog"], 2)
    assert [f.good for f in found if f.target == "shop"] == [0, 1, 2]


async def test_what_holds_for_targets_holds_for_their_group_after_an_edit(kafka, producer):
    """Edited to count targets while both are down: their alerts end, and the group's begins, though no sample comes."""
    feed, control = Feed(kafka, producer), Control(kafka, producer)
    async with reading(kafka, ALERTS) as seen, roles(kafka, DOWN):
        for name in ("shop", "blog"):
            await feed.samples(name, False)
        await seen.wait(ALERTS, 2)
        grouped = BOTH.model_dump(mode="json", by_alias=True, exclude_defaults=True) | {"name": "down"}
        await control.control("rule", "down", **grouped)
        alerts = await seen.wait(ALERTS, 5)
    # Three alerts of two partitions: they come in no order of their own.
    assert sorted((a.target, a.state, a.reason, a.notify) for a in alerts[2:]) == [
        ("blog", "resolved", "rule_no_longer_matches", True),
        ("group:region=eu", "firing", "held_at_once", True),
        ("shop", "resolved", "rule_no_longer_matches", True),
    ]
