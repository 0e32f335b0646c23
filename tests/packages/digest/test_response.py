"""The digest-response as our client writes it (RFC 2831 section 2.1.2)."""

from __future__ import annotations

import base64
import re

import pytest

from packages.digest.ours import joined, new_client, new_server
from packages.digest.scripted import HOST, ScriptedServer, parse_strictly, values
from saslsspi import Policy
from saslsspi.errors import InvalidToken, TargetUnknown
from saslsspi.status import SecurityStatus

CONF = (b"charset=utf-8", b'qop="auth,auth-int,auth-conf"', b'cipher="rc4,3des,des"')


def respond(*more: bytes, **named: object) -> bytes:
    client = new_client(**named)  # type: ignore[arg-type]  # the names are new_client's
    response = client.step(ScriptedServer().challenge(*(more or (b"charset=utf-8",))))
    assert response is not None
    return response


@pytest.mark.requirement(
    "RFC2831-2.1.2-01",
    "RFC2831-2.1.2-02",
    "RFC2831-2.1.2-32",
    "RFC2831-7.2-04",
    "RFC2831-1.1-01",
    "RFC2831-2.1.2-53",
)
def test_the_response_is_strict_grammar() -> None:
    raw = dict(parse_strictly(respond(*CONF, authzid="admin", policy=Policy(max_buffer=4096))))
    for name in ("username", "realm", "nonce", "cnonce", "digest-uri", "authzid"):
        assert re.fullmatch(rb'".+"', raw[name])
    bare = {name: value for name, value in raw.items() if not value.startswith(b'"')}
    assert bare.keys() == {"nc", "qop", "response", "maxbuf", "charset", "cipher"}
    assert bare["charset"] == b"utf-8"
    assert bare["nc"] == b"00000001"
    assert bare["qop"] == b"auth-conf"
    assert bare["maxbuf"] == b"4096"
    assert bare["cipher"] == b"rc4"
    assert re.fullmatch(rb"[0-9a-f]{32}", bare["response"])


@pytest.mark.requirement(
    "RFC2831-2.1.2-03",
    "RFC2831-2.1.2-12",
    "RFC2831-2.1.2-18",
    "RFC2831-2.1.2-27",
    "RFC2831-2.1.2-45",
    "RFC2831-2.1.2-55",
    "RFC2831-2.1.2-07",
    "RFC2831-2.1.2.1-15",
    "MSDPSP-3.3.5.3-01",
)
@pytest.mark.parametrize("more", [(), CONF, (b'opaque="x"',)])
def test_the_clients_directives_stand_once_and_there_is_no_algorithm_or_opaque(more: tuple[bytes, ...]) -> None:
    names = [name for name, _ in parse_strictly(respond(*more))]
    assert len(set(names)) == len(names)
    assert {"username", "realm", "nonce", "cnonce", "nc", "digest-uri", "response", "qop"} <= set(names)
    assert not {"algorithm", "opaque"} & set(names)
    assert ("cipher" in names) == (more == CONF)


@pytest.mark.requirement("RFC2831-2.1.2-22", "RFC2831-2.1-01")
def test_a_first_response_counts_1() -> None:
    client = new_client()
    assert client.start() is None
    assert values(client.step(ScriptedServer().challenge()) or b"")["nc"] == b"00000001"


@pytest.mark.requirement("RFC2831-2.1.2-16", "RFC2831-2.1.2-17", "RFC2831-3-03", "RFC2831-3-01", "MSDPSP-3.2.5.1-01")
def test_every_cnonce_is_another_and_holds_64_random_bits() -> None:
    client, challenge = new_client(), ScriptedServer().challenge()
    cnonces = {values(client.again().step(challenge) or b"")["cnonce"] for _ in range(300)}
    assert len(cnonces) == 300
    decoded = [base64.b64decode(cnonce, validate=True) for cnonce in cnonces]
    assert min(map(len, decoded)) >= 8
    assert all(len({cnonce[at] for cnonce in decoded}) > 100 for at in range(len(decoded[0])))


@pytest.mark.requirement("RFC2831-2.1.2-28", "RFC2831-3-04", "MSDPSP-3.2.5.2-01")
@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (b"auth", b"auth"),
        (b"auth-int,auth", b"auth-int"),
        (b"auth,auth-int", b"auth-int"),
        (b"auth,auth-int,auth-conf", b"auth-conf"),
        (b"auth-conf,auth-int,auth", b"auth-conf"),
    ],
)
def test_the_strongest_of_the_offered_qops_is_chosen(offered: bytes, chosen: bytes) -> None:
    assert values(respond(b'qop="' + offered + b'"', b'cipher="3des"'))["qop"] == chosen


