"""HTTP checks against a real service."""

from __future__ import annotations

import asyncio
import gzip
import math
import time
import zlib

import httpx
import psutil
import pytest

from agents.probe import dial, guard, transport
from agents.probe.context import Context
from agents.probe.kinds import http
from agents.probe.observation import Observation
from agents.probe.once import check_once
from agents.probe.runner import observe
from agents.probe.settings import HttpCheck, Target
from streams.units import human
from tests.kit.role import until
from tests.kit.services import HttpService, TcpService
from tests.kit.tls import server_context


@pytest.fixture
async def web():
    async with HttpService() as service:
        yield service


def target(url: str, *, timeout: float = 60.0, allow_private: bool = True, every: float = 30.0, **spec) -> Target:
    return Target(name="t", every=every, timeout=timeout, allow_private=allow_private, http=HttpCheck(url=url, **spec))


async def gave_up(url: str, *, at: str, timeout: float) -> tuple[Observation, float]:
    """A check that ran into its timeout `at` this stage; a longer one where the machine stood still before it."""
    while True:
        found = await check_once(target(url, timeout=timeout))
        assert found.status == "timeout"
        if found.message.endswith(at) or timeout > 20:
            return found, timeout
        timeout *= 4


async def test_an_answer(web):
    """A good answer is ok, with its status and its time."""
    began = time.perf_counter()
    found = await check_once(target(web.url()))
    assert found.ok
    assert found.status == "200"
    assert found.message == ""
    assert 0 < found.latency_ms < (time.perf_counter() - began) * 1000


async def test_the_request_is_what_was_configured(web):
    """Method, headers and body arrive as written."""
    await check_once(
        target(web.url("/p?q=1"), method="POST", headers={"X-Key": "k", "Host": "shop.example"}, body="hé")
    )
    (request,) = web.requests
    assert (request.method, request.path, request.body) == ("POST", "/p?q=1", "hé".encode())
    assert request.headers["x-key"] == "k"
    assert request.headers["host"] == "shop.example"


async def test_the_stages_add_up(web):
    """Look-up, connection, first byte and transfer sum to the latency, which is what the clock says."""
    web.answer(200, b"x" * 100_000, delay=0.2)
    async with Context() as ctx:
        await observe(target(web.url()), ctx)  # whatever the first request of a process loads
        began = time.perf_counter()
        found = await check_once(target(web.url("/", "localhost")))
        clock_ms = (time.perf_counter() - began) * 1000
    stages = {f"http.{s}_ms" for s in ("dns", "connect", "first_byte", "transfer")}
    assert set(found.metrics) == stages
    assert sum(found.metrics.values()) == pytest.approx(found.latency_ms)
    assert found.metrics["http.first_byte_ms"] >= 200
    assert 200 <= found.latency_ms <= clock_ms


async def test_a_connection_is_used_again(web):
    """Checks of a target share a connection, and report no time for connecting from the second on."""
    t = target(web.url("/", "localhost"), conditions=["[STATUS] == 200", "[IP] == 127.0.0.1"])
    async with Context() as ctx:
        first, second = await observe(t, ctx), await observe(t, ctx)
    assert first.ok, first.message
    assert second.ok, second.message
    assert web.connections == 1
    assert "http.connect_ms" in first.metrics
    assert "http.connect_ms" not in second.metrics


async def test_a_connection_the_server_has_closed_is_no_failure(web):
    """A kept connection that the server closed between two checks is replaced."""
    t = target(web.url())
    async with Context() as ctx:
        assert (await observe(t, ctx)).ok
        web.cut()
        assert (await observe(t, ctx)).ok
    assert web.connections == 2


async def test_a_connection_closed_under_the_request_is_tried_again_once(web):
    """A server that closes a kept connection just when the request arrives is asked again on a new connection."""
    t = target(web.url())
    async with Context() as ctx:
        assert (await observe(t, ctx)).ok
        web.close_unanswered()
        found = await observe(t, ctx)
        assert not found.ok, "it closes the new one as well: that is an observation"
        assert web.connections == 2
        assert len(web.requests) == 3
        web.answer(200)
        assert (await observe(t, ctx)).ok


