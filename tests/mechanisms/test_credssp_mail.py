"""CREDSSP in the base64 carriers: SMTP, IMAP and POP3, at every layer, and with flights that a line cannot hold."""

from __future__ import annotations

import time
from base64 import b64encode
from pathlib import Path

import pytest

import saslsspi
from adapters.mail_world import ALICE, MESSAGE, PROTOCOLS, MailProtocol, leave, move_message, serving
from saslsspi import CredSspPolicy, NegotiatePolicy, Policy, errors
from saslsspi.adapters.mail.dialogue import MAX_MESSAGE
from saslsspi.packages.schannel.certificate import self_signed
from saslsspi.sasl.drivers import in_channel

NTLM = NegotiatePolicy(packages="ntlm")
LAYERS = [(0, 0, "auth"), (1, 1, "auth-int"), (128, 256, "auth-conf")]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize(("least", "most", "qop"), LAYERS, ids=[layer[2] for layer in LAYERS])
def test_a_message_moves_under_each_layer(protocol: MailProtocol, least: int, most: int, qop: str) -> None:
    with serving(protocol, policy=Policy(negotiate=NTLM), realm=None) as (server, reports):
        client = protocol.connect("127.0.0.1", server.port)
        policy = Policy(min_ssf=least, max_ssf=most, negotiate=NTLM)
        security = client.authenticate_sasl("CREDSSP", credentials=ALICE, policy=policy)
        assert (security.qop, security.ssf, security.authcid) == (qop, most, "alice")
        move_message(client, server, MESSAGE)
        leave(client)
    assert [(report.security.qop, report.security.authcid) for report in reports] == [(qop, "alice")]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_wrong_password_leaves_the_connection_in_order(protocol: MailProtocol) -> None:
    with serving(protocol, policy=Policy(negotiate=NTLM), realm=None) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(errors.LogonDenied):
            client.authenticate_sasl(
                "CREDSSP", credentials=saslsspi.Password("alice", "wrong"), policy=Policy(negotiate=NTLM)
            )
        assert client.authenticate_sasl("CREDSSP", credentials=ALICE, policy=Policy(negotiate=NTLM)).ssf == 256
        leave(client)


@pytest.fixture
def long_chain(tmp_path: Path) -> Path:
    """A certificate with a chain of thirty more: some 12 KiB in the server's flight."""
    file = tmp_path / "chain.pem"
    names = [f"{number}.example" for number in range(30)]
    others = [self_signed(name, now=time.time()).pem.partition(b"-----BEGIN PRIVATE")[0] for name in names]
    file.write_bytes(b"".join((self_signed("localhost", now=time.time()).pem, *others)))
    return file


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_flight_that_a_line_cannot_hold_is_cut(
    protocol: MailProtocol, long_chain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    send = in_channel._Stream.send

    def _send(stream: in_channel._Stream, octets: bytes = b"") -> bytes:
        message = send(stream, octets)
        sent.append(len(message))
        return message

    monkeypatch.setattr(in_channel._Stream, "send", _send)
    policy = Policy(negotiate=NTLM, credssp=CredSspPolicy(certificate=str(long_chain)))
    with serving(protocol, policy=policy, realm=None) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        assert client.authenticate_sasl("CREDSSP", credentials=ALICE, policy=Policy(negotiate=NTLM)).ssf == 256
        move_message(client, server, MESSAGE)
        leave(client)
    assert max(sent) == MAX_MESSAGE
    assert len(b64encode(bytes(MAX_MESSAGE))) == 12288  # RFC 4954 section 4
