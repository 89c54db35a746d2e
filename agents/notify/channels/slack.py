"""Slack incoming webhooks.

Source: Slack documentation, "Sending messages using incoming webhooks", "Legacy: secondary attachments".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from agents.notify.channels.http import Poster
from agents.notify.delivery import Delivery, Sent
from agents.notify.message import message_of
from agents.notify.retry import DeliveryError

if TYPE_CHECKING:
    from agents.notify.settings import NotifySettings, SlackConfig

_TEXT_CHARACTERS = 2800
_SHORT = 40
_ADVICE = {
    "invalid_payload": "Slack could not read the message",
    "action_prohibited": "an administrator of the workspace forbids this post",
    "channel_not_found": "the channel does not exist any more: choose another or make a new webhook",
    "channel_is_archived": "the channel is archived: choose another or make a new webhook",
    "no_service": "the webhook was removed or disabled: make a new one",
    "no_service_id": "the webhook's address is incomplete",
    "no_team": "the workspace does not exist any more",
    "invalid_token": "the webhook's address is wrong",
    "user_not_found": "the user does not exist",
}


class SlackIntegration:
    """One incoming webhook."""

    def __init__(self, config: SlackConfig, settings: NotifySettings) -> None:
        self._config = config
        self._page_url = settings.page_url
        self._poster = Poster(config.api_url.get_secret_value(), settings.timeout)

    def render(self, delivery: Delivery) -> bytes:
        return orjson.dumps(payload(delivery, self._config, self._page_url))

    async def send(self, delivery: Delivery, message: bytes) -> Sent:
        headers = {"Content-Type": "application/json", "Idempotency-Key": delivery.idempotency_key}
        try:
            await self._poster.post(message, headers)
        except DeliveryError as error:
            advice = _ADVICE.get(str(error).strip())
            if advice is None:
                raise
            raise DeliveryError(
                error.reason, f"{error}: {advice}", permanent=error.permanent, retry_after=error.retry_after
            ) from None
        return Sent()  # an incoming webhook answers "ok" and no name for the message

    async def close(self) -> None:
        await self._poster.close()


def payload(delivery: Delivery, config: SlackConfig, page_url: str | None) -> dict[str, Any]:
    """The JSON of the post: one attachment, with the fields Type, Value and Threshold first."""
    alert = delivery.alert
    words = message_of(alert, page_url)
    text = escape(words.summary) + (f"\n{escape(words.description)}" if words.description else "")
    if words.runbook:
        text += f"\nRunbook: {escape(words.runbook)}"
    attachment: dict[str, Any] = {
        "fallback": escape(f"{words.title}: {words.summary}")[:_TEXT_CHARACTERS],
        "color": words.colour,
        "title": escape(words.title),
        "text": text[:_TEXT_CHARACTERS],
        "fields": [
            {"title": name, "value": escape(value), "short": len(value) <= _SHORT} for name, value in words.fields
        ],
        "footer": "Probestream",
        "ts": int(alert.at / 1000),
        "mrkdwn_in": [],
    }
    if words.link:
        attachment["title_link"] = words.link
    post: dict[str, Any] = {"username": config.username, "attachments": [attachment]}
    if config.channel:
        post["channel"] = config.channel
    if config.icon_emoji:
        post["icon_emoji"] = config.icon_emoji
    return post


def escape(text: str) -> str:
    """`text` with Slack's three control characters escaped: no target's name can call the whole channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
