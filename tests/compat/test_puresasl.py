"""The face of pure-sasl, as kazoo, impyla, snakebite and HDFS's data transfer call it: traps and layers."""

from __future__ import annotations

import pytest

from saslsspi import MemoryAuthority, Policy, Server
from saslsspi.compat import puresasl
from saslsspi.compat.puresasl.client import SASLClient

USER, SECRET = "alïce", "wönderland𝄞"
PEOPLE = MemoryAuthority({USER: SECRET})


def server(mechanism: str, **limits: int) -> Server:
    policy = Policy(allow_plaintext=True, allow_anonymous=True, **limits)  # type: ignore[arg-type]  # of one kind
    return Server(mechanism, service="zookeeper", host="h.example", authority=PEOPLE, policy=policy)


def client(mechanism: str | None = "DIGEST-MD5", **more: object) -> SASLClient:
    given = {"username": USER, "password": SECRET, "colour": "red"} | more
    return SASLClient("h.example", "zookeeper", mechanism=mechanism, **given)  # type: ignore[arg-type]


def exchange(face: SASLClient, peer: Server) -> None:
    """As kazoo does it."""
    challenge = None
    while not face.complete:
        response = face.process(challenge=challenge)
        if face.complete and not response:
            break
        challenge = peer.step(response or None)
    assert peer.done


@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256", "PLAIN"])
def test_without_qops_digest_md5_has_no_layer(mechanism: str) -> None:
    face, peer = client(mechanism), server(mechanism)
    exchange(face, peer)
    assert face.qop == puresasl.QOP.AUTH
    assert (face.wrap(b"text"), face.unwrap(b"text")) == (b"text", b"text")
    face.dispose()
    assert face.complete


@pytest.mark.parametrize("qop", [puresasl.QOP.AUTH_INT, puresasl.QOP.AUTH_CONF])
@pytest.mark.parametrize("kind", [bytes, str])
def test_wraps_are_without_their_length(qop: bytes, kind: type) -> None:
    face, peer = client(qops={qop if kind is bytes else qop.decode()}), server("DIGEST-MD5")
    exchange(face, peer)
    assert face.qop == qop == peer.security.qop.encode()
    layer = peer.layer
    assert layer is not None
    wire = face.wrap(b"block")
    assert layer.unwrap(len(wire).to_bytes(4) + wire) == b"block"
    assert face.unwrap(layer.wrap(b"answer")[4:]) == b"answer"
    with pytest.raises(puresasl.SASLError, match="at once"):
        face.wrap(bytes(70_000))
    with pytest.raises(puresasl.SASLProtocolException):
        face.unwrap(b"nonsense of some length")


def test_what_the_server_does_not_offer_is_its_fault() -> None:
    face, peer = client(qops={b"auth-conf"}), server("DIGEST-MD5", max_ssf=0)
    assert face.process() is None
    with pytest.raises(puresasl.SASLProtocolException):
        face.process(peer.step(None))


def test_a_server_that_proves_nothing_is_not_complete() -> None:
    face = client()
    assert face.process() is None
    assert face.process(server("DIGEST-MD5").step(None))
    with pytest.raises(puresasl.SASLProtocolException):
        face.process(b"rspauth=00000000000000000000000000000000")
    assert not face.complete


def test_the_classes_of_errors_are_two_and_neither_is_the_other() -> None:
    assert not issubclass(puresasl.SASLProtocolException, puresasl.SASLError)
    with pytest.raises(puresasl.SASLError, match="Unknown mechanism NOTHING"):
        client("NOTHING")
    face = client(None)
    for call in (face.process, lambda: face.wrap(b""), face.dispose, lambda: face.complete, lambda: face.qop):
        with pytest.raises(puresasl.SASLError, match="not been chosen"):
            call()
    with pytest.raises(puresasl.SASLError, match="callback has not been set: password"):
        client("PLAIN", password=None).process()
    with pytest.raises(puresasl.SASLError, match="None of the mechanisms"):
        face.choose_mechanism(["PLAIN", "ANONYMOUS"], allow_plaintext=False, allow_anonymous=False)


