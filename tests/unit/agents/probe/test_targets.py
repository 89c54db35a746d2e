"""What is to be checked: the file's targets, overlaid by those of the control topic."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from agents.probe.settings import Target, face_of, target_of
from agents.probe.targets import Targets
from schemas import Control
from streams.control_bodies import TargetFace

WEB = Target(name="web", labels={"team": "web"}, every=30, http={"url": "http://web/", "headers": {"X": "secret"}})
DB = Target(name="db", tcp={"address": "db:5432"})


def change(name: str, version: int = 1, /, *, deleted: bool = False, **body) -> Control:
    return Control(kind="target", id=name, version=version, deleted=deleted, actor="ada", at=0.0, body=json.dumps(body))


def test_a_changed_target_keeps_the_files_address():
    """Its times are those of the change; what it is asked, with its secrets, is the file's."""
    targets = Targets((WEB, DB))
    assert targets.take(change("web", kind="http", every=5, timeout=2))
    assert targets.in_force() == (WEB.model_copy(update={"every": 5.0, "timeout": 2.0}), DB)
    assert not targets.take(change("web", 1, kind="http", every=1)), "of two edits of one version the first counts"


def test_one_that_was_taken_out_is_gone_until_it_is_back():
    """Of the file or not; another file's base changes nothing of that."""
    targets = Targets((WEB, DB))
    targets.take(change("web", deleted=True))
    assert targets.in_force() == (DB,)
    targets.base = (WEB,)
    assert targets.in_force() == ()
    targets.take(change("web", 2, **face_of(WEB).model_dump(exclude_none=True)))
    assert targets.in_force() == (WEB,)


def test_one_that_says_how_it_is_checked_needs_no_file():
    """Its own check counts, also over the file's; private addresses are for it only where that is allowed."""
    for allowed in (False, True):
        targets = Targets((WEB,), allow_private=allowed)
        targets.take(change("web", kind="http", check={"url": "http://other/"}))
        targets.take(change("new", kind="tcp", every="10s", check={"address": "x:1"}))
        targets.take(change("pushed", kind="push"))
        web, new = targets.in_force()
        assert (web.http.url, web.http.headers, web.allow_private) == ("http://other/", {}, allowed)
        assert (new.kind, new.every, new.allow_private) == ("tcp", 10.0, allowed)


def test_what_cannot_be_checked_costs_only_itself(caplog):
    """A record of somebody who looked at nothing is told of in the log, and the others are checked."""
    targets = Targets((DB,))
    targets.take(change("bad", kind="http", check={"url": "nowhere"}))
    targets.take(change("odd", kind="pigeon", check={}))
    assert targets.in_force() == (DB,)
    assert "target bad cannot be checked" in caplog.text
    assert "'pigeon' is none of http" in caplog.text


@pytest.mark.parametrize("check", [{"url": "http://a:b@x/"}, {"url": "http://x/", "body": "x"}, {"headers": {}}])
def test_a_secret_is_not_for_the_topic(check):
    """A password in the URL, headers and a body are refused."""
    with pytest.raises(ValidationError):
        target_of(TargetFace(name="x", kind="http", check=check))
