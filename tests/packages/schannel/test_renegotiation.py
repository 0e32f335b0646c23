"""A peer that asks to renegotiate at TLS 1.2, and KeyUpdate at TLS 1.3: OpenSSL's own programs, both directions."""

from __future__ import annotations

import pytest

from interop.openssl import OpensslPeer, connecting_client, listening_server
from packages.schannel.stream import MANUAL, TARGET, TOKEN, Side, inbound, outbound
from saslsspi import Context, errors, sspi
from saslsspi.sspi import SchCredentials, SecBuffer, SecBufferDesc, SecurityStatus
from saslsspi.testbed.certificates import Certificates, make_certificates

pytestmark = pytest.mark.interop
CIPHERS = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES256-SHA384"]
NO_RENEGOTIATION = 21  # the type of its record


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


def joined(side: Side, peer: OpensslPeer) -> Side:
    """Shake hands; what comes behind (tickets) is read."""
    if side.target is not None:
        peer.send(side.step())
    while not side.done:
        if token := side.step(peer.record()):
            peer.send(token)
    return side


def owed(side: Side) -> bytes:
    """Call the context's function without input, as a program does after SEC_I_RENEGOTIATE."""
    outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
    call = sspi.accept_security_context if side.target is None else None
    if call is not None:
        result = call(side.credential, side.handle, None, side.flags, 16, outputs)
        assert result.status is SecurityStatus.SEC_E_OK
    else:
        begun = sspi.initialize_security_context(
            side.credential, side.handle, side.target, side.flags, 16, None, outputs
        )
        assert begun.status is SecurityStatus.SEC_E_OK
    return outputs[0].data


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_peer_that_asks_to_renegotiate_loses_no_record(certificates: Certificates, cipher: str) -> None:
    """A server that asks, and a program that goes on as if it had not: the refusal precedes its next message."""
    with listening_server(certificates.server, "-tls1_2", "-cipher", cipher) as peer:
        client = joined(Side(outbound(), MANUAL, TARGET), peer)
        peer.press(b"before")
        assert client.read(peer.record()) == b"before\n"
        peer.press(b"r")
        assert client.decrypt(peer.record()) == (b"", b"", SecurityStatus.SEC_I_RENEGOTIATE)
        peer.press(b"behind")
        assert client.read(peer.record()) == b"behind\n"
        wire = client.encrypt(b"ours;")
        assert wire[0] == NO_RENEGOTIATION


def test_the_refusal_goes_to_the_peer_with_the_next_call(certificates: Certificates) -> None:
    with listening_server(certificates.server, "-tls1_2") as peer:
        client = joined(Side(outbound(), MANUAL, TARGET), peer)
        peer.press(b"r")
        assert client.decrypt(peer.record())[2] == SecurityStatus.SEC_I_RENEGOTIATE
        token = owed(client)
        assert token[0] == NO_RENEGOTIATION
        assert owed_again_is_misuse(client)
        wire = client.encrypt(b"ours")
        assert wire[0] == 23  # the refusal is out, and does not come twice


def owed_again_is_misuse(side: Side) -> bool:
    with pytest.raises(errors.ContextMisuse):
        owed(side)
    return True


def test_a_server_that_never_heard_of_the_request_is_read_and_written_to(certificates: Certificates) -> None:
    """The whole stream arrives at a server that asked, with what was sealed before the request was read."""
    with listening_server(certificates.server, "-tls1_2", "-cipher", CIPHERS[0]) as peer:
        client = joined(Side(outbound(), MANUAL, TARGET), peer)
        peer.send(client.encrypt(b"first;") + client.encrypt(b"second;"))
        peer.press(b"before")
        assert client.read(peer.record()) == b"before\n"
        peer.press(b"r")
        request = peer.record()
        peer.send(client.encrypt(b"third;"))
        assert client.decrypt(request)[2] == SecurityStatus.SEC_I_RENEGOTIATE
        output = peer.output()
    assert b"first;second;third;" in output


