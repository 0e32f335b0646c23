"""Kerberos contexts by SSPI's functions: what is granted, what is told afterwards, and what makes them fail."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.kdc import REALM, Kdc
from interop.people import ALICE
from packages.kerberos.ours import SEAL, SIGN, TARGET, accepting, initiating, logged_on
from pair import Tap, To, cut, drop, establish, flip, repeat, tampered
from saslsspi import Account, ChannelBindings, MemoryAuthority, SaslError, SecurityStatus, sspi
from saslsspi.packages.kerberos import KerberosDelegatedCredential
from saslsspi.sspi import (
    AscReq,
    AscRet,
    ChannelBindingPolicy,
    IscReq,
    IscRet,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
)

pytestmark = pytest.mark.interop

MUTUAL = IscReq.ISC_REQ_MUTUAL_AUTH
BINDINGS = ChannelBindings.tls_unique(b"this channel")


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    with kdc.as_user(ALICE):
        yield


def status_of(action: object) -> SecurityStatus:
    with pytest.raises(SaslError) as caught:
        action()  # type: ignore[operator]
    assert isinstance(caught.value.status, SecurityStatus)
    return caught.value.status


# What is granted


@pytest.mark.parametrize("flags", [IscReq(0), MUTUAL, SIGN, SEAL, SEAL & ~MUTUAL, MUTUAL | IscReq.ISC_REQ_INTEGRITY])
def test_what_is_granted_is_what_was_asked_for_on_both_sides(flags: IscReq) -> None:
    contexts = logged_on(flags)
    wanted = {flag.name.removeprefix("ISC_REQ_") for flag in flags if flag.name}
    granted = {flag.name.removeprefix("ISC_RET_") for flag in contexts.client_attributes if flag.name}
    seen = {flag.name.removeprefix("ASC_RET_") for flag in contexts.server_attributes if flag.name}
    assert granted - {"ALLOCATED_MEMORY"} == wanted
    assert seen - {"ALLOCATED_MEMORY"} == wanted


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (IscReq.ISC_REQ_CONFIDENTIALITY, IscRet.ISC_RET_CONFIDENTIALITY | IscRet.ISC_RET_INTEGRITY),
        (IscReq.ISC_REQ_REPLAY_DETECT, IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_INTEGRITY),
        (IscReq.ISC_REQ_DELEGATE, IscRet(0)),  # only with mutual authentication
    ],
)
def test_flags_imply_what_they_need(asked: IscReq, granted: IscRet) -> None:
    assert logged_on(asked).client_attributes & ~IscRet.ISC_RET_ALLOCATED_MEMORY == granted


@pytest.mark.parametrize("flags", [AscReq.ASC_REQ_CONFIDENTIALITY, AscReq.ASC_REQ_INTEGRITY])
def test_a_server_that_requires_protection_refuses_a_context_without(flags: AscReq) -> None:
    assert status_of(lambda: logged_on(MUTUAL, flags)) is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
    logged_on(SEAL, flags)


def test_dce_style_takes_a_third_leg() -> None:
    contexts = logged_on(SEAL | IscReq.ISC_REQ_USE_DCE_STYLE, AscReq.ASC_REQ_USE_DCE_STYLE)
    assert [message.to for message in contexts.sent] == [To.SERVER, To.CLIENT, To.SERVER]
    assert contexts.client_attributes & IscRet.ISC_RET_USED_DCE_STYLE
    assert contexts.server_attributes & AscRet.ASC_RET_USED_DCE_STYLE


@pytest.mark.parametrize(
    "flag",
    [
        IscReq.ISC_REQ_USE_SESSION_KEY,
        IscReq.ISC_REQ_PROMPT_FOR_CREDS,
        IscReq.ISC_REQ_USE_SUPPLIED_CREDS,
        IscReq.ISC_REQ_DATAGRAM,
        IscReq.ISC_REQ_NULL_SESSION,
    ],
)
def test_flags_that_gss_api_cannot_honour_are_refused_and_not_dropped(flag: IscReq) -> None:
    assert status_of(lambda: logged_on(flag)) is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION
    accept_flag = {
        IscReq.ISC_REQ_USE_SESSION_KEY: AscReq.ASC_REQ_USE_SESSION_KEY,
        IscReq.ISC_REQ_DATAGRAM: AscReq.ASC_REQ_DATAGRAM,
        IscReq.ISC_REQ_NULL_SESSION: AscReq.ASC_REQ_ALLOW_NULL_SESSION,
    }.get(flag)
    if accept_flag is not None:
        assert status_of(lambda: logged_on(SEAL, accept_flag)) is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


@pytest.mark.requirement("SSPI-ASC-26")
def test_a_delegated_ticket_is_handed_out_where_the_server_asks_for_it(tmp_path: Path) -> None:
    flags = SEAL | IscReq.ISC_REQ_DELEGATE
    ignored = logged_on(flags)
    assert ignored.client_attributes & IscRet.ISC_RET_DELEGATE
    assert not ignored.server_attributes & AscRet.ASC_RET_DELEGATE
    with pytest.raises(SaslError):
        sspi.query_context_attributes(ignored.server, KerberosDelegatedCredential)
    contexts = logged_on(flags, AscReq.ASC_REQ_DELEGATE)
    assert contexts.server_attributes & AscRet.ASC_RET_DELEGATE
    delegated = sspi.query_context_attributes(contexts.server, KerberosDelegatedCredential)
    assert delegated.principal == f"alice@{REALM}"
    delegated.store(f"FILE:{tmp_path}/tickets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/tickets")
        onward = establish(initiating(), accepting("imap/localhost"), "imap/localhost", MUTUAL)
        names = sspi.query_context_attributes(onward.server, sspi.SecPkgContextNames)
        assert names.username == f"alice@{REALM}"
    without = logged_on(SEAL, AscReq.ASC_REQ_DELEGATE)
    assert not without.server_attributes & AscRet.ASC_RET_DELEGATE


# What is told afterwards


def test_both_sides_tell_the_same_of_an_established_context() -> None:
    contexts = logged_on(SEAL)
    for kind in (
        sspi.SecPkgContextNames,
        sspi.SecPkgContextSessionKey,
        sspi.SecPkgContextKeyInfo,
        sspi.SecPkgContextSizes,
        sspi.SecPkgContextPackageInfo,
    ):
        ours = sspi.query_context_attributes(contexts.client, kind)
        assert ours == sspi.query_context_attributes(contexts.server, kind)
    key = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextSessionKey)
    assert len(key.session_key) == 32
    assert repr(key.session_key) not in repr(key)
    info = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextKeyInfo)
    assert (info.encryption_algorithm_name, info.key_size) == ("AES256-CTS-HMAC-SHA1-96", 256)
    target = sspi.query_context_attributes(contexts.server, sspi.SecPkgContextTarget)
    assert target.target_name == TARGET


def test_a_context_lives_as_long_as_its_ticket() -> None:
    contexts = logged_on(SEAL)
    span = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextLifespan)
    seconds = span.expiry / 10_000_000 - 11_644_473_600 - time.time()
    assert 23 * 3600 < seconds <= 24 * 3600


def test_the_session_key_is_there_without_protection() -> None:
    contexts = logged_on(MUTUAL)
    assert sspi.query_context_attributes(contexts.server, sspi.SecPkgContextSessionKey).session_key
    data = SecBufferDesc([SecBuffer(bytearray(4), SecBufferType.SECBUFFER_DATA)])
    assert (
        status_of(lambda: sspi.encrypt_message(contexts.client, 0, data, 0)) is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
    )


# Who may log on


def test_the_authority_has_the_last_word() -> None:
    assert logged_on(SEAL, authority=MemoryAuthority([Account(username="alice")]))
    for authority in (MemoryAuthority({"bob": "x"}), MemoryAuthority([Account(username="alice", realm="OTHER.TEST")])):
        refused = status_of(lambda authority=authority: logged_on(SEAL, authority=authority))
        assert refused is SecurityStatus.SEC_E_LOGON_DENIED


def test_a_name_without_realm_stands_for_our_own_realm_alone(kdc: Kdc) -> None:
    asked: list[tuple[str, str]] = []

    class Listening:
        def lookup(self, question: sspi.Question) -> Account | None:
            asked.append((question.username, question.realm))
            assert question.secrets == (sspi.Secret.EXISTENCE,)
            return Account(username=question.username)

    logged_on(SEAL, authority=Listening())
    with pytest.MonkeyPatch.context() as patch:
        # Seen from another realm alice is a stranger, and keeps her realm.
        patch.setattr("saslsspi.packages.kerberos.exchange.split_principal", _ours_is_elsewhere)
        logged_on(SEAL, authority=Listening())
    assert asked == [("alice", REALM), (f"alice@{REALM}", REALM)]


def _ours_is_elsewhere(principal: str) -> tuple[str, str]:
    name, _, realm = principal.rpartition("@")
    return name, "ELSEWHERE.TEST" if name.startswith("ldap/") else realm


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("nothing/localhost", SecurityStatus.SEC_E_TARGET_UNKNOWN),
        ("ldap/unknown.example.test", SecurityStatus.SEC_E_TARGET_UNKNOWN),
        ("", SecurityStatus.SEC_E_TARGET_UNKNOWN),
        ("ldap/local\0host", SecurityStatus.SEC_E_TARGET_UNKNOWN),
        ("imap/localhost", SecurityStatus.SEC_E_WRONG_PRINCIPAL),
        ("ldap/elsewhere.example.test", SecurityStatus.SEC_E_WRONG_PRINCIPAL),
    ],
)
def test_another_target_is_refused_where_that_shows(target: str, expected: SecurityStatus) -> None:
    assert status_of(lambda: logged_on(SEAL, target=target)) is expected


@pytest.mark.parametrize("target", [TARGET, "ldap@localhost", f"ldap/localhost@{REALM}"])
def test_every_form_of_a_target_reaches_the_service(target: str) -> None:
    contexts = logged_on(SEAL, target=target)
    named = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextTarget)
    assert named.target_name == f"{TARGET}@{REALM}"


# Channel bindings


def run_with(client: ChannelBindings | None, server: ChannelBindings | None, policy: ChannelBindingPolicy) -> None:
    drep = sspi.TargetDataRep.SECURITY_NATIVE_DREP
    taken = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
    sspi.initialize_security_context(
        initiating(), None, TARGET, SEAL, drep, _with_bindings(b"", client), SecBufferDesc([taken])
    )
    answer = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
    result = sspi.accept_security_context(
        accepting(channel_binding=policy), None, _with_bindings(taken.data, server), 0, drep, answer
    )
    assert result.status is SecurityStatus.SEC_E_OK


def _with_bindings(token: bytes, bindings: ChannelBindings | None) -> SecBufferDesc:
    buffers = [SecBuffer(token, SecBufferType.SECBUFFER_TOKEN)]
    if bindings is not None:
        buffers.append(SecBuffer(bindings.to_bytes(), SecBufferType.SECBUFFER_CHANNEL_BINDINGS))
    return SecBufferDesc(buffers)


@pytest.mark.requirement("SSPI-ASC-13", "SSPI-ASC-62")
@pytest.mark.parametrize(
    ("client", "server", "policy", "good"),
    [
        (BINDINGS, BINDINGS, ChannelBindingPolicy.REQUIRE, True),
        (BINDINGS, BINDINGS, ChannelBindingPolicy.ALLOW, True),
        (None, BINDINGS, ChannelBindingPolicy.ALLOW, True),
        (None, BINDINGS, ChannelBindingPolicy.REQUIRE, False),
        (BINDINGS, None, ChannelBindingPolicy.ALLOW, True),
        (BINDINGS, None, ChannelBindingPolicy.REQUIRE, False),
        (BINDINGS, ChannelBindings.tls_unique(b"another"), ChannelBindingPolicy.ALLOW, False),
        (BINDINGS, ChannelBindings.tls_unique(b"another"), ChannelBindingPolicy.NONE, True),
    ],
)
def test_bindings_in_a_buffer_beside_the_token_are_checked(
    client: ChannelBindings | None, server: ChannelBindings | None, policy: ChannelBindingPolicy, good: bool
) -> None:
    if good:
        run_with(client, server, policy)
    else:
        assert status_of(lambda: run_with(client, server, policy)) is SecurityStatus.SEC_E_BAD_BINDINGS


def test_a_client_that_has_to_be_bound_does_not_begin_without_bindings() -> None:
    taken = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
    drep = sspi.TargetDataRep.SECURITY_NATIVE_DREP
    handle = initiating(channel_binding=ChannelBindingPolicy.REQUIRE)
    assert status_of(lambda: sspi.initialize_security_context(handle, None, TARGET, SEAL, drep, None, taken)) is (
        SecurityStatus.SEC_E_BAD_BINDINGS
    )


# Attacks and accidents


@pytest.mark.parametrize("size", [0, 1, 2, 10, 100, -1, -40])
def test_a_cut_token_is_refused_with_our_own_error(size: int) -> None:
    expected = {SecurityStatus.SEC_E_INVALID_TOKEN, SecurityStatus.SEC_E_LOGON_DENIED}
    assert status_of(lambda: logged_on(SEAL, tap=tampered(To.SERVER, 0, cut(size)))) in expected
    assert status_of(lambda: logged_on(SEAL, tap=tampered(To.CLIENT, 0, cut(size)))) in expected


@pytest.mark.parametrize("to", To)
@pytest.mark.parametrize("position", [*range(0, 20, 3), -1, -30, -60])
def test_no_flipped_bit_gets_through_or_raises_anything_else(to: To, position: int) -> None:
    with pytest.raises(SaslError):
        logged_on(SEAL, tap=tampered(to, 0, flip(position, 0x55)))


@pytest.mark.parametrize(
    "token",
    [b"", b"\x60", b"\x60\x80", b"\x60\xff" + bytes(40), b"NTLMSSP\0\1\0\0\0", b"\x6e", bytes(64), b"\xff" * 70_000],
)
@pytest.mark.requirement("RFC4752-3.2-04")
def test_what_is_no_kerberos_token_is_invalid(token: bytes) -> None:
    assert status_of(lambda: logged_on(SEAL, tap=tampered(To.SERVER, 0, lambda _: (token,)))) is (
        SecurityStatus.SEC_E_INVALID_TOKEN
    )


def test_a_repeated_request_is_a_replay() -> None:
    contexts = logged_on(SEAL)
    request = SecBufferDesc([SecBuffer(contexts.sent[0].octets, SecBufferType.SECBUFFER_TOKEN)])
    answer = SecBufferDesc([SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)])
    drep = sspi.TargetDataRep.SECURITY_NATIVE_DREP
    with pytest.raises(SaslError, match="replay") as caught:
        sspi.accept_security_context(accepting(), None, request, 0, drep, answer)
    assert caught.value.status is SecurityStatus.SEC_E_LOGON_DENIED


def test_a_server_that_does_not_answer_has_not_proved_itself() -> None:
    silent: Tap = tampered(To.CLIENT, 0, drop)
    with pytest.raises(AssertionError, match="came to an end"):
        logged_on(SEAL, tap=silent)


def test_an_established_context_takes_no_further_token() -> None:
    with pytest.raises(SaslError) as caught:
        logged_on(SEAL, tap=tampered(To.SERVER, 0, repeat))
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_HANDLE


def test_clocks_that_differ_are_said_to(kdc: Kdc, tmp_path: Path) -> None:
    configuration = Path(kdc.environment["KRB5_CONFIG"]).read_text()
    (tmp_path / "krb5.conf").write_text(configuration.replace("[libdefaults]", "[libdefaults]\n    clockskew = 1"))

    def late(octets: bytes) -> tuple[bytes]:
        time.sleep(2.1)  # the server compares the time in the authenticator with its own
        return (octets,)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
        expected = status_of(lambda: logged_on(SEAL, tap=tampered(To.SERVER, 0, late)))
    assert expected is SecurityStatus.SEC_E_TIME_SKEW


def test_a_refusal_carries_the_token_for_the_client() -> None:
    with pytest.raises(SaslError) as caught:
        logged_on(SEAL, tap=tampered(To.SERVER, 0, flip(-1)))
    assert caught.value.token is not None
    assert caught.value.token[:1] == b"\x60"  # a KRB-ERROR in its frame