async def test_a_post_is_never_sent_twice(web):
    """A request that changes something uses a connection of its own, so there is no doubt to be cleared by repeating."""
    t = target(web.url(), method="POST")
    async with Context() as ctx:
        await observe(t, ctx)
        web.close_unanswered()
        assert not (await observe(t, ctx)).ok
    assert len(web.requests) == web.connections == 2


async def test_a_rare_check_keeps_no_connection(web):
    """A target checked every ten minutes holds no socket in between."""
    t = target(web.url(), every=600)
    async with Context() as ctx:
        await observe(t, ctx)
        await observe(t, ctx)
    assert web.connections == 2


async def test_targets_do_not_share_connections(web):
    """A target without allow_private does not get at another's open connection to a private address."""
    async with Context() as ctx:
        assert (await observe(target(web.url()), ctx)).ok
        closed = Target(name="u", http=HttpCheck(url=web.url()))
        assert (await observe(closed, ctx)).status == "refused_by_guard"
        assert (await observe(closed.model_copy(update={"name": "t"}), ctx)).status == "refused_by_guard"


async def test_a_slow_answer_is_a_timeout(web):
    """The timeout holds for the whole check, and says at what it gave up; no latency is made up."""
    web.hang()
    stage = "gave up while waiting for the first byte"
    found, timeout = await gave_up(web.url(), at=stage, timeout=0.2)
    assert math.isnan(found.latency_ms)
    assert found.message == f"no answer within {human(timeout)}: {stage}"
    assert "http.connect_ms" in found.metrics


async def test_timeouts_leave_nothing_behind(web):
    """However many checks ran into their timeout, or were broken off, the next one works."""
    t = target(web.url(), timeout=0.05)
    async with Context() as ctx:
        for how in ("hang", "reset", "garbage") * 4:
            getattr(web, how)()
            assert not (await observe(t, ctx)).ok
        web.answer(200, b"x" * 100_000)
        ctx.max_body_bytes = 10

        async def works() -> bool:
            return (await observe(t, ctx)).ok  # where the machine does not stand still for longer than the timeout

        for _ in range(20):
            await until(works)
        hung = [asyncio.create_task(observe(t, ctx)) for _ in range(20)]
        await asyncio.sleep(0)
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        await until(works)


