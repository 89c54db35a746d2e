"""Which origins are ours."""

import pytest

from agents.gateway.guard import same_host


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://localhost:8080", "localhost:8080", True),
        ("https://watch.example", "watch.example", True),
        ("https://watch.example", "watch.example:443", True),
        ("https://WATCH.example", "watch.example", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://localhost:8081", "localhost:8080", False),
        ("http://watch.example.evil", "watch.example", False),
        ("http://evil/watch.example", "watch.example", False),
        ("null", "localhost", False),
        ("file://", "localhost", False),
        ("", "", False),
        ("http://[", "localhost", False),
        ("http://localhost:99999", "localhost:99999", False),
    ],
)
def test_an_origin_must_name_the_host(origin: str, host: str, same: bool) -> None:
    """Name and port, with the scheme's default port; anything else is another site."""
    assert same_host(origin, host) is same
