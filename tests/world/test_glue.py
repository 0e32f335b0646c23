"""The pages that plug this library into programs with a hook for it, run as they stand in the documents."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import pytest

import saslsspi
from adapters.mail_world import IMAP, SMTP, certificate, serving
from world.pages import run
from world.programs import python_with

pytestmark = pytest.mark.interop

IMAPCLIENT: Final = """
import sys
from imapclient import IMAPClient
from imapclient.exceptions import LoginError

def logged_on(mechanism, user, password):
    with IMAPClient("localhost", int(sys.argv[1]), ssl=False) as imap:
        responder = Responder(mechanism, user, password, "localhost")
        imap.sasl_login(mechanism, responder)
        security = responder.finish()
        return security.mechanism, imap.list_folders()[0][2]

for mechanism in ("SCRAM-SHA-256", "DIGEST-MD5", "NTLM"):
    print(*logged_on(mechanism, "jörg", "grüße"))
    try:
        logged_on(mechanism, "alice", "not hers")
    except LoginError:
        print("refused")
"""
DJANGO: Final = """
import smtplib, sys
from django.conf import settings
from django.core.mail import EmailMessage
import saslsspi

_, port, tls, password = sys.argv
settings.configure(EMAIL_HOST="localhost", EMAIL_PORT=int(port), EMAIL_USE_TLS=tls == "tls", EMAIL_TIMEOUT=10,
                   EMAIL_HOST_USER="jörg", EMAIL_HOST_PASSWORD=password)
backend = SaslEmailBackend()
try:
    backend.open()
except smtplib.SMTPAuthenticationError as error:
    print("refused", isinstance(error, saslsspi.LogonDenied))
else:
    print(backend.connection.security.mechanism)
    print(EmailMessage("subject", "text", "a@example.test", ["b@example.test"], connection=backend).send())
    backend.close()
"""
YAGMAIL: Final = """
import smtplib, ssl, sys
import saslsspi

_, port, tls, password = sys.argv
mail = SaslYagmail("alice@gmail.com", password, host="localhost", port=int(port), smtp_ssl=False,
                   smtp_starttls={"context": ssl.create_default_context()} if tls == "tls" else False)
try:
    mail.login()
except smtplib.SMTPAuthenticationError as error:
    print("refused", isinstance(error, saslsspi.LogonDenied))
else:
    print(mail.smtp.security.mechanism)
    mail.send("bob@example.test", "subject", "text")
    print(1)
    mail.close()
"""

KAFKA: Final = """
import saslsspi
from kafka.net.sasl import get_sasl_mechanism

people = saslsspi.MemoryAuthority({"jörg": "grüße"})
for name in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
    for password in ("grüße", "falsch"):
        ours = get_sasl_mechanism(name)(
            sasl_mechanism=name, host="broker.example", sasl_plain_username="jörg", sasl_plain_password=password
        )
        broker = saslsspi.Server(name, service="kafka", host="broker.example", authority=people)
        try:
            while not ours.receive(broker.step(ours.auth_bytes()) or b""):
                pass
        except saslsspi.LogonDenied:
            print("refused", ours.is_authenticated())
        else:
            print(ours.auth_details(), broker.security.authcid)
"""
SLIXMPP: Final = """
import saslsspi
from slixmpp.util.sasl import choose

people = saslsspi.MemoryAuthority({"jörg": "grüße"})
offered = [["DIGEST-MD5", "PLAIN"], ["SCRAM-SHA-1", "SCRAM-SHA-256"], ["SCRAM-SHA-512", "SCRAM-SHA-256", "DIGEST-MD5"]]
for names in offered:
    for password in ("grüße", "falsch"):
        given = {"username": "jörg", "password": password, "service": "xmpp", "host": "example.test",
                 "service-name": "example.test", "authzid": "", "email": "", "access_token": "", "api_key": "",
                 "google_token": "", "nonce": "", "response": ""}
        mech = choose(
            names,
            lambda required, optional: {key: given[key].encode() for key in {*required, *optional} & given.keys()},
            lambda wanted: {key: key == "encrypted" for key in wanted},
        )
        server = saslsspi.Server(mech.name, service="xmpp", host="example.test", authority=people)
        try:
            challenge = server.step(None) if mech.name == "DIGEST-MD5" else server.step(mech.process())
            while not server.done or challenge:
                answer = mech.process(challenge)
                if server.done:
                    break
                challenge = server.step(answer) or b""
        except saslsspi.LogonDenied:
            print("refused")
        else:
            print(mech.name, type(mech).__name__, server.security.authcid)
"""


def test_imapclient() -> None:
    with serving(IMAP) as (server, reports):
        lines = run(python_with("IMAPClient==4.1.0"), "imapclient.md", IMAPCLIENT, server.port)
    mechanisms = ["SCRAM-SHA-256", "DIGEST-MD5", "NTLM"]
    assert lines == [line for name in mechanisms for line in (f"{name} INBOX", "refused")]
    assert {report.security.authcid for report in reports} == {"jörg"}


def test_kafka_python() -> None:
    lines = run(python_with("kafka-python==3.0.12"), "kafka.md", KAFKA)
    names = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
    assert lines == [line for name in names for line in (f"jörg by {name} jörg", "refused False")]


def test_slixmpp() -> None:
    lines = run(python_with("slixmpp==1.17.0"), "slixmpp.md", SLIXMPP)
    names = ["DIGEST-MD5", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    assert lines == [line for name in names for line in (f"{name} Saslsspi jörg", "refused")]


@pytest.mark.parametrize("tls", ["tls", "clear"])
@pytest.mark.parametrize(
    ("page", "driver", "packages"),
    [("django.md", DJANGO, ["Django==5.2.8"]), ("yagmail.md", YAGMAIL, ["yagmail==0.16.0"])],
    ids=["Django", "yagmail"],
)
def test_senders(
    page: str, driver: str, packages: list[str], tls: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = python_with(*packages)
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("".join(map(ssl.DER_cert_to_PEM_cert, certificate().client.get_ca_certs(binary_form=True))))
    monkeypatch.setenv("SSL_CERT_FILE", str(authorities))
    people = {"jörg": "grüße", "alice@gmail.com": "grüße"}
    options: dict[str, Any] = {"authority": saslsspi.MemoryAuthority(people)}
    if tls == "tls":
        options |= {"certificate": certificate().server, "bindings": certificate().bindings}
    with serving(SMTP, **options) as (server, reports):
        sent = run(python, page, driver, server.port, tls, "grüße")
        assert run(python, page, driver, server.port, tls, "falsch") == ["refused True"]
        assert len(server.mailbox.messages) == 1
    assert sent == ["SCRAM-SHA-512-PLUS" if tls == "tls" else "SCRAM-SHA-512", "1"]
    assert {report.security.authcid in people for report in reports} == {True}
