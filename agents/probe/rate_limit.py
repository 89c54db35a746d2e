"""How much of a caller's allowance is used, from the headers of an answer.

Sources: the ``X-RateLimit-*`` headers of GitHub, ``x-rate-limit-*`` of X (Twitter), ``X-App-Usage`` of Meta's Graph API
(Facebook, Instagram); draft-ietf-httpapi-ratelimit-headers, "RateLimit header fields for HTTP", both its present form
(``RateLimit: "default";r=50;t=30`` with ``RateLimit-Policy: "default";q=100;w=60``) and the earlier ones
(``RateLimit: limit=100, remaining=50`` and ``RateLimit-Limit``, ``RateLimit-Remaining``).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FAMILIES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")
_USAGE = ("x-app-usage", "x-page-usage", "x-ad-account-usage")
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,6})?)")
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z*][\w*./:-]*)((?:\s*;\s*[a-z*][\w.*-]*(?:=[^;,]*)?)*)\s*(?:,|$)')
_PARAMETER = re.compile(r";\s*([a-z*][\w.*-]*)=([^;,]*)")
_OLD = re.compile(r"\b(limit|remaining)\s*=\s*(\d{1,15})")


def metrics_of(headers: Mapping[str, str]) -> dict[str, float]:
    """rate_limit.used, .total and .used_percent of the allowance that is nearest its end; empty where none is told.

    `headers` has lower-case names, or does not mind the case.
    """
    told = [(used, total) for used, total in _allowances(headers) if total > 0 and used >= 0]
    if not told:
        return {}
    used, total = max(told, key=lambda pair: pair[0] / pair[1])
    return {"rate_limit.used": used, "rate_limit.total": total, "rate_limit.used_percent": 100.0 * used / total}


def _allowances(headers: Mapping[str, str]) -> Iterator[tuple[float, float]]:
    """Used and total of each allowance that `headers` tell of."""
    for family in _FAMILIES:
        total = _number(headers.get(f"{family}limit"))
        used, left = _number(headers.get(f"{family}used")), _number(headers.get(f"{family}remaining"))
        if total is not None and used is not None:
            yield used, total
        elif total is not None and left is not None:
            yield max(total - left, 0.0), total
    if (now := headers.get("ratelimit")) is not None:
        yield from _drafts(now, headers.get("ratelimit-policy", ""))
    for name in _USAGE:
        if (text := headers.get(name)) is not None:
            yield from _percentages(text)


def _drafts(now: str, policy: str) -> Iterator[tuple[float, float]]:
    old = dict(_OLD.findall(now))
    if len(old) == 2:
        total = float(old["limit"])
        yield max(total - float(old["remaining"]), 0.0), total
        return
    quotas = {name: _number(parameters.get("q")) for name, parameters in _items(policy)}
    for name, parameters in _items(now):
        left, quota = _number(parameters.get("r")), quotas.get(name)
        if left is not None and quota is not None:
            yield max(quota - left, 0.0), quota


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Members of a structured-field list (RFC 9651) with their parameters."""
    for found in _ITEM.finditer(text[:4096]):
        yield found.group(1).strip('"'), dict(_PARAMETER.findall(found.group(2)))


def _percentages(text: str) -> Iterator[tuple[float, float]]:
    try:
        usage = orjson.loads(text)
    except ValueError:
        return
    if isinstance(usage, dict):
        for value in usage.values():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                yield float(value), 100.0


def _number(text: str | None) -> float | None:
    """The number that `text` begins with: the earlier drafts put policies behind it."""
    found = _NUMBER.match(text) if text else None
    return float(found.group(1)) if found else None
