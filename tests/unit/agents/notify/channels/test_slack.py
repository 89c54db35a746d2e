"""Slack's payload and answers."""

from __future__ import annotations

import logging

import orjson
import pytest

from agents.letters import Source
from agents.notify.channels.slack import SlackIntegration, payload
from agents.notify.delivery import Delivery
from agents.notify.retry import DeliveryError
from agents.notify.settings import NotifySettings, SlackConfig
from tests.kit import receivers as kit
from tests.kit.notify import alert

SOURCE = Source("alerts", 0, 5, b"k", b"v")


def delivery(**changes) -> Delivery:
    return Delivery(alert(**changes), SOURCE, "ops", "slack", 0)


def test_the_attachment_has_colour_title_text_and_the_three_fields():
    """Channel, username and icon come from the configuration; Type, Value, Threshold lead the fields."""
    config = SlackConfig(api_url="https://x.test", channel="#ops", icon_emoji=":fire:")
    post = payload(delivery(), config, "https://status.test")
    attachment = post["attachments"][0]
    assert (post["channel"], post["username"], post["icon_emoji"]) == ("#ops", "Probestream", ":fire:")
    assert attachment["color"] == "#d32f2f"
    assert attachment["title"] == "[FIRING] error-rate on shop"
    assert attachment["title_link"].startswith("https://status.test/#/alert/")
    assert attachment["text"] == "Half of all requests fail."
    assert [(f["title"], f["value"]) for f in attachment["fields"][:3]] == [
        ("Type", "error-rate"), ("Value", "50 %"), ("Threshold", "&gt; 5 %"),
    ]  # fmt: skip


def test_no_name_can_call_the_channel():
    """Slack's control characters are escaped everywhere."""
    post = orjson.dumps(payload(delivery(target="<!channel>", annotations={"summary": "<@U1> & <http://x|y>"}),
                                SlackConfig(api_url="https://x.test"), None)).decode()  # fmt: skip
    assert "<" not in post


@pytest.mark.parametrize(
    ("answer", "reason", "permanent", "retry_after"),
    [
        (kit.INVALID_PAYLOAD, "http_400", True, None),
        (kit.ACTION_PROHIBITED, "http_403", True, None),
        (kit.CHANNEL_NOT_FOUND, "http_404", True, None),
        (kit.CHANNEL_IS_ARCHIVED, "http_410", True, None),
        (kit.rate_limited("7"), "http_429", False, 7.0),
        (kit.status(408), "http_408", False, None),
        (kit.status(503), "http_503", False, None),
        (kit.Answer(302, "", {"Location": "http://127.0.0.1:1/"}), "http_302", True, None),
        (kit.DROP, "connection_lost", False, None),
    ],
)
async def test_each_refusal_says_whether_trying_again_helps(answer, reason, permanent, retry_after):
    """Reason, permanence and Retry-After are those of the answer; a redirect is not followed."""
    async with kit.SlackServer(answer) as server:
        integration = SlackIntegration(SlackConfig(api_url=server.url), NotifySettings())
        try:
            with pytest.raises(DeliveryError) as caught:
                await integration.send(delivery(), integration.render(delivery()))
        finally:
            await integration.close()
    assert (caught.value.reason, caught.value.permanent, caught.value.retry_after) == (reason, permanent, retry_after)


async def test_no_server_is_a_connect_error_and_silence_a_timeout():
    """Both are worth trying again; only the second may have arrived."""
    async with kit.SlackServer(kit.HANG) as server:
        integration = SlackIntegration(SlackConfig(api_url=server.url), NotifySettings(timeout=0.2))
        with pytest.raises(DeliveryError, match="no answer") as caught:
            await integration.send(delivery(), b"{}" and integration.render(delivery()))
        assert caught.value.reason == "timeout"
    with pytest.raises(DeliveryError) as caught:
        await integration.send(delivery(), integration.render(delivery()))
    assert caught.value.reason == "connect_error"
    await integration.close()


async def test_the_address_is_never_told(caplog):
    """A webhook's address is its secret: it is in no log and in no error, even where the server sends it back."""
    caplog.set_level(logging.INFO)
    async with kit.SlackServer() as server:
        server.answer = kit.Answer(500, f"bad: {server.url}")
        integration = SlackIntegration(SlackConfig(api_url=server.url), NotifySettings())
        with pytest.raises(DeliveryError) as caught:
            await integration.send(delivery(), integration.render(delivery()))
        await integration.close()
    assert str(caught.value) == "bad: ***"
    assert server.path not in caplog.text


async def test_an_endless_answer_is_not_read_to_its_end():
    """Only the start of an answer is kept."""
    async with kit.SlackServer(kit.Answer(500, "x" * 3_000_000)) as server:
        integration = SlackIntegration(SlackConfig(api_url=server.url), NotifySettings())
        with pytest.raises(DeliveryError) as caught:
            await integration.send(delivery(), integration.render(delivery()))
        await integration.close()
    assert len(str(caught.value)) <= 4096
