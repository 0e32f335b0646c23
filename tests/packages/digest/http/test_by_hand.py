"""What both sides send, computed once more with hashlib alone: responses, proofs, counts, and each digit of them."""

from __future__ import annotations

import hashlib

import pytest

from packages.digest.http.web import PASSWORD, REALM, USER, Browser, Site, body_hash, made_signature, verified
from packages.digest.scripted import parse_strictly
from saslsspi import MemoryAuthority
from saslsspi.errors import MutualAuthFailed
from saslsspi.sspi import AscReq, IscReq

SIGN = int(IscReq.ISC_REQ_INTEGRITY)
MUTUAL = int(IscReq.ISC_REQ_MUTUAL_AUTH)


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b":".join(parts)).hexdigest().encode()


def fields(message: bytes) -> dict[str, bytes]:
    return {name: value.strip(b'"') for name, value in parse_strictly(message.replace(b", ", b","))}


def value(sent: dict[str, bytes], *a2: bytes) -> bytes:
    """The request-digest, or the server's proof: they differ in A2 alone (RFC 7616 sections 3.4 and 3.5)."""
    a1 = sha256(USER.encode(), REALM.encode(), PASSWORD.encode())
    return sha256(a1, sent["nonce"], sent["nc"], sent["cnonce"], sent["qop"], sha256(*a2))


@pytest.mark.requirement("RFC2617-3.2.2-08", "RFC2617-3.1.3-01")
def test_each_request_under_a_nonce_has_the_next_count_in_lower_case_hex() -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    for number in range(1, 28):
        sent = fields(token)
        assert sent["nc"] == f"{number:08x}".encode()
        assert sent["response"] == value(sent, b"GET", sent["uri"])
        site.accept(token)
        token = made_signature(client.handle, b"GET", b"/next")


@pytest.mark.requirement("RFC2617-3.2.2.4-01")
def test_values_are_hashed_without_their_quotes_and_quoted_pairs() -> None:
    client = Browser('al"i\\ce')
    sent = client.answer(rb'realm="a \"b\" \\ c", nonce="n\"m", qop="auth", algorithm=SHA-256', uri="/")
    assert rb'username="al\"i\\ce", realm="a \"b\" \\ c", nonce="n\"m"' in sent
    a1 = sha256(rb'al"i\ce', rb'a "b" \ c', PASSWORD.encode())
    made = fields(sent)
    right = sha256(a1, b'n"m', made["nc"], made["cnonce"], b"auth", sha256(b"GET", b"/"))
    assert made["response"] == right
    site = Site(realm=rb'a "b" \ c', more={"authority": MemoryAuthority({'al"i\\ce': PASSWORD})})
    assert site.accept(Browser('al"i\\ce').answer(site.challenge())).user == 'al"i\\ce'


@pytest.mark.requirement("RFC2617-3.2.3-03", "RFC2617-3.2.3-04", "RFC2617-3.1.3-01", "RFC7616-3.5-01")
def test_the_servers_proof_is_about_the_request_that_it_answers() -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    for _ in range(12):
        sent, info = fields(token), fields(site.accept(token).token)
        assert info["rspauth"] == value(sent, b"", sent["uri"])
        assert (info["cnonce"], info["nc"]) == (sent["cnonce"], sent["nc"])
        token = made_signature(client.handle, b"GET", b"/next")


@pytest.mark.requirement("RFC2617-3.2.3-02", "RFC2617-3.2.3-03", "RFC7616-3.5-01")
def test_under_auth_int_the_proof_covers_the_answers_body() -> None:
    site, client = Site(int(AscReq.ASC_REQ_INTEGRITY)), Browser(flags=SIGN)
    token = client.answer(site.challenge(), b"PUT", body_hash(b"tea"))
    sent = fields(token)
    assert sent["response"] == value(sent, b"PUT", sent["uri"], hashlib.sha256(b"tea").hexdigest().encode())
    context = site.accept(token, b"PUT", body_hash(b"tea")).context
    info = fields(made_signature(context, body_hash(b"here you are")))
    assert info["qop"] == b"auth-int"
    assert info["rspauth"] == value(sent, b"", sent["uri"], hashlib.sha256(b"here you are").hexdigest().encode())


@pytest.mark.requirement("RFC2617-3.2.3-06", "RFC2617-3.2.3-04")
@pytest.mark.parametrize("demanded", [True, False])
@pytest.mark.parametrize("spoilt", ["rspauth", "first digit", "last digit", "cnonce", "nc"])
def test_a_proof_with_one_thing_wrong_is_none(demanded: bool, spoilt: str) -> None:
    site, client = Site(), Browser(flags=MUTUAL if demanded else 0)
    token = client.answer(site.challenge())
    sent = fields(token)
    site.accept(token)
    if spoilt in ("cnonce", "nc"):  # the peer proves itself, for another request than ours
        sent[spoilt] = b"00000002" if spoilt == "nc" else b"0" * 32
    proof = value(fields(token), b"", sent["uri"])
    other = b"1" if b"0" in (proof[:1], proof[-1:]) else b"0"
    proof = {"rspauth": b"", "first digit": other + proof[1:], "last digit": proof[:-1] + other}.get(spoilt, proof)
    info = b'rspauth="%b", qop=auth, cnonce="%b", nc=%b' % (proof, sent["cnonce"], sent["nc"])
    with pytest.raises(MutualAuthFailed):
        client.answer(info) if demanded else verified(client.handle, info)
