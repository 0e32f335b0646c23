"""The request digests with a known origin, RFC 2617 section 3.5 and RFC 7616 section 3.9 among them."""

from typing import Any

import pytest

import vector_files
from packages.digest.http.web import Browser, Site, policy
from saslsspi import MemoryAuthority, sspi
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, DigestRequest, request_value
from saslsspi.packages.digest.http.messages import HttpChallenge, HttpResponse

VECTORS = vector_files.load("http-digest")
CLAIMS = {
    "rfc2617-3.5": ["RFC2617-3.2.2.1-01", "RFC2617-3.2.2.2-01", "RFC2617-3.2.3-03", "RFC2617-3.2.2.4-01"],
    "md5-no-qop": ["RFC2617-3.2.2.1-02"],
    "md5-sess-auth": ["RFC2617-3.2.2.2-02"],
    "md5-auth-int": ["RFC2617-3.2.2.3-01"],
    "sha256-sess-auth": ["RFC7616-3.4.2-01"],
    "rfc7616-3.9.1-md5": ["RFC7616-3.9-01"],
    "rfc7616-3.9.1-sha-256": ["RFC7616-3.9-01", "RFC7616-3.4.1-01", "RFC7616-3.3-01"],
    "rfc7616-3.9.2-sha512-256-userhash": ["RFC7616-3.9-02", "RFC7616-3.4-06", "RFC7616-3.4-08"],
}
PARAMETERS = [
    pytest.param(
        vector, id=vector["id"], marks=pytest.mark.requirement(*CLAIMS.get(vector["id"], CLAIMS["rfc2617-3.5"]))
    )
    for vector in VECTORS
]


def entity_of(vector: dict[str, Any]) -> bytes:
    text = vector.get("entity_body_text")
    return b"" if text is None else ALGORITHMS[vector["algorithm"].lower().encode()].digest(text.encode())


def answered(vector: dict[str, Any]) -> HttpResponse:
    """Let the client answer the vector's challenge, with the vector's cnonce."""
    qop = () if vector["qop"] is None else (vector["qop"].encode(),)
    challenge = HttpChallenge(
        vector["realm"].encode(),
        vector["nonce"].encode(),
        ALGORITHMS[vector["algorithm"].lower().encode()],
        qop,
        vector["opaque"].encode() if "opaque" in vector else None,
        utf8=not vector["username"].isascii(),
        userhash=vector.get("userhash", False),
    )
    flags = sspi.IscReq.ISC_REQ_INTEGRITY if vector["qop"] == "auth-int" else 0
    client = Browser(vector["username"], vector["password"], flags)
    return HttpResponse.from_bytes(
        client.answer(challenge.to_bytes(), vector["method"].encode(), entity_of(vector), vector["uri"])
    )


@pytest.mark.parametrize("vector", PARAMETERS)
def test_the_formula_gives_the_vectors_values(vector: dict[str, Any]) -> None:
    algorithm = ALGORITHMS[vector["algorithm"].lower().encode()]
    secret = f"{vector['username']}:{vector['realm']}:{vector['password']}".encode()
    ha1 = algorithm.digest(secret)
    if algorithm.session:
        ha1 = algorithm.digest(b":".join((ha1, vector["nonce"].encode(), vector["cnonce"].encode())))
    request = DigestRequest(
        vector["nonce"].encode(),
        vector["nc"].encode(),
        vector["cnonce"].encode(),
        None if vector["qop"] is None else vector["qop"].encode(),
        vector["method"].encode(),
        vector["uri"].encode(),
        entity_of(vector),
    )
    assert request_value(algorithm, ha1, request).decode() == vector["response"]
    if "rspauth" in vector:
        assert request_value(algorithm, ha1, request._replace(method=b"")).decode() == vector["rspauth"]
    if "username_on_wire" in vector:
        named = algorithm.digest(f"{vector['username']}:{vector['realm']}".encode())
        assert named.decode() == vector["username_on_wire"]


@pytest.mark.parametrize("vector", PARAMETERS)
def test_the_client_answers_with_the_vectors_values(vector: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saslsspi.packages.digest.http.client.b2a_hex", lambda octets: vector["cnonce"].encode())
    response = answered(vector)
    assert response.response.decode() == vector["response"]
    assert response.username.decode() == vector.get("username_on_wire", vector["username"])


@pytest.mark.parametrize("vector", PARAMETERS)
def test_the_server_takes_the_vectors_credentials(vector: dict[str, Any]) -> None:
    """Its nonce is not ours, so the right digest brings `stale=true` and the wrong one a refusal."""
    site = Site(
        flags=sspi.AscReq.ASC_REQ_INTEGRITY if vector["qop"] == "auth-int" else 0,
        policy=policy(vector["algorithm"], accept_without_qop=True, userhash=vector.get("userhash", False)),
        realm=vector["realm"].encode(),
        more={"authority": MemoryAuthority({vector["username"]: vector["password"]})},
    )
    token = HttpResponse(
        vector.get("username_on_wire", vector["username"]).encode(),
        vector["realm"].encode(),
        vector["nonce"].encode(),
        vector["uri"].encode(),
        vector["response"].encode(),
        ALGORITHMS[vector["algorithm"].lower().encode()],
        None if vector["qop"] is None else vector["qop"].encode(),
        vector["cnonce"].encode(),
        vector["nc"].encode(),
        None,
        vector.get("userhash", False),
    )
    answer = site.accept(token.to_bytes(), vector["method"].encode(), entity_of(vector))
    assert HttpChallenge.from_bytes(answer.token).stale
    wrong = token._replace(response=token.response[:-1] + (b"0" if token.response[-1:] != b"0" else b"1"))
    with pytest.raises(sspi.WindowsError) as caught:
        site.accept(wrong.to_bytes(), vector["method"].encode(), entity_of(vector))
    assert caught.value.status is sspi.SecurityStatus.SEC_E_LOGON_DENIED  # type: ignore[attr-defined]


def test_the_printed_values_of_the_userhash_example_are_not_made() -> None:
    """RFC 7616 section 3.9.2 as printed has SHA-512 cut to 256 bits; erratum 4897 has the right values."""
    vector = next(v for v in VECTORS if "printed_in_rfc" in v)
    response = answered(vector)
    assert response.username.decode() != vector["printed_in_rfc"]["username_on_wire"]
