"""Targets that come, go and change while the probe runs."""

from __future__ import annotations

import asyncio

import pytest

from agents.probe.app import run
from agents.probe.settings import HttpCheck, ProbeSettings, Target, target_of
from schemas import SampleBatch, decode
from streams.control_bodies import TARGETS_READ, BodyError
from streams.control_checks import Checks
from streams.control_client import ControlClient, Edit
from streams.topics import SAMPLES
from streams.units import now_ms
from tests.kit.reader import everything, reading
from tests.kit.role import PATIENCE_S, running, until
from tests.kit.services import HttpService

SETTINGS = ProbeSettings(name="p1", allow_private=True)


def http(name: str, url: str, every: float = 3600.0) -> Target:
    return Target(name=name, every=every, timeout=60, allow_private=True, http=HttpCheck(url=url))


def sampled(batches) -> list[str]:
    return [name for batch in batches for name in batch.target]


@pytest.fixture
async def control(kafka):
    client = ControlClient(kafka, "test", Checks(probed=target_of))
    yield client
    await client.close()


async def read_again(control):
    """Say that the file has other targets, as the watch on it does."""
    await control.change_all([Edit("file", TARGETS_READ, {"items": [], "nonce": f"{now_ms()}"})], "file")


async def left_alone(web, path, beside):
    """Wait until three checks `beside` were made and none of `path`, which would be as frequent."""

    def paths():
        return [r.path for r in web.requests[before:]]

    async with asyncio.timeout(2 * PATIENCE_S):
        while True:
            before = len(web.requests)
            await until(lambda: paths().count(beside) >= 3)
            if path not in paths():
                return


async def test_the_files_new_targets_are_probed_and_its_old_ones_left(kafka, control):
    """Once the file is said to be another: new ones are checked, changed ones at their new address, others let be."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log:
        now = (http("same", web.url("/same")), http("gone", web.url("/gone"), 0.1), http("moved", web.url("/from")))
        new = (http("same", web.url("/same")), http("moved", web.url("/to")), http("new", web.url("/new"), 0.1))
        async with running(run, kafka=kafka, settings=SETTINGS, targets=now, reread=lambda: new):
            await log.wait(SAMPLES, lambda got: {"same", "gone", "moved"} <= set(sampled(got)))
            await read_again(control)
            await log.wait(SAMPLES, lambda got: "new" in sampled(got) and sampled(got).count("moved") == 2)
            await left_alone(web, "/gone", "/new")
        paths = [r.path for r in web.requests]
        assert (paths.count("/same"), paths.count("/from"), paths.count("/to")) == (1, 1, 1)


async def test_a_file_that_cannot_be_used_changes_nothing(kafka, control, caplog):
    """The targets go on as they were where the file has become unusable, and the log says why."""

    def bad():
        raise ValueError("targets[0].name: is required")

    async with HttpService() as web:
        targets = (http("a", web.url(), 0.1),)
        async with running(run, kafka=kafka, settings=SETTINGS, targets=targets, reread=bad):
            await until(lambda: web.requests)
            await read_again(control)
            await until(lambda: "targets[0].name: is required" in caplog.text)
            before = len(web.requests)
            await until(lambda: len(web.requests) > before)


async def test_targets_of_the_control_topic_are_probed(kafka, control):
    """One that is added is checked, one whose interval is changed is checked by it, one that is taken out is not."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log:
        file = (http("rare", web.url("/rare")), http("out", web.url("/out"), 0.1))
        async with running(run, kafka=kafka, settings=SETTINGS, targets=file):
            await log.wait(SAMPLES, lambda got: {"rare", "out"} <= set(sampled(got)))
            body = {"kind": "http", "every": "100ms", "check": {"url": web.url("/added")}}
            await control.change("target", "added", body, 0, "ada")
            await control.change("target", "rare", {"kind": "http", "every": 0.1}, None, "ada")
            await control.change("target", "out", None, None, "ada")
            await log.wait(SAMPLES, lambda got: min(sampled(got).count("added"), sampled(got).count("rare")) > 2)
            await left_alone(web, "/out", "/rare")
            await control.change("target", "added", None, 1, "ada")
            await left_alone(web, "/added", "/rare")
        # What was changed at run time is so for a probe that starts later, too.
        before = len(web.requests)
        async with running(run, kafka=kafka, settings=SETTINGS, targets=file):
            await until(lambda: sum(r.path == "/rare" for r in web.requests[before:]) > 3)
        assert {r.path for r in web.requests[before:]} == {"/rare"}


async def test_a_check_under_way_comes_to_its_end(kafka, control):
    """A target that is taken out during its check is not told of any more; one that changed is, and never twice at once."""
    async with HttpService() as web, reading(kafka, SAMPLES) as log:
        web.hold()
        file = (http("out", web.url("/out")), http("changed", web.url("/changed")))
        async with running(run, kafka=kafka, settings=SETTINGS, targets=file):
            await until(lambda: len(web.requests) == 2)
            changes = [
                Edit("target", "out", None),
                Edit("target", "changed", {"kind": "http", "every": 0.1}),
                Edit("target", "new", {"kind": "http", "every": 0.1, "check": {"url": web.url("/new")}}),
            ]
            await control.change_all(changes, "ada")
            await until(lambda: len(web.requests) == 3)
            assert [r.path for r in web.requests[2:]] == ["/new"], "never twice at once"
            for path in ("/out", "/changed", "/new"):
                web.release(path)
            await log.wait(SAMPLES, lambda got: sampled(got).count("changed") >= 2 and "new" in sampled(got))
        batches = [decode(r.value, SampleBatch) for r in await everything(kafka, SAMPLES)]
        assert set(sampled(batches)) == {"changed", "new"}
        assert web.connections == 4, "the connection of the changed target's old form was given up"


async def test_secrets_and_nonsense_are_refused(control):
    """What cannot be checked, or would put a secret on the topic, is refused with its field."""
    for check, field in (
        ({"url": "ftp://x"}, "check.url"),
        ({"url": "http://ada:pw@x/"}, "check.url"),
        ({"url": "http://x/", "headers": {"Authorization": "Bearer x"}}, "check.headers"),
        ({"url": "http://x/", "conditions": ["[STATUS] ="]}, "check.conditions"),
    ):
        with pytest.raises(BodyError) as refused:
            await control.change("target", "x", {"kind": "http", "check": check}, 0, "ada")
        assert refused.value.problems[0][0].startswith(field)
    for body in ({"kind": "pigeon", "check": {}}, {"kind": "pigeon"}):
        with pytest.raises(BodyError, match="kind: 'pigeon' is none of http, tcp, host, kafka, push"):
            await control.change("target", "x", body, 0, "ada")
