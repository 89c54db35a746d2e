"""Who may ask the gateway, and how it answers those who may not."""

from __future__ import annotations

import asyncio
import base64

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from agents.gateway.app import run
from agents.gateway.server import PortInUseError
from agents.gateway.settings import GatewaySettings
from streams.kafka import KafkaSettings
from tests.kit.gateway import TARGETS, gateway, receive
from tests.kit.ports import free_port
from tests.kit.role import PATIENCE_S, until


async def test_the_token_is_asked_for(kafka: KafkaSettings) -> None:
    """With a token set, everything but ping and the page needs it: header for REST; header, query, subprotocol live."""
    token = "t0ken-ü"
    as_protocol = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    async with gateway(kafka, token=token) as g:
        await g.get("/api/ping")
        for path in (
            "/api/health/status",
            "/metrics",
            "/openapi.json",
            "/subjects",
            "/schemas/ids/1",
            "/api/nope",
            "/x",
        ):
            refused = await g.get(path, 401)
            assert refused["error"]["code"] == "unauthorized"
        assert (await g.http.post("/api/ping", json={})).status_code == 401
        for header, status in (
            (f"Bearer {token}", 200),
            ("Bearer wrong", 401),
            ("Bearer", 401),
            ("Basic " + base64.b64encode(f"any:{token}".encode()).decode(), 200),
            ("Basic " + base64.b64encode(b"any:wrong").decode(), 401),
            ("Basic !!!", 401),
        ):
            answer = await g.http.get("/api/health/status", headers={b"authorization": header.encode()})
            assert answer.status_code == status, header
        assert (await g.http.get("/api/health/status", params={"token": token})).status_code == 401
        async with g.live(f"?token={token.encode().hex(' ').replace(' ', '%').join(['%', ''])}") as ws:
            assert (await receive(ws))["type"] == "connection"
        async with g.live(subprotocols=["probestream.v1", f"bearer.{as_protocol}"]) as ws:
            assert ws.subprotocol == "probestream.v1"
            assert (await receive(ws))["type"] == "connection"
        for query, more in (("", {}), ("?token=wrong", {}), ("", {"subprotocols": ["probestream.v1", "bearer.eA"]})):
            with pytest.raises(InvalidStatus) as refused_handshake:
                await g.live(query, **more).__aenter__()
            assert refused_handshake.value.response.status_code == 401


async def test_the_token_is_in_no_log(kafka: KafkaSettings, caplog: pytest.LogCaptureFixture) -> None:
    """A token in the address of a live connection is not logged, at any level of ours."""
    caplog.set_level("DEBUG", logger="probestream")
    async with gateway(kafka, token="hunter2") as g, g.live("?token=hunter2") as ws:
        await receive(ws)
    assert "hunter2" not in "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("websockets"))


async def test_other_hosts_and_origins_are_refused(kafka: KafkaSettings) -> None:
    """A rebound name is refused by its Host, another site's page by its Origin."""
    async with gateway(kafka) as g:
        for host, status in (
            ("evil.example", 400),
            ("127.0.0.1.evil.example", 400),
            (f"localhost:{g.port}", 200),
            ("[::1]:80", 200),
            ("", 400),
        ):
            assert (await g.http.get("/api/ping", headers={"host": host})).status_code == status, host
        for origin, status in (("http://evil.example", 403), ("null", 403), (f"http://127.0.0.1:{g.port + 1}", 403)):
            with pytest.raises(InvalidStatus) as refused:
                await g.live(origin=origin).__aenter__()
            assert refused.value.response.status_code == status
            answer = await g.http.post("/api/health/check", json={"targets": []}, headers={"origin": origin})
            assert answer.status_code == status
        async with g.live(origin=f"http://127.0.0.1:{g.port}") as ws:
            assert (await receive(ws))["type"] == "connection"


async def test_posts_are_json_and_small(kafka: KafkaSettings) -> None:
    """A form post, a huge body and broken JSON are refused in the one form of errors."""
    async with gateway(kafka) as g:
        form = await g.http.post("/api/health/check", content=b"{}", headers={"content-type": "text/plain"})
        assert (form.status_code, form.json()["error"]["code"]) == (415, "unsupported_media_type")
        huge = await g.http.post(
            "/api/health/check", content=b" " * 70_000, headers={"content-type": "application/json"}
        )
        assert (huge.status_code, huge.json()["error"]["code"]) == (413, "too_large")
        broken = await g.http.post("/api/health/check", content=b"{", headers={"content-type": "application/json"})
        assert (broken.status_code, broken.json()["error"]["code"]) == (422, "bad_request")
        for path, status in (("/api/nope", 404), ("/nope", 404)):
            missing = await g.get(path, status)
            assert (missing["success"], missing["error"]["code"]) == (False, "not_found")
        assert (await g.http.delete("/api/health/status")).json()["error"]["code"] == "method_not_allowed"


async def test_answers_carry_security_headers(kafka: KafkaSettings) -> None:
    """No answer may be framed, sniffed or kept; the page's files are asked for anew, with an ETag."""
    async with gateway(kafka) as g:
        answer = await g.http.get("/api/health/status")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["content-security-policy"].startswith("default-src 'self'")
        assert answer.headers["cache-control"] == "no-store"
        page = await g.http.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["cache-control"] == "no-cache"
        again = await g.http.get("/", headers={"if-none-match": page.headers["etag"]})
        assert again.status_code == 304
        for escape in ("/..%2fapp.py", "/%2e%2e/app.py", "/../settings.py"):
            assert (await g.http.get(escape)).status_code == 404


async def test_openapi_describes_every_route(kafka: KafkaSettings) -> None:
    """The description is served, has every documented path with a model, and no page loads scripts of others."""
    async with gateway(kafka) as g:
        paths = (await g.get("/openapi.json"))["paths"]
        for path in (
            "/api/ping", "/api/health/status", "/api/health/check", "/api/health/alerts", "/api/health/scheduler/status",
            "/api/health/websocket/stats", "/api/targets", "/api/alerts/{alert_id}/acknowledge", "/subjects",
        ):  # fmt: skip
            (operation,) = paths[path].values()
            assert operation["responses"]["200"]["content"]["application/json"]["schema"], path
        assert (await g.http.get("/docs")).status_code == 404


async def test_a_port_in_use_is_told(kafka: KafkaSettings) -> None:
    """A second gateway on the same port ends at once with a sentence that names the port and what to set."""
    async with gateway(kafka) as g:
        with pytest.raises(PortInUseError, match=f"{g.port}.*gateway.port"):
            await run(
                kafka=kafka, settings=GatewaySettings(port=g.port), targets=TARGETS, rules=(), url="",
                stop=asyncio.Event(), ready=lambda: None,
            )  # fmt: skip


async def test_without_kafka_it_waits(kafka: KafkaSettings) -> None:
    """While Kafka is away the gateway answers ping, says that it is not ready, and stops when told."""
    port, stop = free_port(), asyncio.Event()
    away = KafkaSettings(bootstrap=f"127.0.0.1:{free_port()}", prefix=kafka.prefix)
    task = asyncio.create_task(
        run(
            kafka=away,
            settings=GatewaySettings(port=port),
            targets=TARGETS,
            rules=(),
            url="",
            stop=stop,
            ready=lambda: None,
        )
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        await until(lambda: _answers(client, "/api/ping", 200))
        refused = await client.get("/api/health/status")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
    stop.set()
    await asyncio.wait_for(task, PATIENCE_S)


async def _answers(client: httpx.AsyncClient, path: str, status: int) -> bool:
    try:
        return (await client.get(path)).status_code == status
    except httpx.TransportError:
        return False
