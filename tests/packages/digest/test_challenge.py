"""The digest-challenge: what our server writes, and how our client reads whatever comes (RFC 2831 section 2.1.1)."""

from __future__ import annotations

import base64
import os
import re

import pytest

from packages.digest.ours import CIPHERS, fixed_random, joined, new_client, new_server
from packages.digest.scripted import REALM, ScriptedServer, parse_strictly, values
from saslsspi import Environment, MemoryAuthority, Policy
from saslsspi.errors import AlgorithmMismatch, IncompleteCredentials, InvalidToken, QopNotSupported, SaslError
from saslsspi.packages.digest.sasl.messages import DigestChallenge
from saslsspi.status import SecurityStatus

ALL_CIPHERS = Policy(ciphers=CIPHERS)


def challenge_of(policy: Policy | None = None, realm: str | tuple[str, ...] | None = REALM) -> bytes:
    challenge = new_server(policy=policy, realm=realm).step(None)
    assert challenge is not None
    return challenge


def answer_to(challenge: bytes, **named: object) -> dict[str, bytes]:
    response = new_client(**named).step(challenge)  # type: ignore[arg-type]  # the names are new_client's
    assert response is not None
    return values(response)


# What our server writes.


@pytest.mark.requirement("RFC2831-2.1-02")
def test_the_server_speaks_first() -> None:
    assert new_client().start() is None
    assert DigestChallenge.from_bytes(challenge_of()).nonce


@pytest.mark.requirement(
    "RFC2831-2.1.1-01",
    "RFC2831-2.1.1-13",
    "RFC2831-2.1.1-14",
    "RFC2831-2.1.1-23",
    "RFC2831-2.1.1-27",
    "RFC2831-2.1.1-32",
    "RFC2831-2.1.1-33",
    "RFC2831-2.1.1-34",
    "RFC2831-2.1.1-35",
    "RFC2831-2.1.1-51",
)
@pytest.mark.parametrize("policy", [Policy(), Policy(max_ssf=0), Policy(max_ssf=1), Policy(min_ssf=2, max_buffer=4096)])
def test_the_servers_directives_stand_once_and_there_is_no_opaque_or_domain(policy: Policy) -> None:
    names = [name for name, _ in parse_strictly(challenge_of(policy))]
    assert len(set(names)) == len(names)
    assert {"nonce", "algorithm"} <= set(names)
    assert set(names) <= {"realm", "nonce", "qop", "maxbuf", "charset", "algorithm", "cipher"}
    assert values(challenge_of(policy))["algorithm"] == b"md5-sess"


@pytest.mark.requirement(
    "RFC2831-2.1.1-02", "RFC2831-2.1.1-03", "RFC2831-2.1.1-10", "MSDPSP-3.3.5.2-01", "RFC2831-7.2-04"
)
def test_the_server_quotes_what_the_grammar_quotes() -> None:
    raw = dict(parse_strictly(challenge_of(Policy(max_buffer=4096))))
    for name in ("realm", "nonce", "qop", "cipher"):
        assert re.fullmatch(rb'"[^"\\]+"', raw[name])
    assert (raw["maxbuf"], raw["charset"], raw["algorithm"]) == (b"4096", b"utf-8", b"md5-sess")


@pytest.mark.requirement("RFC2831-2.1.1-04")
def test_the_server_offers_the_realm_that_it_was_given() -> None:
    assert values(challenge_of(realm="mail.example.org"))["realm"] == b"mail.example.org"


@pytest.mark.requirement("RFC2831-2.1.1-06")
def test_the_server_may_offer_several_realms() -> None:
    directives = parse_strictly(challenge_of(realm=("a.example", "b.example")))
    assert [raw for name, raw in directives if name == "realm"] == [b'"a.example"', b'"b.example"']


