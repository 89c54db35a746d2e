"""The API's objects, as docs/api.md describes them, from what the gateway knows. Pure: the time is an argument."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from agents.gateway.alert_log import severity_rank
from streams.history_queries import ACTIVE, Point
from streams.life.explain import in_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agents.gateway.view import View
    from agents.probe.settings import Target
    from schemas import Alert, DeadLetter, Health, Notification
    from streams.control_bodies import TargetFace

# The worst first. A target that nobody has checked is worse than a healthy one: it may be anything.
STATUSES = ("unhealthy", "degraded", "unknown", "healthy")
_USED, _TOTAL = ("rate_limit.used", "rate_limit_used"), ("rate_limit.total", "rate_limit_total", "rate_limit.limit")
_GRACE_S = 10.0
_FORGET_MS = 3_600_000.0


def iso(time_ms: float | None) -> str | None:
    """A time as ISO 8601 in UTC with milliseconds; None stays None."""
    if time_ms is None:
        return None
    try:
        time = datetime.fromtimestamp(time_ms / 1000.0, UTC)
    except (OverflowError, ValueError, OSError):  # a sample may claim any time
        return None
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Presenter:
    """The API's objects. `targets` is the configuration's list; what the control topic says of them counts more."""

    def __init__(self, view: View, targets: Sequence[Target]) -> None:
        self.view = view
        self._base = tuple(targets)
        self._targets: dict[str, Target | TargetFace] = {}
        self._as_of = -1

    @property
    def targets(self) -> dict[str, Target | TargetFace]:
        """The targets in force, by name; others are known from their samples alone."""
        if self._as_of != self.view.targets_changed:
            self._as_of = self.view.targets_changed
            self._targets = self.view.controls.overlaid("target", self._base)
        return self._targets

    def names(self, now: float) -> list[str]:
        """Every target: those of the configuration, in its order, then others that sent samples lately."""
        others = sorted(
            name
            for name, known in self.view.health.items()
            if name not in self.targets and now - known.health.time < _FORGET_MS
        )
        return [*self.targets, *others]

    def labels(self, name: str) -> dict[str, str]:
        """The labels of a target; the configuration's win over those of its last sample."""
        known, configured = self.view.health.get(name), self.targets.get(name)
        return {
            **(known.health.labels if known else {}),
            **(configured.all_labels if configured else {"target": name}),
        }

    def platform_of(self, name: str) -> str:
        """The platform that a target belongs to: its label `platform`, or its own name."""
        return self.labels(name).get("platform") or name

    def platforms(self, now: float) -> dict[str, list[str]]:
        """The targets of every platform."""
        found: dict[str, list[str]] = {}
        for name in self.names(now):
            found.setdefault(self.platform_of(name), []).append(name)
        return found

    def overdue(self, name: str, now: float) -> bool:
        """Whether the checks of a target stay away, so that its last status says nothing of now."""
        known, configured = self.view.health.get(name), self.targets.get(name)
        if known is None or configured is None or configured.kind == "push":
            return False
        return now - known.health.time > (2 * configured.every + configured.timeout + _GRACE_S) * 1000.0

    def target(self, name: str, now: float) -> dict[str, Any]:
        """A Target."""
        known, configured = self.view.health.get(name), self.targets.get(name)
        labels = self.labels(name)
        health: Health | None = known.health if known else None
        late = self.overdue(name, now)
        found: dict[str, Any] = {
            "name": name,
            "kind": labels.get("kind", "push"),
            "platform": self.platform_of(name),
            "labels": labels,
            "every_s": configured.every if configured else None,
            "status": health.status if health and not late else "unknown",
            "since": iso(health.since) if health else None,
            "last_check": iso(health.time) if health else None,
            "active_alerts": len(self.view.alerts.active(name)),
        }
        if health is None:
            missing = ("ok", "latency_ms", "latency_mean_ms", "baseline_ms", "error_rate", "count_1h", "errors_1h",
                       "uptime_1h", "consecutive_failures")  # fmt: skip
            return found | dict.fromkeys(missing) | {"metrics": {}, "rules": [], "code": "", "message": ""}
        return found | {
            "ok": health.ok,
            "latency_ms": health.latency_ms,
            "latency_mean_ms": health.latency_mean_ms,
            "baseline_ms": health.baseline_ms,
            "error_rate": health.error_rate,
            "count_1h": health.count_1h,
            "errors_1h": health.errors_1h,
            "uptime_1h": 1.0 - health.errors_1h / health.count_1h if health.count_1h else None,
            "consecutive_failures": health.consecutive_failures,
            "metrics": health.metrics,
            "rules": health.rules,
            "code": health.code,
            "message": f"no check since {iso(health.time)}" if late else health.message,
        }

    def platform(self, platform: str, names: Iterable[str], now: float) -> dict[str, Any]:
        """A Platform: its targets taken together."""
        targets = [self.target(name, now) for name in names]
        times = [t["last_check"] for t in targets if t["last_check"]]
        return {
            "platform": platform,
            "status": worst(t["status"] for t in targets),
            "response_time": _mean(t["latency_ms"] for t in targets),
            "error_rate": _mean(t["error_rate"] for t in targets),
            "rate_limit_used": _total(targets, _USED),
            "rate_limit_total": _total(targets, _TOTAL),
            "last_check": max(times) if times else None,
            "analysis": self.analysis(targets),
            "targets": [t["name"] for t in targets],
        }

    def analysis(self, targets: list[dict[str, Any]]) -> dict[str, Any]:
        """What to make of these targets: the most severe active alert speaks, else the worst status."""
        alerts = sorted((a for t in targets for a in self.view.alerts.active(t["name"])), key=severity_rank)
        if alerts:
            first = alerts[0]
            return {
                # One that somebody has taken on, or that is silenced, calls nobody any more.
                "should_alert": any(a.state in ("firing", "escalated", "flapping") for a in alerts),
                "severity": first.severity,
                "message": first.annotations.get("summary") or f"{first.rule} holds for {first.target}",
                "recommended_action": _action(first),
            }
        worst_status = worst(t["status"] for t in targets)
        bad = [t for t in targets if t["status"] == worst_status]
        if worst_status == "healthy" or not bad:
            return {"should_alert": False, "severity": None, "message": "all checks pass", "recommended_action": "none"}
        if worst_status == "unknown":
            message = bad[0]["message"] or f"{bad[0]['name']} was not checked yet"
            return {"should_alert": False, "severity": "info", "message": message, "recommended_action": "wait"}
        return {
            "should_alert": False,
            "severity": "critical" if worst_status == "unhealthy" else "warning",
            "message": bad[0]["message"] or f"{bad[0]['name']} is {worst_status}",
            "recommended_action": "watch it: no rule calls for an alert",
        }


