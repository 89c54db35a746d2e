"""How long a server's certificate is still good, read from its DER bytes.

Python parses a certificate only where it has verified it, and the expiry that people watch most is that of the
certificates they do not verify. Source: RFC 5280, section 4.1.
"""

from __future__ import annotations

from datetime import UTC, datetime

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


def not_after(der: bytes) -> float:
    """End of the validity of the certificate in `der`, seconds since the Unix epoch. Raises ValueError."""
    try:
        _, certificate, _ = _read(der, _SEQUENCE)
        _, body, _ = _read(certificate, _SEQUENCE)
        tag, _, rest = _read(body)
        if tag == _VERSION:
            _, _, rest = _read(rest)  # serial number
        for _ in range(2):  # signature algorithm, issuer
            _, _, rest = _read(rest, _SEQUENCE)
        _, validity, _ = _read(rest, _SEQUENCE)
        _, _, rest = _read(validity)
        tag, text, _ = _read(rest)
        return _time(tag, text.decode("ascii"))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError("no X.509 certificate") from error


def _read(data: bytes, expected: int | None = None) -> tuple[int, bytes, bytes]:
    """Tag and content of the first element of `data`, and what follows it."""
    tag, length, at = data[0], data[1], 2
    if length & 0x80:
        count = length & 0x7F
        length, at = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if (expected is not None and tag != expected) or at + length > len(data):
        raise ValueError("no X.509 certificate")
    return tag, data[at : at + length], data[at + length :]


def _time(tag: int, text: str) -> float:
    if tag == _UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = f"{19 if text[:2] >= '50' else 20}{text}"
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no X.509 certificate")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
