"""The control topic after some changes, as its client writes them."""

from __future__ import annotations

from typing import Any

import orjson

from schemas import Control
from streams.control import Change, Controls


def records(*changes: Change) -> list[Control]:
    """Of each change the record, and the record of history."""
    found = []
    for change in changes:
        body = change.new if change.new is not None else {}
        found += [
            Control(
                kind=change.kind, id=change.id, version=change.version, deleted=change.new is None,
                actor=change.actor, at=change.at, body=orjson.dumps(body).decode(),
            ),
            Control(
                kind="audit", id=f"{change.kind}/{change.id}/{change.version}", version=1, actor=change.actor,
                at=change.at, body=orjson.dumps(change.body()).decode(),
            ),
        ]  # fmt: skip
    return found


def written(*changes: Change) -> Controls:
    """The topic after these changes."""
    controls = Controls()
    for record in records(*changes):
        assert controls.take(record) is None
    return controls


def change(
    version: int, at: float, new: dict[str, Any] | None, old: dict[str, Any] | None = None, **more: Any
) -> Change:
    """An accepted change of the rule `slow` by ada, where `more` does not say something else."""
    given = {"kind": "rule", "id": "slow", "actor": "ada", "nonce": "n", **more}
    return Change(version=version, at=at, outcome="accepted", old=old, new=new, **given)
