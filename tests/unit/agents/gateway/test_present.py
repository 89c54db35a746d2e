"""Objects of the API."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agents.gateway.alert_log import Entry
from agents.gateway.present import Presenter, iso, worst
from agents.gateway.view import View
from schemas import Health, encode
from streams.kafka import KafkaSettings
from streams.topics import HEALTH
from tests.kit.gateway import TARGETS
from tests.kit.records import alert, health

NOW = 1_800_000_000_000.0


@pytest.fixture
def view() -> View:
    return View(KafkaSettings(partitions=1))


def put(view: View, *records: Health) -> None:
    messages = [
        SimpleNamespace(key=r.target.encode(), value=encode(r), partition=0, offset=i, timestamp=0)
        for i, r in enumerate(records)
    ]
    view.apply(HEALTH.name, 0, messages, NOW)


def test_times_are_iso_in_utc() -> None:
    """Milliseconds, with a Z; a time that no calendar has is null."""
    assert iso(NOW + 123.4) == "2027-01-15T08:00:00.123Z"
    assert iso(None) is None
    assert iso(1e30) is None
    assert iso(float("nan")) is None


def test_the_worst_status_wins() -> None:
    """unhealthy, degraded, unknown, healthy; nothing known is unknown."""
    assert worst(["healthy", "unknown", "degraded", "unhealthy"]) == "unhealthy"
    assert worst(["healthy", "unknown"]) == "unknown"
    assert worst([]) == "unknown"


def test_an_acknowledged_alert_calls_nobody(view: View) -> None:
    """should_alert is for alerts that nobody has taken on."""
    put(view, health("shop", "unhealthy", time=NOW))
    present = Presenter(view, TARGETS)
    view.alerts.add(Entry(0, 0, 0.0, alert("a", at=NOW, annotations={})))
    analysis = present.platform("shop", ["shop"], NOW)["analysis"]
    assert (analysis["should_alert"], analysis["message"]) == (True, "down holds for shop")
    assert analysis["recommended_action"] == "look at shop, or acknowledge the alert"
    view.alerts.add(Entry(0, 1, 0.0, alert("a", 2, state="acknowledged", at=NOW)))
    assert present.platform("shop", ["shop"], NOW)["analysis"]["should_alert"] is False


def test_a_bad_status_without_an_alert_is_told_without_calling(view: View) -> None:
    """The worst target's message stands for the platform."""
    put(view, health("shop", "degraded", time=NOW, message="slow"))
    analysis = Presenter(view, TARGETS).platform("shop", ["shop"], NOW)["analysis"]
    assert (analysis["should_alert"], analysis["severity"], analysis["message"]) == (False, "warning", "slow")


def test_targets_that_only_send_samples_are_listed_while_they_do(view: View) -> None:
    """A target that the configuration does not name is shown for an hour after its last sample."""
    put(view, health("stranger", time=NOW, labels={"kind": "push", "platform": "p"}), health("gone", time=NOW - 4e6))
    present = Presenter(view, TARGETS)
    assert present.names(NOW) == ["shop", "api", "www", "jobs", "stranger"]
    assert present.target("stranger", NOW)["platform"] == "p"


def test_a_tombstone_forgets_a_target(view: View) -> None:
    """A health record without a value takes the target away."""
    put(view, health("shop", time=NOW))
    view.apply(HEALTH.name, 0, [SimpleNamespace(key=b"shop", value=None, partition=0, offset=9, timestamp=0)], NOW)
    assert view.health == {}
    assert view.cursor.health == (10,)
