"""Targets in the configuration file."""

from __future__ import annotations

import pytest

from agents.probe.settings import HttpCheck, TcpCheck
from probestream.config import ConfigError, load_text


def test_a_condition_with_a_typing_error_is_a_configuration_error():
    """The error names file, line, field and condition, and what was probably meant."""
    text = """
targets:
  - name: shop
    http:
      url: https://shop.example/
      conditions:
        - "[STATUS] == 200"
        - "[REPSONSE_TIME] < 300"
"""
    with pytest.raises(ConfigError) as error:
        load_text(text, "my.yaml", {})
    (problem,) = error.value.problems
    assert str(problem).startswith("my.yaml:")
    assert "targets[0].http.conditions" in problem.field
    assert "'[REPSONSE_TIME] < 300': unknown placeholder [REPSONSE_TIME]; did you mean [RESPONSE_TIME]?" in str(problem)


def test_host_and_port():
    """The address is host:port, with an IPv6 address in brackets."""
    assert TcpCheck(address="db.example:5432").host_port == ("db.example", 5432)
    assert TcpCheck(address="[2001:db8::1]:80").host_port == ("2001:db8::1", 80)
    with pytest.raises(ValueError, match="at most 65535"):
        TcpCheck(address="a:70000")


@pytest.mark.parametrize(
    "url", ["http://a:70000/", "http://[::1/", "https://:80/", "http://user:hunter2@:x/", "ftp://a/"]
)
def test_an_address_that_cannot_be_reached_is_refused(url):
    """An address without a host, or with a port that cannot be, is a configuration error that shows no password."""
    with pytest.raises(ValueError) as error:
        HttpCheck(url=url)
    assert "hunter2" not in str(error.value)