@pytest.mark.requirement("RFC2831-2.1.1-08", "RFC2831-2.1.1-09", "RFC2831-2.1.1-11", "MSDPSP-3.3.5.1-01")
def test_every_nonce_is_another_and_holds_64_random_bits() -> None:
    server = new_server()
    nonces = {values(server.again().step(None) or b"")["nonce"] for _ in range(300)}
    assert len(nonces) == 300
    decoded = [base64.b64decode(nonce, validate=True) for nonce in nonces]
    assert min(map(len, decoded)) >= 8
    # Each of the octets varies: 300 draws show far more than 100 of 256 values.
    assert all(len({nonce[at] for nonce in decoded}) > 100 for at in range(len(decoded[0])))


@pytest.mark.requirement("MSDPSP-3.1.3-01")
def test_randomness_is_the_operating_systems_and_all_of_a_nonce_comes_from_it() -> None:
    assert Environment().random is os.urandom
    known = Environment(random=fixed_random(b"eighteen octets ??"), authority=MemoryAuthority({"chris": "secret"}))
    first = new_server(environment=known).step(None)
    assert first is not None
    assert values(first)["nonce"] == base64.b64encode(b"eighteen octets ??")


@pytest.mark.requirement("RFC2831-2.1.1-17", "RFC2831-2.1.1-39", "MSDPSP-3.3.5.2-01")
@pytest.mark.parametrize(
    ("policy", "qop", "cipher"),
    [
        (Policy(), b"auth,auth-int,auth-conf", b"rc4,3des"),
        (ALL_CIPHERS, b"auth,auth-int,auth-conf", b"rc4,3des,rc4-56,des,rc4-40"),
        (Policy(max_ssf=1), b"auth,auth-int", None),
        (Policy(max_ssf=0), b"auth", None),
        (Policy(min_ssf=1), b"auth-int,auth-conf", b"rc4,3des"),
        (Policy(min_ssf=1, max_ssf=1), b"auth-int", None),
        (Policy(min_ssf=113), b"auth-conf", b"rc4"),
        (Policy(ciphers=()), b"auth,auth-int", None),
    ],
)
def test_the_server_offers_what_its_policy_permits(policy: Policy, qop: bytes, cipher: bytes | None) -> None:
    offered = values(challenge_of(policy))
    assert offered["qop"] == qop
    assert offered.get("cipher") == cipher


@pytest.mark.requirement("RFC2831-2.1.1-21")
def test_a_first_challenge_is_not_stale() -> None:
    assert "stale" not in values(challenge_of())


@pytest.mark.requirement("MSDPSP-2.2-02")
def test_the_server_takes_utf8() -> None:
    assert values(challenge_of())["charset"] == b"utf-8"


@pytest.mark.requirement("RFC2831-2.1.1-53")
def test_the_server_never_sends_2048_octets() -> None:
    # A challenge that says stale=true later must fit as well.
    longest = 2047 - len(",stale=true") - len(challenge_of(realm="r")) + 1
    assert len(challenge_of(realm="r" * longest)) == 2047 - len(",stale=true")
    with pytest.raises(SaslError):
        new_server(realm="r" * (longest + 1)).step(None)


# How our client reads.


@pytest.mark.requirement("RFC2831-2.1.1-05", "MSDPSP-3.1.5.2-01", "RFC6331-1-03")
@pytest.mark.parametrize(("configured", "sent"), [("home.example", b"home.example"), (None, None)])
def test_without_a_realm_the_configured_one_or_the_empty_one_is_used(
    configured: str | None, sent: bytes | None
) -> None:
    script = ScriptedServer()
    client = new_client(realm=configured)
    response = client.step(b'nonce="abc",algorithm=md5-sess,charset=utf-8')
    assert response is not None
    assert values(response).get("realm") == sent
    script.read(response)
    client.succeed(script.proof())
    assert client.security.realm == (configured or "")


@pytest.mark.requirement(
    "RFC2831-2.1.1-06", "RFC2831-2.1.1-07", "RFC6331-1-03", "MSDPSP-3.3.5.3-01", "RFC2831-2.1.2-09"
)
@pytest.mark.parametrize("chosen", ["a.example", "b.example"])
def test_one_of_several_realms_is_chosen_by_the_credentials(chosen: str) -> None:
    script = ScriptedServer()
    client = new_client(realm=chosen)
    response = client.step(script.challenge(b'realm="b.example"', b"charset=utf-8", realm=b"a.example"))
    assert response is not None
    assert script.read(response)["realm"] == chosen.encode()


