"""When our client is satisfied, and with what (RFC 2831 sections 2.1.3 and 3)."""

from __future__ import annotations

import pytest

from packages.digest.ours import CIPHERS, joined, new_client, new_server, policy_for
from packages.digest.scripted import ScriptedClient, ScriptedServer, values
from pair import To, authenticate, replace, tampered
from saslsspi import ChannelBindingPolicy, Client, Password, Policy, choose, sspi
from saslsspi.errors import (
    AlgorithmMismatch,
    BadBindings,
    ContextMisuse,
    InvalidToken,
    LogonDenied,
    MutualAuthFailed,
    NoCredentials,
    QopNotSupported,
    SaslError,
)
from saslsspi.status import SecurityStatus


def answered(script: ScriptedServer, *more: bytes, policy: Policy | None = None) -> Client:
    """A client that has sent its response to a scripted server."""
    client = new_client(policy=policy)
    response = client.step(script.challenge(*(more or (b"charset=utf-8",))))
    assert response is not None
    script.read(response)
    assert not client.done
    return client


@pytest.mark.requirement("RFC2831-1-01")
def test_the_mechanism_has_its_registered_name() -> None:
    choice = choose(["X-OTHER", "digest-md5"], Policy())
    assert choice.mechanism.name == "DIGEST-MD5"
    assert new_client().mechanism.name == new_server().mechanism.name == "DIGEST-MD5"


@pytest.mark.requirement("RFC2831-2.1-01")
def test_a_fresh_client_waits_for_the_challenge_and_takes_three_steps() -> None:
    client, server = new_client(), new_server()
    sent = authenticate(client, server)
    assert [message.to for message in sent] == [To.CLIENT, To.SERVER, To.CLIENT]
    assert values(sent[1].octets)["nc"] == b"00000001"
    assert client.done
    assert server.done


@pytest.mark.requirement("RFC2831-2.1.3-06", "RFC2831-2.1.3-04", "RFC2831-2.1.3-05")
@pytest.mark.parametrize("layer", ["auth", "auth-int", "rc4"])
def test_the_right_rspauth_satisfies_the_client(layer: str) -> None:
    script = ScriptedServer()
    client = answered(script, b'qop="auth,auth-int,auth-conf"', b'cipher="rc4"', policy=policy_for(layer))
    client.succeed(script.proof())
    assert client.done
    assert (client.layer is None) == (layer == "auth")


@pytest.mark.requirement("RFC2831-2.1.3-06", "RFC2831-3-10", "RFC6331-1-10")
@pytest.mark.parametrize("how", ["step", "succeed"])
@pytest.mark.parametrize("wrong", ["other password", "the response itself", "zeros", "a bit"])
def test_a_wrong_rspauth_is_refused(wrong: str, how: str) -> None:
    script = ScriptedServer()
    client = answered(script, b'qop="auth-int"')
    right = script.rspauth()
    impostor = ScriptedServer(**{**vars(script), "password": b"guess"})
    value = {
        "other password": impostor.rspauth(),
        "the response itself": script.response(),
        "zeros": b"0" * 32,
        "a bit": right[:-1] + (b"0" if right[-1:] != b"0" else b"1"),
    }[wrong]
    with pytest.raises(LogonDenied) as caught:
        getattr(client, how)(b"rspauth=" + value)
    assert caught.value.status is SecurityStatus.SEC_E_LOGON_DENIED
    assert not client.done
    assert client.layer is None
    with pytest.raises(ContextMisuse):
        client.step(script.proof())


@pytest.mark.requirement("RFC2831-2.1.3-07", "RFC2831-3-10")
def test_success_without_rspauth_is_refused() -> None:
    client = answered(ScriptedServer())
    with pytest.raises(MutualAuthFailed) as caught:
        client.succeed()
    assert caught.value.status is SecurityStatus.SEC_E_MUTUAL_AUTH_FAILED
    assert not client.done
    with pytest.raises(LogonDenied):
        answered(ScriptedServer()).succeed(b"")
    for text in (b'foo="bar"', b"rspauth=", b"rspauth=1234", b"x", b",", b"rspauth=" + b"A" * 32):
        with pytest.raises(InvalidToken):
            answered(ScriptedServer()).succeed(text)