@pytest.mark.requirement("RFC2831-2.1.2-59", "RFC2831-2.1.2-55")
@pytest.mark.parametrize(
    ("policy", "cipher"), [(Policy(max_ssf=0), None), (Policy(max_ssf=1), None), (Policy(), b"rc4")]
)
def test_a_cipher_goes_with_auth_conf_only(policy: Policy, cipher: bytes | None) -> None:
    assert values(respond(*CONF, policy=policy)).get("cipher") == cipher


@pytest.mark.requirement("RFC2831-2.1.2-33", "RFC2831-2.1.2-34", "RFC2831-2.1.2-37")
@pytest.mark.parametrize("service", ["imap", "ldap", "smtp", "pop", "xmpp"])
def test_the_digest_uri_is_service_and_host(service: str) -> None:
    uri = values(respond(service=service, host="h.example.org"))["digest-uri"]
    assert uri == service.encode() + b"/h.example.org"
    assert re.fullmatch(rb"[a-z]+/[a-z.0-9-]+(/[a-z.0-9-]+)?", uri)


@pytest.mark.requirement("RFC2831-2.1.2-35")
@pytest.mark.parametrize("server_name", [None, "", HOST, HOST.upper()])
def test_a_server_name_that_equals_the_host_is_left_out(server_name: str | None) -> None:
    assert values(respond(server_name=server_name))["digest-uri"] == b"imap/" + HOST.encode()


@pytest.mark.requirement("RFC2831-2.1.2-36", "RFC2831-2.1.2-37")
def test_the_name_of_a_replicated_service_stands_behind_the_host() -> None:
    answer = values(respond(service="smtp", host="mail3.example.com", server_name="example.com"))
    assert answer["digest-uri"] == b"smtp/mail3.example.com/example.com"


@pytest.mark.requirement("RFC2831-2.1.2-34")
@pytest.mark.parametrize("host", ["", "two words", 'quo"te'])
def test_a_host_that_is_no_uri_is_our_callers_mistake(host: str) -> None:
    if host == "":
        assert values(respond(host=host))["digest-uri"] == b"imap/"
        return
    with pytest.raises(TargetUnknown):
        respond(host=host)


@pytest.mark.requirement("RFC2831-2.1.2-48")
def test_maxbuf_says_what_we_take_and_65536_goes_without_saying() -> None:
    assert values(respond(*CONF, policy=Policy(max_buffer=1024)))["maxbuf"] == b"1024"
    assert "maxbuf" not in values(respond(*CONF))


@pytest.mark.requirement("RFC2831-2.1.2-48")
def test_the_server_keeps_to_the_clients_maxbuf() -> None:
    client = new_client(policy=Policy(max_buffer=1024))
    client, server = joined(client=client)
    assert server.security.max_send == client.security.max_receive == 1024
    assert client.layer is not None
    assert server.layer is not None
    wire = server.layer.wrap(bytes(10_000))
    at = 0
    while at < len(wire):
        size = int.from_bytes(wire[at : at + 4])
        assert size <= 1024
        at += 4 + size
    assert client.layer.unwrap(wire) == bytes(10_000)


@pytest.mark.requirement("RFC2831-2.1.2-50", "RFC2831-2.1.2-51", "MSDPSP-2.2-03")
def test_charset_is_sent_when_the_server_announced_it() -> None:
    assert values(respond(b"charset=utf-8"))["charset"] == b"utf-8"
    assert "charset" not in values(respond(b"x=1"))


@pytest.mark.requirement("RFC2831-2.1.2-60", "RFC2831-2.1.2-61", "RFC2831-2.1.2.1-10", "RFC2831-2.1.2.1-04")
@pytest.mark.parametrize("more", [b"charset=utf-8", b"x=1"])
def test_an_authorization_identity_is_utf8_whatever_charset_says(more: bytes) -> None:
    script = ScriptedServer()
    response = new_client(authzid="josé").step(script.challenge(more))
    assert response is not None
    assert script.read(response)["authzid"] == b"jos\xc3\xa9"


@pytest.mark.requirement("RFC2831-2.1.2-66", "RFC6331-1-02")
def test_an_empty_authorization_identity_is_not_sent() -> None:
    assert b"authzid" not in respond(authzid="")


@pytest.mark.requirement("RFC2831-2.1.2-67")
def test_a_response_of_4095_octets_is_sent_and_one_of_4096_is_not() -> None:
    room = 4095 - len(respond(username="u")) + 1
    assert len(respond(username="u" * room)) == 4095
    with pytest.raises(InvalidToken) as caught:
        respond(username="u" * (room + 1))
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_TOKEN
    assert "names are too long" in str(caught.value)


@pytest.mark.requirement("RFC2831-2.1.2-09")
def test_the_offered_realm_is_used() -> None:
    assert values(respond())["realm"] == b"example.org"


@pytest.mark.requirement("RFC2831-2.1.2-11")
def test_without_a_realm_both_sides_use_the_empty_one() -> None:
    client, server = joined(client=new_client(), server=new_server(realm=None))
    assert client.security.realm == server.security.realm == ""
