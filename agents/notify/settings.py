"""Receivers: the channels people are told on. Field names are Alertmanager's."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator, model_validator

from streams.settings import Settings
from streams.units import Duration


class SlackConfig(Settings):
    """A Slack incoming webhook."""

    api_url: SecretStr
    channel: str | None = None
    username: str = "Probestream"
    icon_emoji: str | None = None
    send_resolved: bool = True


class EmailConfig(Settings):
    """An email, in HTML and text."""

    to: tuple[str, ...] = Field(min_length=1)
    from_: str = Field(alias="from")
    smarthost: str = Field(pattern=r"^.+:\d{1,5}$", description="host:port of the SMTP server")
    auth_username: str | None = None
    auth_password: SecretStr | None = None
    require_tls: bool = True
    tls: bool = Field(default=False, description="TLS from the first byte, as on port 465.")
    send_resolved: bool = True

    @field_validator("to", mode="before")
    @classmethod
    def _several(cls, to: object) -> object:
        return tuple(a.strip() for a in to.split(",")) if isinstance(to, str) else to

    @model_validator(mode="after")
    def _login(self) -> EmailConfig:
        if (self.auth_username is None) != (self.auth_password is None):
            raise ValueError("auth_username and auth_password go together")
        return self


class WebhookConfig(Settings):
    """A POST of Alertmanager's webhook JSON; signed with HMAC-SHA256 where `secret` is set."""

    url: SecretStr
    secret: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    send_resolved: bool = True


class Receiver(Settings):
    """A name that routes use, and the channels behind it."""

    name: str = Field(min_length=1, max_length=200)
    slack_configs: tuple[SlackConfig, ...] = ()
    email_configs: tuple[EmailConfig, ...] = ()
    webhook_configs: tuple[WebhookConfig, ...] = ()


class NotifySettings(Settings):
    """The notify role."""

    timeout: Duration = Field(default=10.0, gt=0, description="Longest time one attempt may take.")
    retry_for: Duration = Field(default=3600.0, description="How long an alert is tried before it is given up.")
    retry_initial: Duration = Field(default=1.0, gt=0)
    retry_max: Duration = Field(default=120.0, gt=0)
    concurrency: int = Field(
        default=16, ge=1, description="Attempts under way at once to each integration; a slow one holds up no other."
    )
    page_url: str | None = Field(default=None, description="Address of the dashboard, for links in messages.")
