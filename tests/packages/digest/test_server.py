"""What our server makes of a digest-response, and of whoever sent it (RFC 2831 sections 2.1.2 and 2.1.3)."""

from __future__ import annotations

import re

import pytest

from packages.digest.ours import new_server, refuse, run
from packages.digest.scripted import HOST, PASSWORD, REALM, USER, ScriptedClient, integrity_message
from pair import establish
from saslsspi import (
    Account,
    MemoryAuthority,
    Server,
    sspi,
)
from saslsspi.errors import (
    InvalidToken,
    LogonDenied,
    QopNotSupported,
    WrongPrincipal,
)
from saslsspi.status import SecurityStatus


@pytest.mark.requirement(
    "RFC2831-2.1.3-03", "RFC2831-2.1.3-08", "RFC2831-1.1-01", "RFC2831-1.1-02", "RFC2831-2.1.2.1-03"
)
@pytest.mark.parametrize("layer", ["auth", "auth-int", "rc4"])
def test_a_right_response_is_answered_with_rspauth_and_nothing_else(layer: str) -> None:
    qop = layer if layer.startswith("auth") else "auth-conf"
    script = ScriptedClient(qop=qop.encode(), changes={"cipher": b"rc4" if qop == "auth-conf" else None})
    server, proof = run(script, new_server(layer))
    assert proof == b"rspauth=" + script.rspauth()
    assert re.fullmatch(rb"rspauth=[0-9a-f]{32}", proof)
    assert (server.security.authcid, server.security.realm, server.security.qop) == (USER, REALM, qop)
    assert server.security.tolerances == ()


MISSING = {
    "username": "RFC2831-2.1.2-04",
    "nonce": "RFC2831-2.1.2-13",
    "cnonce": "RFC2831-2.1.2-19",
    "nc": "RFC2831-2.1.2-25",
    "digest-uri": "RFC2831-2.1.2-44",
    "response": "RFC2831-2.1.2-46",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.requirement(identifier)) for name, identifier in MISSING.items()]
)
def test_a_response_without_a_directive_that_must_be_there_is_refused(name: str) -> None:
    error = refuse(ScriptedClient(changes={name: None}), InvalidToken)
    assert error.status is SecurityStatus.SEC_E_INVALID_TOKEN
    assert error.requirement == MISSING[name]
    assert name in str(error)


REPEATED = {
    "username": "RFC2831-2.1.2-05",
    "realm": "RFC2831-2.1.2-08",
    "nonce": "RFC2831-2.1.2-14",
    "cnonce": "RFC2831-2.1.2-20",
    "nc": "RFC2831-2.1.2-24",
    "qop": "RFC2831-2.1.2-30",
    "digest-uri": "RFC2831-2.1.2-43",
    "response": "RFC2831-2.1.2-47",
    "maxbuf": "RFC2831-2.1.2-49",
    "charset": "RFC2831-2.1.2-52",
    "cipher": "RFC2831-2.1.2-57",
    "authzid": "RFC2831-2.1.2-65",
}
OTHER = {
    "nc": b"00000002",
    "qop": b"auth-int",
    "response": b"0" * 32,
    "maxbuf": b"100",
    "charset": b"utf-8",
    "cipher": b"des",
}


@pytest.mark.requirement("RFC2831-ERR-04", "RFC6331-1-02")
@pytest.mark.parametrize("equal", [True, False])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.requirement(identifier)) for name, identifier in REPEATED.items()]
)
def test_a_repeated_directive_is_refused(name: str, first: bool, equal: bool) -> None:
    authzid = USER.encode() if name == "authzid" else None
    script = ScriptedClient(qop=b"auth-conf", authzid=authzid, changes={"maxbuf": b"65536", "cipher": b"rc4"})
    server = new_server()
    challenge = server.step(None)
    assert challenge is not None
    right = script.answer(challenge)
    value = re.search(rb"(?:\A|,)" + name.encode() + rb'=("[^"]*"|[^,]*)', right)
    assert value is not None
    again = name.encode() + b"=" + (value[1] if equal else OTHER.get(name, b'"other"'))
    message = again + b"," + right if first else right + b"," + again
    with pytest.raises(InvalidToken) as caught:
        server.step(message)
    assert "twice" in str(caught.value)
    assert not server.done


