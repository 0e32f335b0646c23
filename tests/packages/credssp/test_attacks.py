"""What a hostile peer, or somebody in between, can try; and that no secret leaves before the policy has agreed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from packages.credssp.ours import (
    TARGET,
    client_sends,
    client_side,
    logged_on,
    server_sends,
    server_side,
    watch,
)
from packages.schannel.stream import MANUAL, Side, inbound, outbound
from saslsspi import errors, sspi
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.packages.credssp.exchange import CredsspExchange
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import CredsspCred, CredSspPolicy, SchannelProtocol, SchCredentials

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
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
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


def halfway(protocol: SchannelProtocol, steps: int) -> tuple[Side, Side]:
    """Return the side that has made the last of some steps, and the other one."""
    sides = [client_side(), server_side(identity=CredsspCred(schannel=SchCredentials(protocols=protocol)))]
    token = b""
    for step in range(steps):
        token = sides[step % 2].step(token)
        assert not sides[step % 2].done
    return sides[(steps - 1) % 2], sides[steps % 2]


OLD, NEW = SchannelProtocol.SP_PROT_TLS1_2, SchannelProtocol.SP_PROT_TLS1_3
UNFINISHED = [*((OLD, steps) for steps in range(1, 9)), *((NEW, steps) for steps in range(1, 7))]
UNDER_TLS = [*((OLD, steps) for steps in range(5, 9)), *((NEW, steps) for steps in range(4, 7))]


@pytest.mark.parametrize(("protocol", "steps"), UNFINISHED)
@pytest.mark.parametrize("alert", [b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x03\x00\x02\x01\x00"])
def test_an_alert_in_every_state_ends_the_exchange(protocol: SchannelProtocol, steps: int, alert: bytes) -> None:
    side, _ = halfway(protocol, steps)
    with pytest.raises(errors.SaslError):
        side.step(alert)
    with pytest.raises(errors.ContextMisuse):
        side.step(alert)


@pytest.mark.parametrize(("protocol", "steps"), UNDER_TLS)
def test_a_peer_that_closes_its_direction_ends_the_exchange(protocol: SchannelProtocol, steps: int) -> None:
    side, other = halfway(protocol, steps)
    exchange = other.handle._opened()._exchange
    assert isinstance(exchange, CredsspExchange)
    close_notify = exchange._close()
    assert close_notify
    with pytest.raises(errors.ContextExpired):
        side.step(close_notify)
    with pytest.raises(errors.ContextMisuse):
        side.step(close_notify)


def test_a_message_that_never_ends_is_cut_off_before_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(monkeypatch, lambda message: [b"\x30\x83\x01\xff\xf0" + bytes(16000)])
    client, server = client_side(), server_side()
    assert server.step(client.step(server.step(client.step()))) == b""  # it waits for more, up to the limit
    assert not server.done


@pytest.mark.slow
def test_a_message_in_thousands_of_records_costs_no_more_than_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    def octet_by_octet(message: TSRequest) -> list[TSRequest | bytes]:
        if not message.pub_key_auth:
            return [message]
        octets = b"\x30\x83\x01\xd4\xc0" + bytes(120_000)
        return [octets[at : at + 1] for at in range(len(octets))]

    client_sends(monkeypatch, octet_by_octet)
    client, server = client_side(), server_side()
    answer = server.step(client.step(server.step(client.step())))
    begun = time.process_time()
    token = client.step(answer)
    written = time.process_time()
    assert len(token) > 120_000 * 22
    with pytest.raises(errors.InvalidToken):
        server.step(token)
    # It takes 1.5 times as long as the writing; where each record costs a copy of the rest, 15 times.
    assert time.process_time() - written < 5 * (written - begun)