@pytest.mark.requirement("RFC2831-2.1.3-07")
def test_success_before_the_response_is_refused() -> None:
    client = new_client()
    client.start()
    with pytest.raises(MutualAuthFailed):
        client.succeed()
    client = new_client()
    client.start()
    with pytest.raises(MutualAuthFailed):
        client.succeed(ScriptedServer().challenge())
    assert not client.done


@pytest.mark.requirement("RFC2831-2.1.3-09", "RFC2831-2.1.3-08")
@pytest.mark.parametrize("extra", [b'foo="bar"', b"foo=bar", b'nextnonce="abc",qop=auth,nc=00000001'])
def test_directives_beside_rspauth_change_nothing(extra: bytes) -> None:
    script = ScriptedServer()
    client = answered(script)
    client.succeed(script.proof() + b"," + extra)
    assert client.done
    wrong = answered(script)
    with pytest.raises(LogonDenied):
        wrong.succeed(b"rspauth=" + b"0" * 32 + b"," + extra)
    twice = answered(script)
    with pytest.raises(InvalidToken):
        twice.succeed(script.proof() + b"," + script.proof())


@pytest.mark.requirement("RFC2831-2.1.3-10")
def test_rspauth_as_a_challenge_is_answered_with_an_empty_message() -> None:
    script = ScriptedServer()
    client = answered(script)
    assert client.step(script.proof()) is None  # no message of the mechanism: the carrier sends an empty one
    assert client.done
    client.succeed()
    client, server = new_client(), new_server(success_data=False)
    sent = authenticate(client, server)
    assert [message.octets for message in sent[3:]] == [b""]
    assert client.done
    assert server.done


def test_a_finished_client_takes_nothing_more() -> None:
    for late in ("proof", "challenge", "nothing"):
        script = ScriptedServer()
        client = answered(script)
        client.succeed(script.proof())
        with pytest.raises(InvalidToken):
            client.step({"proof": script.proof(), "challenge": script.challenge(), "nothing": b""}[late])
        assert not client.done


@pytest.mark.requirement("RFC2831-3-04", "RFC2831-3-06")
def test_by_default_the_strongest_layer_is_taken() -> None:
    client, server = joined()
    assert client.security.qop == server.security.qop == "auth-conf"
    assert client.security.ssf == server.security.ssf == 128


@pytest.mark.requirement("RFC2831-3-05", "RFC6331-1-11")
@pytest.mark.parametrize(
    ("minimum", "offer"),
    [
        (1, b'qop="auth"'),
        (2, b'qop="auth,auth-int"'),
        (56, b'qop="auth,auth-int"'),
        (113, b'qop="auth-conf",cipher="3des"'),
        (56, b'qop="auth-conf",cipher="rc4-40,des"'),
    ],
)
def test_less_than_the_minimum_is_refused(minimum: int, offer: bytes) -> None:
    client = new_client(policy=Policy(min_ssf=minimum, ciphers=CIPHERS))
    with pytest.raises((QopNotSupported, AlgorithmMismatch)):
        client.step(ScriptedServer().challenge(offer))


@pytest.mark.requirement("RFC2831-3-05", "RFC2831-3-06", "RFC2831-2.1.1-48")
@pytest.mark.parametrize(
    ("cipher", "ssf"),
    [("rc4", 128), ("3des", 112), ("rc4-56", 56), ("des", 55), ("rc4-40", 40), ("auth-int", 1), ("auth", 0)],
)
def test_strength_is_counted(cipher: str, ssf: int) -> None:
    client, server = joined(cipher)
    assert client.security.ssf == server.security.ssf == ssf
    if ssf > 1:
        enough = Policy(min_ssf=ssf, ciphers=CIPHERS)
        assert new_client(policy=enough).step(
            ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="' + cipher.encode() + b'"')
        )
        with pytest.raises((AlgorithmMismatch, QopNotSupported)):
            new_client(policy=Policy(min_ssf=ssf + 1, ciphers=CIPHERS)).step(
                ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="' + cipher.encode() + b'"')
            )


