"""Settings that contradict each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.gateway.settings import GatewaySettings


def test_clients_have_time_to_answer() -> None:
    """A silence that is no longer than the heartbeat is refused, with what is wrong."""
    assert GatewaySettings(heartbeat="10s", silent_after="11s").silent_after == 11
    with pytest.raises(ValidationError, match=r"silent_after \(10 s\) must be longer than gateway\.heartbeat \(10 s\)"):
        GatewaySettings(heartbeat=10, silent_after="10s")


def test_the_outside_needs_a_token() -> None:
    """Listening on more than loopback without a token is refused."""
    with pytest.raises(ValidationError, match=r"gateway\.token"):
        GatewaySettings(host="0.0.0.0")
    assert GatewaySettings(host="0.0.0.0", token="secret").token is not None
    assert GatewaySettings(host="::1").token is None