def worst(statuses: Iterable[str]) -> str:
    """The worst of some statuses; unknown where there is none."""
    return min(statuses, key=lambda s: STATUSES.index(s) if s in STATUSES else 2, default="unknown")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else None


def _total(targets: list[dict[str, Any]], names: tuple[str, ...]) -> float | None:
    known = [v for t in targets if (v := next((t["metrics"][n] for n in names if n in t["metrics"]), None)) is not None]
    return sum(known) if known else None


def _action(alert: Alert) -> str:
    if action := alert.annotations.get("recommended_action"):
        return action
    if url := alert.annotations.get("runbook_url"):
        return f"see {url}"
    return f"look at {alert.target}" + ("" if alert.state == "acknowledged" else ", or acknowledge the alert")


def alert_json(alert: Alert) -> dict[str, Any]:
    """An Alert."""
    return {
        "id": alert.id,
        "number": alert.number,
        "state": alert.state,
        "previous": alert.previous,
        "reason": alert.reason,
        "words": in_words(alert.reason),
        "active": alert.state in ACTIVE,
        "rule": alert.rule,
        "target": alert.target,
        "severity": alert.severity,
        "at": iso(alert.at),
        "began": iso(alert.began),
        "fired": iso(alert.fired),
        "resolved": iso(alert.resolved),
        "labels": alert.labels,
        "annotations": alert.annotations,
        "metric": alert.metric,
        "aggregate": alert.aggregate,
        "operator": alert.operator,
        "threshold": alert.threshold,
        "value": alert.value,
        "actor": alert.actor,
        "comment": alert.comment,
        "notify": alert.notify,
        "by": alert.by,
        "until": iso(alert.until),
        "step": alert.step,
        "receivers": alert.receivers,
        "members": alert.members,
        "member_count": alert.member_count,
        "member_total": alert.member_total,
        "window_s": alert.window_s,
        "samples": alert.samples,
        "baseline": alert.baseline,
        "score": alert.score,
        "status": alert.status,
        "message": alert.message,
        "conditions": alert.conditions,
        "rule_version": alert.rule_version,
        "decisions": [{**d, "at": iso(d["at"]), "words": in_words(d["reason"])} for d in alert.decisions],
    }


def notification_json(notification: Notification) -> dict[str, Any]:
    """A Notification."""
    names = ("alert_id", "number", "state", "receiver", "channel", "integration", "outcome", "reason", "attempt",
             "repeat", "error", "reference")  # fmt: skip
    return {n: getattr(notification, n) for n in names} | {"at": iso(notification.at)}


def dead_letter_json(letter: DeadLetter, size: int) -> dict[str, Any]:
    """A dead letter, without its bytes: they may hold anything, and are on the topic."""
    names = ("hop", "reason", "error", "topic", "partition", "offset", "count")
    return {n: getattr(letter, n) for n in names} | {"at": iso(letter.at), "value_bytes": size}


def points_json(checks: Iterable[Point], values: Iterable[Point] | None = None) -> list[dict[str, Any]]:
    """The points of a series, oldest first; with `values`, also those of one of the target's metrics."""
    found = {p.time: _point_json(p) for p in checks}
    if values is not None:
        measured = {p.time: p for p in values}
        for time in measured.keys() - found.keys():
            found[time] = _point_json(Point(time, 0.0, 0.0, None, None, None))
        for time, point in found.items():
            point["value"] = _extent(measured.get(time))
    return [found[time] for time in sorted(found)]


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "time": iso(point.time),
        "count": point.count,
        "errors": point.errors,
        "error_rate": point.errors / point.count if point.count else None,
        "latency_ms": _extent(point),
    }


def _extent(point: Point | None) -> dict[str, Any] | None:
    if point is None or point.mean is None:
        return None
    return {"mean": point.mean, "min": point.min, "max": point.max}
