"""``probestream probe``: one check by hand."""

from __future__ import annotations

import asyncio
import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from probestream.cli.common import ConfigOption, JsonOption, UsageProblem, load_config

if TYPE_CHECKING:
    from pathlib import Path

    from agents.probe.observation import Observation
    from agents.probe.settings import Target


def probe(
    url: Annotated[
        str, typer.Argument(help="http://…, https://…, tcp://host:port, or the name of a configured target.")
    ],
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            "-C",
            help="As in Gatus, for instance '[STATUS] == 200'; may be repeated, all must hold.",
            show_default=False,
        ),
    ] = None,
    method: Annotated[str, typer.Option(help="HTTP method.")] = "GET",
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", help="'Name: value'; may be repeated.", show_default=False),
    ] = None,
    body: Annotated[str | None, typer.Option(help="Body of the request.", show_default=False)] = None,
    timeout: Annotated[str, typer.Option(help="Longest time to wait, for instance 5s.")] = "5s",
    insecure: Annotated[bool, typer.Option("--insecure", help="Do not verify the TLS certificate.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Follow redirects.")] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Check an address once, now: exit code 0 if it is healthy, 1 if not, 2 if it cannot be asked that way."""
    from agents.probe.once import check_once  # noqa: PLC0415 - HTTP libraries are for commands that use them

    if "://" in url:
        http = {
            "method": method.upper(),
            "headers": dict(_header(h) for h in header or ()),
            "body": body,
            "verify_tls": not insecure,
            "follow_redirects": follow,
        } | ({"conditions": condition} if condition else {})
        target, kafka = _target(url, http, timeout), None
    else:
        target, kafka = _configured(url, config)
    seen = asyncio.run(check_once(target, kafka=kafka))
    typer.echo(json.dumps(_values(url, seen)) if as_json else _text(url, seen))
    raise typer.Exit(0 if seen.ok else 1)


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UsageProblem(f"{text!r} is no header; write 'Name: value'")
    return name.strip(), value.strip()


def _target(url: str, http: dict[str, Any], timeout: str) -> Target:
    from pydantic import ValidationError  # noqa: PLC0415

    from agents.probe.settings import Target  # noqa: PLC0415

    check = {"tcp": {"address": url.removeprefix("tcp://").rstrip("/")}} if url.startswith("tcp://") else None
    try:
        # Whoever types an address may reach it: the guard against private ones is for targets that others write.
        return Target.model_validate(
            {"name": url[:200], "timeout": timeout, "allow_private": True, **(check or {"http": {"url": url, **http}})}
        )
    except ValidationError as error:
        told = [
            f"{'.'.join(str(step) for step in e['loc'])}: {str(e['msg']).removeprefix('Value error, ')}"
            for e in error.errors()
        ]
        raise UsageProblem("\n".join(told)) from None


def _configured(name: str, config: Path | None) -> tuple[Target, Any]:
    import difflib  # noqa: PLC0415

    settings = load_config(config)
    for target in settings.targets:
        if target.name == name:
            return target, settings.kafka
    close = difflib.get_close_matches(name, [t.name for t in settings.targets], n=1)
    raise UsageProblem(
        f"{name!r} is neither a URL (http://…, https://…, tcp://host:port) nor a configured target"
        + (f"; did you mean {close[0]}?" if close else "")
    )


def _values(url: str, seen: Observation) -> dict[str, Any]:
    return {
        "url": url,
        "ok": seen.ok,
        "status": seen.status,
        "latency_ms": None if math.isnan(seen.latency_ms) else round(seen.latency_ms, 3),
        "message": seen.message,
        "metrics": {k: (v if math.isfinite(v) else None) for k, v in seen.metrics.items()},
    }


def _text(url: str, seen: Observation) -> str:
    told = [seen.status] if seen.status else []
    if not math.isnan(seen.latency_ms):
        told.append(f"{seen.latency_ms:.1f} ms")
    lines = [f"{url} is {'healthy' if seen.ok else 'unhealthy'}{': ' if told else ''}{', '.join(told)}"]
    if seen.message:
        lines.append(f"  {seen.message}")
    lines += [f"  {name} {value:.6g}" for name, value in sorted(seen.metrics.items())]
    return "\n".join(lines)
