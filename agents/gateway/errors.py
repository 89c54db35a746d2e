"""Every error of the API has one form, and says what to do."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

_log = logging.getLogger("probestream.gateway")
_CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class ApiError(Exception):
    """An answer that is an error; `code` is for programs, `message` for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def reply(data: Any, status: int = 200) -> Response:
    """`data` as a JSON answer. Numbers that JSON has none for become null."""
    return Response(orjson.dumps(data, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


def error_body(code: str, message: str) -> dict[str, Any]:
    """The one form."""
    return {"success": False, "error": {"code": code, "message": message}}


def install(app: FastAPI) -> None:
    """Give every error of `app` the one form."""

    async def api(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return reply(error_body(error.code, error.message), error.status)

    async def http(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = _CODES.get(error.status_code, "error")
        text = error.detail if error.detail != HTTPStatus(error.status_code).phrase else ""
        if error.status_code == 404 and not text:
            text = "nothing is here; docs/api.md and /openapi.json list what is"
        answer = reply(error_body(code, text or HTTPStatus(error.status_code).phrase), error.status_code)
        answer.headers.update(error.headers or {})
        return answer

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        # Not the input itself: it may hold a secret that went into the wrong field.
        parts = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors()]
        return reply(error_body("bad_request", "; ".join(parts)), 422)

    async def unforeseen(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return reply(error_body("internal", "the gateway failed; its log says why"), 500)

    app.add_exception_handler(ApiError, api)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unforeseen)
