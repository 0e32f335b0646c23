"""The face of Cyrus SASL's Python wrapper, as thrift_sasl calls it: traps and layers."""

from __future__ import annotations

import pytest

from saslsspi import MemoryAuthority, Password, Policy, Server
from saslsspi.compat import sasl

USER, SECRET = "alïce", "wönderland𝄞"
PEOPLE = MemoryAuthority({USER: SECRET})


def client(**more: str | int) -> sasl.Client:
    made = sasl.Client()
    for name, value in {"host": "h.example", "service": "hive", "username": USER, "password": SECRET, **more}.items():
        assert made.setAttr(name, value) is True
    assert made.init() is True
    return made


def server(mechanism: str, *, least: int = 0, most: int = 1 << 16, success_data: bool = False) -> Server:
    return Server(
        mechanism, service="hive", host="h.example", authority=PEOPLE,
        policy=Policy(min_ssf=least, max_ssf=most, allow_plaintext=True), success_data=success_data,
    )  # fmt: skip


def exchange(face: sasl.Client, peer: Server, mechanism: str) -> None:
    """As thrift_sasl does it: an empty frame is "", and the server's last word comes as a frame."""
    ok, chosen, data = face.start(mechanism)
    assert ok, face.getError()
    assert chosen == mechanism.encode()
    assert isinstance(data, bytes)
    reply = peer.step(data or None)
    while not peer.done:
        ok, data = face.step(reply or "")
        assert ok, face.getError()
        assert isinstance(data, bytes)
        reply = peer.step(data)
    if reply:
        assert face.step(reply) == (True, b"")
    assert face.step("") == (True, b"")


@pytest.mark.parametrize(
    ("mechanism", "least", "most", "ssf"),
    [
        ("PLAIN", 0, 0, 0),
        ("DIGEST-MD5", 0, 0, 0),
        ("DIGEST-MD5", 1, 1, 1),
        ("DIGEST-MD5", 2, 1 << 16, 128),
        ("SCRAM-SHA-256", 0, 0, 0),
        ("NTLM", 0, 1 << 16, 128),
    ],
)
def test_the_strongest_layer_that_both_permit(mechanism: str, least: int, most: int, ssf: int) -> None:
    face, peer = client(), server(mechanism, least=least, most=most)
    exchange(face, peer, mechanism)
    assert face.getSSF() == (True, ssf)
    assert face.getUserId() == (True, USER.encode())
    assert peer.security.authcid == USER
    text = b"a row" * 50_000  # cut into several buffers
    ok, wire = face.encode(text)
    assert ok
    assert wire is not None
    if peer.layer is None:
        assert wire is text  # thrift_sasl compares the lengths once, and puts them in itself
        assert face.decode(text) == (True, text)
        return
    assert peer.layer.unwrap(wire) == text
    answer = peer.layer.wrap(text)
    read = [face.decode(answer[at : at + 4099]) for at in range(0, len(answer), 4099)]
    assert b"".join(piece or b"" for _, piece in read) == text


def test_the_limits_of_the_layer_are_attributes() -> None:
    face, peer = client(maxssf=1), server("DIGEST-MD5")
    exchange(face, peer, "DIGEST-MD5")
    assert face.getSSF() == (True, 1)
    face, peer = client(minssf=56), server("DIGEST-MD5", most=1)
    ok, _, data = face.start("DIGEST-MD5")
    assert ok
    assert face.step(peer.step(data or None)) == (False, None)
    assert "sasl_client_step" in face.getError()
    assert face.getError() == ""


def test_the_strongest_of_a_list() -> None:
    assert client().start("PLAIN,DIGEST-MD5 SCRAM-SHA-256")[:2] == (True, b"SCRAM-SHA-256")
    face = client()
    assert face.start("NOTHING") == (False, None, None)
    assert face.getError().startswith("Error in sasl_client_start (-4) ")


def test_authname_logs_on_and_username_is_whom_to_act_as() -> None:
    ok, _, message = client(username="boss", authname=USER).start("PLAIN")
    assert ok
    assert message == b"\0".join((b"boss", USER.encode(), SECRET.encode()))


def test_a_wrong_password_and_a_lying_server() -> None:
    face, peer = client(password="wrong"), server("DIGEST-MD5")
    _, _, data = face.start("DIGEST-MD5")
    ok, data = face.step(peer.step(data or None))
    assert ok
    with pytest.raises(OSError, match="SEC_E_LOGON_DENIED"):
        peer.step(data)
    # The carrier says that all is well, and the server has proved nothing.
    assert face.encode(b"text") == (False, None)
    assert "success" in face.getError()


def test_what_is_missing_is_said() -> None:
    face = sasl.Client()
    assert face.setAttr("colour", "red") is False
    assert face.getError() == "Error in setAttr (-1) Unknown string attribute name - colour"
    assert face.setAttr("minssf", "1") is False
    assert face.start("PLAIN") == (False, None, None)
    assert "init" in face.getError()
    assert face.encode(b"") == (False, None)
    face.init()
    assert face.start("PLAIN") == (False, None, None)
    assert "it takes Password, and there is nothing" in face.getError()
    assert Password(USER, SECRET).password not in repr(vars(client().__class__))
