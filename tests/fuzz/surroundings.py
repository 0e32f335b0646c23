"""What stands around the mechanisms: HTTP on both sides, dialogues of lines, LDAP, accounts in files, exports."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from adapters.http.browser import PASSWORD, USER, DigestClient, TokenClient, acceptor, offered, request
from fuzz.target import Finding, Target
from saslsspi import Client, Context, MemoryAuthority, Password, Policy, SaslError
from saslsspi.accounts import FileAuthority
from saslsspi.accounts.files import HtdigestAuthority
from saslsspi.adapters.http.client.identity import HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.adapters.mail.dialogue import converse
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.engine.policy import NegotiatePolicy
from saslsspi.testbed.ldap.messages import message_size, read_message
from testbed.raw_ldap import extended, sasl_bind, search, simple_bind

__all__ = ["surrounding_targets"]

_KEY: Final = b"k" * 32
_NO_KDC: Final = Policy(negotiate=NegotiatePolicy(packages="NTLM"))
_SCHEMES: Final = ("Digest", "NTLM", "Negotiate", "CredSSP")


def surrounding_targets() -> Iterator[Target]:
    """Return all of them."""
    yield Target("http-acceptor", _http_acceptor, _credentials)
    yield Target("http-client", _http_client, _challenges)
    yield Target("ldap-requests", _ldap_requests, _requests)
    yield Target("accounts-toml", _accounts_toml, lambda: [b'[accounts]\nalice = "wonderland"\n', _ENTRIES])
    yield Target("accounts-htdigest", _accounts_htdigest, lambda: [b"alice:r:" + b"0a" * 16 + b"\n# more\n"])
    yield Target("export", _export, _exported)
    for protocol in LINE_PROTOCOLS.values():
        yield Target(
            f"dialogue-{protocol.name.lower()}",
            lambda octets, protocol=protocol: _dialogue(protocol, octets),  # type: ignore[misc]
            lambda: [
                b"334 \r\n235 ok\r\n",
                b"+ \r\na1 OK\r\n",
                b'""\r\nOK (SASL "YQ==")\r\n',
                b"{3+}\r\nabc\r\nNO\r\n",
            ],
        )


def _credentials() -> Iterable[bytes]:
    yield DigestClient().answer(offered(acceptor().judge(request()))).encode("latin-1")
    for scheme in _SCHEMES[1:]:
        yield TokenClient(scheme).step().encode("latin-1")


def _http_acceptor(octets: bytes) -> None:
    decision = acceptor(*_SCHEMES).judge(request(octets.decode("latin-1"), connection=object()))
    if decision.user is not None:  # its nonces are nobody's before it has made them
        raise Finding("a user of nothing")


def _challenges() -> Iterable[bytes]:
    yield b'Digest realm="r", nonce="n", qop="auth, auth-int", algorithm=SHA-256, userhash=true, charset=UTF-8'
    yield b'Negotiate\nNTLM\nBasic realm="x"'
    for scheme in _SCHEMES[1:]:
        site, connection = acceptor(scheme), object()
        asked = request(TokenClient(scheme).step(), connection=connection)
        yield "\n".join(value for name, value in site.judge(asked).headers if name == "WWW-Authenticate").encode()


def _http_client(octets: bytes) -> None:
    identity = HttpIdentity(Password(USER, PASSWORD), policy=_NO_KDC)
    logon = HttpLogon(identity, "GET", "http://example.test/tea", "/tea")
    answers = octets.decode("latin-1").split("\n\n")
    try:
        for answer in answers:
            said = logon.answer(answer.split("\n"))
            if said is None:
                return
            if PASSWORD in said:
                raise Finding("a password in clear")
        logon.finish(answers[-1:], answers[-1], b"")
    except SaslError:
        pass


def _requests() -> Iterable[bytes]:
    yield b"".join(
        (
            simple_bind("uid=alice", "wonderland"),
            sasl_bind("PLAIN", b"\0alice\0wonderland"),
            extended("1.3.6.1.4.1.4203.1.11.3"),
            search("dc=example,dc=test"),
        )
    )


def _ldap_requests(octets: bytes) -> None:
    try:
        while size := message_size(octets, 1 << 20):
            if size > len(octets):
                break
            read_message(octets[:size])
            octets = octets[size:]
    except SaslError:
        pass


_ENTRIES: Final = b"""
[[account]]
user = "alice"
realm = "r"
ha1 = "0123456789abcdef0123456789abcdef"
may_act_as = ["bob"]
[[account]]
user = "bob"
nt_hash = "0123456789abcdef0123456789abcdef"
scram = ["SCRAM-SHA-256$4096:QSXCR+Q6sek8bf92$qsUM:AAAA"]
"""


def _in_a_file(octets: bytes, kind: type[MemoryAuthority]) -> None:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(octets)
        with contextlib.suppress(SaslError):
            kind(file.name)  # type: ignore[arg-type]  # both take a path


def _accounts_toml(octets: bytes) -> None:
    _in_a_file(octets, FileAuthority)


def _accounts_htdigest(octets: bytes) -> None:
    _in_a_file(octets, HtdigestAuthority)


def _exported() -> Iterable[bytes]:
    client = Context.initiate("NTLM", target="HTTP/h", credentials=Password("alice", "wonderland"))
    server = Context.accept("NTLM", authority=MemoryAuthority({"alice": "wonderland"}))
    token: bytes | None = client.step()
    while token is not None and not server.done:
        reply = server.step(token)
        token = reply if reply is None or server.done else client.step(bytes(reply))
    yield client.export(_KEY)
    yield server.export(_KEY)


def _export(octets: bytes) -> None:
    with contextlib.suppress(SaslError):
        Context.imported(octets, _KEY)


def _dialogue(protocol: LineProtocol, octets: bytes) -> None:
    client = Client("SCRAM-SHA-256", service="imap", host="h", credentials=Password("alice", "wonderland"))
    lines = iter(octets.split(b"\n"))
    try:
        talk = converse(client, protocol, policy=Policy(), initial_response=True, tag=b"a1")
        turn = next(talk)
        while True:
            reading = protocol.read(turn.tag)
            wanted = next(reading)
            try:
                while True:
                    line = next(lines)
                    wanted = reading.send(line.rstrip(b"\r") if wanted < 0 else line[:wanted].ljust(wanted, b"\0"))
            except StopIteration as done:
                if done.value is None:  # the octets are at their end
                    return
                turn = talk.send(done.value)
    except (SaslError, StopIteration):
        pass
