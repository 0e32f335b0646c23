"""SCRAM, PLAIN, EXTERNAL and ANONYMOUS against GNU SASL, both ways."""

from __future__ import annotations

import pytest

from interop.gsasl import GsaslError, GsaslPeer, gsasl_simple_client, gsasl_simple_server
from interop.people import ALICE, HANAKO, JOERG, PEOPLE, Person
from saslsspi import Account, ChannelBindings, Client, MemoryAuthority, Password, Policy, Server
from saslsspi.accounts import derive_scram_keys
from saslsspi.errors import LogonDenied, SaslError

pytestmark = pytest.mark.interop

UNIQUE, EXPORTER = b"finished-msg", bytes(range(32))
BINDINGS = {
    "tls-unique": ChannelBindings.tls_unique(UNIQUE),
    "tls-exporter": ChannelBindings.tls_exporter(EXPORTER),
}
SCRAM = ["SCRAM-SHA-1", "SCRAM-SHA-256"]
AUTHORITY = MemoryAuthority(
    [
        *(Account(username=name, password=person.password) for name, person in PEOPLE.items()),
        Account(username="stored", scram={"SHA-256": derive_scram_keys("secret", iterations=5000)}),
        Account(username="boss", password="boss", may_act_as=frozenset({"a,b=c"})),
    ]
)


def our_server(mechanism: str, bindings: ChannelBindings | None = None) -> Server:
    return Server(
        mechanism, service="imap", host="h", authority=AUTHORITY, bindings=bindings, external_ssf=256,
        external_identity="alice", policy=Policy(allow_anonymous=True),
    )  # fmt: skip


def our_client(mechanism: str, person: Person = ALICE, bindings: ChannelBindings | None = None) -> Client:
    credentials = Password(person.name, person.password)
    return Client(mechanism, service="imap", host="h", credentials=credentials, bindings=bindings, external_ssf=256)


def log_on_here(peer: GsaslPeer, server: Server) -> None:
    response = peer.step()
    while not server.done:
        challenge = server.step(response)
        if challenge is not None:
            response = peer.step(challenge)
    assert peer.done


def log_on_there(client: Client, peer: GsaslPeer) -> None:
    response = client.start() or b""
    while not peer.done:
        challenge = peer.step(response)
        response = client.step(challenge) or b"" if challenge else b""
    if not client.done:
        client.succeed()


@pytest.mark.requirement("RFC5802-3-02", "RFC7677-3-01", "RFC5802-4-02")
@pytest.mark.parametrize("mechanism", SCRAM)
@pytest.mark.parametrize("person", [ALICE, JOERG, HANAKO], ids=lambda person: person.name)
def test_scram_both_ways(mechanism: str, person: Person) -> None:
    server = our_server(mechanism)
    with gsasl_simple_client(mechanism, person=person) as peer:
        log_on_here(peer, server)
    assert server.security.authcid == person.name
    client = our_client(mechanism, person)
    with gsasl_simple_server(mechanism, person=person) as peer:
        log_on_there(client, peer)
    assert client.done


def test_scram_with_stored_keys_and_an_identity_to_act_as() -> None:
    server = our_server("SCRAM-SHA-256")
    with gsasl_simple_client("SCRAM-SHA-256", person=Person("stored", "secret")) as peer:
        log_on_here(peer, server)
    assert server.security.authcid == "stored"
    server = our_server("SCRAM-SHA-256")
    with gsasl_simple_client("SCRAM-SHA-256", person=Person("boss", "boss"), authzid="a,b=c") as peer:
        log_on_here(peer, server)
    assert server.security.authzid == "a,b=c"


@pytest.mark.requirement("RFC5802-6.1-01", "RFC5802-6.1-02", "RFC5802-6.1-04")
@pytest.mark.parametrize("mechanism", [f"{name}-PLUS" for name in SCRAM])
@pytest.mark.parametrize("kind", BINDINGS)
def test_scram_bound_to_the_channel_both_ways(mechanism: str, kind: str) -> None:
    data = {"tls_unique": UNIQUE} if kind == "tls-unique" else {"tls_exporter": EXPORTER}
    server = our_server(mechanism, BINDINGS[kind])
    with gsasl_simple_client(mechanism, **data) as peer:
        log_on_here(peer, server)
    assert server.security.channel_binding == kind
    client = our_client(mechanism, bindings=BINDINGS[kind])
    with gsasl_simple_server(mechanism, **data) as peer:
        log_on_there(client, peer)
    assert client.security.channel_binding == kind


@pytest.mark.parametrize("mechanism", SCRAM)
def test_a_wrong_password_is_refused_on_both_sides(mechanism: str) -> None:
    with (
        gsasl_simple_client(mechanism, person=Person("alice", "wrong")) as peer,
        pytest.raises(LogonDenied),
    ):
        log_on_here(peer, our_server(mechanism))
    client = our_client(mechanism, Person("alice", "wrong"))
    with gsasl_simple_server(mechanism) as peer, pytest.raises(GsaslError):
        log_on_there(client, peer)
    assert not client.done


def test_another_channel_is_refused_by_both() -> None:
    with (
        gsasl_simple_client("SCRAM-SHA-256-PLUS", tls_unique=b"another one") as peer,
        pytest.raises(SaslError) as caught,
    ):
        log_on_here(peer, our_server("SCRAM-SHA-256-PLUS", BINDINGS["tls-unique"]))
    assert caught.value.token == b"e=channel-bindings-dont-match"
    with gsasl_simple_server("SCRAM-SHA-256-PLUS", tls_unique=b"another one") as peer, pytest.raises(GsaslError):
        log_on_there(our_client("SCRAM-SHA-256-PLUS", bindings=BINDINGS["tls-unique"]), peer)


@pytest.mark.requirement("RFC4616-2-01", "RFC4616-2-06")
@pytest.mark.parametrize("person", [ALICE, JOERG, HANAKO], ids=lambda person: person.name)
def test_plain_both_ways(person: Person) -> None:
    server = our_server("PLAIN")
    with gsasl_simple_client("PLAIN", person=person) as peer:
        log_on_here(peer, server)
    assert server.security.authcid == person.name
    client = our_client("PLAIN", person)
    with gsasl_simple_server("PLAIN", person=person) as peer:
        log_on_there(client, peer)
    with gsasl_simple_server("PLAIN", person=person) as peer, pytest.raises(GsaslError):
        log_on_there(our_client("PLAIN", Person(person.name, "wrong")), peer)


@pytest.mark.requirement("RFC4422-EXT-A.1-02")
@pytest.mark.parametrize("authzid", [None, "alice"])
def test_external_from_gnu_sasl(authzid: str | None) -> None:
    server = our_server("EXTERNAL")
    with gsasl_simple_client("EXTERNAL", authzid=authzid) as peer:
        log_on_here(peer, server)
    assert (server.security.authcid, server.security.authzid) == ("alice", authzid or "")


@pytest.mark.requirement("RFC4505-2-01")
def test_anonymous_from_gnu_sasl() -> None:
    server = our_server("ANONYMOUS")
    with gsasl_simple_client("ANONYMOUS", trace="sirhc") as peer:
        log_on_here(peer, server)
    assert server.security.trace == "sirhc"
