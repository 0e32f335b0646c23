"""Sentences of MS-CSSP one by one, where the exchanges of the other files would not notice that one is broken."""

from __future__ import annotations

import pytest

from packages.credssp.ours import client_sends, client_side, logged_on, server_side, watch
from saslsspi import errors
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.sspi import CredsspCred, CredSspPolicy, SchannelProtocol, SchCredentials, WinNTAuthIdentity
from sspi_context import DOMAIN, PASSWORD, USER

ANY = CredSspPolicy(minimum_version=2)


def at_version(version: int) -> CredSspPolicy:
    return CredSspPolicy(minimum_version=2, version=version)


@pytest.mark.requirement("MSCSSP-2.2.1-14")
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_a_nonce_is_32_octets_at_random_from_version_5_on_and_none_before(
    monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    sent, _ = watch(monkeypatch)
    for _ in range(2):
        logged_on(client_side(policy=at_version(version)), server_side(policy=ANY))
    nonces = [message.client_nonce for message in sent if message.pub_key_auth]
    if version < 5:
        assert nonces == [None, None]
        return
    assert [len(nonce or b"") for nonce in nonces] == [32, 32]
    assert nonces[0] != nonces[1]


@pytest.mark.requirement("MSCSSP-3.1.5-17")
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_the_last_token_goes_with_the_key(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    sent, _ = watch(monkeypatch)
    logged_on(client_side(policy=at_version(version)), server_side(policy=ANY))
    assert [message.nego_token is not None for message in sent if message.pub_key_auth] == [True]


@pytest.mark.requirement("MSCSSP-3.1.5-09")
def test_credentials_are_not_taken_in_place_of_a_key_that_never_came(monkeypatch: pytest.MonkeyPatch) -> None:
    client_sends(
        monkeypatch,
        lambda message: (
            [message._replace(pub_key_auth=None, client_nonce=None), TSRequest(6, auth_info=bytes(48))]
            if message.pub_key_auth
            else [message]
        ),
    )
    with pytest.raises(errors.InvalidToken, match="pubKeyAuth is due") as caught:
        logged_on()
    assert caught.value.requirement == "MSCSSP-3.1.5-09"


@pytest.mark.requirement("MSCSSP-2.2.1-03")
@pytest.mark.parametrize("version", [7, 100])
def test_a_higher_version_is_treated_as_the_highest_that_is_known_here(
    monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    client_sends(monkeypatch, lambda message: [message._replace(version=version)])
    _, server = logged_on(client_side(policy=at_version(4)), server_side(policy=at_version(4)))
    assert server.done


@pytest.mark.requirement("MSCSSP-2.2.1-15")
def test_each_message_goes_out_in_one_record() -> None:
    identity = CredsspCred(
        schannel=SchCredentials(protocols=SchannelProtocol.SP_PROT_TLS1_2),
        spnego=WinNTAuthIdentity(USER, DOMAIN, PASSWORD),
    )
    sides = [client_side(identity=identity), server_side()]
    token, flights = b"", []
    while not sides[1].done:
        token = sides[len(flights) % 2].step(token)
        flights.append(token)
    kinds = [kind for flight in flights for kind in _record_types(flight)]
    assert kinds.count(23) == 5  # three messages of the client, two of the server


def _record_types(flight: bytes) -> list[int]:
    kinds, at = [], 0
    while at < len(flight):
        kinds.append(flight[at])
        at += 5 + int.from_bytes(flight[at + 3 : at + 5])
    return kinds
