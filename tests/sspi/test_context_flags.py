"""What the flags ask of a context, and what its attributes then say.

Claims stand for the pages InitializeSecurityContext (Digest) and AcceptSecurityContext (General).
"""

import re

import pytest

from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet, SecurityStatus
from sspi_program import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    SEAL,
    SIGN,
    TARGET,
    Acceptor,
    Initiator,
    connected,
    empty_token,
    inbound,
    outbound,
    seal,
    tokens,
    unseal,
)

OK = SecurityStatus.SEC_E_OK
CONTINUE = SecurityStatus.SEC_I_CONTINUE_NEEDED


class TestFlags:
    @pytest.mark.requirement("SSPI-ISC-DIGEST-23", "SSPI-ASC-23", "SSPI-ASC-81", "SSPI-ISC-DIGEST-18")
    def test_confidentiality_gives_auth_conf(self) -> None:
        client, server = connected(SEAL, ACCEPT_SEAL)
        assert b"qop=auth-conf" in client.sent[0]
        assert client.attributes & IscRet.ISC_RET_CONFIDENTIALITY
        assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY
        assert b"hidden" not in seal(client, b"hidden")

    @pytest.mark.requirement("SSPI-ISC-DIGEST-27", "SSPI-ISC-DIGEST-31", "SSPI-ISC-DIGEST-32")
    @pytest.mark.requirement("SSPI-ASC-30", "SSPI-ASC-37", "MSDPSP-3.1.4-01")
    @pytest.mark.parametrize(
        "flag", [IscReq.ISC_REQ_INTEGRITY, IscReq.ISC_REQ_REPLAY_DETECT, IscReq.ISC_REQ_SEQUENCE_DETECT]
    )
    @pytest.mark.parametrize(
        "accept_flag", [AscReq.ASC_REQ_INTEGRITY, AscReq.ASC_REQ_REPLAY_DETECT, AscReq.ASC_REQ_SEQUENCE_DETECT]
    )
    def test_integrity_replay_or_sequence_detection_gives_auth_int(self, flag: int, accept_flag: int) -> None:
        client, server = connected(flag, accept_flag)
        assert b'qop="auth-int"' in server.sent[0]
        assert b"qop=auth-int" in client.sent[0]
        signing = IscRet.ISC_RET_INTEGRITY | IscRet.ISC_RET_REPLAY_DETECT | IscRet.ISC_RET_SEQUENCE_DETECT
        assert client.attributes & signing == signing
        assert server.attributes & AscRet.ASC_RET_INTEGRITY
        assert unseal(server, seal(client, b"message")) == b"message"

    @pytest.mark.requirement("SSPI-ASC-83", "SSPI-ISC-DIGEST-26")
    def test_no_flags_give_auth_and_no_protection(self) -> None:
        client, server = connected()
        assert b'qop="auth"' in server.sent[0]
        assert not server.attributes & AscRet.ASC_RET_INTEGRITY
        with pytest.raises(errors.QopNotSupported):
            seal(client, b"x")

    @pytest.mark.requirement(
        "SSPI-ISC-DIGEST-34", "SSPI-ISC-DIGEST-61", "SSPI-ISC-DIGEST-83", "SSPI-ISC-DIGEST-84", "SSPI-ISC-DIGEST-18",
        "SSPI-ASC-92", "SSPI-ASC-93",
    )  # fmt: skip
    def test_a_wish_that_the_server_does_not_offer_is_missing_from_the_attributes(self) -> None:
        client, _ = connected(SEAL, 0)
        assert client.done
        assert not client.attributes & (IscRet.ISC_RET_CONFIDENTIALITY | IscRet.ISC_RET_INTEGRITY)

    @pytest.mark.requirement("SSPI-ISC-DIGEST-20", "SSPI-ASC-15")
    def test_every_flag_of_the_pages_may_be_combined(self) -> None:
        asked = (
            IscReq.ISC_REQ_ALLOCATE_MEMORY | IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_EXTENDED_ERROR
            | IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_MUTUAL_AUTH | IscReq.ISC_REQ_REPLAY_DETECT
            | IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_STREAM
        )  # fmt: skip
        accept = (
            AscReq.ASC_REQ_ALLOCATE_MEMORY | AscReq.ASC_REQ_CONFIDENTIALITY | AscReq.ASC_REQ_CONNECTION
            | AscReq.ASC_REQ_EXTENDED_ERROR | AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_MUTUAL_AUTH
            | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT | AscReq.ASC_REQ_STREAM
        )  # fmt: skip
        client, server = connected(int(asked), int(accept))
        assert client.attributes & ~int(IscRet.ISC_RET_ALLOCATED_MEMORY) & int(asked) == int(
            asked & ~(IscReq.ISC_REQ_EXTENDED_ERROR | IscReq.ISC_REQ_ALLOCATE_MEMORY)
        )
        assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY

    @pytest.mark.requirement("SSPI-ASC-28")
    def test_the_client_is_told_of_an_error_where_extended_errors_are_asked_for(self) -> None:
        for flag, told in ((int(AscReq.ASC_REQ_EXTENDED_ERROR), True), (0, False)):
            server = Acceptor(inbound(package="Negotiate"), flag)
            with pytest.raises(errors.AlgorithmMismatch) as caught:
                server.step(bytes.fromhex("601806062b0601050502a00e300ca00a3008060628f7250f0101"))
            assert (caught.value.token is not None) == told

    @pytest.mark.requirement("SSPI-ASC-41", "SSPI-ASC-02")
    def test_what_an_acceptor_wishes_and_the_client_does_not_do_is_missing_from_the_attributes(self) -> None:
        requested = AscReq.ASC_REQ_IDENTIFY | AscReq.ASC_REQ_MUTUAL_AUTH
        client, server = Initiator(outbound(package="NTLM"), 0), Acceptor(inbound(package="NTLM"), int(requested))
        server.step(client.step(server.step(client.step(None))))
        assert server.done
        assert not server.attributes & requested

    @pytest.mark.requirement("SSPI-ASC-83")
    @pytest.mark.parametrize("flags", [int(SIGN), int(SEAL)])
    def test_an_acceptor_that_asks_for_nothing_is_told_what_the_client_chose(self, flags: int) -> None:
        client, server = Initiator(outbound(package="NTLM"), flags), Acceptor(inbound(package="NTLM"), 0)
        server.step(client.step(server.step(client.step(None))))
        assert server.attributes & AscRet.ASC_RET_INTEGRITY
        assert bool(server.attributes & AscRet.ASC_RET_CONFIDENTIALITY) == (flags == SEAL)

    @pytest.mark.requirement("SSPI-ASC-32")
    def test_mutual_authentication_asked_by_an_acceptor_is_without_effect_in_digest(self) -> None:
        asking, silent = (Acceptor(inbound(), int(flag)) for flag in (AscReq.ASC_REQ_MUTUAL_AUTH, 0))
        challenges = [re.sub(rb'nonce="[^"]*"', b"", side.step(None)) for side in (asking, silent)]
        assert challenges[0] == challenges[1]

    @pytest.mark.requirement("SSPI-ASC-15", "SSPI-ASC-81", "SSPI-ASC-82")
    def test_a_server_that_requires_integrity_refuses_a_client_without(self) -> None:
        client, server = Initiator(outbound(), 0), Acceptor(inbound(), int(ACCEPT_SIGN))
        with pytest.raises(errors.QopNotSupported):
            client.step(server.step(None))
        forged = Acceptor(inbound(), 0).step(None)
        plain = Initiator(outbound(), 0).step(forged.replace(_nonce(forged), _nonce(server.sent[0])))
        with pytest.raises(errors.QopNotSupported):
            server.step(plain)

    @pytest.mark.requirement(
        "SSPI-ISC-DIGEST-59", "SSPI-ISC-DIGEST-100", "SSPI-ISC-DIGEST-60", "SSPI-ISC-DIGEST-101", "SSPI-ISC-DIGEST-56",
        "SSPI-ASC-55", "SSPI-ASC-56", "SSPI-ASC-90", "SSPI-ASC-91",
    )  # fmt: skip
    def test_security_flags_wait_for_the_final_success(self) -> None:
        client = Initiator(outbound(), int(SEAL | IscReq.ISC_REQ_ALLOCATE_MEMORY))
        server = Acceptor(inbound(), int(ACCEPT_SEAL | AscReq.ASC_REQ_ALLOCATE_MEMORY))
        challenge = server.step(None)
        assert server.attributes == AscRet.ASC_RET_ALLOCATED_MEMORY
        response = client.step(challenge)
        assert client.attributes == IscRet.ISC_RET_ALLOCATED_MEMORY
        client.step(server.step(response))
        assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY
        assert client.attributes & IscRet.ISC_RET_CONFIDENTIALITY

    @pytest.mark.requirement("SSPI-ISC-DIGEST-28")
    def test_mutual_authentication_is_claimed_when_rspauth_was_verified(self) -> None:
        client, server = Initiator(outbound(), int(IscReq.ISC_REQ_MUTUAL_AUTH)), Acceptor(inbound(), 0)
        response = client.step(server.step(None))
        assert not client.attributes & IscRet.ISC_RET_MUTUAL_AUTH
        client.step(server.step(response))
        assert client.attributes & IscRet.ISC_RET_MUTUAL_AUTH
        flags = sspi.query_context_attributes(client.handle, sspi.SecPkgContextFlags).flags
        assert flags & IscRet.ISC_RET_MUTUAL_AUTH

    @pytest.mark.requirement("SSPI-ISC-DIGEST-81")
    @pytest.mark.parametrize("flag", [IscReq.ISC_REQ_DELEGATE, IscReq.ISC_REQ_PROMPT_FOR_CREDS])
    def test_an_initiator_refuses_what_digest_cannot_do(self, flag: int) -> None:
        with pytest.raises(errors.UnsupportedFunction) as caught:
            Initiator(outbound(), int(flag)).step(None)
        assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION

    @pytest.mark.requirement("SSPI-ASC-74")
    @pytest.mark.parametrize("flag", [AscReq.ASC_REQ_DELEGATE, AscReq.ASC_REQ_LICENSING, 0x80000000])
    def test_an_acceptor_refuses_flags_that_digest_does_not_know(self, flag: int) -> None:
        with pytest.raises(errors.SecurityQosFailed) as caught:
            Acceptor(inbound(), int(flag)).step(None)
        assert caught.value.status is SecurityStatus.SEC_E_SECURITY_QOS_FAILED

    @pytest.mark.requirement("SSPI-ISC-DIGEST-33", "SSPI-ASC-25")
    def test_stream_connection_and_extended_error_are_taken(self) -> None:
        asked = IscReq.ISC_REQ_STREAM | IscReq.ISC_REQ_CONNECTION | IscReq.ISC_REQ_EXTENDED_ERROR
        accept = AscReq.ASC_REQ_STREAM | AscReq.ASC_REQ_CONNECTION | AscReq.ASC_REQ_EXTENDED_ERROR
        client, server = connected(asked, accept)
        assert client.attributes & IscRet.ISC_RET_STREAM
        assert client.attributes & IscRet.ISC_RET_CONNECTION
        assert server.attributes & AscRet.ASC_RET_STREAM
        assert server.attributes & AscRet.ASC_RET_CONNECTION
        # DIGEST-MD5 has no error message: the carrier tells the peer, and the attribute is not claimed.
        assert not client.attributes & IscRet.ISC_RET_EXTENDED_ERROR
        assert not server.attributes & AscRet.ASC_RET_EXTENDED_ERROR

    @pytest.mark.requirement("SSPI-ISC-DIGEST-17")
    @pytest.mark.parametrize("package", ["WDigest", "NTLM", "Negotiate"])
    def test_flags_without_a_meaning_here_are_taken_and_never_claimed(self, package: str) -> None:
        empty = (
            IscReq.ISC_REQ_CALL_LEVEL | IscReq.ISC_REQ_FRAGMENT_SUPPLIED | IscReq.ISC_REQ_RESERVED1
            | IscReq.ISC_REQ_FORWARD_CREDENTIALS | IscReq.ISC_REQ_USE_HTTP_STYLE | IscReq.ISC_REQ_CONFIDENTIALITY_ONLY
        )  # fmt: skip
        accept = (
            AscReq.ASC_REQ_SESSION_TICKET | AscReq.ASC_REQ_CALL_LEVEL | AscReq.ASC_REQ_FRAGMENT_SUPPLIED
            | AscReq.ASC_REQ_LICENSING | AscReq.ASC_REQ_ALLOW_NON_USER_LOGONS | AscReq.ASC_REQ_ALLOW_CONTEXT_REPLAY
            | AscReq.ASC_REQ_NO_TOKEN
        )  # fmt: skip
        client = Initiator(outbound(package=package), int(empty) | 0x80000000)
        server = Acceptor(inbound(package=package), 0 if package == "WDigest" else int(accept))
        token = client.step(None)
        while not (client.done and server.done):
            token = server.step(token)
            token = token if client.done else client.step(token)
        claimed = (
            IscRet.ISC_RET_CALL_LEVEL | IscRet.ISC_RET_INTERMEDIATE_RETURN | IscRet.ISC_RET_RESERVED1
            | IscRet.ISC_RET_FRAGMENT_ONLY | IscRet.ISC_RET_FORWARD_CREDENTIALS | IscRet.ISC_RET_USED_HTTP_STYLE
            | IscRet.ISC_RET_CONFIDENTIALITY_ONLY | IscRet.ISC_RET_USED_COLLECTED_CREDS | IscRet.ISC_RET_USE_SESSION_KEY
            | IscRet.ISC_RET_NO_ADDITIONAL_TOKEN | IscRet.ISC_RET_REAUTHENTICATION | IscRet.ISC_RET_NO_INTEGRITY
            | IscRet.ISC_RET_DATAGRAM
        )  # fmt: skip
        assert not client.attributes & claimed
        assert not server.attributes & (
            AscRet.ASC_RET_SESSION_TICKET | AscRet.ASC_RET_CALL_LEVEL | AscRet.ASC_RET_THIRD_LEG_FAILED
            | AscRet.ASC_RET_LICENSING | AscRet.ASC_RET_ALLOW_NON_USER_LOGONS | AscRet.ASC_RET_ALLOW_CONTEXT_REPLAY
            | AscRet.ASC_RET_FRAGMENT_ONLY | AscRet.ASC_RET_NO_TOKEN | AscRet.ASC_RET_NO_ADDITIONAL_TOKEN
            | AscRet.ASC_RET_PROXY_BINDINGS | AscRet.ASC_RET_USE_SESSION_KEY | AscRet.ASC_RET_DATAGRAM
        )  # fmt: skip

    @pytest.mark.requirement("SSPI-ISC-DIGEST-36", "SSPI-ASC-42", "SSPI-ASC-43", "SSPI-ASC-44", "SSPI-ISC-DIGEST-37")
    def test_the_data_representation_changes_nothing(self) -> None:
        for drep in (sspi.TargetDataRep.SECURITY_NATIVE_DREP, sspi.TargetDataRep.SECURITY_NETWORK_DREP):
            output = empty_token()
            result = sspi.accept_security_context(inbound(), None, None, 0, drep, output)
            assert result.status is CONTINUE
            answer = empty_token()
            sspi.initialize_security_context(outbound(), None, TARGET, 0, drep, tokens(output[0].data), answer)
            assert b"response=" in answer[0].data
        with pytest.raises(errors.InvalidParameter):
            sspi.accept_security_context(inbound(), None, None, 0, 7, empty_token())


def _nonce(challenge: bytes) -> bytes:
    return challenge.split(b'nonce="')[1].split(b'"')[0]