@pytest.mark.requirement("RFC2831-2.1.1-07", "RFC6331-1-03")
def test_several_realms_without_a_choice_name_the_choices() -> None:
    script = ScriptedServer()
    with pytest.raises(IncompleteCredentials, match=r"a\.example.*b\.example") as caught:
        new_client().step(script.challenge(b'realm="b.example"', realm=b"a.example"))
    assert caught.value.status is SecurityStatus.SEC_E_INCOMPLETE_CREDENTIALS


@pytest.mark.requirement("RFC2831-2.1.1-12", "RFC2831-2.1.2-12")
@pytest.mark.parametrize(
    "nonce", [b"OA6MG9tEQGm2hh==", b"/+ab", b'with "quotes" and \\', b" spaced\tout ", b"\xe9\xff", b"a,b=c"]
)
def test_the_nonce_comes_back_octet_for_octet(nonce: bytes) -> None:
    script = ScriptedServer(nonce=nonce)
    response = new_client().step(script.challenge(b"charset=utf-8"))
    assert response is not None
    assert script.read(response)["nonce"] == nonce


@pytest.mark.requirement(
    "RFC2831-2.1.1-15",
    "RFC2831-2.1.1-16",
    "RFC2831-2.1.1-22",
    "RFC2831-2.1.1-26",
    "RFC2831-2.1.1-28",
    "RFC2831-2.1.1-31",
    "RFC2831-2.1.1-36",
    "RFC2831-2.1.1-37",
    "RFC2831-2.1.1-38",
    "RFC2831-2.1.1-45",
    "RFC6331-1-02",
)
@pytest.mark.parametrize(
    "text",
    [
        b'realm="r",algorithm=md5-sess',
        b'nonce="",algorithm=md5-sess',
        b'nonce="a",nonce="b",algorithm=md5-sess',
        b'nonce="a",nonce="a",algorithm=md5-sess',
        b'nonce="a",algorithm=md5-sess,stale=true,stale=true',
        b'nonce="a",algorithm=md5-sess,maxbuf=4096,maxbuf=8192',
        b'nonce="a",algorithm=md5-sess,charset=utf-8,charset=utf-8',
        b'nonce="a",algorithm=md5-sess,charset=koi8-r',
        b'nonce="a",algorithm=md5-sess,qop="auth",qop="auth-int"',
        b'nonce="a",algorithm=md5-sess,qop="auth,auth-conf",cipher="des",cipher="3des"',
        b'nonce="a"',
        b'nonce="a",algorithm=md5-sess,algorithm=md5-sess',
        b'nonce="a",algorithm=md5',
        b'nonce="a",algorithm=sha-256',
    ],
)
def test_the_client_gives_up_on_a_challenge_that_lacks_repeats_or_alters_a_directive(text: bytes) -> None:
    client = new_client()
    with pytest.raises(InvalidToken) as caught:
        client.step(text)
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN
    with pytest.raises(SaslError):  # the exchange is dead: no second guess
        client.step(ScriptedServer().challenge())


@pytest.mark.requirement("RFC2831-2.1.1-24")
@pytest.mark.parametrize("size", [b"0", b"16", b"16777216", b"99999999999", b"-1", b"1e3", b"4k"])
def test_a_maxbuf_that_is_no_size_is_refused(size: bytes) -> None:
    with pytest.raises(InvalidToken):
        new_client().step(ScriptedServer().challenge(b"maxbuf=" + size))


@pytest.mark.requirement("RFC2831-2.1.1-18")
def test_without_qop_the_offer_is_auth() -> None:
    script = ScriptedServer()
    client = new_client()
    response = client.step(script.challenge())
    assert response is not None
    script.read(response)
    assert script.qop == b"auth"
    client.succeed(script.proof())
    assert client.security.qop == "auth"


@pytest.mark.requirement("RFC2831-2.1.1-18", "RFC2831-3-05")
def test_without_qop_there_is_no_layer_to_be_had() -> None:
    with pytest.raises(QopNotSupported):
        new_client(policy=Policy(min_ssf=1)).step(ScriptedServer().challenge())


