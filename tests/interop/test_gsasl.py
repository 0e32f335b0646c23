"""DIGEST-MD5 against GNU SASL, token by token: our client and its server, its client and our server."""

import random

import pytest

from interop.gsasl import GsaslError, GsaslPeer, Qop, gsasl_client, gsasl_server
from interop.people import ALICE, PEOPLE, REALM, Person
from saslsspi import Client, Layer, MemoryAuthority, Password, Policy, SaslError, Server, Tolerances
from saslsspi.errors import LogonDenied, MessageAltered, OutOfSequence, QopNotSupported, WrongPrincipal

pytestmark = pytest.mark.interop

POLICIES = {Qop.AUTH: Policy(max_ssf=0), Qop.AUTH_INT: Policy(min_ssf=1, max_ssf=1)}
NAMES = {Qop.AUTH: "auth", Qop.AUTH_INT: "auth-int"}
QOP = pytest.mark.parametrize("qop", Qop, ids=NAMES.get)
LATIN_1 = PEOPLE["jörg"]
# GNU SASL hashes a UTF-8 name with a Latin-1 password, which RFC 2831 has not.
MIXED = Tolerances.DEFAULT | Tolerances.HASH_MIXED


def our_client(person: Person = ALICE, qop: Qop = Qop.AUTH, *, host: str = "localhost", authzid: str = "") -> Client:
    return Client(
        "DIGEST-MD5",
        service="ldap",
        host=host,
        credentials=Password(person.name, person.password),
        policy=POLICIES[qop],
        authzid=authzid,
    )


def our_server(policy: Policy = POLICIES[Qop.AUTH], *people: Person, host: str = "localhost") -> Server:
    known = MemoryAuthority({person.name: person.password for person in people or PEOPLE.values()})
    return Server("DIGEST-MD5", service="ldap", host=host, realm=REALM, authority=known, policy=policy)


def log_on_to(server: GsaslPeer, client: Client) -> None:
    """Run an exchange to its end."""
    assert client.start() is None
    response = client.step(server.step())
    assert response is not None
    proof = server.step(response)
    assert server.done
    client.succeed(proof)


def be_logged_on_by(client: GsaslPeer, server: Server) -> None:
    """Run an exchange to its end."""
    challenge = server.step(None)
    assert challenge is not None
    proof = server.step(client.step(challenge))
    assert server.done
    assert proof is not None
    assert client.step(proof) == b""
    assert client.done


def exchange_messages(peer: GsaslPeer, layer: Layer) -> None:
    """Send messages of many sizes both ways, in one stream each."""
    sizes = random.Random(2831)
    for _ in range(30):
        sent = sizes.randbytes(sizes.choice([0, 1, 2, 100, 4096, 30_000]))
        assert layer.unwrap(peer.encode(sent)) == sent
        assert peer.decode(layer.wrap(sent)) == sent


@QOP
@pytest.mark.parametrize("name", [name for name, person in PEOPLE.items() if person is not LATIN_1])
def test_our_client_logs_on_to_its_server(name: str, qop: Qop) -> None:
    client = our_client(PEOPLE[name], qop)
    with gsasl_server(person=PEOPLE[name], qops=(qop,)) as server:
        log_on_to(server, client)
        assert (client.security.qop, client.security.realm) == (NAMES[qop], REALM)
        if qop is Qop.AUTH_INT:
            assert client.layer is not None
            exchange_messages(server, client.layer)


@QOP
@pytest.mark.parametrize("name", [name for name, person in PEOPLE.items() if person is not LATIN_1])
def test_its_client_logs_on_to_our_server(name: str, qop: Qop) -> None:
    server = our_server(POLICIES[qop])
    with gsasl_client(person=PEOPLE[name], qop=qop) as client:
        be_logged_on_by(client, server)
        assert (server.security.authcid, server.security.qop) == (name, NAMES[qop])
        if qop is Qop.AUTH_INT:
            assert server.layer is not None
            exchange_messages(client, server.layer)


def test_our_client_takes_the_strongest_that_its_server_offers() -> None:
    client = Client("DIGEST-MD5", service="ldap", host="localhost", credentials=Password("alice", "wonderland"))
    with gsasl_server() as server:
        log_on_to(server, client)
    assert client.security.qop == "auth-int"


