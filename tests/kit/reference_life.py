"""What an alert's transitions must be, said a second time: slowly, and as plainly as it can be.

There is no state here. A diary is written, one line for each thing that happened, and every question is answered by
reading the diary: who has it in hand? what was said last? It shares nothing with streams/life.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True)
class Terms:
    """Times in the events' unit; 0 means none. `steps`: after how long without an answer each one comes."""

    duration: float = 0
    keep: float = 0
    samples: int = 0
    cooldown: float = 0
    remind: float = 0
    steps: tuple[float, ...] = ()
    flaps: int = 0
    within: float = 0
    steady: float = 1


class Diary:
    """Everything that happened to one alert, and what follows from it."""

    def __init__(self, terms: Terms, rule: tuple[int, str, str] = (1, "", "")) -> None:
        self.terms = terms
        self.rule = rule  # how severe, its label, its text
        self.lines: list[Line] = []
        self.silence: str | None = None

    # Reading

    def episode(self) -> list[Line]:
        """The lines since the rule last began to hold while no episode was under way."""
        starts = [i for i, line in enumerate(self.lines) if line["what"] == "begins"]
        return self.lines[starts[-1] :] if starts else []

    def last(self, *what: str) -> Line | None:
        return next((line for line in reversed(self.episode()) if line["what"] in what), None)

    def after(self, line: Line | None) -> list[Line]:
        """The episode's lines after `line`, or all of them."""
        episode = self.episode()
        return episode if line is None else episode[[id(x) for x in episode].index(id(line)) + 1 :]

    def said(self) -> list[Line]:
        return [line for line in self.lines if line["what"] == "said"]

    def state(self) -> str:
        line = self.last("said")
        return line["state"] if line else ""

    def under_way(self) -> bool:
        return self.state() not in ("", "resolved", "cancelled")

    def holding(self) -> Line | None:
        """The line by which the rule holds, or None where it does not."""
        for line in reversed(self.lines):
            if line["what"] in ("begins", "holds again"):
                return line
            if line["what"] in ("ceases", "removed"):
                return None
        return None

    def changed(self) -> float:
        return next(
            x["at"] for x in reversed(self.lines) if x["what"] in ("begins", "holds again", "ceases", "removed")
        )

    def hand(self) -> Line | None:
        """The acknowledgement or snooze that stands."""
        line = self.last("acknowledged", "snoozed", "handed back", "woken", "raised")
        return line if line and line["what"] in ("acknowledged", "snoozed") else None

    def acknowledged(self) -> bool:
        line = self.hand()
        return line is not None and line["what"] == "acknowledged"

    def quiet(self) -> str | None:
        line = self.last("quiet", "loud")
        return line["by"] if line and line["what"] == "quiet" else None

    def anew(self) -> Line | None:
        """Since when the escalation counts anew."""
        return self.last("fires", "hushed", "snoozed", "handed back", "raised")

    def steps(self) -> int:
        return sum(line["what"] == "step" for line in self.after(self.anew()))

    def asked(self) -> float | None:
        """Since when an answer is awaited: the first telling since the escalation counts, unless one was given."""
        lines = self.after(self.last("fires", "hushed", "snoozed", "handed back", "acknowledged", "raised"))
        return next((line["at"] for line in lines if line["what"] == "said" and line["told"]), None)

    def flapping(self) -> bool:
        line = self.last("flaps", "steady")
        return line is not None and line["what"] == "flaps"

    def name(self) -> str:
        if (hand := self.hand()) is not None:
            return hand["what"]
        if self.quiet() is not None:
            return "suppressed"
        if self.steps():
            return "escalated"
        return "flapping" if self.flapping() else "firing"

    def owed(self) -> bool:
        """Whether something happened since the last telling that people must hear of."""
        settled = [x for x in self.episode() if x["what"] == "acknowledged" or (x["what"] == "said" and x["told"])]
        return any(line.get("owing") for line in self.after(settled[-1] if settled else None))

    def loud(self) -> bool:
        return self.name() in ("firing", "escalated", "flapping")

    def last_first_telling(self) -> float | None:
        """When, in any episode, people were last told anew: steps and reminders do not count."""
        lines = [x for x in self.lines if x["what"] == "said" and x["anew"]]
        return lines[-1]["at"] if lines else None

    def ripe(self) -> float:
        return self.last("begins")["at"] + self.terms.duration

    def cooled(self) -> float:
        told = self.last_first_telling()
        return -1 if told is None else told + self.terms.cooldown

    def looks(self) -> tuple[int, str, str]:
        """How it is shown: as the rule was when it began, or when it was last edited since."""
        line = self.last("begins", "edited")
        return line["rule"]

    def told_as(self) -> list[tuple[int, str]]:
        """With which severities and labels people were told of it; nothing where that is how it is shown now."""
        told = (x for x in self.episode() if x["what"] == "said" and x["told"] and x["state"] != "resolved")
        seen = list(dict.fromkeys(line["rule"][:2] for line in told))
        return [] if seen == [self.looks()[:2]] else seen

    def needed(self) -> int:
        """How many good samples verify its end."""
        lines = [x for x in self.episode() if x["what"] in ("ceases", "good")]
        return min(lines[-1]["wanted"], self.terms.samples) if lines else 0

    def good(self) -> int:
        """How many of them there were since it ceased last."""
        since = self.last("ceases")
        return max(since["good"], *(x["good"] for x in self.after(since) if x["what"] == "good"), 0) if since else 0

    # Writing

    def write(self, what: str, at: float, **more: Any) -> None:
        self.lines.append({"what": what, "at": at, **more})

    def say(self, state: str, reason: str, at: float, *, told: bool, anew: bool = False) -> None:
        began = self.last("begins")["time"]
        number = 1 + sum(line["what"] == "said" for line in self.episode())
        self.write(
            "said", at, state=state, previous=self.state(), reason=reason, told=told, anew=anew, number=number,
            began=began, step=self.steps(), rule=self.looks(),
        )  # fmt: skip
        self.lines[-1]["told_as"] = self.told_as()

    def settle(self, reason: str, at: float, *, always: bool = False) -> None:
        name = self.name()
        tell = self.owed() and self.holding() is not None and self.loud()
        if tell or always or name != self.state():
            if name == "suppressed" and self.state() != "suppressed":
                reason = "silenced"
            self.say(name, reason, at, told=tell, anew=tell and self.asked() is None)

    def end(self, reason: str, at: float) -> None:
        told = any(line["what"] == "said" and line["told"] for line in self.episode())
        state = "cancelled" if self.state() == "pending" else "resolved"
        if self.flapping():
            self.write("steady", at)
        self.say(state, reason, at, told=told)

    # Events

    def happens(self, kind: str, at: float, **more: Any) -> None:
        getattr(self, f"on_{kind}")(at, **more)

    def on_finding(self, at: float, *, holds: bool, time: float, good: int = 0, wanted: int = 0) -> None:
        if holds and self.holding() is None and self.under_way():
            self.write("holds again", at)
            self.settle("held_again_while_flapping" if self.flapping() else "held_again", at, always=True)
        elif holds and self.holding() is None:
            taken = {x["time"] for x in self.lines if x["what"] == "begins"}
            while time in taken:
                time += 1
            self.write("begins", at, time=time, rule=self.rule)
            self.ripen(at)
        elif not holds and self.holding() is not None:
            self.write("ceases", at, good=good, wanted=wanted)
            if self.state() == "pending":
                self.end("ceased_before_firing", at)
            elif self.under_way() and self.flapping():
                self.settle("ceased_while_flapping", at, always=True)
            elif self.under_way() and (self.terms.keep or self.good() < self.needed()):
                self.settle("verifying_recovery", at, always=True)
            elif self.under_way():
                self.end("rule_ceased", at)
        elif not holds and self.under_way():
            self.write("good", at, good=good, wanted=wanted)
            if not self.calm(at):
                reason = "good_sample" if wanted else "not_judged_any_more"
                self.settle(reason, at, always=0 < self.good() <= self.needed())

    def ripen(self, at: float) -> None:
        terms = self.terms
        if at >= self.ripe() and self.last("counts") is None:
            self.write("counts", at)
            ends = [i for i, x in enumerate(self.lines) if x["what"] == "steady"]
            counted = [x for x in self.lines[ends[-1] if ends else 0 :] if x["what"] == "counts"]
            if 0 < terms.flaps < sum(x["at"] > at - terms.within for x in counted):
                self.write("flaps", at)
        waits_for_cooldown = self.cooled() > self.ripe()
        if not self.flapping() and at < max(self.ripe(), self.cooled()):
            if self.state() == "":
                reason = "waiting_for_cooldown" if waits_for_cooldown else "waiting_for_duration"
                self.say("pending", reason, at, told=False)
            return
        waited = "cooldown_elapsed" if waits_for_cooldown else "duration_elapsed"
        reason = "flapping" if self.flapping() else "held_at_once" if self.state() == "" else waited
        self.write("fires", at, owing=True)
        if self.silence is not None:
            self.write("quiet", at, by=self.silence)
        self.settle(reason, at)

    def on_tick(self, at: float) -> None:
        if self.state() == "pending":
            self.ripen(at)
            return
        if not self.under_way():
            return
        self.listen(at)
        hand = self.hand()
        if hand is not None and hand["what"] == "snoozed" and at >= hand["until"]:
            self.write("woken", at)
            self.settle("snooze_over", at)
        if self.calm(at):
            return
        self.insist(at)

    def listen(self, at: float) -> None:
        """Does something keep it quiet?"""
        before, now = self.quiet(), self.silence
        if now is None and before is not None:
            self.write("loud", at)
            self.settle("suppression_over", at)
        elif now is not None and before is None:
            self.write("quiet", at, by=now)
            self.write("hushed", at, owing=not self.acknowledged())
            self.settle("silenced", at)
        elif now != before:
            self.write("quiet", at, by=now)
            self.settle("silenced", at, always=self.hand() is None)

    def calm(self, at: float) -> bool:
        """Has nothing happened for long enough? True where it is over."""
        terms, flapping = self.terms, self.flapping()
        enough = self.holding() is None and self.good() >= self.needed()
        if enough and at >= self.changed() + max(terms.keep, terms.steady if flapping else 0):
            self.end("flapping_over" if flapping else "recovery_verified", at)
            return True
        if self.holding() is not None and flapping and at >= self.changed() + terms.steady:
            self.write("steady", at, owing=not self.acknowledged())
            self.settle("flapping_over", at)
        return False

    def insist(self, at: float) -> None:
        """Has nobody answered for too long?"""
        terms, asked = self.terms, self.asked()
        if self.holding() is None or not self.loud() or asked is None:
            return
        told = [x["at"] for x in self.episode() if x["what"] == "said" and x["told"]]
        if self.steps() < len(terms.steps) and at >= asked + terms.steps[self.steps()]:
            self.write("step", at, owing=True)
            self.settle("not_acknowledged_in_time", at)
        elif terms.remind and not self.flapping() and at >= told[-1] + terms.remind:
            self.write("reminds", at, owing=True)
            self.settle("reminder", at)

    def on_ack(self, at: float) -> None:
        if self.under_way() and self.state() != "pending" and not self.acknowledged():
            self.write("acknowledged", at)
            self.settle("acknowledged", at)

    def on_snooze(self, at: float, *, until: float) -> None:
        if self.under_way() and self.state() != "pending" and until > at:
            self.write("snoozed", at, until=until, owing=True)
            self.settle("snoozed", at, always=True)

    def on_hand_back(self, at: float, *, what: str) -> None:
        hand = self.hand()
        if self.under_way() and hand is not None and hand["what"] == what:
            self.write("handed back", at, owing=True)
            self.settle(f"no_longer_{what}", at)

    def on_resolve(self, at: float) -> None:
        if self.under_way():
            self.end("resolved_by_hand", at)

    def on_removed(self, at: float) -> None:
        self.write("removed", at)
        if self.under_way():
            self.end("rule_removed", at)

    def on_edit(self, at: float, *, rule: tuple[int, str, str], terms: Terms) -> None:
        """The rule is another; an alert that is under way is shown as it is now."""
        self.rule, self.terms = rule, terms
        if not self.under_way() or self.looks() == rule:
            return
        raised = rule[0] > self.looks()[0]
        self.write("edited", at, rule=rule)
        if self.state() == "pending":
            self.say("pending", "rule_edited", at, told=False)
            return
        if raised:
            self.write("raised", at, owing=True)
        before, now = self.quiet(), self.silence
        if now is not None and now != before:
            self.write("quiet", at, by=now)
        if now is not None and before is None:
            self.write("hushed", at, owing=not self.acknowledged())
        if now is None and before is not None:
            self.write("loud", at)
        self.settle("rule_edited", at, always=True)

    def on_silence(self, at: float, *, by: str | None) -> None:
        self.silence = by
