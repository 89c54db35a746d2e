"""Emails, on a real SMTP server."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agents.letters import Source
from agents.notify.channels.email import EmailIntegration, email_of
from agents.notify.delivery import Delivery
from agents.notify.retry import DeliveryError
from agents.notify.settings import EmailConfig, NotifySettings
from tests.kit import receivers as kit
from tests.kit.notify import alert

SOURCE = Source("alerts", 0, 5, b"k", b"v")


def delivery(state: str = "firing", **changes) -> Delivery:
    return Delivery(alert(state, **changes), SOURCE, "ops", "email", 0)


def config(server: kit.SmtpServer | None = None, **more) -> EmailConfig:
    values = {"to": "a@x.test, b@x.test", "from": "Probe <p@x.test>", "smarthost": "h:25", "require_tls": False} | more
    return EmailConfig.model_validate(values | ({"smarthost": server.smarthost} if server else {}))


async def attempt(settings: EmailConfig, what: Delivery | None = None):
    what = what or delivery()
    integration = EmailIntegration(settings, NotifySettings(timeout=60.0))
    return await integration.send(what, integration.render(what))


def test_html_is_escaped_and_text_is_not():
    """An alert's texts are shown as they are, and never run as HTML."""
    message = email_of(delivery(annotations={"summary": "<script>x</script> & co"}), config(), None)
    html, text = message.get_body(("html",)).get_content(), message.get_body(("plain",)).get_content()
    assert "<script>" not in html
    assert "&lt;script&gt;x&lt;/script&gt; &amp; co" in html
    assert "<script>x</script> & co" in text


def test_a_template_in_an_alert_stays_text():
    """What looks like a template in an annotation is not evaluated."""
    message = email_of(delivery(annotations={"summary": "{{ 7 * 7 }}"}), config(), None)
    assert "{{ 7 * 7 }}" in message.get_body(("plain",)).get_content()


def test_a_runbook_that_is_no_web_address_is_no_link():
    """A javascript: address is not made clickable."""
    message = email_of(delivery(annotations={"runbook_url": "javascript:alert(1)"}), config(), None)
    assert "javascript" not in message.get_body(("html",)).get_content()


def test_no_header_can_be_injected():
    """Line breaks in names end up as spaces in the subject."""
    message = email_of(delivery(target="x\r\nBcc: evil@x.test", id="i\nX-Evil: 1"), config(), None)
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert "Bcc: evil@x.test" in message["Subject"]


def test_messages_of_an_alert_are_one_thread_and_a_repeat_has_the_same_id():
    """Message-ID depends on the transition, the thread's root on the alert and the receiver."""
    firing, again, resolved = (
        email_of(delivery(state, id="1"), config(), None) for state in ("firing", "firing", "resolved")
    )
    assert firing["Message-ID"] == again["Message-ID"] != resolved["Message-ID"]
    assert firing["References"] == resolved["References"] == resolved["In-Reply-To"]
    assert firing["Auto-Submitted"] == "auto-generated"


async def test_a_mail_arrives_in_both_forms():
    """HTML and text reach every recipient in one message."""
    async with kit.SmtpServer() as server:
        sent = await attempt(config(server))
        (mail,) = server.messages
        assert mail.to == ["a@x.test", "b@x.test"]
        assert mail.sender == "p@x.test"
        assert mail.message["Message-ID"] == sent.reference
        assert "Threshold" in mail.part("html")
        assert "Threshold" in mail.part("plain")


@pytest.mark.parametrize(("answer", "reason", "permanent"),
                         [("451 later", "smtp_451", False), ("554 no", "smtp_554", True)])  # fmt: skip
async def test_a_refusal_says_whether_trying_again_helps(answer, reason, permanent):
    """4xx passes, 5xx does not."""
    async with kit.SmtpServer() as server:
        server.script(answer)
        with pytest.raises(DeliveryError) as caught:
            await attempt(config(server))
        assert (caught.value.reason, caught.value.permanent) == (reason, permanent)


async def test_a_recipient_who_has_it_does_not_get_it_again():
    """After a partial refusal the next attempt goes to those who were refused for the moment only."""
    async with kit.SmtpServer() as server:
        server.rcpt["b@x.test"] = "450 greylisted"
        what = delivery()
        with pytest.raises(DeliveryError) as caught:
            await attempt(config(server), what)
        assert (caught.value.reason, caught.value.permanent) == ("partly_refused", False)
        server.rcpt.clear()
        await attempt(config(server), what)
        assert [m.to for m in server.messages] == [["a@x.test"], ["b@x.test"]]


async def test_a_recipient_who_does_not_exist_keeps_the_others_mail_delivered():
    """One bad address among good ones is reported and does not make the alert fail."""
    async with kit.SmtpServer() as server:
        server.rcpt["b@x.test"] = "550 no such user"
        sent = await attempt(config(server))
        assert sent.error == "b@x.test: 550 no such user"
        server.rcpt["a@x.test"] = "550 no such user"
        with pytest.raises(DeliveryError) as caught:
            await attempt(config(server))
        assert (caught.value.reason, caught.value.permanent) == ("smtp_550", True)


async def test_no_server_is_a_connect_error():
    """Worth trying again, and surely not arrived."""
    async with kit.SmtpServer() as server:
        pass
    with pytest.raises(DeliveryError) as caught:
        await attempt(config(server))
    assert (caught.value.reason, caught.value.permanent) == ("connect_error", False)


async def test_required_tls_is_not_given_up_silently():
    """A server that cannot STARTTLS gets no message and no password."""
    async with kit.SmtpServer(users={"me": "pw"}) as server:
        with pytest.raises(DeliveryError) as caught:
            await attempt(config(server, require_tls=True, auth_username="me", auth_password="pw"))
        assert (caught.value.reason, caught.value.permanent) == ("smtp_no_starttls", True)
        assert server.messages == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Files with a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - dt.timedelta(days=1)).not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("tls")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_mail_goes_over_tls_with_a_login(certificate, monkeypatch, implicit):
    """STARTTLS and TLS from the first byte, with the configured name and password."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    more = {"tls": implicit, "require_tls": not implicit, "auth_username": "me", "auth_password": "pw"}
    async with kit.SmtpServer(tls=context, implicit_tls=implicit, users={"me": "pw"}) as server:
        await attempt(config(server, **more))
        (mail,) = server.messages
        assert mail.tls
        assert mail.user == "me"
        with pytest.raises(DeliveryError) as caught:
            await attempt(config(server, **more | {"auth_password": "wrong"}))
        assert (caught.value.reason, caught.value.permanent) == ("smtp_535", True)
        assert "wrong" not in str(caught.value)


async def test_a_certificate_that_nobody_signed_is_refused(certificate):
    """Mail is not handed to a server that cannot prove who it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    async with kit.SmtpServer(tls=context) as server:
        with pytest.raises(DeliveryError):
            await attempt(config(server, require_tls=True))
        assert server.messages == []