@pytest.mark.requirement("RFC2831-2.1.2-47")
def test_the_response_for_the_test_above_is_right_but_for_the_repetition() -> None:
    run(ScriptedClient(qop=b"auth-conf", changes={"maxbuf": b"65536", "cipher": b"rc4"}))


@pytest.mark.requirement("RFC2831-2.1.2-15", "RFC2831-2.1.2-23", "RFC2831-3-01")
def test_a_response_to_another_challenge_is_refused() -> None:
    server = new_server()
    earlier = server.step(None)
    assert earlier is not None
    recorded = ScriptedClient().answer(earlier)
    assert server.step(recorded)
    other = server.again()
    assert other.step(None)
    with pytest.raises(LogonDenied):
        other.step(recorded)
    refuse(ScriptedClient(nonce=b"OA6MG9tEQGm2hh"), LogonDenied)


@pytest.mark.requirement("RFC2831-2.1.3-01")
@pytest.mark.parametrize("nc", [b"00000000", b"00000002", b"ffffffff"])
def test_a_first_response_must_count_1(nc: bytes) -> None:
    refuse(ScriptedClient(nc=nc), LogonDenied)


@pytest.mark.requirement("RFC2831-2.1.2-26")
@pytest.mark.parametrize("nc", [b"1", b"0000001", b"000000001", b"0000000A", b"0x000001", b"-0000001", b"        "])
def test_a_count_is_8_lower_case_digits(nc: bytes) -> None:
    refuse(ScriptedClient(nc=nc), InvalidToken)


@pytest.mark.requirement("RFC2831-2.1.2-54", "RFC2831-2.1.2-53")
def test_a_response_value_in_upper_case_is_refused() -> None:
    server = new_server()
    challenge = server.step(None)
    assert challenge is not None
    script = ScriptedClient()
    script.answer(challenge)
    assert re.search(rb"[a-f]", script.response())
    script.changes = {"response": script.response().upper()}
    with pytest.raises(InvalidToken):
        server.step(script.message())


@pytest.mark.requirement("RFC2831-2.1.2-46", "RFC2831-2.1.2-54")
@pytest.mark.parametrize("value", [b"0" * 31, b"0" * 33, b"g" * 32, b"0"])
def test_a_response_value_is_32_digits(value: bytes) -> None:
    refuse(ScriptedClient(changes={"response": value}), InvalidToken)


@pytest.mark.requirement("RFC2831-2.1.2-10")
@pytest.mark.parametrize("realm", [b"other.example", REALM.upper().encode(), b""])
def test_a_realm_that_is_not_served_is_refused_even_where_the_hash_is_right(realm: bytes) -> None:
    refuse(ScriptedClient(realm=realm), LogonDenied)


@pytest.mark.requirement("RFC2831-2.1.2-11")
def test_without_realms_the_empty_one_counts() -> None:
    for changes in ({"realm": None}, {}):
        server, _ = run(ScriptedClient(realm=b"", changes=changes), new_server(realm=None))
        assert server.security.realm == ""


@pytest.mark.requirement("RFC2831-2.1.1-05", "RFC2831-2.1.2-10")
def test_where_no_realm_is_offered_the_authority_says_which_is_served() -> None:
    """Clients may make up a default; Cyrus SASL takes the host's name."""
    server, _ = run(ScriptedClient(realm=b"other"), new_server(realm=None))
    assert server.security.realm == "", "nobody has verified what the client says"
    elsewhere = MemoryAuthority([Account(username=USER, realm=REALM, password=PASSWORD)])
    server, _ = run(ScriptedClient(realm=REALM.encode()), new_server(realm=None, authority=elsewhere))
    assert server.security.realm == REALM
    refuse(ScriptedClient(realm=b"other"), LogonDenied, new_server(realm=None, authority=elsewhere))


@pytest.mark.requirement("RFC2831-2.1.2-11", "RFC2831-2.1.2-07")
def test_a_server_with_realms_wants_one_of_them() -> None:
    refuse(ScriptedClient(realm=b"", changes={"realm": None}), LogonDenied)


