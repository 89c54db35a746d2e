"""Targets: what is watched, how, and how often."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from agents.probe import conditions
from streams.control_bodies import TargetFace
from streams.labels import label_values
from streams.settings import Settings
from streams.units import Duration


class HttpCheck(Settings):
    """An HTTP request and what its answer must look like."""

    url: str = Field(pattern=r"^https?://[^/\s]+")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = "GET"
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    follow_redirects: bool = False
    verify_tls: bool = True
    conditions: tuple[str, ...] = Field(
        default=("[STATUS] < 400",),
        description="As in Gatus: [STATUS] == 200, [RESPONSE_TIME] < 300, [BODY].ok == true.",
    )

    @field_validator("url")
    @classmethod
    def _address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = bool(parts.hostname) and parts.port != 0
        except ValueError:  # its text shows the URL, and there may be a password in it
            usable = False
        if not usable:
            raise ValueError("no address: write http:// or https://, a host, and perhaps a port up to 65535 and a path")
        return url

    @field_validator("conditions")
    @classmethod
    def _parsed(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            conditions.parse(text)
        return texts


class TcpCheck(Settings):
    """A TCP connection that must open."""

    address: str = Field(pattern=r"^.+:\d{1,5}$", description="host:port")

    @field_validator("address")
    @classmethod
    def _port(cls, address: str) -> str:
        if int(address.rpartition(":")[2]) > 65535:
            raise ValueError("a port is at most 65535")
        return address

    @property
    def host_port(self) -> tuple[str, int]:
        """Host, without the brackets of an IPv6 address, and port."""
        host, _, port = self.address.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)


class HostCheck(Settings):
    """This machine: cpu, memory, load and disks."""

    disks: tuple[str, ...] = ("/",)


class KafkaCheck(Settings):
    """The broker that the program itself runs on."""


class PushCheck(Settings):
    """Nothing is probed: an application writes the samples."""


KINDS = ("http", "tcp", "host", "kafka", "push")


class Target(Settings):
    """Anything watched. Exactly one of http, tcp, host, kafka, push says how."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    labels: dict[str, str] = Field(default_factory=dict)
    depends_on: tuple[str, ...] = Field(
        default=(),
        max_length=1000,
        description='What it cannot do without: names of targets, or matchers such as {kind="host", rack="a1"}.',
    )
    every: Duration = Field(default=30.0, gt=0)
    timeout: Duration = Field(default=5.0, gt=0)
    baseline_ms: float | None = Field(default=None, gt=0, description="Declared latency baseline; learnt where absent.")
    baseline_error_rate: float | None = Field(default=None, ge=0, le=1)
    allow_private: bool = Field(
        default=False, description="Let this probe reach loopback, private, link-local and metadata addresses."
    )
    http: HttpCheck | None = None
    tcp: TcpCheck | None = None
    host: HostCheck | None = None
    kafka: KafkaCheck | None = None
    push: PushCheck | None = None

    @field_validator("labels", mode="before")
    @classmethod
    def _text(cls, labels: Any) -> Any:
        return label_values(labels) if isinstance(labels, dict) else labels

    @model_validator(mode="after")
    def _one_kind(self) -> Target:
        chosen = [k for k in KINDS if getattr(self, k) is not None]
        if len(chosen) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; has {' and '.join(chosen) or 'none'}")
        return self

    @property
    def kind(self) -> str:
        """http, tcp, host, kafka or push."""
        return next(k for k in KINDS if getattr(self, k) is not None)

    @property
    def all_labels(self) -> dict[str, str]:
        """The target's labels with `target` and `kind`, as rules and routes see them."""
        return {"kind": self.kind, **self.labels, "target": self.name}


class AddedHttp(HttpCheck):
    """An HTTP request as the control topic may have it: everybody reads that, so there is nothing secret in it."""

    @field_validator("headers", "body")
    @classmethod
    def _none(cls, _: Any) -> Any:
        raise ValueError("may hold a secret: a target that needs it belongs into the file")

    @field_validator("url")
    @classmethod
    def _open(cls, url: str) -> str:
        if "@" in urlsplit(url).netloc:
            raise ValueError("a user or password belongs into the file, not on the control topic")
        return url


def target_of(face: TargetFace, *, allow_private: bool = False) -> Target | None:
    """How a target of the control topic is to be checked by itself; None where it does not say.

    Raises ValidationError, with the fields below `check`, and ValueError where the kind is none.
    """
    if face.kind not in KINDS:
        raise ValueError(f"{face.kind!r} is none of {', '.join(KINDS)}")
    if face.check is None:
        return None
    if face.kind == "push":
        raise ValueError("what an application pushes is not checked: leave check out")
    models: dict[str, type[Settings]] = {"http": AddedHttp, "tcp": TcpCheck, "host": HostCheck, "kafka": KafkaCheck}
    spec = models[face.kind].model_validate(face.check).model_dump(exclude_unset=True)
    return Target(
        name=face.name, every=face.every, timeout=face.timeout, allow_private=allow_private, **{face.kind: spec},
    )  # fmt: skip


def face_of(target: Target) -> TargetFace:
    """What everybody may know of a target of the file."""
    return TargetFace(
        name=target.name, kind=target.kind, labels=target.labels, depends_on=target.depends_on, every=target.every,
        timeout=target.timeout, baseline_ms=target.baseline_ms, baseline_error_rate=target.baseline_error_rate,
    )  # fmt: skip


class ProbeSettings(Settings):
    """The probe role."""

    allow_private: bool = Field(
        default=False,
        description="Let targets that were added at run time reach loopback, private and link-local addresses.",
    )

    name: str = Field(default="", description="Probe id on every sample; empty for this machine's host name.")
    concurrency: int = Field(default=200, ge=1)
    max_body_bytes: int = Field(default=1_048_576, ge=1)
