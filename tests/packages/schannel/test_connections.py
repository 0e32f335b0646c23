"""One credential for any number of connections, what a retried call finds, a request for a certificate in any cut."""

from __future__ import annotations

import itertools

import pytest

from interop.openssl import listening_server
from packages.credssp.ours import logged_on
from packages.schannel.stream import EMPTY, MANUAL, OK, TARGET, TOKEN, Side, connect, inbound, outbound, pair
from saslsspi import errors, sspi
from saslsspi.sspi import SchannelProtocol, SchCredentials, SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from saslsspi.testbed.certificates import Certificates, make_certificates

OLD, NEW = SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3
PROTOCOLS = pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "alice")


def offer(*names: bytes) -> SecBuffer:
    listed = b"".join(bytes([len(name)]) + name for name in names)
    octets = (len(listed) + 6).to_bytes(4, "little") + (2).to_bytes(4, "little") + len(listed).to_bytes(2, "little")
    return SecBuffer(octets + listed, SecBufferType.SECBUFFER_APPLICATION_PROTOCOLS)


@PROTOCOLS
def test_one_credential_serves_connections_of_every_kind(
    certificates: Certificates, protocol: SchannelProtocol
) -> None:
    """Same target, other flags and application protocols: a session of OpenSSL's belongs to one kind of connection."""
    credential = outbound(identity=SchCredentials(authorities=str(certificates.authority), protocols=protocol))
    served = inbound(identity=SchCredentials(certificate=str(certificates.server)))
    kinds: list[tuple[int, tuple[bytes, ...]]] = list(itertools.product((0, int(MANUAL)), ((), (b"h2",), (b"imap",))))
    again = {}
    for flags, names in kinds + kinds:
        client, server = pair(credential, served, flags, target=TARGET)
        if names:
            client.extra, server.extra = [offer(*names)], [offer(*names)]
        tickets, _ = connect(client, server)
        client.read(tickets + server.encrypt(b"x"))
        again[flags, names] = client.query(sspi.SecPkgContextSessionInfo).reconnected
        assert client.query(sspi.SecPkgContextApplicationProtocol).protocol == b"".join(names).decode()
    assert all(again.values())  # each kind took its own session up the second time


@pytest.mark.interop
@PROTOCOLS
def test_the_authorities_that_a_server_names_are_listed(certificates: Certificates, protocol: SchannelProtocol) -> None:
    options = ("-Verify", "1", "-CAfile", str(certificates.authority))
    with listening_server(certificates.server, *options) as peer:
        client = Side(outbound(identity=SchCredentials(protocols=protocol)), MANUAL, TARGET)
        peer.send(client.step())
        while client.status is not SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS:
            client.step(peer.record())
        (name,) = client.query(sspi.SecPkgContextIssuerListInfoEx).issuers
        assert b"saslsspi loopback authority" in name
        client.credential = outbound(identity=SchCredentials(certificate=str(certificates.client), protocols=protocol))
        token = client.step()
        while not client.done:
            if token:
                peer.send(token)
            token = client.step(peer.record())
        if token:
            peer.send(token)
        peer.send(client.encrypt(b"with a certificate;"))
        assert b"with a certificate;" in peer.output()


def messages(flight: bytes) -> bytes:
    found, at = b"", 0
    while at < len(flight):
        size = int.from_bytes(flight[at + 3 : at + 5])
        found += flight[at + 5 : at + 5 + size]
        at += 5 + size
    return found


@pytest.mark.parametrize("most", [1, 7, 100, 16384])
def test_a_request_for_a_certificate_is_seen_however_records_cut_it(certificates: Certificates, most: int) -> None:
    """A server may put its whole flight into one record, or each octet into one of its own (RFC 5246 section 6.2.1)."""
    identity = SchCredentials(certificate=str(certificates.server), authorities=str(certificates.authority))
    client, server = pair(
        outbound(identity=SchCredentials(protocols=OLD)), inbound(identity=identity),
        server_flags=sspi.AscReq.ASC_REQ_MUTUAL_AUTH,
    )  # fmt: skip
    octets = messages(server.step(client.step()))
    parts = [octets[at : at + most] for at in range(0, len(octets), most)]
    token = client.step(b"".join(b"\x16\x03\x03" + len(part).to_bytes(2) + part for part in parts))
    assert client.status is SecurityStatus.SEC_I_INCOMPLETE_CREDENTIALS
    client.credential = outbound(identity=SchCredentials(certificate=str(certificates.client), protocols=OLD))
    token = token or client.step()
    while not (client.done and server.done):
        reply = server.step(token)
        token = b"" if client.done else client.step(reply)
    assert server.query(sspi.SecPkgContextNames).username == "alice"


def test_a_retried_call_finds_what_was_not_taken() -> None:
    """The output did not fit: the same call with more room brings the same token, and the same EXTRA."""
    client, server = pair(outbound(identity=SchCredentials(protocols=NEW)), inbound())
    finished = client.step(server.step(client.step()))
    wire = client.encrypt(b"early bird")

    def call(room: int, *, empty: bool = True) -> SecBufferDesc:
        inputs = SecBufferDesc(
            [SecBuffer(bytearray(finished + wire), TOKEN), *([SecBuffer(None, EMPTY)] if empty else [])]
        )
        outputs = SecBufferDesc([SecBuffer(bytearray(room), TOKEN)])
        result = sspi.accept_security_context(server.credential, server.handle, inputs, 0, 16, outputs)
        assert result.status is OK
        assert outputs[0].count
        return inputs

    with pytest.raises(errors.InvalidToken):  # nowhere to say what was not taken
        call(4096, empty=False)
    with pytest.raises(errors.BufferTooSmall):
        call(3)
    inputs = call(4096)
    assert inputs[1].buffer_type is SecBufferType.SECBUFFER_EXTRA
    assert inputs[1].data == wire
    assert server.decrypt(wire)[0] == b"early bird"


def test_a_credssp_stream_tells_of_its_end_in_both_directions() -> None:
    client, server = logged_on()
    for one, other in ((client, server), (server, client)):
        sspi.apply_control_token(one.handle, SecBufferDesc([SecBuffer(sspi.SCHANNEL_SHUTDOWN, TOKEN)]))
        assert other.decrypt(one.step())[2] == SecurityStatus.SEC_I_CONTEXT_EXPIRED
