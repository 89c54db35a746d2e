"""The webhook's payload and signature."""

from __future__ import annotations

import hashlib
import hmac

from agents.letters import Source
from agents.notify.channels.webhook import WebhookIntegration, fingerprint, payload, signature
from agents.notify.delivery import Delivery
from agents.notify.settings import NotifySettings, WebhookConfig
from tests.kit import receivers as kit
from tests.kit.notify import alert

SOURCE = Source("alerts", 0, 5, b"k", b"v")


def delivery(state: str = "firing", **changes) -> Delivery:
    return Delivery(alert(state, **changes), SOURCE, "ops", "webhook", 0)


def test_the_payload_has_alertmanagers_fields_of_version_4():
    """Whoever reads Alertmanager's webhook reads ours."""
    post = payload(delivery(began=0.0, fired=1500.0), "https://status.test")
    assert set(post) >= {
        "version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels", "commonLabels",
        "commonAnnotations", "externalURL", "alerts",
    }  # fmt: skip
    assert (post["version"], post["status"], post["receiver"]) == ("4", "firing", "ops")
    (one,) = post["alerts"]
    assert set(one) == {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    assert one["labels"]["alertname"] == "error-rate"
    assert (one["startsAt"], one["endsAt"]) == ("1970-01-01T00:00:01.500Z", "0001-01-01T00:00:00Z")
    assert post["probestream"]["threshold"] == 0.05


def test_a_resolved_has_its_end_and_an_acknowledged_still_fires():
    """Alertmanager knows two states."""
    assert payload(delivery("resolved", resolved=2000.0), None)["alerts"][0]["endsAt"] == "1970-01-01T00:00:02.000Z"
    assert payload(delivery("acknowledged"), None)["status"] == "firing"


def test_a_fingerprint_is_that_of_prometheus():
    """FNV-1a over names and values: the empty set gives the offset basis, and order does not matter."""
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"}) != fingerprint({"a": "12", "b": ""})


def test_an_edited_rule_keeps_the_fingerprint():
    """Receivers know the alert by the labels that they were told first, whatever its rule says since."""
    first = delivery(labels={"team": "web"}, severity="warning")
    since = delivery(
        "resolved", labels={"team": "db"}, told_as=[{"team": "web", "severity": "warning"}, {"team": "db"}]
    )
    posts = [payload(d, None)["alerts"][0] for d in (first, since)]
    assert posts[0]["fingerprint"] == posts[1]["fingerprint"]
    assert [post["labels"]["team"] for post in posts] == ["web", "db"]


def test_a_signature_covers_time_and_body():
    """It is HMAC-SHA256 of the time, a dot and the body."""
    want = hmac.new(b"s", b"12.{}", hashlib.sha256).hexdigest()
    assert signature(b"s", b"{}", 12) == f"t=12,v1={want}"


async def test_a_receiver_can_verify_and_deduplicate():
    """Signature, idempotency key and the configured headers arrive; a wrong secret is refused."""
    async with kit.WebhookServer("right") as server:
        config = WebhookConfig(url=server.url, secret="right", headers={"Authorization": "Bearer x"})
        integration = WebhookIntegration(config, NotifySettings())
        sent = await integration.send(delivery(id="1"), integration.render(delivery(id="1")))
        await integration.close()
        (request,) = server.requests
        assert server.verifies(request)
        assert request.headers["Authorization"] == "Bearer x"
        assert request.headers["Idempotency-Key"] == sent.reference == delivery(id="1").idempotency_key
        server.secret = "wrong"
        assert not server.verifies(request)