def test_the_strongest_is_chosen_and_a_callback_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(name: str) -> str:
        asked.append(name)
        return {"username": USER, "password": SECRET}[name]

    face = SASLClient("h.example", "zookeeper", callback=answer)
    monkeypatch.setattr("saslsspi.compat.puresasl.client.package_problem", lambda name: "it is away")
    with pytest.warns(puresasl.SASLWarning, match="GSSAPI will be ignored"):
        face.choose_mechanism(["PLAIN", "GSSAPI"])
    monkeypatch.undo()
    assert face.mechanism == "PLAIN"
    face.choose_mechanism(["PLAIN", "DIGEST-MD5", "CRAM-MD5"])
    assert face.mechanism == "DIGEST-MD5"
    exchange(face, server("DIGEST-MD5"))
    assert asked == ["username", "password"]


def test_plain_says_whom_to_act_as() -> None:
    assert client("PLAIN", authorization_id="boss").process() == b"\0".join((b"boss", USER.encode(), SECRET.encode()))
    assert client("PLAIN", identity="boss").process() == client("PLAIN", authorization_id="boss").process()
    assert client("PLAIN").process() == b"\0".join((b"", USER.encode(), SECRET.encode()))


def test_cram_md5_is_there_for_whoever_names_it() -> None:
    policy = Policy(weak_mechanisms=("CRAM-MD5",))
    theirs = Server("CRAM-MD5", service="zookeeper", host="h.example", authority=PEOPLE, policy=policy)
    exchange(client("CRAM-MD5"), theirs)
    assert theirs.security.authcid == USER


class Derived(SASLClient):
    """As PyHive and impyla have it for thrift_sasl: Cyrus's names, with wrap and unwrap the wrong way round."""

    error: str | None = None

    def start(self, mechanism: str) -> tuple[bool, str | None, bytes | None]:
        self.choose_mechanism([mechanism])
        return True, self.mechanism, self.process()

    def step(self, challenge: bytes) -> tuple[bool, bytes | None]:
        return True, self.process(challenge)

    def encode(self, incoming: bytes) -> tuple[bool, bytes | None]:
        return True, self.unwrap(incoming)

    def decode(self, outgoing: bytes) -> tuple[bool, bytes | None]:
        return True, self.wrap(outgoing)


@pytest.mark.parametrize("max_ssf", [0, 1, 128])
def test_a_class_with_wrapping_the_wrong_way_round_is_set_right(max_ssf: int) -> None:
    face = Derived("h.example", "zookeeper", username=USER, password=SECRET)
    peer = server("DIGEST-MD5", max_ssf=max_ssf)
    assert face.start("DIGEST-MD5") == (True, "DIGEST-MD5", b"")
    challenge = peer.step(None)
    while challenge is not None:
        done, response = face.step(challenge)
        assert (done, type(response)) == (True, bytes)  # whose octets are counted
        challenge = None if peer.done else peer.step(response)
    layer = peer.layer
    if layer is None:
        assert (face.encode(b"text"), face.decode(b"text")) == ((True, b"text"), (True, b"text"))
        return
    done, wire = face.encode(bytes(70_000))  # more than one buffer
    assert layer.unwrap(wire or b"") == bytes(70_000)
    assert face.decode(layer.wrap(b"answer")) == (True, b"answer")
    assert face.decode(b"\0\0\0\x1fnonsense of some length of its own") == (False, None)
    assert face.error is not None
    assert "SEC_E_" in face.error


def test_a_class_set_right_sends_nothing_to_a_server_that_has_proved_nothing() -> None:
    face = Derived("h.example", "zookeeper", username=USER, password=SECRET)
    assert face.encode(b"text") == (False, None)
    face.start("DIGEST-MD5")
    face.step(server("DIGEST-MD5").step(None) or b"")
    assert face.encode(b"text") == (False, None)
    assert face.error is not None
    assert "proved nothing" in face.error


def test_a_class_that_has_it_right_keeps_its_own() -> None:
    class Right(SASLClient):
        def encode(self, outgoing: bytes) -> bytes:
            return self.wrap(outgoing) + b"!"

        def decode(self, incoming: bytes) -> bytes:
            return self.unwrap(incoming) + b"!"

    face = Right("h.example", "zookeeper", mechanism="DIGEST-MD5", username=USER, password=SECRET)
    exchange(face, server("DIGEST-MD5"))
    assert face.qop == puresasl.QOP.AUTH
    assert (face.encode(b"text"), face.decode(b"text")) == (b"text!", b"text!")
