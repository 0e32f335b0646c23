"""MIC tokens without the library: against its own, for every AES type, and SPNEGO's with the number of Windows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.kdc import ENCTYPE_SERVICE, Kdc
from interop.people import ALICE
from interop.require import require_peer
from packages.kerberos.ours import SIGN, logged_on
from packages.negotiate.ends import info
from saslsspi import NegotiatePolicy, Policy, sspi
from saslsspi.errors import MessageAltered
from saslsspi.packages.kerberos.mic import _folded, mic_token, numbered_zero, verify_mic_token
from saslsspi.packages.kerberos.protection import KerberosProtection
from saslsspi.sspi import Environment, IscReq, SecBuffer, SecBufferDesc, SecBufferType, SecPkgContextSessionKey
from sspi_context import ACCEPT_SEAL, PEOPLE, Context, run
from sspi_context import SEAL as WISHES

pytestmark = pytest.mark.interop
AES = ["aes128-cts", "aes256-cts", "aes128-sha2", "aes256-sha2"]
NAMES = {
    "aes128-cts": "AES128-CTS-HMAC-SHA1-96", "aes256-cts": "AES256-CTS-HMAC-SHA1-96",
    "aes128-sha2": "AES128-CTS-HMAC-SHA256-128", "aes256-sha2": "AES256-CTS-HMAC-SHA384-192",
}  # fmt: skip


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        yield


def signature(context: sspi.CtxtHandle, text: bytes) -> bytes:
    token = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
    sspi.make_signature(context, 0, SecBufferDesc([SecBuffer(text, SecBufferType.SECBUFFER_DATA), token]), 0)
    return token.data


def test_a_constant_is_folded_as_rfc_3961_prints_it() -> None:
    assert _folded(b"kerberos").hex() == "6b65726265726f737b9b5b2b93132b93"


@pytest.mark.parametrize("enctype", AES)
def test_a_mic_of_the_library_verifies_and_a_changed_one_does_not(kdc: Kdc, enctype: str) -> None:
    target = f"{ENCTYPE_SERVICE}/{enctype}"
    logged_on(SIGN, target=target, principal=None)  # so that the ticket is in the cache
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", kdc.configuration(enctypes=enctype))
        contexts = logged_on(SIGN, target=target, principal=None)
    name = NAMES[enctype]
    for context, by_acceptor in ((contexts.client, False), (contexts.server, True)):
        key = sspi.query_context_attributes(context, SecPkgContextSessionKey).session_key
        token = signature(context, b"a list")
        verify_mic_token(key, name, b"a list", token, by_acceptor=by_acceptor)
        number = int.from_bytes(token[8:16])
        assert mic_token(key, name, b"a list", number, by_acceptor=by_acceptor, subkey=bool(token[2] & 4)) == token
        for message, changed, side in (
            (b"a lisp", token, by_acceptor),
            (b"a list", token[:-1] + bytes((token[-1] ^ 1,)), by_acceptor),
            (b"a list", token[:15] + bytes((token[15] ^ 1,)) + token[16:], by_acceptor),
            (b"a list", token, not by_acceptor),
            (b"a list", token[:-1], by_acceptor),
            (b"a list", token[:9], by_acceptor),
        ):
            with pytest.raises(MessageAltered):
                verify_mic_token(key, name, message, changed, by_acceptor=side)


def test_only_a_mic_token_with_the_number_0_of_a_known_type_is_taken_here() -> None:
    zero = b"\x04\x04\x05" + b"\xff" * 5 + bytes(8) + bytes(12)
    assert numbered_zero(zero, NAMES["aes256-cts"])
    assert not numbered_zero(zero, "RC4-HMAC")
    assert not numbered_zero(zero[:15] + b"\x01" + zero[16:], NAMES["aes256-cts"])
    assert not numbered_zero(b"\x05" + zero[1:], NAMES["aes256-cts"])
    assert not numbered_zero(zero[:12], NAMES["aes256-cts"])


def windows_mic(protection: KerberosProtection, mech_list: bytes) -> bytes:
    key = protection.session_key
    assert key is not None
    by_acceptor = not protection._initiates
    return mic_token(key, protection._enctype, mech_list, 0, by_acceptor=by_acceptor, subkey=True)


def negotiated() -> tuple[Context, Context]:
    """A server that prefers NTLM, so that Kerberos has to protect the list."""
    uses = sspi.CredentialUse
    mine = sspi.acquire_credentials_handle(None, "Negotiate", uses.SECPKG_CRED_OUTBOUND).credential
    environment = Environment(authority=PEOPLE, policy=Policy(negotiate=NegotiatePolicy(packages="ntlm,kerberos")))
    theirs = sspi.acquire_credentials_handle(
        "ldap/localhost", "Negotiate", uses.SECPKG_CRED_INBOUND, environment=environment
    ).credential
    return Context(mine, WISHES, "ldap/localhost"), Context(theirs, ACCEPT_SEAL)


@pytest.mark.requirement("RFC4178-5-14")
def test_windows_number_of_the_mic_is_taken_and_counts_as_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = negotiated()
    monkeypatch.setattr(KerberosProtection, "sign_mech_list", windows_mic)
    run(ours, theirs)
    assert info(ours).mech_list_protected
    assert info(theirs).mech_list_protected
    for sender, receiver in ((ours, theirs), (theirs, ours)):
        for text in (b"one", b"two"):
            token = signature(sender, text)
            data = SecBufferDesc(
                [SecBuffer(text, SecBufferType.SECBUFFER_DATA), SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)]
            )
            sspi.verify_signature(receiver, data, 0)


def test_a_forged_mic_with_the_number_of_windows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = negotiated()
    monkeypatch.setattr(KerberosProtection, "sign_mech_list", lambda self, octets: windows_mic(self, octets + b"x"))
    with pytest.raises(MessageAltered):
        run(ours, theirs)


@pytest.mark.parametrize("flags", [WISHES, WISHES | int(IscReq.ISC_REQ_MUTUAL_AUTH)])
def test_dce_style_under_negotiate(flags: int) -> None:
    """The client's third leg is Kerberos' own; SPNEGO's last word follows it."""
    ours, theirs = negotiated()
    ours._flags = flags | int(IscReq.ISC_REQ_USE_DCE_STYLE)
    theirs._flags = ACCEPT_SEAL | int(sspi.AscReq.ASC_REQ_USE_DCE_STYLE)
    tokens = run(ours, theirs)
    assert ours.complete
    assert theirs.complete
    assert ours.attributes & sspi.IscRet.ISC_RET_USED_DCE_STYLE
    assert theirs.attributes & sspi.AscRet.ASC_RET_USED_DCE_STYLE
    assert len(tokens) == 4
