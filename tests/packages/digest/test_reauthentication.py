"""Our client takes a session up again with the next nonce count (RFC 2831 sections 2.2.1 and 2.2.2)."""

from __future__ import annotations

import threading

import pytest

from packages.digest.ours import new_client, remembering
from packages.digest.scripted import REALM, ScriptedServer, values
from pair import Contexts, To, authenticate, establish
from saslsspi import Environment, MemoryNonceStore, sspi
from saslsspi.errors import InvalidToken, LogonDenied, MessageAltered
from saslsspi.packages.digest.sasl import client as client_module
from saslsspi.packages.digest.sasl import server as server_module
from saslsspi.packages.digest.sasl.sessions import ClientSession, SessionCache
from vector_files import load


@pytest.mark.requirement("RFC2831-2.2-01", "RFC2831-2.2.1-01", "RFC2831-2.2.1-02", "RFC2831-2.2.2-08")
def test_ten_logons_with_one_nonce_count_up_and_take_one_round_trip() -> None:
    server, _ = remembering()
    client = new_client("auth")
    sent = authenticate(client, server)
    first = values(sent[1].octets)
    responses = []
    for count in range(2, 11):
        client, server = client.again(), server.again()
        sent = authenticate(client, server)
        assert [message.to for message in sent] == [To.SERVER, To.CLIENT]
        assert client.done
        assert client.security.reauthenticated
        assert server.security.reauthenticated
        answer = values(sent[0].octets)
        assert answer["nc"] == b"%08x" % count
        for name in ("username", "realm", "nonce", "cnonce", "qop", "digest-uri"):
            assert answer[name] == first[name]
        responses.append(answer["response"])
    assert len(set(responses)) == 9


@pytest.mark.requirement("RFC2831-2.2.1-03", "RFC2831-2.2.1-01")
def test_the_vector_with_count_2(monkeypatch: pytest.MonkeyPatch) -> None:
    vector = next(vector for vector in load("digest-md5") if vector["id"] == "reauth-nc2")
    monkeypatch.setattr(client_module, "b2a_base64", lambda octets, newline: vector["cnonce"].encode())
    monkeypatch.setattr(server_module, "b2a_base64", lambda octets, newline: vector["nonce"].encode())
    service, host = vector["digest_uri"].split("/")
    client = new_client("auth", service=service, host=host)
    server, _ = remembering(service=service, host=host, realm=vector["realm"])
    authenticate(client, server)
    response = client.again().start()
    assert response is not None
    assert values(response)["response"] == vector["response"].encode()
    assert server.again().step(response) == b"rspauth=" + vector["rspauth"].encode()


@pytest.mark.requirement("RFC2831-2.2-02")
def test_where_a_protocol_has_no_initial_response_the_client_takes_three_steps() -> None:
    server, _ = remembering()
    client = new_client("auth")
    authenticate(client, server)
    client, server = client.again(), server.again()
    sent = authenticate(client, server, initial_response=False)
    assert [message.to for message in sent] == [To.CLIENT, To.SERVER, To.CLIENT]
    assert values(sent[1].octets)["nc"] == b"00000001"
    assert not client.security.reauthenticated


@pytest.mark.requirement("RFC2831-2.2.1-02")
def test_two_threads_of_a_client_never_use_one_count() -> None:
    server, _ = remembering()
    client = new_client("auth")
    authenticate(client, server)
    counts: list[bytes] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        counts.extend(values(client.again().start() or b"")["nc"] for _ in range(20))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [b"%08x" % count for count in range(2, 162)]


@pytest.mark.requirement("RFC2831-2.2.2-13", "RFC2831-2.2.2-14")
@pytest.mark.parametrize("stale", [(b"stale=true",), ()])
def test_a_challenge_in_place_of_success_is_answered_as_a_first_one(stale: tuple[bytes, ...]) -> None:
    script = ScriptedServer()
    client = new_client("auth")
    before = script.read(client.step(script.challenge()) or b"")
    client.succeed(script.proof())
    client = client.again()
    assert values(client.start() or b"")["nc"] == b"00000002"
    other = ScriptedServer(nonce=b"a new nonce")
    after = other.read(client.step(other.challenge(*stale)) or b"")
    assert (after["nonce"], after["nc"]) == (b"a new nonce", b"00000001")
    assert after["cnonce"] != before["cnonce"]
    assert client.again().start() is None  # nothing old is used any more, whatever comes of this
    client.succeed(other.proof())
    assert not client.security.reauthenticated
    # The old session is forgotten, the new one goes on.
    following = values(client.again().start() or b"")
    assert (following["nonce"], following["nc"]) == (b"a new nonce", b"00000002")


@pytest.mark.requirement("RFC2831-2.2.2-14")
def test_a_challenge_that_speaks_of_rspauth_is_still_a_challenge() -> None:
    script = ScriptedServer(realm=b"rspauth=example")
    client = new_client("auth")
    script.read(client.step(script.challenge()) or b"")
    client.succeed(script.proof())
    client = client.again()
    assert client.start()
    assert values(client.step(script.challenge()) or b"")["nc"] == b"00000001"


def test_a_wrong_rspauth_to_an_initial_response_is_refused() -> None:
    server, _ = remembering()
    client = new_client("auth")
    authenticate(client, server)
    for wrong, error in ((b"rspauth=" + b"0" * 32, LogonDenied), (b"", LogonDenied), (b"x", InvalidToken)):
        other = client.again()
        assert other.start()
        with pytest.raises(error):
            other.step(wrong)
        assert not other.done


