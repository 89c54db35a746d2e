"""What is known of the alert of one target and rule: the facts from which its state follows.

The state that people see is not kept beside the facts, it follows from them (`shown`): who has it in hand, what keeps
it quiet, how far it is escalated, whether it flaps. A transition is made when that state, or what people are owed,
has changed. Times are milliseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

FIRED = ("firing", "acknowledged", "snoozed", "suppressed", "escalated", "flapping")
ACTIVE = ("pending", *FIRED)
LOUD = ("firing", "escalated", "flapping")
ENDED = ("resolved", "cancelled")
KEPT_DECISIONS = 20
KEPT_EPISODES = 50
VERSION = 2


class LifeError(RuntimeError):
    """A stored life cannot be read by this version."""


@dataclass(slots=True)
class Life:
    """The life of the alert of one target, or group, and rule. It outlives its episodes.

    `holds`: the rule holds by the last finding; `changed`: when that last changed. `told`: people were told of this
    episode. `owed`: they are to be told as soon as it may be heard. `asked`: since when somebody's answer is awaited.
    `hand`: "acknowledged" or "snoozed" where a person has taken it. `quiet`: reason, by and until of what keeps it
    from being told. `episodes`: when the last ones were over their duration. `taken`: by kind, version and time of
    the last control record taken in. `members` are of a group: see streams/groups.py. `good`: with how many samples in
    a row it has not held since it ceased, of `wanted` that are told of. `own`: the labels of the target or group, under
    the rule's. `wording`: a digest of the rule's texts. `told_as`: each set of labels that people were told of it with.
    """

    target: str
    rule: str
    offset: int = -1
    id: str = ""
    number: int = 0
    state: str = ""
    begans: list[float] = field(default_factory=list)
    began: float = 0.0
    since: float = 0.0
    fired: float | None = None
    resolved: float | None = None
    last_fired: float | None = None
    severity: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    finding: dict[str, Any] = field(default_factory=dict)
    outbox: list[dict[str, Any]] = field(default_factory=list)
    holds: bool = False
    changed: float = 0.0
    told: bool = False
    owed: bool = False
    asked: float | None = None
    last_told: float | None = None
    step: int = 0
    receivers: list[str] = field(default_factory=list)
    hand: str = ""
    snoozed_until: float | None = None
    quiet: dict[str, Any] | None = None
    counted: bool = False
    flapping: bool = False
    episodes: list[float] = field(default_factory=list)
    taken: dict[str, list[float]] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    relist: bool = False
    listed_at: float = 0.0
    total: int = 0
    good: int = 0
    wanted: int = 0
    own: dict[str, str] = field(default_factory=dict)
    wording: str = ""
    told_as: list[dict[str, str]] = field(default_factory=list)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    unwritten: int = 0

    @property
    def active(self) -> bool:
        """Whether an episode is under way."""
        return self.state in ACTIVE

    @property
    def key(self) -> str:
        """Key of the life's findings and table entry."""
        return f"{self.target}/{self.rule}"

    def dump(self) -> bytes:
        """The life as a table entry."""
        values = {name: getattr(self, name) for name in self.__slots__}  # asdict would copy all of it first
        return orjson.dumps({"v": VERSION, **values}, option=orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def load(cls, data: bytes) -> Life:
        """The life in a table entry, also of the version before. Raises LifeError."""
        values = orjson.loads(data)
        version = values.pop("v", None)
        if version == 1:
            told = values["state"] in ("firing", "acknowledged")
            life = cls(**values, holds=values["state"] in ("pending", "firing", "acknowledged"), told=told)
            life.begans = [life.began] if life.id else []
            life.changed, life.counted = life.since, life.state != "pending"
            life.hand = "acknowledged" if life.state == "acknowledged" else ""
            life.asked = life.last_told = life.fired if life.state == "firing" else None
            return life
        if version != VERSION:
            raise LifeError("alert-state was written by another version of this program")
        return cls(**values)


def alert_id(rule: str, target: str, began: float) -> str:
    """Id of the episode of `rule` on `target` that began at `began`: the same from every replay of the log."""
    return hashlib.sha256(f"{rule}\n{target}\n{began:.3f}".encode()).hexdigest()[:24]


def shown(life: Life) -> str:
    """The state of an alert that has fired: a person's hand first, then what keeps it quiet, then how loud it is."""
    if life.hand:
        return life.hand
    if life.quiet is not None:
        return "suppressed"
    if life.step:
        return "escalated"
    return "flapping" if life.flapping else "firing"


def decided(life: Life, reason: str, now: float, detail: str = "") -> None:
    """Keep a decision and its named reason, also one that changed nothing; the same one again is kept once."""
    last = life.decisions[-1] if life.decisions else None
    if life.unwritten and last is not None and (last["reason"], last["detail"]) == (reason, detail):
        return
    life.decisions.append({"at": now, "reason": reason, "detail": detail})
    life.unwritten = min(life.unwritten + 1, KEPT_DECISIONS)
    del life.decisions[:-KEPT_DECISIONS]


def sent(life: Life, number: int, alert: str) -> None:
    """Forget a transition that the broker has."""
    life.outbox = [t for t in life.outbox if (t["id"], t["number"]) != (alert, number)]