@pytest.mark.requirement("RFC2831-2.1.2-21", "RFC2831-2.1.2.1-01")
@pytest.mark.parametrize("cnonce", [b'a"b', b"a\\b", b"", b"\xff\xfe", b" x "])
def test_a_cnonce_is_any_quoted_string_and_is_hashed_unescaped(cnonce: bytes) -> None:
    run(ScriptedClient(cnonce=cnonce))


@pytest.mark.requirement("RFC2831-2.1.2-29")
@pytest.mark.parametrize(
    ("layer", "qop"),
    [
        ("auth", b"auth-int"),
        ("auth", b"auth-conf"),
        ("auth-int", b"auth"),
        ("rc4", b"auth"),
        ("rc4", b"auth-int"),
        ("auth", b"foo"),
    ],
)
def test_a_qop_that_was_not_offered_is_refused(layer: str, qop: bytes) -> None:
    script = ScriptedClient(qop=qop, changes={"cipher": b"rc4" if qop == b"auth-conf" else None})
    error = refuse(script, QopNotSupported, new_server(layer))
    assert error.status is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED


@pytest.mark.requirement("RFC2831-2.1.2-31", "RFC2831-2.1.2.1-14")
def test_a_response_without_qop_means_auth() -> None:
    server, _ = run(ScriptedClient(changes={"qop": None}))
    assert server.security.qop == "auth"
    refuse(ScriptedClient(changes={"qop": None}), QopNotSupported, new_server("auth-int"))


@pytest.mark.requirement("RFC2831-2.1.2.1-02", "RFC2831-7.1-01", "RFC2831-7.2-01")
@pytest.mark.parametrize(
    "script",
    [
        ScriptedClient(qop=b"AUTH"),
        ScriptedClient(qop=b"Auth-Int"),
        ScriptedClient(qop=b"AUTH-CONF", changes={"cipher": b"RC4"}),
        ScriptedClient(digest_uri=b"IMAP/" + HOST.upper().encode()),
        ScriptedClient(changes={"charset": b"UTF-8"}),
    ],
)
def test_the_case_of_qop_and_digest_uri_does_not_matter_and_is_hashed_as_it_came(script: ScriptedClient) -> None:
    _, proof = run(script)
    assert proof == b"rspauth=" + script.rspauth()


HOSTS = ("mail.example.org", "imap.example.org", "imap.example.org/example.org")


@pytest.mark.requirement("RFC2831-2.1.2-40", "RFC2831-2.1.2-38")
@pytest.mark.parametrize("host", HOSTS)
def test_each_configured_name_of_the_server_is_right(host: str) -> None:
    server, _ = run(ScriptedClient(digest_uri=b"imap/" + host.encode()), new_server(host=HOSTS))
    assert server.done


@pytest.mark.requirement(
    "RFC2831-2.1.2-38",
    "RFC2831-2.1.2-39",
    "RFC2831-2.1.2-40",
    "RFC2831-2.1.2-41",
    "RFC2831-2.1.2-42",
    "MSDPSP-3.3.5.4-01",
)
@pytest.mark.parametrize(
    "uri",
    [
        b"imap/wrong.host",
        b"ldap/mail.example.org",
        b"imap/192.0.2.1",
        b"imap/mail.example.org/unknown",
        b"imap/mail.example.org/example.org",
        b"imap",
        b"imap/",
        b"",
        b"imap/mail.example.org\x80",
    ],
)
def test_a_digest_uri_for_somebody_else_is_refused(uri: bytes) -> None:
    error = refuse(ScriptedClient(digest_uri=uri), WrongPrincipal, new_server(host=HOSTS))
    assert error.status is SecurityStatus.SEC_E_WRONG_PRINCIPAL


