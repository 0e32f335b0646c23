import base64
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

import vector_files
from saslsspi.__main__ import main
from saslsspi.cli.decode.recognition import decode
from saslsspi.der import application, context, element, encode_oid, integer, octet_string, sequence
from saslsspi.packages.negotiate.messages import NegTokenInit, mech_type_list

TOKENS = {"challenge", "response", "der", "nego_token", "authenticate_v1", "authenticate_v2", "challenge_v1",
          "challenge_v2", "wire", "wire_framed"}  # fmt: skip
SECRETS = {"password", "response", "rspauth", "nt_response", "lm_response", "session_base_key", "client_key",
           "pub_key_auth", "auth_info", "inner_hash", "HA1", "Kic", "Kis", "Kcc", "Kcs"}  # fmt: skip


def walk(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, name)
    elif isinstance(value, str):
        yield name, value


def octets(name: str, value: str) -> bytes | None:
    try:
        if name.endswith("_base64"):
            return base64.b64decode(value)
        return value.encode() if name.endswith("_text") else bytes.fromhex(value)
    except ValueError:
        return None


def is_token(name: str) -> bool:
    return name in TOKENS or name.endswith(("_text", "_base64"))


def vectors() -> list[tuple[bytes, set[str]]]:
    """The tokens of all files, each with what must not be shown of it."""
    found = []
    for name in vector_files.names():
        for vector in vector_files.load(name):
            secrets = {value for key, value in walk(vector) if key in SECRETS and len(value) >= 6}
            secrets |= {proof for _, text in walk(vector) for proof in [text.rpartition(",p=")[2]] if ",p=" in text}
            for key, value in walk(vector):
                if is_token(key) and (token := octets(key, value)):
                    found.append((token, secrets))
    return found


VECTORS = vectors()


def shown(token: bytes) -> str:
    node = decode(token)
    return json.dumps(node.record(), ensure_ascii=False)


@pytest.mark.parametrize(("token", "secrets"), VECTORS, ids=range(len(VECTORS)))
def test_no_token_of_the_vectors_shows_a_secret(token: bytes, secrets: set[str]) -> None:
    text = shown(token)
    assert not [secret for secret in secrets if secret in text]


def test_mutated_tokens_neither_fail_nor_show_a_secret() -> None:
    chance = random.Random(2831)
    plain = (b"\0alice\0wonderland-secret", {"wonderland-secret"})
    pool = [*VECTORS, *[plain] * 20]
    for _ in range(10_000):
        token, secrets = chance.choice(pool)
        mutated = bytearray(token)
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(mutated) or 1)
            match chance.randrange(4):
                case 0 if mutated:
                    mutated[at % len(mutated)] = chance.randrange(256)
                case 1:
                    del mutated[at : at + chance.randint(1, 4)]
                case 2:
                    mutated.insert(at, chance.randrange(256))
                case _:
                    del mutated[at:]
        text = shown(bytes(mutated))
        assert not [secret for secret in secrets if secret in text], bytes(mutated)


@pytest.mark.parametrize(
    ("token", "kind", "finding"),
    [
        (b"\0alice\0wonderland", "PLAIN", "plain-password"),
        (b"n,,n=user,r=fyko", "SCRAM client-first", "no-channel-binding"),
        (b"r=fyko3r,s=QSXCR+Q6sek8bf92,i=1000", "SCRAM server-first", "few-iterations"),
        (b'realm="r",nonce="abcdefghijklmnopqrst",qop="auth-conf",cipher="des",charset=utf-8,algorithm=md5-sess',
         "DIGEST-MD5 digest challenge", "weak-cipher"),
        (b'Digest realm="r", nonce="n", qop="auth", algorithm=MD5', "HTTP digest challenge", "digest-md5-hash"),
        (b"<1896.697170952@postoffice.example>", "CRAM-MD5 challenge", "cram-md5"),
        (bytes.fromhex("3005a003020102"), "CredSSP TSRequest", "credssp-version"),
        (b"NTLMSSP\0\x01\0\0\0\x01\0\0\0", "NTLM NEGOTIATE", "no-extended-security"),
        (bytes.fromhex("01000000"), "GSSAPI security layers", "no-encryption"),
        (b"\x16\x03\x01\x00\x02\x01\x00", "TLS records", None),
        (b"wonderland", "unknown token", "unknown"),
    ],
)  # fmt: skip
def test_each_type_is_known_and_its_weakness_found(token: bytes, kind: str, finding: str | None) -> None:
    node = decode(token)
    assert node.kind == kind
    assert finding is None or finding in {each.id for each in node.findings}


