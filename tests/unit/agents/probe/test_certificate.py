"""The end of a certificate, read from its bytes."""

from __future__ import annotations

import contextlib
import datetime as dt

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.certificate import not_after
from tests.kit.tls import certificate


@pytest.mark.parametrize("year", [2001, 2026, 2049, 2050, 2199])
def test_the_end_is_what_the_maker_wrote(year):
    """Both forms of time in use, before and after 2050, are read to the second."""
    end = dt.datetime(year, 2, 3, 4, 5, 6, tzinfo=dt.UTC)
    made, _ = certificate(end)
    assert not_after(made.public_bytes(Encoding.DER)) == end.timestamp()


@given(st.binary(max_size=200))
def test_other_bytes_are_a_value_error(data):
    """Bytes that are no certificate raise ValueError and nothing else."""
    with pytest.raises(ValueError):
        not_after(data)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_certificate_is_read_or_a_value_error(at, byte):
    """One wrong byte anywhere raises nothing but ValueError."""
    made, _ = certificate(dt.datetime(2030, 1, 1, tzinfo=dt.UTC))
    der = bytearray(made.public_bytes(Encoding.DER))
    der[at % len(der)] = byte
    with contextlib.suppress(ValueError):
        not_after(bytes(der))
