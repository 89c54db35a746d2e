"""Schemas, in the form of Confluent's registry."""

from __future__ import annotations

from pydantic import Field

from agents.gateway.models.base import Model


class SubjectVersion(Model):
    """A version of a schema under its subject."""

    subject: str
    version: int


class SchemaText(Model):
    """A schema by id."""

    schema_: str = Field(alias="schema")


class RegisteredSchema(SchemaText):
    """A schema as registered under a subject."""

    subject: str
    version: int
    id: int


class Compatibility(Model):
    """How versions of a schema must fit together."""

    compatibilityLevel: str  # noqa: N815 - Confluent's name


class RegistryError(Model):
    """An error in Confluent's form."""

    error_code: int
    message: str
