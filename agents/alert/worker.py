"""The cycle of the alert hop: findings change lives, lives are stored, then told, and only then findings let go.

In: records of `findings`; what people ask on `control`; where all other alerts stand; the clock. State: one `Life` a
target (or group) and rule, with an outbox. Out: transitions on `alerts`.

Dying before a life is stored: its finding is read again. Dying after, before its outbox is sent or known to be
sent: the recovery looks on `alerts` which of the outbox's transitions are there, and sends the others. Dying
after that: the finding is known by its offset and passed over. So each transition is on `alerts` once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents.alert.composites import Composites
from agents.alert.flush import Flush
from agents.alert.hands import KINDS, Hands
from agents.alert.intake import Intake
from agents.alert.lives import Lives
from agents.alert.restore import restore
from agents.alert.terms import KINDS as CONFIGURATION
from agents.alert.terms import Terms
from agents.holes import check_hole
from streams import groups
from streams import life as lifecycle
from streams.life import FIRED, Life, LifeDefaults
from streams.suppression import AlertView, Suppressed, Suppressions
from streams.topics import SAMPLES
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agents.alert.terms import Watched
    from schemas import Control, Finding
    from streams.composites import Standing
    from streams.kafka import KafkaSettings
    from streams.rules import Rule

KEPT_MS = ((SAMPLES.days or 7) + 1) * 86_400_000.0
"""How long a life is kept after its last change: a finding can come again as long as its sample is on the log."""
_ASK_AGAIN_MS = 1000.0
_PRUNE_EVERY_MS = 60_000.0
_INFORMED_WITHIN_S = 110.0
_KNOWN_WITHIN_S = 5.0


class Worker:
    """All lives of this process's partitions."""

    def __init__(
        self,
        kafka: KafkaSettings,
        targets: Iterable[Watched],
        rules: Iterable[Rule],
        defaults: LifeDefaults | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        self.kafka = kafka
        self.suppressions = suppressions or Suppressions()
        self.lives, self.hands, self.composites = Lives(kafka.partitions), Hands(), Composites()
        self.terms = Terms(targets, rules, defaults or LifeDefaults())
        self.intake = Intake(kafka, self.terms)
        self.flusher = Flush(kafka, self.lives, self.intake)
        self.consumer: Any = None
        self.informed = {"control": asyncio.Event(), "others": asyncio.Event()}
        self._configured = asyncio.Event()
        self._noted: dict[str, int] = {}
        self._unheard: set[str] = set()
        self._ask_at = self._prune_at = 0.0
        self._changed = False
        self._in_force()

    @property
    def wake(self) -> asyncio.Event:
        """Set when there is something to flush."""
        return self.flusher.wake

    @property
    def table(self) -> Any:
        """The Faust table of lives."""
        return self.flusher.table

    @table.setter
    def table(self, table: Any) -> None:
        self.flusher.table = table

    async def start(self) -> None:
        """Connect the producer."""
        await self.flusher.start()

    async def close(self) -> None:
        """Disconnect; what was not stored will be read again."""
        await self.flusher.close()

    # Configuration

    def configure(self, targets: Iterable[Watched], rules: Iterable[Rule]) -> None:
        """Go on with these targets and rules of the file: alerts of what is no more resolve, and say why."""
        self.terms.replace(targets, rules)
        self.refresh()

    def refresh(self) -> None:
        """Bring changes of rules, thresholds and targets into force."""
        if self.terms.refresh():
            self._in_force()

    def _in_force(self) -> None:
        self.composites.configure(self.terms.rules.values())
        self._changed = True
        self._unheard.clear()
        self._configured.set()
        self._configured = asyncio.Event()

    # Beginning, and giving up

    async def restored(self, sources: set[Any]) -> dict[Any, int]:
        """Make the lives from the recovered table, and find out which of their transitions are told.

        What people asked and where other alerts stand is known first: nothing may be told that a silence hides.
        """
        self._forget()
        async with asyncio.timeout(_INFORMED_WITHIN_S):
            for event in self.informed.values():
                await event.wait()
        consumer = self.consumer()
        ends = {tp.partition: offset or 0 for tp, offset in (await consumer.highwaters(*sources)).items()}
        earliest = {tp.partition: offset or 0 for tp, offset in (await consumer.earliest_offsets(*sources)).items()}
        numbers = [tp.partition for tp in sources]
        lives, positions, unsure = await restore(
            self.kafka,
            self.table.data,
            {p: earliest.get(p, 0) for p in numbers},
            {p: ends.get(p, 0) for p in numbers},
        )
        # No await from here on: the tick and the flusher see all of it or nothing.
        self.intake.begin({p: at - 1 for p, at in positions.items()}, {p: ends.get(p, 0) for p in numbers})
        self.lives.become(lives)
        for life in unsure:
            self._touch(life)
        now = now_ms()
        for life in self.lives:
            if self.hands.apply(life, now):
                self._touch(life)
            elif life.active and (policy := self.terms.policies.get(life.rule)) is not None:
                self.lives.wake_at(life.key, lifecycle.due(life, policy))
        self._changed = True
        return {tp: positions[tp.partition] for tp in sources}

    def _forget(self) -> None:
        self.lives.become({})
        self.intake.begin({}, {})

    async def revoked(self) -> None:
        """Finish what is under way and forget the partitions."""
        await self.flush()
        self._forget()

    def progress(self) -> dict[int, int]:
        """Offset of the last finding read, by partition."""
        return dict(self.intake.seen)

    # What comes in

    async def take(self, event: Any) -> None:
        """Take in one finding; `flush` stores and tells what it changed. Raises HoleError where one is missing."""
        message = event.message
        intake, partition = self.intake, message.partition
        if partition not in intake.seen:
            return  # of a partition that was just given up; whoever has it next reads it
        lives, seen = self.lives.by_partition, intake.seen[partition]
        if message.offset > seen + 1:
            await check_hole(self.kafka, message.topic, partition, seen + 1, message.offset)
        await self._know_rule(message)
        if self.lives.by_partition is not lives:
            return  # given up meanwhile
        if message.offset <= seen:
            event.ack()
            return
        finding = intake.take(event)
        self.wake.set()
        if finding is None:
            return
        rule, at = self.terms.rules.get(finding.rule), message.timestamp * 1000.0
        if rule is None:
            self._ceased(finding, at)
            return
        labels = self.terms.labels_of(finding.target)
        key = groups.finding_key(rule, finding.target, labels)
        life = self.lives.get(key) or Life(key.rsplit("/", 1)[0], finding.rule)
        if message.offset <= life.offset:
            return
        life.offset = message.offset
        if groups.is_grouped(rule):
            about = groups.take_member(life, finding, rule, self.terms.members.get(key, ()), at)
            self._on_finding(life, about, rule, groups.labels_of(rule, labels), at)
        else:
            self._on_finding(life, finding, rule, labels, at)

    def _ceased(self, finding: Finding, at: float) -> None:
        """A rule that is no more has ceased to hold for a target: so detect says of what it no longer judges."""
        life = self.lives.get(f"{finding.target}/{finding.rule}")
        if life is not None and life.holds:
            lifecycle.on_removed(life, "rule_removed", at)
            self._touch(life)

    async def _know_rule(self, message: Any) -> None:
        """Wait for a rule that detect has heard of earlier than this process; for one that never comes, once."""
        name = self.intake.rule_of(message)
        late = _KNOWN_WITHIN_S - (now_ms() / 1000.0 - message.timestamp)
        if name is not None and name not in self.terms.rules and name not in self._unheard and late > 0:
            try:
                async with asyncio.timeout(min(late, _KNOWN_WITHIN_S)):
                    while name not in self.terms.rules:
                        await self._configured.wait()
            except TimeoutError:
                self._unheard.add(name)

    def _on_finding(
        self, life: Life, finding: Finding | None, rule: Rule, labels: Mapping[str, str], now: float
    ) -> None:
        before = (life.id, list(life.taken))
        if finding is not None:
            lifecycle.on_finding(life, finding, self.terms.policies[rule.name], labels, now, self._verdict, self._below)
        if life.id != before[0]:
            self._over(*before)
        if life.id or life.members:
            self.hands.apply(life, now)
            self._touch(life)

    def take_control(self, control: Control) -> None:
        """Take in a change made at run time."""
        if control.kind in KINDS:
            self.hands.take(control)
            life = self.lives.by_id.get(control.id)
            if life is not None and self.hands.apply(life, now_ms()):
                self._touch(life)
            return
        if control.kind in CONFIGURATION:
            self.terms.take(control)
        self.suppressions.take(control)
        self._ask_at = 0.0

    def take_other(self, standing: Standing) -> None:
        """Take in where an alert of any partition stands."""
        self._note(standing)
        if standing.state not in lifecycle.ACTIVE:
            self._noted.pop(standing.id, None)
        for where in self.composites.take(standing):
            self._compose(where)

    # The clock

    def tick(self, now: float) -> None:
        """Let time pass for the partitions whose findings are all read: an unread one may have ended an episode."""
        fresh = self.intake.caught_up()
        if self._changed or fresh:
            self._reconsider(now)
        for life in self.lives.awake(now):
            self._pass(life, now)
        if now >= self._ask_at:
            self._ask_at = now + _ASK_AGAIN_MS
            self._ask(now)
        self._changed = False
        if now >= self._prune_at:
            self._prune_at = now + _PRUNE_EVERY_MS
            self._prune(now)

    def _pass(self, life: Life, now: float) -> None:
        policy = self.terms.policies.get(life.rule)
        if policy is None:
            return
        if self.intake.is_behind(self.lives.partition(life.key)):
            self.lives.wake_at(life.key, now + _ASK_AGAIN_MS / 4)
            return
        before = (life.number, life.quiet, life.counted, life.unwritten)
        lifecycle.on_tick(life, policy, now, self._verdict, self._below)
        news = self.hands.apply(life, now)
        if news or before != (life.number, life.quiet, life.counted, life.unwritten):
            self._touch(life)
        else:
            self.lives.wake_at(life.key, max(lifecycle.due(life, policy), now + _ASK_AGAIN_MS / 4))

    def _ask(self, now: float) -> None:
        """Ask of every alert that fires whether it is still to be told, or still not."""
        for life in list(self.lives.by_id.values()):
            if life.state in FIRED:
                quiet, before = self._verdict(life, now), life.quiet or {}
                is_now = (quiet.reason, quiet.by) if quiet is not None else (None, None)
                if is_now != (before.get("reason"), before.get("by")):
                    self._pass(life, now)

    def _reconsider(self, now: float) -> None:
        """End what the configuration has no longer; judge groups and composites again."""
        for life in self.lives:
            rule = self.terms.rules.get(life.rule)
            if self.intake.is_behind(self.lives.partition(life.key)):
                continue
            if life.active and (reason := self.terms.gone(life)) is not None:
                lifecycle.on_removed(life, reason, now)
                self._touch(life)
            elif life.members and rule is not None:
                about = groups.reconfigure(life, rule, self.terms.members.get(life.key, ()), now)
                self._on_finding(life, about, rule, groups.labels_of(rule, life.labels), now)
            elif life.active and rule is not None:
                self.lives.wake_at(life.key, lifecycle.due(life, self.terms.policies[rule.name]))
        known = {(life.rule, life.target): None for life in self.lives if life.rule in self.composites.rules}
        for where in {**known, **dict.fromkeys(self.composites.everywhere(self.terms.labels))}:
            self._compose(where)

    def _compose(self, where: tuple[str, str]) -> None:
        """Judge a composite of ours again."""
        rule, key = self.composites.rules[where[0]], f"{where[1]}/{where[0]}"
        if not self.lives.is_ours(key) or self.intake.is_behind(self.lives.partition(key)):
            return
        finding = self.composites.judge(where, now_ms)
        life = self.lives.get(key) or Life(where[1], where[0])
        if finding.holds != life.holds:
            labels = self.composites.labels.get(where) or self.terms.labels_of(where[1])
            self._on_finding(life, finding, rule, labels, now_ms())

    def _prune(self, now: float) -> None:
        """Let go of what ended long ago; with it goes what people asked of it."""
        self.hands.prune(now)
        for life in self.lives:
            groups.forget_members(life, now - KEPT_MS)
            last = max(life.changed, life.resolved or 0.0, *(m["at"] for m in life.members.values()), 0.0)
            if not life.active and not life.holds and not life.outbox and last < now - KEPT_MS:
                self._over(life.id, life.taken)
                self.lives.drop(life)
                self.wake.set()

    # Shared

    def _touch(self, life: Life) -> None:
        """The life has changed: store it, tell what it has to tell, and look at it again when it is time."""
        policy = self.terms.policies.get(life.rule)
        due = lifecycle.due(life, policy) if policy is not None else float("inf")
        self.lives.keep(life, due)
        self._note(life)
        self.wake.set()

    def _over(self, alert: str, taken: Iterable[str]) -> None:
        """An alert has ended for good: what people asked of it need not be kept."""
        kinds = {*self.hands.forget(alert), *taken}
        self.flusher.withdrawn += [f"{kind}/{alert}" for kind in sorted(kinds)]

    def _note(self, alert: Life | Standing) -> None:
        """Tell the suppressions where an alert stands, unless they know something later of it."""
        if not alert.id or self._noted.get(alert.id, 0) >= alert.number:
            return
        self._noted[alert.id] = alert.number
        self.suppressions.note(_view(alert))
        self._ask_at = min(self._ask_at, now_ms())

    def _verdict(self, life: Life, now: float) -> Suppressed | None:
        return self.suppressions.decide(_view(life), now)

    def _below(self, life: Life) -> list[str]:
        return self.suppressions.takes_down(_view(life))

    async def flush(self) -> None:
        """Store what changed, tell it, and let the findings go."""
        await self.flusher.run()


def _view(alert: Life | Standing) -> AlertView:
    at = alert.listed_at if isinstance(alert, Life) else alert.at
    return AlertView(alert.id, alert.rule, alert.target, alert.labels, alert.severity, alert.state, alert.began, at)
