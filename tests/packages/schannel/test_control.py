"""ApplyControlToken in every state: before the handshake is done, between its messages, and on a stream."""

from __future__ import annotations

from struct import pack

import pytest

from packages.schannel.stream import MANUAL, TOKEN, Side, connect, inbound, outbound, pair
from saslsspi import errors, sspi
from saslsspi.sspi import SchannelProtocol, SchCredentials, SecBuffer, SecBufferDesc, SecurityStatus

OLD, NEW = SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3
PROTOCOLS = pytest.mark.parametrize("protocol", [OLD, NEW], ids=["TLS 1.2", "TLS 1.3"])
HANDSHAKE_FAILURE = pack("<III", 2, 2, 40)


def tell(side: Side, token: bytes = sspi.SCHANNEL_SHUTDOWN) -> bytes:
    """Apply a control token, and return what the next call makes of it."""
    sspi.apply_control_token(side.handle, SecBufferDesc([SecBuffer(token, TOKEN)]))
    outputs = SecBufferDesc([SecBuffer(bytearray(100), TOKEN)])
    result: sspi.InitializeContextResult | sspi.AcceptContextResult
    if side.target is None:
        result = sspi.accept_security_context(side.credential, side.handle, None, 0, 16, outputs)
    else:
        result = sspi.initialize_security_context(side.credential, side.handle, None, 0, 16, None, outputs)
    assert result.status is SecurityStatus.SEC_E_OK
    return outputs[0].data


@PROTOCOLS
@pytest.mark.parametrize(
    ("token", "alert", "error"),
    [(sspi.SCHANNEL_SHUTDOWN, b"\1\0", None), (HANDSHAKE_FAILURE, b"\2\x28", errors.AlgorithmMismatch)],
)
def test_a_control_token_before_the_handshake_is_done_is_an_alert_in_clear(
    protocol: SchannelProtocol, token: bytes, alert: bytes, error: type[Exception] | None
) -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=protocol)), inbound())
    hello = client.step()
    made = tell(client, token)
    assert made == b"\x15\x03\x03\0\2" + alert
    server.step(hello)
    with pytest.raises(error or errors.SaslError):
        server.step(made)


@PROTOCOLS
def test_the_handshake_goes_on_behind_a_shutdown(protocol: SchannelProtocol) -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=protocol)), inbound())
    hello = client.step()
    tell(client)
    answer = server.step(hello)
    token = client.step(answer)
    while not (client.done and server.done):
        reply = server.step(token)
        token = b"" if client.done else client.step(reply)
    assert server.read(client.encrypt(b"as if nothing was")) == b"as if nothing was"


def test_a_server_of_tls_1_2_tells_its_client_why() -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=OLD)), inbound())
    flight = server.step(client.step())
    made = tell(server, HANDSHAKE_FAILURE)
    assert made == b"\x15\x03\x03\0\2\2\x28"
    client.step(flight)
    with pytest.raises(errors.AlgorithmMismatch):
        client.step(made)


def test_a_server_of_tls_1_3_has_nothing_to_say_in_clear_once_its_keys_are_in_use() -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=NEW)), inbound())
    server.step(client.step())
    assert tell(server) == b""


@PROTOCOLS
def test_each_side_of_a_stream_shuts_its_direction(protocol: SchannelProtocol) -> None:
    client, server = pair(outbound(identity=SchCredentials(protocols=protocol)), inbound())
    tickets, _ = connect(client, server)
    client.read(tickets)
    for one, other in ((client, server), (server, client)):
        assert other.decrypt(tell(one))[2] == SecurityStatus.SEC_I_CONTEXT_EXPIRED
        with pytest.raises(errors.ContextExpired):
            one.encrypt(b"x")


def test_a_context_that_has_failed_or_is_deleted_takes_no_control_token() -> None:
    server = Side(inbound())
    with pytest.raises(errors.InvalidToken):
        server.step(b"\x99")
    failed, _ = pair(outbound(), inbound(), MANUAL)
    failed.step()
    with pytest.raises(errors.InvalidToken):
        failed.step(b"\x99" * 5)
    deleted, _ = pair(outbound(), inbound(), MANUAL)
    deleted.step()
    sspi.delete_security_context(deleted.handle)
    for handle in (failed.handle, deleted.handle, sspi.CtxtHandle(), None):
        with pytest.raises(errors.ContextMisuse):
            sspi.apply_control_token(handle, SecBufferDesc([SecBuffer(sspi.SCHANNEL_SHUTDOWN, TOKEN)]))