@pytest.mark.parametrize("cipher", CIPHERS)
def test_a_client_that_asks_gets_all_that_was_sealed_before_it_is_refused(cipher: str) -> None:
    with connecting_client("-tls1_2", "-cipher", cipher) as peer:
        server = joined(Side(inbound()), peer)
        peer.press(b"before")
        assert server.read(peer.record()) == b"before\n"
        peer.send(server.encrypt(b"first;"))
        peer.press(b"R")
        text, left, status = server.decrypt(peer.record())
        assert (text, left, status) == (b"", b"", SecurityStatus.SEC_I_RENEGOTIATE)
        refusal = owed(server)
        assert refusal[0] == NO_RENEGOTIATION
        peer.send(refusal)
        output = peer.output()
    assert b"first;" in output


@pytest.mark.parametrize("cipher", CIPHERS)
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 16384])
def test_the_refusal_fits_the_buffers_that_stream_sizes_ask_for(
    certificates: Certificates, cipher: str, size: int
) -> None:
    with listening_server(certificates.server, "-tls1_2", "-cipher", cipher) as peer:
        client = joined(Side(outbound(), MANUAL, TARGET), peer)
        peer.press(b"r")
        assert client.decrypt(peer.record())[2] == SecurityStatus.SEC_I_RENEGOTIATE
        sizes = client.query(sspi.SecPkgContextStreamSizes)
        short = SecBufferDesc(
            [SecBuffer(bytearray(n), k) for n, k in ((sizes.header, 7), (size, 1), (sizes.trailer - 1, 6))]
        )
        with pytest.raises(errors.BufferTooSmall):
            sspi.encrypt_message(client.handle, 0, short, 0)
        wire = client.encrypt(bytes(size))
        assert wire[0] == NO_RENEGOTIATION or not size
        first = 5 + int.from_bytes(wire[3:5])
        assert len(wire) == first or len(wire) == first + 5 + int.from_bytes(wire[first + 3 : first + 5])


def test_a_flood_of_requests_ends_the_stream(certificates: Certificates) -> None:
    """Each request costs a refusal of ours: two that wait are one too many, and nothing is sealed after them."""
    with listening_server(certificates.server, "-tls1_2") as peer:
        client = joined(Side(outbound(), MANUAL, TARGET), peer)
        peer.press(b"r")
        assert client.decrypt(peer.record())[2] == SecurityStatus.SEC_I_RENEGOTIATE
        peer.press(b"r")
        with pytest.raises(errors.IllegalMessage):
            client.decrypt(peer.record())
        with pytest.raises(errors.ContextMisuse):
            client.encrypt(b"x")


def test_a_context_of_python_sends_the_refusal_before_its_next_message(certificates: Certificates) -> None:
    with listening_server(certificates.server, "-tls1_2") as peer:
        client = Context.initiate("Schannel", target=TARGET, flags=int(MANUAL), credentials=SchCredentials())
        token = client.step(b"") or b""
        while not client.done:
            peer.send(token)
            token = client.step(peer.receive()) or b""
        peer.press(b"one")
        assert client.unwrap(peer.record()) == b"one\n"
        peer.press(b"r")
        assert client.unwrap(peer.record()) == b""
        peer.press(b"two")
        assert client.unwrap(peer.record()) == b"two\n"
        assert client.wrap(b"ours")[0] == NO_RENEGOTIATION


@pytest.mark.parametrize("peers", [1, 2, 3])
def test_key_updates_of_a_server_lose_no_record(certificates: Certificates, peers: int) -> None:
    with listening_server(certificates.server, "-tls1_3") as peer:
        client = joined(Side(outbound(identity=SchCredentials(resumption=False)), MANUAL, TARGET), peer)
        for _ in range(2):
            assert client.read(peer.record()) == b""  # its tickets
        for number in range(peers):
            text = b"before %d" % number
            peer.press(text)
            assert client.read(peer.record()) == text + b"\n"
            peer.press(b"K")
            assert client.decrypt(peer.record()) == (b"", b"", 0)
            peer.send(client.encrypt(b"answer %d;" % number))
        peer.press(b"behind")
        assert client.read(peer.record()) == b"behind\n"
        output = peer.output()
    for number in range(peers):
        assert b"answer %d;" % number in output
