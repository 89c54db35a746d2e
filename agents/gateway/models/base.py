"""What every answer of the API is made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """An object of the API."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(Model):
    """What went wrong: `code` for programs, `message` for people."""

    code: str
    message: str


class Error(Model):
    """Every error."""

    success: bool = False
    error: ErrorDetail
