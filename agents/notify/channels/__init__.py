"""The channels: one file and one line here for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.notify.channels.email import EmailIntegration
from agents.notify.channels.slack import SlackIntegration
from agents.notify.channels.webhook import WebhookIntegration

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.notify.delivery import Integration
    from agents.notify.settings import NotifySettings, Receiver


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people: its name, where a receiver's configuration has it, and how it is opened."""

    name: str
    configs: Callable[[Receiver], tuple[Any, ...]]
    open: Callable[[Any, NotifySettings], Integration]


CHANNELS: tuple[Channel, ...] = (
    Channel("slack", lambda receiver: receiver.slack_configs, SlackIntegration),
    Channel("email", lambda receiver: receiver.email_configs, EmailIntegration),
    Channel("webhook", lambda receiver: receiver.webhook_configs, WebhookIntegration),
)
