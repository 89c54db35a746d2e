"""Whether the alerts of some moment, or all their transitions, are those that a test wants."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from streams.life.life import FIRED
from streams.rule_tests.result import Failure, Verdict, clock
from streams.rules.problems import joined

if TYPE_CHECKING:
    from schemas import Alert
    from streams.rule_tests.model import AlertRuleTest, ExpectedAlert, Step, Want

Standing = Mapping[tuple[str, str], "Alert"]
"""Where each alert stands, by rule and target: its last transition."""
Why = Callable[[str, str], Sequence[str]]
"""What a rule sees of a target now, or of all that it selects where the target is empty."""
_MOST_TOLD = 8


def is_of(alert: Alert, rule: str, target: str = "") -> bool:
    """Whether `alert` is of `rule`, which may be the name of a pair, and of `target`, where one is given."""
    return rule in (alert.rule, alert.labels.get("alertname")) and target in ("", alert.target)


def state_of(alert: Alert, start_ms: float, standing: Standing) -> str:
    """An alert in words: ``bad of api: pending since 30s (waiting_for_duration)``."""
    by = f" by {_who(alert.by, standing)}" if alert.by else ""
    since = clock((alert.at - start_ms) / 1000.0)
    return f"{alert.rule} of {alert.target}: {alert.state} since {since} ({alert.reason}{by}), {alert.severity}"


def _who(by: str, standing: Standing) -> str:
    """What keeps an alert quiet: for the id of another alert, that alert."""
    return next((f"{a.rule} of {a.target}" for a in standing.values() if a.id == by), by)


def wanted(want: Want, at_s: float, standing: Standing, start_ms: float, why: Why) -> Verdict:
    """Whether `want` is met by the alerts as they stand at `at_s`; the failure's path begins below the test."""
    there = [a for a in standing.values() if is_of(a, want.name, want.target)]
    met = [a for a in there if not _differences(want, a)]
    if want.not_:
        if not met:
            return Verdict()
        return Verdict(
            Failure((), at_s, f"no {_in_words(want)}", _told(met, start_ms, standing), tuple(_seen(met, why)))
        )
    if met and want.count in (None, len(met)):
        return Verdict(None, met)
    if met:
        got = (f"{len(met)} of them", *_told(met, start_ms, standing))
        return Verdict(Failure((), at_s, _in_words(want), got, tuple(why(want.name, want.target))))
    got = tuple(line for a in there for line in (state_of(a, start_ms, standing), *_close(want, a)))[: 2 * _MOST_TOLD]
    return Verdict(Failure((), at_s, _in_words(want), got or ("no such alert",), tuple(why(want.name, want.target))))


def _in_words(want: Want) -> str:
    states = "fired (firing, or what became of it)" if want.states == FIRED else joined(want.states, "or")
    parts = [states, *((want.severity,) if want.severity else ())]
    parts += [f"{k}={v!r}" for k, v in want.labels.items()] + [f"{k}: {v!r}" for k, v in want.annotations.items()]
    parts += [f"because {want.reason}"] if want.reason else []
    count = f", {want.count} of them" if want.count else ""
    return f"{want.name}{' of ' + want.target if want.target else ''}: {', '.join(parts)}{count}"


def _differences(want: Want, alert: Alert) -> list[str]:
    found = []
    if alert.state not in want.states:
        found.append(f"state: wanted {joined(want.states, 'or')}, got {alert.state}")
    if want.severity and alert.severity != want.severity:
        found.append(f"severity: wanted {want.severity}, got {alert.severity}")
    if want.reason and alert.reason != want.reason:
        found.append(f"reason: wanted {want.reason}, got {alert.reason}")
    return (
        found + _texts("labels", want.labels, alert.labels) + _texts("annotations", want.annotations, alert.annotations)
    )


def _texts(what: str, want: Mapping[str, str], have: Mapping[str, str]) -> list[str]:
    return [
        f"{what}.{name}: wanted {value!r}, got {repr(have[name]) if name in have else 'none'}"
        for name, value in want.items()
        if have.get(name) != value
    ]


def _close(want: Want, alert: Alert) -> list[str]:
    """What else keeps `alert` from being wanted than its state, which is told anyway."""
    return [f"  {d}" for d in _differences(want, alert) if not d.startswith("state:")]


def _told(alerts: Iterable[Alert], start_ms: float, standing: Standing) -> tuple[str, ...]:
    lines = [state_of(a, start_ms, standing) for a in alerts]
    return (*lines[:_MOST_TOLD], *((f"and {len(lines) - _MOST_TOLD} more",) if len(lines) > _MOST_TOLD else ()))


def _seen(alerts: Sequence[Alert], why: Why) -> Iterable[str]:
    for alert in alerts[:_MOST_TOLD]:
        yield from why(alert.rule, alert.target)


