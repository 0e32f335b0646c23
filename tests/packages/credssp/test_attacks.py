"""What a hostile peer, or somebody in between, can try; and that no secret leaves before the policy has agreed."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable

import pytest

from packages.credssp.ours import (
    DELEGATE,
    DOMAIN,
    PASSWORD,
    TARGET,
    TELLS,
    TOLD,
    USER,
    client_sends,
    client_side,
    logged_on,
    server_sends,
    server_side,
    watch,
)
from packages.schannel.stream import MANUAL, OK, Side, inbound, outbound
from saslsspi import errors, sspi
from saslsspi.packages.credssp.credentials import EMPTY
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import CredentialKind, CredsspCred, CredSspPolicy, IscReq, SchCredentials, WinNTAuthIdentity
from saslsspi.sspi.policy import PublicKeyLeg
from saslsspi.testbed.certificates import make_certificates

NOT_SUPPORTED = sspi.NTSTATUS.STATUS_NOT_SUPPORTED


def replaced(**fields: object) -> Callable[[TSRequest], list[TSRequest]]:
    return lambda message: [message._replace(**fields)]  # type: ignore[arg-type]


def with_proof(**fields: object) -> Callable[[TSRequest], list[TSRequest]]:
    """Change only the messages that carry pubKeyAuth."""
    return lambda message: [message._replace(**fields) if message.pub_key_auth else message]  # type: ignore[arg-type]


@pytest.mark.requirement("MSCSSP-2.2.1-05")
@pytest.mark.parametrize("sends", [client_sends, server_sends])
def test_a_version_that_changes_is_refused(monkeypatch: pytest.MonkeyPatch, sends: Callable[..., object]) -> None:
    sends(monkeypatch, with_proof(version=5))
    with pytest.raises(errors.MessageAltered):
        logged_on()


@pytest.mark.requirement("MSCSSP-3.1.5-19")
@pytest.mark.parametrize("nonce", [None, b"", bytes(31), bytes(33)])
def test_version_6_needs_a_nonce_of_32_octets(monkeypatch: pytest.MonkeyPatch, nonce: bytes | None) -> None:
    hand = server_sends(monkeypatch, lambda message: [message])
    client_sends(monkeypatch, with_proof(client_nonce=nonce))
    with pytest.raises(errors.InvalidToken):
        logged_on()
    assert not any(message.pub_key_auth for message in hand.seen)


@pytest.mark.requirement("MSCSSP-3.1.5-19", "MSCSSP-3.1.5-18")
def test_a_nonce_that_changes_is_refused_and_one_in_every_message_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(monkeypatch, lambda message: [message._replace(client_nonce=message.client_nonce or bytes(32))])
    with pytest.raises(errors.MessageAltered):
        logged_on()
    client_sends(monkeypatch, lambda message: [message._replace(client_nonce=b"\x05" * 32)])
    assert logged_on(client_side(random=lambda size: b"\x05" * size))[1].done  # as FreeRDP sends it


def test_a_nonce_means_nothing_below_version_5(monkeypatch: pytest.MonkeyPatch) -> None:
    old = CredSspPolicy(minimum_version=2, version=4)
    client_sends(monkeypatch, with_proof(client_nonce=b"short"))
    assert logged_on(client_side(policy=old), server_side(policy=old))[1].done


@pytest.mark.requirement("MSCSSP-3.1.5-25", "SSPI-ISC-CREDSSP-90")
@pytest.mark.parametrize("version", [4, 6])
def test_the_client_s_own_proof_sent_back_is_refused(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    policy = CredSspPolicy(minimum_version=2, version=version)
    hand = client_sends(monkeypatch, lambda message: [message])
    server_sends(
        monkeypatch,
        lambda message: [
            message._replace(pub_key_auth=hand.seen[-1].pub_key_auth) if message.pub_key_auth else message
        ],
    )
    with pytest.raises(errors.SaslError):
        logged_on(client_side(policy=policy), server_side(policy=policy))
    assert not any(message.auth_info for message in hand.seen)


@pytest.mark.requirement("MSCSSP-3.1.5-25", "MSCSSP-3.1.5-26", "SSPI-ISC-CREDSSP-90", "SSPI-ISC-CREDSSP-103")
@pytest.mark.parametrize(
    "proof", [lambda octets: octets[:-1], lambda octets: octets + b"\0", lambda octets: b"", lambda octets: bytes(32)]
)
def test_a_wrong_proof_of_the_server_is_wrong_principal(
    monkeypatch: pytest.MonkeyPatch, proof: Callable[[bytes], bytes]
) -> None:
    from saslsspi.packages.credssp import server as module

    right = module.server_proof
    monkeypatch.setattr(module, "server_proof", lambda *arguments: proof(right(*arguments)))
    sent, _ = watch(monkeypatch)
    client, server = client_side(), server_side()
    with pytest.raises(errors.WrongPrincipal):
        logged_on(client, server)
    assert not any(message.auth_info for message in sent)
    with pytest.raises(errors.ContextMisuse):
        client.encrypt(b"x")


class Middle:
    """Somebody with a TLS of his own on both sides, who passes on what is inside."""

    def __init__(self, client: Side, server: Side) -> None:
        self.client, self.server = client, server
        self.front = Side(inbound("Schannel"))
        self.back = Side(outbound("Schannel", SchCredentials(resumption=False)), MANUAL, TARGET)

    def run(self, change: Callable[[TSRequest], TSRequest] = lambda message: message) -> None:
        token = self.client.step()
        while not self.front.done:
            reply = self.front.step(token)
            token = self.client.step(reply) if not self.front.done else b""
        first, tickets = self.front.read(self.front.untaken), reply
        token = self.back.step()
        while not self.back.done:
            token = self.back.step(self.server.step(token))
        if token:
            self.server.step(token)
        while True:
            answer = self.server.step(self.back.encrypt(change(TSRequest.from_bytes(first)).to_bytes()))
            reply = tickets + self.front.encrypt(self.back.read(answer))
            first, tickets = self.front.read(self.client.step(reply)), b""


@pytest.mark.requirement("MSCSSP-3.1.5-18", "MSCSSP-3.1.5-21", "MSCSSP-CVE20180886-CVE-2018-0886-02")
@pytest.mark.parametrize("version", [4, 6])
def test_a_man_in_the_middle_with_a_tls_of_his_own_is_found(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    policy = CredSspPolicy(minimum_version=2, version=version)
    sent, received = watch(monkeypatch)
    with pytest.raises(errors.BadBindings):
        Middle(client_side(policy=policy), server_side(policy=policy)).run()
    assert not any(message.auth_info for message in sent)
    assert not any(message.pub_key_auth for message in received)


@pytest.mark.requirement("MSCSSP-CVE20180886-CVE-2018-0886-03", "MSCSSP-CVE20180886-CVE-2018-0886-01")
def test_a_man_in_the_middle_cannot_lower_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.DowngradeDetected):
        Middle(client_side(), server_side()).run(lambda message: message._replace(version=2))
    assert not any(message.pub_key_auth for message in sent)


@pytest.mark.requirement("MSCSSP-5.1-01", "MSCSSP-3.1.5-23")
@pytest.mark.parametrize("version", [2, 3, 4])
def test_versions_below_5_are_not_supported_by_default(version: int) -> None:
    client, server = client_side(policy=CredSspPolicy(minimum_version=2, version=version)), server_side()
    token = client.step(server.step(client.step()))
    with pytest.raises(errors.DowngradeDetected) as caught:
        server.step(token)
    with pytest.raises(errors.UnsupportedFunction) as told:
        client.step(caught.value.token or b"")
    assert told.value.ntstatus == NOT_SUPPORTED


@pytest.mark.requirement("MSCSSP-6-01", "MSCSSP-5.1-01")
@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_client_stops_before_its_proof_at_a_version_below_its_minimum(
    monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.DowngradeDetected):
        logged_on(server=server_side(policy=CredSspPolicy(minimum_version=2, version=version)))
    assert not any(message.pub_key_auth or message.auth_info for message in sent)


@pytest.mark.requirement("MSCSSP-3.1.5-11")
def test_an_error_code_counts_whatever_comes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    server_sends(monkeypatch, replaced(error_code=0xC0000234))
    with pytest.raises(errors.LogonDenied) as caught:
        logged_on()
    assert caught.value.ntstatus == sspi.NTSTATUS.STATUS_ACCOUNT_LOCKED_OUT
    assert caught.value.token is None
    assert len(sent) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda message: [message._replace(error_code=0xC000006D)],
        lambda message: [message._replace(auth_info=b"x")],
        lambda message: [message._replace(pub_key_auth=b"x" * 40, client_nonce=bytes(32))],
        lambda message: [message._replace(nego_token=None)],
        lambda message: [message.to_bytes() + b"\x31"],
        lambda message: [b"\x30\x84\x7f\xff\xff\xff"],
        lambda message: [b"no DER"],
        lambda message: [message._replace(version=1)],
    ],
)
@pytest.mark.requirement("MSCSSP-3.1.5-06", "MSCSSP-3.1.5-07", "SSPI-ISC-CREDSSP-83")
def test_messages_that_are_not_due_end_the_exchange(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[TSRequest], list[TSRequest | bytes]]
) -> None:
    client_sends(monkeypatch, change)
    client, server = client_side(), server_side()
    with pytest.raises(errors.InvalidToken):
        logged_on(client, server)
    with pytest.raises(errors.ContextMisuse):
        server.step(b"\x17\x03\x03\x00\x01x")


@pytest.mark.requirement("MSCSSP-3.1.5-09")
def test_the_last_token_without_the_key_never_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(monkeypatch, with_proof(pub_key_auth=None, client_nonce=None))
    client, server = client_side(), server_side()
    reply = server.step(client.step(server.step(client.step(server.step(client.step())))))
    assert server.status is sspi.SecurityStatus.SEC_I_CONTINUE_NEEDED
    assert client.step(reply) == b""
    assert not server.done


@pytest.mark.parametrize("extra", [{"nego_token": b"x"}, {"pub_key_auth": b"x" * 48}, {"auth_info": None}])
@pytest.mark.requirement("MSCSSP-3.1.5-28")
def test_nothing_else_comes_with_the_credentials(monkeypatch: pytest.MonkeyPatch, extra: dict[str, bytes]) -> None:
    client_sends(monkeypatch, lambda message: [message._replace(**extra) if message.auth_info else message])
    with pytest.raises(errors.InvalidToken):
        logged_on()


def test_nego_tokens_after_completion_are_refused_by_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    after = CredSspPolicy(public_key_leg=PublicKeyLeg.AFTER_NEGOTIATE)
    for sends in (client_sends, server_sends):
        with monkeypatch.context() as patch:
            sends(patch, with_proof(nego_token=b"\xa1\x03\x30\x01\x00"))
            with pytest.raises(errors.InvalidToken):
                logged_on(client_side(policy=after))


def test_credentials_twice_are_not_taken_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(monkeypatch, lambda message: [message, message] if message.auth_info else [message])
    client, server = client_side(), server_side()
    logged_on(client, server)
    # The second one is a record of its own, behind the end of the exchange: it is data, and the caller's business.
    assert TSRequest.from_bytes(server.read(server.untaken)).auth_info
    monkeypatch.undo()
    client_sends(monkeypatch, lambda message: [message.to_bytes() * 2] if message.auth_info else [message])
    with pytest.raises(errors.InvalidToken):
        logged_on()


def test_altered_proofs_and_credentials_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def flipped(octets: bytes) -> bytes:
        return octets[:-1] + bytes((octets[-1] ^ 1,))

    for name in ("pub_key_auth", "auth_info"):

        def change(message: TSRequest, name: str = name) -> list[TSRequest]:
            octets = getattr(message, name)
            return [message._replace(**{name: flipped(octets)}) if octets else message]

        with monkeypatch.context() as patch:
            client_sends(patch, change)
            with pytest.raises(errors.MessageAltered):
                logged_on()


@pytest.mark.requirement("MSCSSP-3.1.5-01", "SSPI-ISC-CREDSSP-83", "SSPI-ISC-CREDSSP-84")
@pytest.mark.parametrize(
    "token", [TSRequest(6, b"x").to_bytes(), b'realm="r",nonce="n",algorithm=md5-sess', b"NTLMSSP\0\1\0\0\0"]
)
def test_a_token_of_something_else_than_tls_is_invalid(token: bytes) -> None:
    with pytest.raises(errors.InvalidToken):
        server_side().step(token)
    client = client_side()
    client.step()
    with pytest.raises(errors.InvalidToken):
        client.step(token)


@pytest.mark.parametrize("steps", range(1, 4))
@pytest.mark.parametrize("alert", [b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x03\x00\x02\x01\x00"])
def test_an_alert_in_every_state_ends_the_exchange(steps: int, alert: bytes) -> None:
    client, server = client_side(), server_side()
    sides = [client, server] * 3
    token = b""
    for side in sides[:steps]:
        token = side.step(token)
    side = sides[steps - 1]
    with pytest.raises(errors.SaslError):
        side.step(alert)
    with pytest.raises(errors.ContextMisuse):
        side.step(alert)


def test_a_message_that_never_ends_is_cut_off_before_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(monkeypatch, lambda message: [b"\x30\x83\x01\xff\xf0" + bytes(16000)])
    client, server = client_side(), server_side()
    assert server.step(client.step(server.step(client.step()))) == b""  # it waits for more, up to the limit
    assert not server.done


# Delegation.


@pytest.mark.requirement("MSCSSP-1.6-01", "MSCSSP-3.1.1-01", "MSCSSP-5.1-02", "SSPI-ISC-CREDSSP-91",
    "SSPI-ISC-CREDSSP-41")  # fmt: skip
@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (CredSspPolicy(), False),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/host.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("http/HOST.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*.example",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("*",)), True),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*.example.org", "TERMSRV/*")), False),
        (CredSspPolicy(allow_fresh_ntlm_only=("HTTP/host.example.org", "HTTP/hos")), False),
        (CredSspPolicy(allow_saved_ntlm_only=("*",), allow_default_ntlm_only=("*",)), False),
    ],
)
def test_only_a_named_target_gets_credentials(
    monkeypatch: pytest.MonkeyPatch, policy: CredSspPolicy, allowed: bool
) -> None:
    sealed: list[bytes] = []
    from saslsspi.packages.credssp.exchange import CredsspExchange

    original = CredsspExchange._wrap
    monkeypatch.setattr(
        CredsspExchange, "_wrap", lambda exchange, text: (sealed.append(text), original(exchange, text))[1]
    )
    client = client_side(TOLD | DELEGATE, policy)
    if allowed:
        logged_on(client)
        assert any(PASSWORD.encode("utf-16-le") in text for text in sealed)
    else:
        with pytest.raises(errors.DelegationPolicy):
            client.step()
        assert sealed == []
    logged_on(client_side(TOLD, policy))  # empty credentials go anywhere


@pytest.mark.requirement("SSPI-ISC-CREDSSP-92")
def test_a_server_that_proved_nothing_gets_no_credentials_of_the_stricter_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.PolicyNtlmOnly):
        logged_on(client_side(TOLD | DELEGATE, CredSspPolicy(allow_fresh=("*",))))
    assert not any(message.pub_key_auth or message.auth_info for message in sent)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-93", "SSPI-ISC-CREDSSP-40")
def test_mutual_auth_without_a_server_that_proved_itself_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = watch(monkeypatch)
    with pytest.raises(errors.MutualAuthFailed):
        logged_on(client_side(TOLD | IscReq.ISC_REQ_MUTUAL_AUTH))
    assert not any(message.pub_key_auth or message.auth_info for message in sent)


@pytest.mark.requirement("SSPI-ISC-CREDSSP-92", "SSPI-ISC-CREDSSP-93")
def test_a_trusted_certificate_proves_the_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = make_certificates(tmp_path_factory.mktemp("certificates"), "x")
    target = "HTTP/localhost"
    policy = CredSspPolicy(allow_fresh=(target,), authorities=str(made.authority))
    flags = TOLD | DELEGATE | IscReq.ISC_REQ_MUTUAL_AUTH
    server = server_side(identity=CredsspCred(schannel=SchCredentials(certificate=str(made.server))))
    client, server = logged_on(client_side(flags, policy, target=target), server)
    assert client.attributes & sspi.IscRet.ISC_RET_MUTUAL_AUTH
    assert client.query(sspi.SecPkgContextCertTrustStatus).trusted
    with pytest.raises(errors.MutualAuthFailed):  # it is the certificate of another host
        logged_on(client_side(flags, CredSspPolicy(allow_fresh=("*",), authorities=str(made.authority))), server_side(
            identity=CredsspCred(schannel=SchCredentials(certificate=str(made.server)))))  # fmt: skip


@pytest.mark.requirement("SSPI-ISC-CREDSSP-36")
def test_nothing_is_delegated_that_is_not_there() -> None:
    identity = CredsspCred(spnego=WinNTAuthIdentity(USER, DOMAIN, None), kind=CredentialKind.FRESH)
    with pytest.raises(errors.NoCredentials):
        client_side(TOLD | DELEGATE, CredSspPolicy(allow_fresh_ntlm_only=("*",)), identity=identity).step()


def test_a_policy_of_nonsense_is_an_invalid_parameter() -> None:
    for arguments in ({"minimum_version": 1}, {"version": 7}, {"minimum_version": 6, "version": 5},
                      {"allow_fresh": ("a*b*",)}):  # fmt: skip
        with pytest.raises(errors.InvalidParameter):
            CredSspPolicy(**arguments)  # type: ignore[arg-type]


def test_contexts_leave_nothing_behind() -> None:
    client, server = client_side(), server_side()

    def connect_once() -> None:
        ours, theirs = Side(client.credential, TOLD, TARGET), Side(server.credential, TELLS)
        logged_on(ours, theirs)
        assert ours.status is theirs.status is OK
        assert theirs.query(sspi.SecPkgContextClientCreds).credentials == EMPTY

    tracemalloc.start()
    try:
        for _ in range(300):
            connect_once()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(200):
            connect_once()
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 20_000, f"{grown} octets after 200 exchanges"
