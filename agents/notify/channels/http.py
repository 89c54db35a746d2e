"""One POST to a receiver that is not trusted: bounded in time, in bytes, and never sent on to another address."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import httpx

from agents.notify.retry import DeliveryError, parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWER_BYTES = 4096
_TRY_AGAIN = frozenset({408, 425, 429})
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=300.0)

# httpx logs each request's full address at INFO, and a webhook's address is its secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Poster:
    """A kept-alive client for one address."""

    def __init__(self, url: str, timeout: float, secrets: tuple[str, ...] = ()) -> None:
        self._url = url
        self._secrets = tuple(s for s in (url, *secrets) if s)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
            limits=_LIMITS,
            follow_redirects=False,
            headers={"User-Agent": "Probestream", "Accept-Encoding": "identity"},
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> str:
        """The start of the receiver's answer where it is 2xx.

        Raises DeliveryError: ``http_<status>``, ``timeout``, ``connect_timeout``, ``connect_error``,
        ``connection_lost`` or ``bad_request``.
        """
        try:
            async with self._client.stream("POST", self._url, content=body, headers=dict(headers)) as response:
                answer = await self._start_of(response)
        except httpx.ConnectTimeout as error:
            raise DeliveryError("connect_timeout", "no connection in time", permanent=False) from error
        except httpx.TimeoutException as error:
            raise DeliveryError("timeout", "no answer in time", permanent=False) from error
        except (httpx.ConnectError, httpx.ProxyError) as error:
            raise DeliveryError("connect_error", self._plain(str(error)), permanent=False) from None
        except httpx.TransportError as error:
            # from None: the error's request carries the address and the headers, and a traceback would print them.
            if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
                raise DeliveryError("bad_request", self._plain(str(error)), permanent=True) from None
            raise DeliveryError("connection_lost", self._plain(str(error)), permanent=False) from None
        except (httpx.InvalidURL, ValueError) as error:
            raise DeliveryError("bad_request", self._plain(str(error)), permanent=True) from None
        if 200 <= response.status_code < 300:
            return answer
        raise DeliveryError(
            f"http_{response.status_code}",
            self._plain(answer),
            permanent=response.status_code < 500 and response.status_code not in _TRY_AGAIN,
            retry_after=parse_retry_after(response.headers.get("Retry-After"), now=time.time()),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    @staticmethod
    async def _start_of(response: httpx.Response) -> str:
        found = bytearray()
        async for chunk in response.aiter_raw():
            found += chunk
            if len(found) >= _ANSWER_BYTES:
                break
        return bytes(found[:_ANSWER_BYTES]).decode("utf-8", "replace")

    def _plain(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