def exactly(test: AlertRuleTest, standing: Standing, start_ms: float, why: Why) -> Verdict:
    """Whether the alerts that fire under a name are those expected, each of them one."""
    there = [a for a in standing.values() if a.state in FIRED and is_of(a, test.alertname)]
    left, missing, met = list(there), [], []
    # Whoever asks for most chooses first: one that asks for little may take any.
    for expected in sorted(test.exp_alerts, key=lambda e: -len(e.exp_labels) - len(e.exp_annotations)):
        found = next((a for a in left if not _unlike(expected, a)), None)
        if found is None:
            missing.append(expected)
        else:
            left.remove(found)
            met.append(found)
    if not missing and not left:
        return Verdict(None, met)
    got = [f"missing: {_expected(e)}" for e in missing] + [
        f"too much: {line}" for line in _told(left, start_ms, standing)
    ]
    if len(missing) == len(left) == 1:
        got += [f"  {d}" for d in _unlike(missing[0], left[0])]
    count = len(test.exp_alerts)
    text = f"{test.alertname}: {count or 'no'} alert{'' if count == 1 else 's'} firing"
    reasons = [line for e in missing for line in why(test.alertname, e.exp_labels.get("target", ""))]
    reasons += [] if missing else [line for a in left for line in why(a.rule, a.target)]
    return Verdict(Failure((), test.eval_time, text, tuple(got), tuple(dict.fromkeys(reasons))))


def _unlike(expected: ExpectedAlert, alert: Alert) -> list[str]:
    return _texts("labels", expected.exp_labels, alert.labels) + _texts(
        "annotations", expected.exp_annotations, alert.annotations
    )


def _expected(expected: ExpectedAlert) -> str:
    parts = [f"{k}={v!r}" for k, v in expected.exp_labels.items()]
    parts += [f"{k}: {v!r}" for k, v in expected.exp_annotations.items()]
    return ", ".join(parts) or "an alert, whatever its labels"


def sequences(steps: Sequence[Step]) -> dict[tuple[str, str], list[int]]:
    """The steps by rule and target, which are compared with all transitions of these."""
    found: dict[tuple[str, str], list[int]] = {}
    for i, step in enumerate(steps):
        found.setdefault((step.rule, step.target), []).append(i)
    return found


def in_order(
    steps: Sequence[Step], got: Sequence[Alert], start_ms: float, tolerance_ms: float
) -> tuple[list[str], list[Alert]]:
    """The difference line by line, empty where there is none; and the transitions that are as wanted.

    The longest sequence that both have is kept; what was only wanted has a ``-``, what only came a ``+``.
    """

    def same(step: Step, alert: Alert) -> bool:
        return not _unlike_step(step, alert, start_ms, tolerance_ms)

    longest = [[0] * (len(got) + 1) for _ in range(len(steps) + 1)]
    for i in range(len(steps) - 1, -1, -1):
        for j in range(len(got) - 1, -1, -1):
            skip = max(longest[i + 1][j], longest[i][j + 1])
            longest[i][j] = max(skip, longest[i + 1][j + 1] + 1 if same(steps[i], got[j]) else 0)
    lines, met, i, j = [], [], 0, 0
    while i < len(steps) or j < len(got):
        if i < len(steps) and j < len(got) and same(steps[i], got[j]):
            lines.append(f"  {_line(got[j], start_ms)}")
            met.append(got[j])
            i, j = i + 1, j + 1
        elif j == len(got) or (i < len(steps) and longest[i + 1][j] >= longest[i][j + 1]):
            lines.append(f"- {_step(steps[i])}")
            i += 1
        else:
            lines.append(f"+ {_line(got[j], start_ms)}")
            j += 1
    return ([] if len(met) == len(steps) == len(got) else lines), met


def _unlike_step(step: Step, alert: Alert, start_ms: float, tolerance_ms: float) -> bool:
    return (
        abs(alert.at - start_ms - step.at * 1000.0) > tolerance_ms
        or step.state not in ("", alert.state)
        or step.reason not in ("", alert.reason)
        or step.actor not in ("", alert.actor)
        or step.severity not in (None, alert.severity)
        or step.told not in (None, alert.notify)
        or (step.receivers is not None and list(step.receivers) != alert.receivers)
    )


def _line(alert: Alert, start_ms: float) -> str:
    told = ", told" if alert.notify else ""
    extra = f", receivers {', '.join(alert.receivers)}" if alert.receivers else ""
    extra += f", by {alert.by or alert.actor}" if alert.by or alert.actor != "probestream" else ""
    at = clock((alert.at - start_ms) / 1000.0)
    return f"{at:>8} {alert.state} {alert.target} ({alert.reason}), {alert.severity}{told}{extra}"


def _step(step: Step) -> str:
    told = {None: "", True: ", told", False: ", not told"}[step.told]
    extra = "" if step.receivers is None else f", receivers {', '.join(step.receivers) or 'none'}"
    extra += f", by {step.actor}" if step.actor else ""
    severity = f", {step.severity}" if step.severity else ""
    reason = f" ({step.reason})" if step.reason else ""
    of = f" {step.target}" if step.target else ""
    return f"{clock(step.at):>8} {step.state or 'any state'}{of}{reason}{severity}{told}{extra}"