@pytest.mark.requirement("MSDPSP-3.3.5.4-01")
def test_without_a_principal_the_digest_uri_is_handed_to_the_application() -> None:
    identity = sspi.WinNTAuthIdentity("chris", "example.org", "secret")
    outbound = sspi.acquire_credentials_handle(None, "WDigest", 2, auth_data=identity).credential
    inbound = sspi.acquire_credentials_handle(None, "WDigest", 1, auth_data=identity).credential
    contexts = establish(outbound, inbound, "imap/any.host.example")
    assert (
        sspi.query_context_attributes(contexts.server, sspi.SecPkgContextTarget).target_name == "imap/any.host.example"
    )


@pytest.mark.requirement("RFC2831-2.1.2-56")
def test_auth_conf_without_a_cipher_is_refused() -> None:
    refuse(ScriptedClient(qop=b"auth-conf"), InvalidToken)


@pytest.mark.requirement("RFC2831-2.1.2-59")
@pytest.mark.parametrize("cipher", [b"rc4", b"aes"])
@pytest.mark.parametrize("qop", [b"auth", b"auth-int"])
def test_a_cipher_beside_another_qop_means_nothing(qop: bytes, cipher: bytes) -> None:
    script = ScriptedClient(qop=qop, changes={"cipher": cipher})
    server, _ = run(script)
    assert (server.security.qop, server.security.cipher) == (qop.decode(), "")
    if server.layer is not None:
        assert server.layer.wrap(b"text") == integrity_message(script.kis(), 0, b"text")


@pytest.mark.requirement("RFC2831-2.1.2-58")
@pytest.mark.parametrize("cipher", [b"rc4", b"des", b"rc4-40", b"aes", b"none"])
def test_a_cipher_that_was_not_offered_is_refused(cipher: bytes) -> None:
    refuse(ScriptedClient(qop=b"auth-conf", changes={"cipher": cipher}), QopNotSupported, new_server("3des"))


@pytest.mark.requirement("RFC2831-2.1.2-68")
def test_a_response_of_4095_octets_is_read_and_one_of_4096_is_refused() -> None:
    server = new_server()
    challenge = server.step(None)
    assert challenge is not None
    right = ScriptedClient().answer(challenge)
    longest = right + b",x=" + b"y" * (4095 - len(right) - 3)
    for longer in (longest + b"y", longest + b"y" * 1_000_000):
        other = server.again()
        other.step(None)
        with pytest.raises(InvalidToken) as caught:
            other.step(longer)
        assert "octets" in str(caught.value)
    assert len(longest) == 4095
    assert server.step(longest)


@pytest.mark.requirement("RFC2831-2.1.2-69", "RFC2831-2.1.2.1-16")
@pytest.mark.parametrize(
    "more", [b'foo="bar"', b"x=1,x=2", b"algorithm=md5-sess", b'opaque="x"', b"algorithm=md5,opaque=x"]
)
def test_unknown_directives_algorithm_and_opaque_are_ignored(more: bytes) -> None:
    run(ScriptedClient(extra=(more,)))


@pytest.mark.requirement("RFC2831-2.1.3-02")
@pytest.mark.parametrize(
    "script",
    [
        ScriptedClient(password=b"Secret"),
        ScriptedClient(password=b""),
        ScriptedClient(username=b"nobody"),
        ScriptedClient(changes={"response": b"0" * 32}),
        ScriptedClient(changes={"username": b'"Chris"'}),
    ],
)
def test_a_wrong_response_is_refused_whatever_is_wrong_with_it(script: ScriptedClient) -> None:
    error = refuse(script, LogonDenied)
    assert error.text == "the user is unknown or the password is wrong"


@pytest.mark.requirement("RFC2831-2.1.3-11", "RFC2831-2.1.3-10")
def test_where_success_carries_no_data_an_empty_response_ends_the_exchange() -> None:
    def proved() -> Server:
        server = new_server(success_data=False)
        challenge = server.step(None)
        assert challenge is not None
        script = ScriptedClient()
        assert server.step(script.answer(challenge)) == b"rspauth=" + script.rspauth()
        assert not server.done
        return server

    server = proved()
    assert server.step(b"") is None
    assert server.done
    for wrong in (b"x", None, b"rspauth=" + b"0" * 32):
        server = proved()
        with pytest.raises(InvalidToken):
            server.step(wrong)
        assert not server.done
