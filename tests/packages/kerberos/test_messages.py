"""Messages of an established context: every encryption type, every kind of buffer, every way to spoil them."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interop.kdc import ALL_ENCTYPES, ENCTYPE_SERVICE, Kdc
from interop.people import ALICE
from packages.kerberos.ours import SEAL, SIGN, logged_on, opened, sealed
from pair import Contexts
from saslsspi import SaslError, SecurityStatus, sspi
from saslsspi.engine.protection import Detached
from saslsspi.errors import MessageAltered
from saslsspi.sspi import IscReq, QopFlags, SecBuffer, SecBufferDesc, SecBufferType

pytestmark = pytest.mark.interop

NO_ENCRYPT = QopFlags.SECQOP_WRAP_NO_ENCRYPT
STRENGTHS = {
    "aes256-cts": 256,
    "aes128-cts": 128,
    "aes256-sha2": 256,
    "aes128-sha2": 128,
    "camellia256-cts": 256,
    "des3-cbc-sha1": 112,
    "arcfour-hmac": 64,
}
TEXTS = (b"", b"x", b"seven b", b"eight by", b"a message", bytes(200), bytes(70_000))


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    with kdc.as_user(ALICE):
        yield


@pytest.fixture
def contexts() -> Contexts:
    return logged_on(SEAL)


def status_of(action: Callable[[], object]) -> SecurityStatus:
    with pytest.raises(SaslError) as caught:
        action()
    assert isinstance(caught.value.status, SecurityStatus)
    return caught.value.status


def signature(context: sspi.CtxtHandle, text: bytes) -> bytes:
    sizes = sspi.query_context_attributes(context, sspi.SecPkgContextSizes)
    token = SecBuffer(bytearray(sizes.max_signature), SecBufferType.SECBUFFER_TOKEN)
    data = SecBuffer(bytearray(text), SecBufferType.SECBUFFER_DATA)
    sspi.make_signature(context, 0, SecBufferDesc([data, token]), 0)
    assert data.data == text
    return token.data


def verify(context: sspi.CtxtHandle, text: bytes, token: bytes) -> int:
    buffers = [SecBuffer(text, SecBufferType.SECBUFFER_DATA), SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)]
    return sspi.verify_signature(context, SecBufferDesc(buffers), 0)


@pytest.mark.parametrize("enctype", ALL_ENCTYPES.split())
@pytest.mark.parametrize("flags", [SIGN, SEAL], ids=["sign", "seal"])
def test_every_encryption_type_carries_messages_both_ways(kdc: Kdc, enctype: str, flags: IscReq) -> None:
    target = f"{ENCTYPE_SERVICE}/{enctype}"
    logged_on(flags, target=target, principal=None)  # so that the service's ticket is in the cache
    # With more than one type permitted, the two sides agree on a stronger one in the exchange (RFC 4537).
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", kdc.configuration(enctypes=enctype))
        contexts = logged_on(flags, target=target, principal=None)
    info = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextKeyInfo)
    assert info.key_size == (STRENGTHS[enctype] if flags is SEAL else 0)
    for sender, receiver in ((contexts.client, contexts.server), (contexts.server, contexts.client)):
        for text in TEXTS:
            parts = sealed(sender, text)
            if flags is SIGN:
                assert parts[1] == text
            elif len(text) > 7:
                assert text not in b"".join(parts)
            assert opened(receiver, b"".join(parts)) == (text, 0 if flags is SEAL else NO_ENCRYPT)
            assert verify(receiver, text, signature(sender, text)) == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_may_be_signed_only_where_others_are_encrypted(contexts: Contexts, text: bytes) -> None:
    header, body, trailer = sealed(contexts.client, text, NO_ENCRYPT)
    assert body == text
    assert opened(contexts.server, header + body + trailer) == (text, NO_ENCRYPT)
    assert opened(contexts.server, b"".join(sealed(contexts.client, text))) == (text, 0)


def test_the_header_has_sspis_layout_and_its_size_is_a_maximum(contexts: Contexts) -> None:
    sizes = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextSizes)
    header, body, trailer = sealed(contexts.client, b"a message")
    assert (len(header), len(body), trailer) == (sizes.security_trailer, 9, b"")
    # RFC 4121 section 4.2.6.2: token id 05 04, flags, filler, EC and RRC; everything stands before the message.
    assert header[:2] == b"\x05\x04"
    assert int.from_bytes(header[6:8]) == len(header) - 32
    assert len(sealed(contexts.client, b"a message", NO_ENCRYPT)[0]) < sizes.security_trailer


def test_the_three_buffers_open_as_they_were_sealed(contexts: Contexts) -> None:
    kinds = (SecBufferType.SECBUFFER_TOKEN, SecBufferType.SECBUFFER_DATA, SecBufferType.SECBUFFER_PADDING)
    buffers = [
        SecBuffer(bytearray(part), kind)
        for part, kind in zip(sealed(contexts.client, b"a message"), kinds, strict=True)
    ]
    assert sspi.decrypt_message(contexts.server, SecBufferDesc(buffers), 0) == 0
    assert buffers[1].data == b"a message"


def test_dce_style_messages_open() -> None:
    contexts = logged_on(SEAL | IscReq.ISC_REQ_USE_DCE_STYLE, sspi.AscReq.ASC_REQ_USE_DCE_STYLE)
    for sender, receiver in ((contexts.client, contexts.server), (contexts.server, contexts.client)):
        for text in (b"sixteen octets..", bytes(4096)):
            assert opened(receiver, b"".join(sealed(sender, text))) == (text, 0)
    assert status_of(lambda: opened(contexts.server, bytes(20))) is SecurityStatus.SEC_E_INVALID_TOKEN


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.binary(max_size=300), position=st.integers(0, 400), mask=st.integers(1, 255))
def test_no_spoilt_octet_gets_through(contexts: Contexts, text: bytes, position: int, mask: int) -> None:
    wire = bytearray(b"".join(sealed(contexts.client, text)))
    wire[position % len(wire)] ^= mask
    expected = {
        SecurityStatus.SEC_E_MESSAGE_ALTERED,
        SecurityStatus.SEC_E_OUT_OF_SEQUENCE,
        SecurityStatus.SEC_E_INVALID_TOKEN,
    }
    try:
        plain, _ = opened(contexts.server, bytes(wire))
    except SaslError as error:
        assert error.status in expected  # noqa: PT017  # a rotated or redundant octet may open, to the same text
    else:
        assert plain == text


@pytest.mark.parametrize("size", range(0, 69, 3))
def test_a_cut_message_is_refused(contexts: Contexts, size: int) -> None:
    wire = b"".join(sealed(contexts.client, b"a message"))[:size]
    assert status_of(lambda: opened(contexts.server, wire)) in (
        SecurityStatus.SEC_E_INVALID_TOKEN,
        SecurityStatus.SEC_E_MESSAGE_ALTERED,
    )


@pytest.mark.requirement("RFC4752-3-03")
def test_replayed_and_skipped_messages_are_out_of_sequence_and_the_context_lives(contexts: Contexts) -> None:
    first, second, third = (b"".join(sealed(contexts.client, text)) for text in (b"one", b"two", b"three"))
    assert opened(contexts.server, first) == (b"one", 0)
    assert status_of(lambda: opened(contexts.server, first)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert status_of(lambda: opened(contexts.server, third)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert status_of(lambda: opened(contexts.server, second)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert opened(contexts.server, b"".join(sealed(contexts.client, b"four"))) == (b"four", 0)


def test_opening_leaves_the_callers_octets_alone(contexts: Contexts) -> None:
    protection = contexts.server._opened().protection()
    assert isinstance(protection, Detached)
    for qop in (0, NO_ENCRYPT):
        wire = b"".join(sealed(contexts.client, b"a message", qop))
        copy = bytes(bytearray(wire))
        assert protection.unseal_joined(wire, 0) == (b"a message", not qop)
        assert wire == copy


def test_a_clear_message_where_all_is_encrypted_is_refused_by_those_who_see_no_quality(contexts: Contexts) -> None:
    protection = contexts.server._opened().protection()
    with pytest.raises(MessageAltered):
        protection.unseal(b"".join(sealed(contexts.client, b"a message", NO_ENCRYPT)))
    assert protection.unseal(b"".join(sealed(contexts.client, b"a message"))) == b"a message"


def test_a_wrong_signature_is_refused_and_the_context_lives(contexts: Contexts) -> None:
    token = signature(contexts.client, b"a message")
    spoilt = token[:-1] + bytes([token[-1] ^ 1])
    assert status_of(lambda: verify(contexts.server, b"a message", spoilt)) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert status_of(lambda: verify(contexts.server, b"another", token)) is SecurityStatus.SEC_E_MESSAGE_ALTERED
    assert verify(contexts.server, b"a message", token) == 0
    assert status_of(lambda: verify(contexts.server, b"a message", token)) is SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert status_of(lambda: verify(contexts.server, b"a message", b"")) is SecurityStatus.SEC_E_INVALID_TOKEN


def test_a_signature_is_not_a_wrapped_message(contexts: Contexts) -> None:
    token = signature(contexts.client, b"a message")
    assert status_of(lambda: opened(contexts.server, token + b"a message")) in (
        SecurityStatus.SEC_E_INVALID_TOKEN,
        SecurityStatus.SEC_E_MESSAGE_ALTERED,
    )


def test_buffers_that_are_too_small_cost_nothing(contexts: Contexts) -> None:
    data = SecBuffer(bytearray(b"a message"), SecBufferType.SECBUFFER_DATA)
    token = SecBuffer(bytearray(20), SecBufferType.SECBUFFER_TOKEN)
    small = SecBufferDesc([token, data])
    assert status_of(lambda: sspi.encrypt_message(contexts.client, 0, small, 0)) is (
        SecurityStatus.SEC_E_BUFFER_TOO_SMALL
    )
    assert data.data == b"a message"
    assert opened(contexts.server, b"".join(sealed(contexts.client, b"next"))) == (b"next", 0)