def test_a_session_belongs_to_its_target_and_its_identity() -> None:
    client = new_client("auth")
    server, _ = remembering()
    authenticate(client, server)
    assert new_client("auth").start() is None  # other credentials, even if equal
    assert client.again().start() is not None


def reconnect(
    outbound: sspi.CredHandle, inbound: sspi.CredHandle, client_flags: int, server_flags: int = 0
) -> tuple[Contexts, bool]:
    contexts = establish(outbound, inbound, "imap/h", client_flags, server_flags)
    return contexts, contexts.sent[0].octets != b""


def test_a_wish_for_a_layer_is_a_new_authentication_each_time() -> None:
    identity = sspi.WinNTAuthIdentity("chris", "example.org", "secret")
    outbound = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    surroundings = Environment(nonce_store=MemoryNonceStore())
    inbound = sspi.acquire_credentials_handle(
        None, "WDigest", 1, auth_data=identity, environment=surroundings
    ).credential
    seals = (sspi.IscReq.ISC_REQ_CONFIDENTIALITY, sspi.AscReq.ASC_REQ_CONFIDENTIALITY)
    assert reconnect(outbound, inbound, 0)[1] is False
    assert reconnect(outbound, inbound, 0)[1] is True
    contexts, resumed = reconnect(outbound, inbound, *seals)
    assert not resumed
    assert contexts.client_attributes & sspi.IscRet.ISC_RET_CONFIDENTIALITY
    assert reconnect(outbound, inbound, *seals)[1] is False
    assert reconnect(outbound, inbound, 0)[1] is True


@pytest.mark.parametrize("layer", [None, "auth-int", "rc4"])
def test_a_client_that_wants_a_layer_sends_no_initial_response_whatever_the_server_gave(layer: str | None) -> None:
    """Neither where it got one, nor where the server had none to offer."""
    for server in (remembering(layer)[0], remembering("auth")[0] if layer is None else remembering(layer)[0]):
        client = new_client(layer)
        authenticate(client, server)
        client, server = client.again(), server.again()
        sent = authenticate(client, server)
        assert sent[0].to is To.CLIENT
        assert values(sent[1].octets)["nc"] == b"00000001"


def test_messages_of_one_connection_are_worth_nothing_in_the_next() -> None:
    for layer in ("auth-int", "rc4", "3des"):
        client, server, recorded = new_client(layer), remembering(layer)[0], []
        for _ in range(3):
            client, server = client.again(), server.again()
            authenticate(client, server)
            assert client.layer is not None
            assert server.layer is not None
            if recorded:
                with pytest.raises(MessageAltered):
                    server.layer.unwrap(recorded[-1])
            recorded.append(client.layer.wrap(b"text"))
        assert len(set(recorded)) == 3


def test_credentials_that_come_with_a_call_take_up_nobodys_session() -> None:
    identity = sspi.WinNTAuthIdentity("chris", "example.org", "secret")
    handle = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    supplied = sspi.IscReq.ISC_REQ_USE_SUPPLIED_CREDS

    def call(context: sspi.CtxtHandle | None, token: bytes, user: bytes) -> tuple[sspi.CtxtHandle, bytes]:
        parameters = sspi.SecBuffer(user + b"\0example.org\0secret", sspi.SecBufferType.SECBUFFER_PKG_PARAMS)
        given = sspi.SecBufferDesc([sspi.SecBuffer(token, sspi.SecBufferType.SECBUFFER_TOKEN), parameters])
        taken = sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)
        result = sspi.initialize_security_context(
            handle, context, "imap/h", supplied, 0, given, sspi.SecBufferDesc([taken])
        )
        return result.context, taken.data

    script = ScriptedServer(username=b"alice")
    context, _ = call(None, b"", b"alice")
    _, response = call(context, script.challenge(), b"alice")
    script.read(response)
    call(context, script.proof(), b"alice")
    assert call(None, b"", b"bob")[1] == b""


def test_the_clients_memory_is_bounded() -> None:
    outbound = sspi.acquire_credentials_handle(
        None, "WDigest", 2, auth_data=sspi.WinNTAuthIdentity("chris", None, "secret")
    ).credential
    identity = sspi.WinNTAuthIdentity("chris", REALM, "secret")
    inbound = sspi.acquire_credentials_handle(None, "WDigest", 1, auth_data=identity).credential
    for number in range(70):
        establish(outbound, inbound, f"imap/h{number}")
    remembered = 0
    for number in range(70):
        token = sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)
        sspi.initialize_security_context(outbound, None, f"imap/h{number}", 0, 0, None, sspi.SecBufferDesc([token]))
        remembered += bool(token.count)
    assert remembered == 64


def test_where_success_carries_no_data_an_empty_response_ends_it_too() -> None:
    server, _ = remembering(success_data=False)
    client = new_client("auth")
    authenticate(client, server)
    client, server = client.again(), server.again()
    sent = authenticate(client, server)
    assert [message.to for message in sent] == [To.SERVER, To.CLIENT, To.SERVER]
    assert sent[2].octets == b""
    assert server.security.reauthenticated
    assert client.security.reauthenticated


def test_a_count_that_is_used_up_is_not_taken_further() -> None:
    session = ClientSession(b"u", None, "u", "", b"nonce", b"cnonce", b"auth", True, bytes(16), 0)
    cache, key = SessionCache(), ("imap/h", "", 0)
    cache.put(key, session, 0xFFFFFFFE)
    assert cache.next_use(key) == (session, 0xFFFFFFFF)
    assert cache.next_use(key) is None
    assert cache.next_use(key) is None