def test_ntlm_version_1_is_a_failure_and_its_response_is_masked() -> None:
    by_id = {vector["id"]: vector for vector in vector_files.load("ntlm")}
    messages = next(vector["messages"] for vector in by_id.values() if "messages" in vector)
    first = decode(bytes.fromhex(messages["authenticate_v1"]))
    assert "ntlmv1" in {each.id for each in first.findings}
    second = decode(bytes.fromhex(messages["authenticate_v2"]))
    assert "ntlmv1" not in {each.id for each in second.findings}
    assert "no-mic" in {each.id for each in second.findings}
    assert str(second.fields["NT response"]).endswith("masked)")


def test_the_command_reads_base64_hex_and_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["decode", base64.b64encode(b"\0alice\0wonderland").decode()]) == 0
    told = capsys.readouterr().out
    assert "user: alice" in told
    assert "wonderland" not in told
    assert main(["decode", "--hex", b"\0alice\0wonderland".hex(), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"][0]["kind"] == "PLAIN"
    monkeypatch.setattr("sys.stdin", io.StringIO(base64.b64encode(b"n,,n=a,r=b").decode() + "\n"))
    assert main(["decode"]) == 0
    assert "SCRAM client-first" in capsys.readouterr().out
    assert main(["decode", "not base64!"]) == 2
    assert "not base64!" not in capsys.readouterr().err
    assert main(["decode", base64.b64encode(b"wonderland").decode()]) == 3


def test_spnego_shows_what_is_inside() -> None:
    types = ("1.3.6.1.4.1.311.2.2.10",)
    inside = b"NTLMSSP\0\x01\0\0\0\x01\0\0\0"
    node = decode(NegTokenInit(types, mech_type_list(types), inside).to_bytes())
    assert node.fields["mechanisms"] == ["NTLM"]
    assert {"ntlm-only", "no-mic"} <= {each.id for each in node.findings}
    assert node.parts["token"].kind == "NTLM NEGOTIATE"


def test_a_kerberos_ticket_with_a_weak_cipher_is_found() -> None:
    def text(value: bytes) -> bytes:
        return element(0x1B, value)

    def sealed(enctype: int) -> bytes:
        return sequence(element(context(0), integer(enctype)), element(context(2), octet_string(b"sealed-octets")))

    service = sequence(
        element(context(0), integer(2)), element(context(1), sequence(text(b"ldap"), text(b"host.example")))
    )
    ticket = sequence(
        element(context(0), integer(5)), element(context(1), text(b"EXAMPLE")),
        element(context(2), service), element(context(3), sealed(23)),
    )  # fmt: skip
    request = sequence(
        element(context(0), integer(5)), element(context(1), integer(14)),
        element(context(2), element(3, bytes(5))), element(context(3), element(application(1), ticket)),
        element(context(4), sealed(18)),
    )  # fmt: skip
    body = element(6, encode_oid("1.2.840.113554.1.2.2")) + b"\x01\x00" + element(application(14), request)
    node = decode(element(application(0), body))
    assert (node.kind, node.fields["realm"], node.fields["service"]) == (
        "Kerberos AP-REQ", "EXAMPLE", "ldap/host.example",
    )  # fmt: skip
    assert [each.id for each in node.findings] == ["weak-cipher"]
    assert node.fields["ticket"] == "arcfour-hmac"
