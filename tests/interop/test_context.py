"""saslsspi.Context beside pyspnego, sspilib and the `gssapi` library: both directions, sealed, signed, in parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.kdc import REALM, Kdc
from interop.people import ALICE
from interop.require import require_peer
from saslsspi import Context, MemoryAuthority, NegotiatePolicy, Part, Password, Policy, Qop

pytestmark = pytest.mark.interop

TARGET = "http/host.example"
ONLY_NTLM = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
OWN = Password("alice", "wonderland", realm="DOM")
PEOPLE = MemoryAuthority({"alice": "wonderland"})


class Peer:
    """A context of another library with the face of ours."""

    def __init__(self, context: Any) -> None:
        self.context = context

    @property
    def done(self) -> bool:
        return bool(self.context.complete)

    def step(self, token: bytes | None = None) -> bytes | None:
        return None if self.done else self.context.step(token)

    def wrap(self, message: bytes) -> bytes:
        wrapped = self.context.wrap(message)
        return wrapped if isinstance(wrapped, bytes) else bytes(wrapped.data)

    def unwrap(self, wire: bytes) -> bytes:
        plain = self.context.unwrap(wire)
        return plain if isinstance(plain, bytes) else bytes(plain.data)


def joined(client: Context | Peer, server: Context | Peer) -> tuple[Context | Peer, Context | Peer]:
    token = client.step()
    while token is not None and not (client.done and server.done):
        token = server.step(token)
        if token is not None and not client.done:
            token = client.step(token)
    assert client.done
    assert server.done
    return client, server


def exchange(client: Context | Peer, server: Context | Peer) -> None:
    for number in range(3):
        for sender, receiver in ((client, server), (server, client)):
            message = b"message %d " % number * 300
            wire = sender.wrap(message)
            assert message not in wire
            assert receiver.unwrap(wire) == message


@pytest.fixture
def spnego(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    require_peer("pyspnego")
    file = tmp_path / "users"
    file.write_text("DOM:alice:wonderland\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))
    import spnego

    return spnego


def initiating(package: str) -> Context:
    return Context.initiate(package, target=TARGET, credentials=OWN, policy=ONLY_NTLM)


def accepting(package: str) -> Context:
    return Context.accept(package, authority=PEOPLE, policy=ONLY_NTLM)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_pyspnegos_client_and_our_server(spnego: Any, package: str) -> None:
    theirs = spnego.client(
        "DOM\\alice", "wonderland", hostname="host.example", service="http", protocol=package.lower(),
        options=spnego.NegotiateOptions.use_negotiate if package == "Negotiate" else spnego.NegotiateOptions.use_ntlm,
    )  # fmt: skip
    server = accepting(package)
    exchange(*joined(Peer(theirs), server))
    server.verify(b"text", theirs.sign(b"text"))
    theirs.verify(b"text", server.sign(b"text"))
    assert (server.security.authcid, server.security.qop) == ("alice", Qop.AUTH_CONF)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_our_client_and_pyspnegos_server(spnego: Any, package: str) -> None:
    theirs = spnego.server(
        hostname="host.example", service="http", protocol=package.lower(),
        options=spnego.NegotiateOptions.use_negotiate if package == "Negotiate" else spnego.NegotiateOptions.use_ntlm,
    )  # fmt: skip
    client = initiating(package)
    exchange(*joined(client, Peer(theirs)))
    signature, (sealed,) = client.wrap_parts([Part(b"in parts", sealed=True)])
    assert bytes(theirs.unwrap(signature + sealed).data) == b"in parts"


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_sspilibs_client_and_our_server(package: str) -> None:
    require_peer("sspilib")
    import sspilib

    credential = sspilib.UserCredential("alice", "wonderland", "DOM", protocol=package)
    exchange(*joined(Peer(sspilib.ClientSecurityContext(credential, TARGET)), accepting(package)))


def test_our_client_and_sspilibs_server() -> None:
    require_peer("sspilib")
    import sspilib

    credential = sspilib.UserCredential("alice", "wonderland", "DOM", protocol="NTLM", usage="accept")
    exchange(*joined(initiating("NTLM"), Peer(sspilib.ServerSecurityContext(credential))))


@pytest.fixture
def alice(kdc: Kdc) -> Iterator[Any]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        from interop import kerberos_peer

        yield kerberos_peer


@pytest.mark.parametrize("package", ["Kerberos", "Negotiate"])
def test_both_sides_ours_with_a_ticket(alice: Any, package: str) -> None:
    client = Context.initiate(package, target="HTTP/localhost")
    server = Context.accept(package, principal="HTTP/localhost")
    joined(client, server)
    exchange(client, server)
    assert (server.security.authcid, server.security.realm) == ("alice", REALM)
    parts = [Part(b"header", False), Part(b"secret one", True), Part(b"secret two", True)]
    signature, octets = client.wrap_parts(parts)
    assert b"secret" not in signature + b"".join(octets)
    arrived = [Part(wire, part.sealed) for wire, part in zip(octets, parts, strict=True)]
    assert server.unwrap_parts(arrived, signature) == [part.octets for part in parts]


def test_the_libraries_client_and_our_server(alice: Any) -> None:
    theirs, server = alice.GssapiClient(target=b"ldap@localhost"), Context.accept("Kerberos")
    assert theirs.step(server.step(theirs.step())) == b""
    assert server.done
    assert server.unwrap(theirs.wrap(b"attack at dawn", encrypt=True)) == b"attack at dawn"
    assert theirs.unwrap(server.wrap(b"at noon")) == (b"at noon", True)


def test_our_client_and_the_libraries_server(alice: Any) -> None:
    client, theirs = Context.initiate("Kerberos", target="ldap/localhost"), alice.GssapiServer()
    assert client.step(theirs.step(client.step())) is None
    assert client.done
    assert client.unwrap(theirs.wrap(b"attack at dawn", encrypt=True)) == b"attack at dawn"
    assert theirs.unwrap(client.wrap(b"at noon")) == (b"at noon", True)
