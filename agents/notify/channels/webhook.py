"""Webhooks with Alertmanager's JSON, version 4, and our own fields beside it.

Source: Alertmanager documentation, "Configuration", `<webhook_config>`.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from agents.notify.channels.http import Poster
from agents.notify.delivery import Delivery, Sent
from agents.notify.message import link_of
from streams.routing import labels_of, labels_told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agents.notify.settings import NotifySettings, WebhookConfig

_NO_TIME = "0001-01-01T00:00:00Z"  # Go's zero time, as Alertmanager writes an end that has not come
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 14695981039346656037, 1099511628211, 2**64 - 1


class WebhookIntegration:
    """One address that takes Alertmanager's webhook."""

    def __init__(self, config: WebhookConfig, settings: NotifySettings) -> None:
        self._secret = config.secret.get_secret_value().encode() if config.secret else None
        self._headers = {name: value.get_secret_value() for name, value in config.headers.items()}
        self._page_url = settings.page_url
        secrets = (self._secret.decode() if self._secret else "", *self._headers.values())
        self._poster = Poster(config.url.get_secret_value(), settings.timeout, secrets)

    def render(self, delivery: Delivery) -> bytes:
        return orjson.dumps(payload(delivery, self._page_url))

    async def send(self, delivery: Delivery, message: bytes) -> Sent:
        headers = httpx.Headers(self._headers)  # compares names without regard to case: no header comes twice
        headers.update(
            {
                "Content-Type": "application/json",
                "Idempotency-Key": delivery.idempotency_key,
                "X-Probestream-Attempt": str(delivery.attempt),
                "X-Probestream-Repeat": "true" if delivery.repeat else "false",
            }
        )
        if self._secret is not None:
            headers["X-Probestream-Signature"] = signature(self._secret, message, int(time.time()))
        await self._poster.post(message, headers)
        return Sent(reference=delivery.idempotency_key)

    async def close(self) -> None:
        await self._poster.close()


def signature(secret: bytes, body: bytes, time_s: int) -> str:
    """``t=<unix seconds>,v1=<hex>``: HMAC-SHA256 of ``<unix seconds>.<body>``, so that old posts cannot be replayed."""
    digest = hmac.new(secret, f"{time_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={time_s},v1={digest}"


def payload(delivery: Delivery, page_url: str | None) -> dict[str, Any]:
    """The JSON of the post: one alert in Alertmanager's form."""
    alert = delivery.alert
    labels = labels_of(alert)
    status = "resolved" if alert.state == "resolved" else "firing"
    group = {"alertname": alert.rule, "target": alert.target}
    link = link_of(alert, page_url)
    return {
        "version": "4",
        "groupKey": "{}:{" + ", ".join(f'{k}="{_quoted(v)}"' for k, v in group.items()) + "}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": delivery.receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": alert.annotations,
        "externalURL": page_url or "",
        "alerts": [
            {
                "status": status,
                "labels": labels,
                "annotations": alert.annotations,
                "startsAt": _rfc3339(alert.fired if alert.fired is not None else alert.began),
                "endsAt": _rfc3339(alert.resolved) if status == "resolved" else _NO_TIME,
                "generatorURL": link,
                # What it was told with first: receivers know it by that, though its rule was edited since.
                "fingerprint": fingerprint(labels_told(alert)[0]),
            }
        ],
        "probestream": {**alert.to_dict(), "idempotency_key": delivery.idempotency_key},
    }


def fingerprint(labels: Mapping[str, str]) -> str:
    """Prometheus' fingerprint of a label set: FNV-1a over the sorted names and values, in 16 hex digits.

    Source: prometheus/common, `model/signature.go`.
    """
    value = _FNV_OFFSET
    for name in sorted(labels):
        for byte in name.encode() + b"\xff" + labels[name].encode() + b"\xff":
            value = ((value ^ byte) * _FNV_PRIME) & _64_BITS
    return f"{value:016x}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _rfc3339(time_ms: float | None) -> str:
    if time_ms is None:
        return _NO_TIME
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        return _NO_TIME