@pytest.mark.requirement("RFC2831-3-06")
@pytest.mark.parametrize("offered", [b"des,3des,rc4", b"rc4-40,rc4,des", b"rc4-40,rc4-56,3des"])
def test_a_strong_cipher_goes_before_a_weak_one(offered: bytes) -> None:
    response = new_client().step(ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="' + offered + b'"'))
    assert values(response or b"")["cipher"] == (b"rc4" if b"rc4" in offered.split(b",") else b"3des")


@pytest.mark.requirement("RFC2831-3-06")
def test_the_policy_orders_the_ciphers() -> None:
    challenge = ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="rc4,3des,des"')
    assert values(new_client(policy=Policy(ciphers=("3des", "rc4"))).step(challenge) or b"")["cipher"] == b"3des"


@pytest.mark.requirement("RFC6331-1-08", "RFC2831-3-06")
@pytest.mark.parametrize("weak", ["des", "rc4-56", "rc4-40"])
def test_weak_ciphers_are_used_only_where_a_policy_names_them(weak: str) -> None:
    challenge = ScriptedServer().challenge(b'qop="auth,auth-conf"', b'cipher="' + weak.encode() + b'"')
    assert values(new_client().step(challenge) or b"")["qop"] == b"auth"
    assert values(new_client(policy=Policy(ciphers=(weak,))).step(challenge) or b"")["cipher"] == weak.encode()
    offered = values(new_server().step(None) or b"")["cipher"].split(b",")
    assert weak.encode() not in offered


@pytest.mark.requirement("RFC6331-1-07")
def test_there_are_no_channel_bindings_to_require() -> None:
    with pytest.raises(BadBindings):
        joined(client=new_client(policy=Policy(channel_binding=ChannelBindingPolicy.REQUIRE)))


@pytest.mark.requirement("RFC2831-3-10")
def test_a_server_that_does_not_know_the_secret_is_found_out() -> None:
    client = new_client()
    with pytest.raises(SaslError):
        authenticate(client, new_server(authority={"chris": "guess"}))
    relayed = new_client()
    with pytest.raises(LogonDenied):
        authenticate(relayed, new_server(), tampered(To.CLIENT, 1, replace(b"rspauth=" + b"0123456789abcdef" * 2)))
    assert not relayed.done


@pytest.mark.requirement("RFC2831-3-01")
def test_a_recorded_server_cannot_be_played_again() -> None:
    recorded: list[bytes] = [message.octets for message in authenticate(new_client(), new_server())]
    client = new_client()
    client.start()
    assert client.step(recorded[0])
    with pytest.raises(LogonDenied):
        client.succeed(recorded[2])


def test_a_client_needs_a_password() -> None:
    client = Client("DIGEST-MD5", service="imap", host="h", credentials=Password("chris", "secret"))
    assert "secret" not in repr(client)
    identity = sspi.WinNTAuthIdentity("chris", None, None)
    handle = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    given = sspi.SecBufferDesc([sspi.SecBuffer(ScriptedServer().challenge(), sspi.SecBufferType.SECBUFFER_TOKEN)])
    taken = sspi.SecBufferDesc([sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)])
    with pytest.raises(NoCredentials):
        sspi.initialize_security_context(handle, None, "imap/h", 0, 0, given, taken)


def test_client_and_scripted_client_agree() -> None:
    script = ScriptedClient()
    server = new_server()
    challenge = server.step(None)
    assert challenge is not None
    mine = new_client(policy=Policy(max_ssf=0)).step(challenge)
    assert values(mine or b"").keys() - {"maxbuf"} == values(script.answer(challenge)).keys()


@pytest.mark.requirement("RFC6331-1-01")
def test_digest_is_chosen_only_where_no_scram_is_offered() -> None:
    """RFC 6331 names SCRAM as the successor."""
    for successor in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        assert choose(["DIGEST-MD5", successor], Policy()).mechanism.name == successor
        assert choose([successor, "DIGEST-MD5"], Policy()).mechanism.name == successor


@pytest.mark.requirement("RFC2831-2.1.1-07")
def test_the_same_realm_twice_is_one_realm() -> None:
    script = ScriptedServer()
    client = new_client()
    sent = script.read(client.step(script.challenge(b'realm="' + script.realm + b'"')) or b"")
    assert sent["realm"] == script.realm
    client.succeed(script.proof())
    assert client.done
