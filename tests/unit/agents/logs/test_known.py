"""Whose lines count."""

from __future__ import annotations

from agents.logs.known import Known
from agents.probe.settings import Target
from schemas import Control

TARGETS = (Target(name="app", push={}), Target(name="web", http={"url": "http://x/"}))


def target(name: str, body: str, version: int = 1, *, deleted: bool = False) -> Control:
    return Control(kind="target", id=name, version=version, deleted=deleted, actor="t", at=0.0, body=body)


def test_lines_of_pushing_targets_count():
    """Of targets that push, lines count; of a probed one, and of one that nobody knows, they are refused by name."""
    known = Known(TARGETS, accept_unknown=False)
    assert [known.refusal(n) for n in ("app", "web", "new")] == ["", "wrong_kind", "unknown_target"]
    assert Known(TARGETS, accept_unknown=True).refusal("new") == ""


def test_the_control_topic_has_the_last_word():
    """A target that was added counts, one that was taken out does not, once what was taken in is in force."""
    known = Known(TARGETS, accept_unknown=False)
    known.take(target("new", '{"kind": "push"}'))
    known.take(target("app", "{}", deleted=True))
    assert known.refusal("new") == "unknown_target"
    known.refresh()
    assert [known.refusal(n) for n in ("app", "new")] == ["unknown_target", ""]
