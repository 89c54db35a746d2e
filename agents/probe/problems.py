"""What went wrong on the way to a target, for people: a short name and a sentence.

No URL and no header goes into the sentence: both may hold secrets.
"""

from __future__ import annotations

import errno
import os
import ssl
import zlib

from agents.probe.dial import LookupFailedError
from agents.probe.guard import RefusedError

_ERRNO = {
    errno.ECONNREFUSED: ("connection_refused", "connection refused"),
    errno.ECONNRESET: ("connection_reset", "connection reset by the other side"),
    errno.EPIPE: ("connection_reset", "connection closed by the other side"),
    errno.EHOSTUNREACH: ("unreachable", "no route to the host"),
    errno.ENETUNREACH: ("unreachable", "network unreachable"),
    errno.ETIMEDOUT: ("timeout", "the system gave up connecting"),
    errno.EMFILE: ("probe_exhausted", "this probe has too many open files: raise its limit (ulimit -n)"),
}


def explain(error: BaseException, where: str) -> tuple[str, str]:
    """Short name and sentence for `error`; `where` is host:port."""
    chain = _chain(error)
    for known in (_ours, _tls, _system):
        for link in chain:
            if (found := known(link, where)) is not None:
                return found
    return _of_http(error, where)


def _ours(error: BaseException, where: str) -> tuple[str, str] | None:  # noqa: ARG001 - like its siblings
    if isinstance(error, RefusedError):
        return "refused_by_guard", str(error)
    return ("dns", str(error)) if isinstance(error, LookupFailedError) else None


def _tls(error: BaseException, where: str) -> tuple[str, str] | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls", f"certificate of {where} is not trusted: {error.verify_message or error.reason}"
    return ("tls", f"no TLS with {where}: {error.reason or error}") if isinstance(error, ssl.SSLError) else None


def _system(error: BaseException, where: str) -> tuple[str, str] | None:
    if not isinstance(error, OSError) or not error.errno:
        return None
    name, words = _ERRNO.get(error.errno, ("network", os.strerror(error.errno)))
    return name, f"{words}: {where}"


def _of_http(error: BaseException, where: str) -> tuple[str, str]:
    if isinstance(error, zlib.error):
        return "protocol", f"the body is not packed as its Content-Encoding says: {where}"
    kind = type(error).__name__
    if kind == "LocalProtocolError":  # its text shows the header that it complains about, perhaps a secret one
        return "invalid_request", "the request cannot be sent: HTTP does not allow a character in its path or headers"
    if kind.endswith("ProtocolError"):
        return "protocol", f"no valid HTTP answer from {where}: {error}"
    if kind in ("ReadError", "WriteError", "EndOfStream"):
        return "connection_reset", f"connection closed by the other side: {where}"
    return "error", f"{kind}: {error}" if str(error) else kind


def _chain(error: BaseException) -> list[BaseException]:
    """`error`, and everything that led to it."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop(0)
        if link is None or link in found:
            continue
        found.append(link)
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions
    return found
