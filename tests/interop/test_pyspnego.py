"""Our NTLM and Negotiate beside pyspnego's, both directions, every layer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interop.require import require_peer
from saslsspi import (
    Account,
    ChannelBindings,
    MemoryAuthority,
    MessageAltered,
    NegotiatePolicy,
    NtlmPolicy,
    Policy,
    SaslError,
    sspi,
)
from saslsspi.sspi import AscRet, Environment, IscReq, SecBuffer, SecBufferDesc, SecBufferType
from sspi_context import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    DOMAIN,
    PASSWORD,
    PEOPLE,
    SEAL,
    SIGN,
    TARGET,
    USER,
    Context,
    client_credential,
    run,
    server_credential,
)

pytestmark = pytest.mark.interop
PACKAGES = ("NTLM", "Negotiate")
BOUND = ChannelBindings.tls_unique(b"the channel")
ELSEWHERE = ChannelBindings.tls_unique(b"another channel")
SPNEGO_ONLY_NTLM = Policy(negotiate=NegotiatePolicy(packages="ntlm"))


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pyspnego's acceptor knows its users from a file."""
    require_peer("pyspnego")
    file = tmp_path / "users"
    file.write_text(f"{DOMAIN}:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))


def _flags(layer: int) -> Any:
    from spnego import ContextReq

    if layer == SEAL:
        return ContextReq.default
    signing = ContextReq.integrity | ContextReq.sequence_detect | ContextReq.replay_detect
    return signing if layer == SIGN else ContextReq.no_integrity


def _bindings(bindings: ChannelBindings | None) -> Any:
    from spnego.channel_bindings import GssChannelBindings

    return None if bindings is None else GssChannelBindings(application_data=bindings.application_data)


def their_client(
    package: str = "NTLM", layer: int = SEAL, *, password: str = PASSWORD, bindings: ChannelBindings | None = None
) -> Any:
    import spnego

    return spnego.client(
        f"{DOMAIN}\\{USER}",
        password,
        hostname="host.example",
        service="http",
        protocol=package.lower(),
        context_req=_flags(layer),
        channel_bindings=_bindings(bindings),
        options=spnego.NegotiateOptions.use_negotiate if package == "Negotiate" else spnego.NegotiateOptions.use_ntlm,
    )


def their_server(package: str = "NTLM", layer: int = SEAL, *, bindings: ChannelBindings | None = None) -> Any:
    import spnego

    return spnego.server(
        hostname="host.example",
        service="http",
        protocol=package.lower(),
        context_req=_flags(layer),
        channel_bindings=_bindings(bindings),
        options=spnego.NegotiateOptions.use_negotiate if package == "Negotiate" else spnego.NegotiateOptions.use_ntlm,
    )


def our_client(package: str = "NTLM", layer: int = SEAL, policy: Policy = SPNEGO_ONLY_NTLM, **more: Any) -> Context:
    credential = client_credential(package, environment=Environment(policy=policy))
    return Context(credential, layer, TARGET, **more)


def our_server(package: str = "NTLM", flags: int = 0, policy: Policy = SPNEGO_ONLY_NTLM, **more: Any) -> Context:
    credential = server_credential(package, environment=Environment(authority=PEOPLE, policy=policy))
    return Context(credential, flags, **more)


def _exchange_messages(client: Any, server: Any, sealed: bool) -> None:
    """Both directions, wrapped and signed, interleaved."""
    for number, (sender, receiver) in enumerate([(client, server), (server, client)] * 3):
        message = b"message %d" % number * (number * 500)
        if sealed:
            wire = sender.wrap(message)
            wire = wire if isinstance(wire, bytes) else wire.data
            if message:
                assert message not in wire
            plain = receiver.unwrap(wire)
            assert (plain if isinstance(plain, bytes) else plain.data) == message
        receiver.verify(message, sender.sign(message))


@pytest.mark.parametrize("layer", [SIGN, SEAL])
@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.requirement("MSNLMP-3.4.4.2-02", "MSSPNG-3.2.5.1-01", "MSSPNG-3.2.5.1-02", "MSSPNG-3.3.5.1-01")
def test_our_client_and_their_server_share_a_layer(package: str, layer: int) -> None:
    client, server = our_client(package, layer), their_server(package, layer)
    run(client, server)
    assert client.complete
    assert server.complete
    assert server.client_principal == f"{DOMAIN}\\{USER}"
    assert sspi.query_context_attributes(client, sspi.SecPkgContextSessionKey).session_key == server.session_key
    _exchange_messages(client, server, layer == SEAL)


@pytest.mark.parametrize("layer", [SIGN, SEAL])
@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.requirement("MSNLMP-3.4.4.2-02", "MSSPNG-3.2.5.1-01", "MSSPNG-3.2.5.1-02", "MSSPNG-3.3.5.1-01")
def test_their_client_and_our_server_share_a_layer(package: str, layer: int) -> None:
    flags = ACCEPT_SEAL if layer == SEAL else ACCEPT_SIGN
    client, server = their_client(package, layer), our_server(package, flags)
    run(client, server)
    assert client.complete
    assert server.complete
    assert server.attributes & AscRet.ASC_RET_INTEGRITY
    assert bool(server.attributes & AscRet.ASC_RET_CONFIDENTIALITY) is (layer == SEAL)
    # The authority says nothing of a domain: the client's is its own claim.
    assert sspi.query_context_attributes(server, sspi.SecPkgContextNames).username == USER
    assert sspi.query_context_attributes(server, sspi.SecPkgContextSessionKey).session_key == client.session_key
    _exchange_messages(client, server, layer == SEAL)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_layer_is_none_on_both_sides(package: str) -> None:
    server = our_server(package)
    run(their_client(package, 0), server)
    assert server.complete
    assert not server.attributes & (AscRet.ASC_RET_INTEGRITY | AscRet.ASC_RET_CONFIDENTIALITY)
    client, theirs = our_client(package, 0), their_server(package, 0)
    run(client, theirs)
    assert client.complete
    assert theirs.complete


@pytest.mark.parametrize("package", PACKAGES)
def test_their_client_with_a_wrong_password_is_denied(package: str) -> None:
    with pytest.raises(SaslError) as caught:
        run(their_client(package, password="looking-glass"), our_server(package))
    assert caught.value.status is sspi.SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.parametrize("package", PACKAGES)
def test_our_client_with_a_wrong_password_is_denied(package: str) -> None:
    from spnego.exceptions import SpnegoError

    environment = Environment(policy=SPNEGO_ONLY_NTLM)
    client = Context(client_credential(package, password="looking-glass", environment=environment), SEAL, TARGET)
    with pytest.raises(SpnegoError):
        run(client, their_server(package))


def _without_timestamp(number: int, token: bytes) -> bytes:
    """Take MsvAvTimestamp out of a CHALLENGE_MESSAGE, and with it the MIC out of the exchange."""
    from saslsspi.packages.ntlm.av_pairs import decode_pairs, encode_pairs
    from saslsspi.packages.ntlm.messages import ChallengeMessage

    if number != 1:
        return token
    challenge = ChallengeMessage.from_bytes(token)
    pairs = decode_pairs(challenge.target_info)
    del pairs[7]
    return challenge._replace(target_info=encode_pairs(pairs)).to_bytes()


@pytest.mark.requirement("MSNLMP-3.1.5.1.2-10")
def test_without_a_timestamp_there_is_no_mic_and_both_still_agree() -> None:
    # An acceptor that sent a timestamp and gets neither it nor a MIC sees a challenge that was changed on its way.
    with pytest.raises(MessageAltered):
        run(their_client(), our_server(flags=ACCEPT_SEAL), _without_timestamp)
    client = their_client()
    server = our_server(flags=ACCEPT_SEAL, policy=replace(SPNEGO_ONLY_NTLM, ntlm=NtlmPolicy(require_timestamp=False)))
    run(client, server, _without_timestamp)
    _exchange_messages(client, server, True)
    ours, theirs = our_client(), their_server()
    run(ours, theirs, _without_timestamp)
    _exchange_messages(ours, theirs, True)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.requirement("MSNLMP-3.2.5.1.2-07", "MSNLMP-2.2.2.1-08")
def test_matching_channel_bindings_are_accepted_both_ways(package: str) -> None:
    server = our_server(package, bindings=BOUND)
    run(their_client(package, bindings=BOUND), server)
    audit = sspi.query_context_attributes(server, sspi.SecPkgContextChannelBindings)
    assert audit.result & sspi.ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MATCHED
    theirs = their_server(package, bindings=BOUND)
    run(our_client(package, bindings=BOUND), theirs)
    assert theirs.complete


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.requirement("MSNLMP-3.2.5.1.2-07")
def test_other_channel_bindings_are_refused_both_ways(package: str) -> None:
    from spnego.exceptions import BadBindingsError

    with pytest.raises(SaslError) as caught:
        run(their_client(package, bindings=ELSEWHERE), our_server(package, bindings=BOUND))
    assert caught.value.status is sspi.SecurityStatus.SEC_E_BAD_BINDINGS
    with pytest.raises(BadBindingsError):
        run(our_client(package, bindings=ELSEWHERE), their_server(package, bindings=BOUND))


def test_the_mic_that_they_verify_is_over_our_octets() -> None:
    from spnego.exceptions import SpnegoError

    def altered(number: int, token: bytes) -> bytes:
        # The version field of the first message: nothing but the MIC covers it.
        return token[:-1] + b"\x0e" if number == 0 else token

    with pytest.raises(SpnegoError):
        run(our_client(), their_server(), altered)
    with pytest.raises(SaslError) as caught:
        run(their_client(), our_server(), altered)
    assert caught.value.status is sspi.SecurityStatus.SEC_E_MESSAGE_ALTERED


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.requirement("MSNLMP-3.4.6-01")
def test_several_buffers_open_on_the_other_side(package: str) -> None:
    from spnego.iov import BufferType

    client, server = their_client(package), our_server(package, ACCEPT_SEAL)
    run(client, server)
    desc = SecBufferDesc(
        [
            SecBuffer(bytearray(b"header"), SecBufferType.SECBUFFER_DATA, 0x10000000),
            SecBuffer(bytearray(b"secret"), SecBufferType.SECBUFFER_DATA),
            SecBuffer(bytearray(b"trailer"), SecBufferType.SECBUFFER_DATA, 0x10000000),
            SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
        ]
    )
    sspi.encrypt_message(server, 0, desc, 0)
    assert desc[0].data == b"header"
    opened = client.unwrap_iov(
        [
            (BufferType.sign_only, desc[0].data),
            (BufferType.data, desc[1].data),
            (BufferType.sign_only, desc[2].data),
            (BufferType.header, desc[3].data),
        ]
    )
    assert opened.buffers[1].data == b"secret"
    sealed = client.wrap_iov([(BufferType.sign_only, b"head"), BufferType.header, (BufferType.data, b"answer")]).buffers
    back = SecBufferDesc(
        [
            SecBuffer(bytearray(sealed[0].data), SecBufferType.SECBUFFER_DATA, 0x10000000),
            SecBuffer(bytearray(sealed[1].data), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(sealed[2].data), SecBufferType.SECBUFFER_DATA),
        ]
    )
    assert sspi.decrypt_message(server, back, 0) == 0
    assert back[2].data == b"answer"


@pytest.mark.parametrize("bits", [56, 40])
@pytest.mark.requirement("MSNLMP-3.4.5.3-01")
def test_weaker_keys_agree_where_the_policy_names_them(bits: int) -> None:
    weak = Policy(ntlm=NtlmPolicy(min_key_bits=bits))

    def weaken(number: int, token: bytes) -> bytes:
        flags = int.from_bytes(token[20:24], "little") if number == 1 else 0
        dropped = flags & ~0x20000000 & ~(0x80000000 if bits == 40 else 0)
        # Without MsvAvTimestamp there is no MIC to notice.
        return _without_timestamp(1, token[:20] + dropped.to_bytes(4, "little") + token[24:]) if number == 1 else token

    client, server = our_client(policy=weak), their_server()
    run(client, server, weaken)
    assert sspi.query_context_attributes(client, sspi.SecPkgContextKeyInfo).key_size == bits
    _exchange_messages(client, server, True)


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_ntlm_v1_agrees_where_the_policy_names_it(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)
    responses = sspi.NtlmResponses.V1 | (sspi.NtlmResponses.LM if level == "0" else sspi.NtlmResponses(0))
    policy = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
    client, server = their_client(), our_server(flags=ACCEPT_SEAL, policy=policy)
    run(client, server)
    assert server.complete
    for number in range(4):
        sender, receiver = ((client, server), (server, client))[number % 2]
        wire = sender.wrap(b"in turns %d" % number)
        plain = receiver.unwrap(wire if isinstance(wire, bytes) else wire.data)
        assert (plain if isinstance(plain, bytes) else plain.data) == b"in turns %d" % number


@pytest.mark.parametrize("responses", [sspi.NtlmResponses.V1, sspi.NtlmResponses.V1 | sspi.NtlmResponses.LM])
def test_our_ntlm_v1_is_accepted_by_them(responses: sspi.NtlmResponses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "0")
    policy = Policy(ntlm=NtlmPolicy(responses=responses, extended_session_security=False, min_key_bits=40))
    client, server = our_client(policy=policy), their_server()
    run(client, server)
    assert server.complete
    wire = client.wrap(b"without extended session security")
    assert server.unwrap(wire).data == b"without extended session security"


@pytest.mark.requirement("MSNLMP-M-3.3-04")
def test_their_ntlm_v1_is_refused_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "2")
    with pytest.raises(SaslError) as caught:
        run(their_client(), our_server())
    assert caught.value.status is sspi.SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("MSNLMP-M-3.3-01")
def test_names_beyond_ascii_hash_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import spnego

    joerg = Account(username="jörg", domain="Dömain", password="pässword 花")
    server = Context(server_credential(environment=Environment(authority=MemoryAuthority([joerg]))), ACCEPT_SEAL)
    run(spnego.client("Dömain\\JÖRG", "pässword 花", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm), server)
    assert server.complete
    assert sspi.query_context_attributes(server, sspi.SecPkgContextNames).username == "Dömain\\jörg"


def test_sign_only_is_sealed_for_ldap_peers() -> None:
    client = Context(client_credential(), SIGN & ~int(IscReq.ISC_REQ_CONFIDENTIALITY), "ldap/host.example")
    server = their_server(layer=SIGN)
    run(client, server)
    wire = client.wrap(b"treated as sealed")
    assert b"treated" not in wire
    assert server.unwrap(wire).data == b"treated as sealed"