async def test_a_drip_is_a_timeout_too():
    """A body that comes byte by byte does not outlive the timeout."""

    async def drip(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await asyncio.sleep(0.01)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        stage = "gave up while reading the body"
        found, _ = await gave_up(f"http://127.0.0.1:{port}/", at=stage, timeout=0.3)
        assert found.message.endswith(stage)
    finally:
        server.close()


@pytest.mark.parametrize(("how", "status", "says"), [
    ("reset", "connection_reset", "connection reset by the other side: 127.0.0.1:"),
    ("garbage", "protocol", "no valid HTTP answer from 127.0.0.1:"),
    ("close_unanswered", "protocol", "Server disconnected without sending a response"),
])  # fmt: skip
async def test_a_broken_service(web, how, status, says):
    """What a service does instead of answering is said."""
    getattr(web, how)()
    found = await check_once(target(web.url()))
    assert (found.ok, found.status) == (False, status)
    assert says in found.message


async def test_a_closed_port_and_an_unknown_name(web):
    """Nobody listening, and nobody of that name."""
    await web.down()
    found = await check_once(target(web.url()))
    assert (found.status, found.message) == ("connection_refused", f"connection refused: {web.address}")
    found = await check_once(target("http://nowhere.invalid/"))
    assert found.status == "dns"
    assert "nowhere.invalid" in found.message


async def test_a_big_body_is_cut(web):
    """No more than max_body_bytes is kept; conditions on the body say that it was cut."""
    web.answer(200, b'{"a": "' + b"x" * 3_000_000 + b'"}')
    assert (await check_once(target(web.url()), max_body_bytes=1000)).ok
    found = await check_once(target(web.url(), conditions=["len([BODY].a) > 5"]), max_body_bytes=1000)
    assert found.message == (
        "len([BODY].a) (INVALID) > 5; only the first 1000 bytes of the body were read (probe.max_body_bytes)"
    )
    assert (await check_once(target(web.url(), conditions=["len([BODY]) == 1000"]), max_body_bytes=1000)).ok


@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_packed_body(web, name, pack):
    """Conditions see the body unpacked, and never more than max_body_bytes of it."""
    web.answer(200, pack(b'{"ok": true}'), {"Content-Encoding": name})
    assert (await check_once(target(web.url(), conditions=["[BODY].ok == true"]))).ok
    web.answer(200, pack(b"0" * 50_000_000), {"Content-Encoding": name})
    assert (await check_once(target(web.url(), conditions=["len([BODY]) == 5000"]), max_body_bytes=5000)).ok
    web.answer(200, b"not packed at all", {"Content-Encoding": name})
    assert (await check_once(target(web.url()))).message.startswith(
        "the body is not packed as its Content-Encoding says"
    )


async def test_private_addresses_are_refused(web):
    """Without allow_private a loopback address is not connected to, and the message says what to do."""
    found = await check_once(target(web.url(), allow_private=False))
    assert found.message == (
        "refused: 127.0.0.1 is a loopback address; set allow_private: true on this target to allow it"
    )
    found = await check_once(target(web.url("/", "localhost"), allow_private=False))
    assert "is a loopback address" in found.message
    assert web.connections == 0


async def test_a_redirect_to_a_private_address_is_refused(web, monkeypatch):
    """A service that may be reached cannot send the probe on to an address that may not."""
    # The first hop stands in for a public service: it answers on a port of 127.0.0.2, which passes here.
    monkeypatch.setattr(
        dial,
        "permitted",
        lambda a, *, allow_private: a if a == ["127.0.0.2"] else guard.permitted(a, allow_private=allow_private),
    )
    async with HttpService(host="127.0.0.2") as public:
        public.redirect(web.url("/secret"))
        found = await check_once(target(public.url(), allow_private=False, follow_redirects=True))
    assert found.status == "refused_by_guard"
    assert "127.0.0.1 is a loopback address" in found.message
    assert public.connections == 1
    assert web.connections == 0


async def test_redirects(web):
    """Followed only where asked for, ten at most, and headers of the target do not go to another origin."""
    web.redirect(web.url("/b"), path="/a")
    web.answer(200, {"at": "b"}, path="/b")
    assert (await check_once(target(web.url("/a")))).status == "302"
    found = await check_once(target(web.url("/a"), follow_redirects=True, conditions=["[BODY].at == b"]))
    assert found.ok, found.message
    web.redirect("/loop", path="/loop")
    assert (await check_once(target(web.url("/loop"), follow_redirects=True))).status == "too_many_redirects"
    async with HttpService() as other:
        web.redirect(other.url("/"), path="/away")
        await check_once(target(web.url("/away"), follow_redirects=True, headers={"X-Key": "k", "Authorization": "s", "Host": "shop.example"}))  # fmt: skip
        assert web.requests[-1].headers["x-key"] == "k"
        assert (web.requests[-1].headers["host"], other.requests[0].headers["host"]) == ("shop.example", other.address)
        assert not {"x-key", "authorization"} & set(other.requests[0].headers)
    web.redirect("gopher://127.0.0.1/", path="/odd")
    assert not (await check_once(target(web.url("/odd"), follow_redirects=True))).ok


def test_the_same_service():
    """Headers go along to the same origin, and to the same host with TLS, as httpx has it for Authorization."""
    url = httpx.URL("http://a.example/x")
    same = ["http://a.example/y", "https://a.example/", "http://a.example:80/"]
    others = ["http://b.example/", "http://a.example:81/", "https://a.example:8443/", "https://a.example.evil/"]
    assert [http._same_service(url, httpx.URL(u)) for u in same + others] == [True] * 3 + [False] * 4
    assert not http._same_service(httpx.URL("https://a.example/"), url)


async def test_cookies_are_not_kept(web):
    """Each check is a first visit."""
    web.answer(200, headers={"Set-Cookie": "a=b"})
    t = target(web.url())
    async with Context() as ctx:
        await observe(t, ctx)
        await observe(t, ctx)
    assert "cookie" not in web.requests[1].headers


async def test_rate_limits_become_metrics(web):
    """What the answer tells of its rate limit is in the metrics."""
    web.answer(200, headers={"X-RateLimit-Limit": "200", "X-RateLimit-Remaining": "20"})
    found = await check_once(target(web.url()))
    assert found.metrics["rate_limit.used"] == 180
    assert found.metrics["rate_limit.total"] == 200
    assert found.metrics["rate_limit.used_percent"] == 90


async def test_no_secret_in_a_message(web):
    """Neither a password in the address nor a header shows up in what is told."""
    url = web.url().replace("://", "://user:hunter2@")
    found = await check_once(target(web.url(), headers={"X-Key": "hunter2\nX: y"}))
    assert (found.ok, found.status) == (False, "invalid_request")
    assert "hunter2" not in repr(found)
    await web.down()
    assert "hunter2" not in repr(await check_once(target(url)))


async def test_tls(tmp_path, monkeypatch):
    """TLS is timed, the certificate's remaining days are told, and one that nobody vouches for is refused by name."""
    context, authority = server_context(tmp_path, days=10)
    async with HttpService(tls=context) as web:
        found = await check_once(
            target(web.url("/", "localhost"), verify_tls=False, conditions=["[CERTIFICATE_EXPIRATION] > 48h"])
        )
        assert found.ok, found.message
        assert found.metrics["http.tls_ms"] > 0
        assert 9.9 < found.metrics["tls.days_left"] <= 10
        assert sum(v for n, v in found.metrics.items() if n.endswith("_ms")) == pytest.approx(found.latency_ms)
        found = await check_once(target(web.url("/", "localhost")))
        assert found.status == "tls"
        assert "is not trusted: self" in found.message
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
        transport.tls_context.cache_clear()
        found = await check_once(target(web.url("/", "localhost")))
        transport.tls_context.cache_clear()
        assert found.ok, found.message


async def test_a_hundred_targets_at_once(web):
    """A hundred checks are all under way before the first is answered."""
    targets = [target(web.url(f"/{i}"), timeout=30).model_copy(update={"name": f"t{i}"}) for i in range(100)]
    web.hold()
    async with Context() as ctx:
        checks = asyncio.gather(*(observe(t, ctx) for t in targets))
        await until(lambda: len(web.requests) == 100)
        for i in range(100):
            web.release(f"/{i}")
        assert all(o.ok for o in await checks)


async def test_a_handshake_that_never_ends_leaves_no_socket():
    """A server that takes connections and never speaks TLS costs a timeout each time, and no open file."""
    process = psutil.Process()
    async with TcpService() as service:
        stage, url = "gave up in the TLS handshake", f"https://{service.address}/"
        found, timeout = await gave_up(url, at=stage, timeout=0.05)
        assert found.message == f"no answer within {human(timeout)}: {stage}"
        t = target(url, timeout=0.05)
        async with Context() as ctx:
            await observe(t, ctx)
            await until(lambda: not service.open)
            before = process.num_fds()
            for _ in range(10):
                await observe(t, ctx)
            await until(lambda: not service.open, why="the sockets are still open")
            assert process.num_fds() <= before


async def test_checks_broken_off_anywhere_leave_no_socket(web):
    """Cancelled at any point, a check leaves neither a socket nor a target that cannot be checked any more."""
    t = target(web.url("/", "localhost"))
    async with Context() as ctx:
        for i in range(60):
            task = asyncio.create_task(observe(t, ctx))
            for _ in range(i):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert web.open <= 2
        assert (await observe(t, ctx)).ok
    await until(lambda: not web.open, why="the sockets are still open")