@pytest.mark.requirement("RFC2831-2.1.1-19")
@pytest.mark.parametrize("options", [b"auth,foo-bar", b"foo,auth,auth-bar", b"token-17,auth"])
def test_unknown_qop_values_are_ignored(options: bytes) -> None:
    assert answer_to(ScriptedServer().challenge(b'qop="' + options + b'"'))["qop"] == b"auth"


@pytest.mark.requirement("RFC2831-2.1.1-20")
def test_unknown_qop_values_alone_end_the_exchange() -> None:
    with pytest.raises(QopNotSupported) as caught:
        new_client().step(ScriptedServer().challenge(b'qop="foo,bar"'))
    assert caught.value.status is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED


@pytest.mark.requirement("RFC2831-2.1.1-40")
def test_auth_conf_without_a_cipher_is_not_chosen() -> None:
    assert answer_to(ScriptedServer().challenge(b'qop="auth,auth-conf"'))["qop"] == b"auth"
    assert answer_to(ScriptedServer().challenge(b'qop="auth-int,auth-conf"'))["qop"] == b"auth-int"
    with pytest.raises(AlgorithmMismatch):
        new_client().step(ScriptedServer().challenge(b'qop="auth-conf"'))


@pytest.mark.requirement("RFC2831-2.1.1-43")
def test_unknown_ciphers_are_ignored() -> None:
    answer = answer_to(ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="aes-999,3des"'))
    assert (answer["qop"], answer["cipher"]) == (b"auth-conf", b"3des")


@pytest.mark.requirement("RFC2831-2.1.1-44")
@pytest.mark.parametrize("ciphers", [b"foo", b"foo,bar", b""])
def test_unknown_ciphers_alone_end_an_exchange_that_needs_one(ciphers: bytes) -> None:
    with pytest.raises(AlgorithmMismatch) as caught:
        new_client().step(ScriptedServer().challenge(b'qop="auth-conf"', b'cipher="' + ciphers + b'"'))
    assert caught.value.status is SecurityStatus.SEC_E_ALGORITHM_MISMATCH


@pytest.mark.requirement("RFC2831-2.1.1-49", "RFC2831-2.1.1-50", "RFC2831-2.1.1-52")
@pytest.mark.parametrize(
    "more",
    [b"x=1,x=2", b'foo="bar", baz=1', b'opaque="x",domain="y"', b'opaque="x",opaque="x"', b"nextnonce=a,rspauth=b"],
)
def test_unknown_directives_are_ignored(more: bytes) -> None:
    script = ScriptedServer()
    client = new_client()
    response = client.step(script.challenge(more))
    assert response is not None
    assert not script.read(response).keys() & {"x", "foo", "baz", "opaque", "domain", "nextnonce", "rspauth"}
    client.succeed(script.proof())
    assert client.done


@pytest.mark.requirement("RFC2831-2.1.1-54")
def test_a_challenge_of_2047_octets_is_read_and_one_of_2048_is_refused() -> None:
    script = ScriptedServer()
    filler = 2047 - len(script.challenge(b"x="))
    longest = script.challenge(b"x=" + b"y" * filler)
    assert len(longest) == 2047
    assert answer_to(longest)["nonce"] == script.nonce
    for longer in (longest + b"y", longest + b"y" * 68_000):
        with pytest.raises(InvalidToken) as caught:
            new_client().step(longer)
        assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN


@pytest.mark.requirement("RFC2831-2.1.1-41", "RFC2831-2.1.1-42")
@pytest.mark.parametrize("cipher", ["3des", "des"])
def test_the_mandatory_ciphers_work(cipher: str) -> None:
    client, server = joined(cipher)
    assert client.security.cipher == server.security.cipher == cipher
    assert client.layer is not None
    assert server.layer is not None
    assert server.layer.unwrap(client.layer.wrap(b"text")) == b"text"
    assert client.layer.unwrap(server.layer.wrap(b"text")) == b"text"