def test_a_level_that_its_server_lacks_is_refused_before_the_response() -> None:
    policy = Policy(min_ssf=56)
    client = Client("DIGEST-MD5", service="ldap", host="localhost", credentials=Password("a", "b"), policy=policy)
    client.start()
    with gsasl_server() as server, pytest.raises(QopNotSupported):
        client.step(server.step())


@pytest.mark.parametrize("tolerances", [Tolerances.NONE, Tolerances.DEFAULT, Tolerances.HASH_MIXED], ids=str)
def test_its_hash_of_latin_1_names_is_taken_unless_nothing_is_tolerated(tolerances: Tolerances) -> None:
    policy = Policy(max_ssf=0, tolerances=tolerances)
    server = our_server(policy)
    with gsasl_client(person=LATIN_1) as client:
        response = client.step(server.step(None) or b"")
        if tolerances is Tolerances.NONE:
            with pytest.raises(LogonDenied):
                server.step(response)
            return
        proof = server.step(response)
        assert proof is not None
        client.step(proof)
    assert server.security.authcid == LATIN_1.name
    assert "HASH_MIXED" in server.security.tolerances


def test_its_server_takes_latin_1_names_hashed_its_way() -> None:
    credentials = Password(LATIN_1.name, LATIN_1.password)
    policy = Policy(max_ssf=0, tolerances=MIXED)
    client = Client("DIGEST-MD5", service="ldap", host="localhost", credentials=credentials, policy=policy)
    with gsasl_server(person=LATIN_1) as server:
        log_on_to(server, client)
    assert client.security.authcid == LATIN_1.name


def test_its_server_refuses_our_wrong_password() -> None:
    client = our_client(Person("alice", "not hers"))
    client.start()
    with gsasl_server() as server:
        response = client.step(server.step()) or b""
        with pytest.raises(GsaslError, match="GSASL_AUTHENTICATION_ERROR"):
            server.step(response)


@pytest.mark.parametrize("person", [Person("alice", "not hers"), Person("nobody", "wonderland")], ids=lambda p: p.name)
def test_our_server_refuses_its_wrong_password_and_its_unknown_user(person: Person) -> None:
    server = our_server()
    with gsasl_client(person=person) as client:
        response = client.step(server.step(None) or b"")
        with pytest.raises(LogonDenied):
            server.step(response)


def test_a_changed_proof_of_its_server_is_refused() -> None:
    client = our_client()
    client.start()
    with gsasl_server() as server:
        proof = server.step(client.step(server.step()) or b"")
    with pytest.raises(LogonDenied):
        client.succeed(proof[:-1] + (b"1" if proof.endswith(b"0") else b"0"))


def test_our_server_refuses_its_client_that_meant_another_host() -> None:
    server = our_server(host="elsewhere.test")
    with gsasl_client() as client:
        response = client.step(server.step(None) or b"")
        with pytest.raises(WrongPrincipal):
            server.step(response)


def test_an_authorization_identity_crosses_in_both_directions() -> None:
    with gsasl_server() as server:
        client = our_client(authzid="bob")
        log_on_to(server, client)
        assert client.security.authzid == "bob"
    ours = our_server()
    with gsasl_client(authzid="bob") as peer:
        response = peer.step(ours.step(None) or b"")
        assert b'authzid="bob"' in response
        with pytest.raises(SaslError):  # alice may not act as bob
            ours.step(response)


def test_a_tampered_message_is_refused_on_both_sides() -> None:
    client = our_client(qop=Qop.AUTH_INT)
    with gsasl_server() as server:
        log_on_to(server, client)
        assert client.layer is not None
        wrapped = bytearray(client.layer.wrap(b"data"))
        wrapped[5] ^= 1
        with pytest.raises(GsaslError, match="GSASL_INTEGRITY_ERROR"):
            server.decode(bytes(wrapped))
        wrapped = bytearray(server.encode(b"data"))
        wrapped[5] ^= 1
        with pytest.raises(MessageAltered):
            client.layer.unwrap(bytes(wrapped))


@pytest.mark.parametrize("order", [(0, 0), (1,), (1, 0)], ids=["replayed", "dropped", "reordered"])
def test_its_messages_count_once_and_in_order(order: tuple[int, ...]) -> None:
    client = our_client(qop=Qop.AUTH_INT)
    with gsasl_server() as server:
        log_on_to(server, client)
        assert client.layer is not None
        wrapped = [server.encode(b"first"), server.encode(b"second")]
    with pytest.raises(OutOfSequence):
        client.layer.unwrap(b"".join(wrapped[number] for number in order))
