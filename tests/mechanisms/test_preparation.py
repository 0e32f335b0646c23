"""Names and passwords before they are used: what the RFCs require, or what PostgreSQL and MongoDB do."""

from __future__ import annotations

import pytest

from pair import authenticate
from saslsspi import Account, Client, MemoryAuthority, Password, Policy, Preparation, Server, derive_scram_keys
from saslsspi.errors import InvalidParameter, LogonDenied, SaslError
from scram_world import fields

# A character younger than Unicode 3.2, a control character, both directions of text, and nothing left.
ODD = ["\U0001fae0pass", "pa\tss", "\u06271", "\u00ad"]
TRIED = Policy(password_preparation=Preparation.TRIED)
UNPREPARED = Policy(username_preparation=Preparation.NONE)
MECHANISMS = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]


def logs_on(mechanism: str, ours: Account, policy: Policy, user: str, password: str) -> bool:
    common = {"service": "imap", "host": "h", "external_ssf": 256, "policy": policy}
    client = Client(mechanism, credentials=Password(user, password), **common)  # type: ignore[arg-type]  # each fits
    server = Server(mechanism, authority=MemoryAuthority([ours]), **common)  # type: ignore[arg-type]  # as above
    try:
        authenticate(client, server)
    except LogonDenied:
        return False
    return server.done


@pytest.mark.parametrize("password", ODD)
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_password_that_cannot_be_prepared_logs_on_as_it_is_where_the_policy_says_so(
    mechanism: str, password: str
) -> None:
    whole = Account(username="alice", password=password)
    assert logs_on(mechanism, whole, TRIED, "alice", password)
    assert not logs_on(mechanism, whole, TRIED, "alice", password + "x")
    hash_name = mechanism.removeprefix("SCRAM-") if mechanism != "PLAIN" else "SHA-256"
    keys = derive_scram_keys(password, hash_name, iterations=4096, preparation=Preparation.TRIED)
    stored = Account(username="alice", scram={hash_name: keys})
    assert logs_on(mechanism, stored, TRIED, "alice", password)
    assert not logs_on(mechanism, stored, TRIED, "alice", password + "x")


@pytest.mark.parametrize("password", ["\u2168", "I\u00adX", "\u00aa"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_password_that_can_be_prepared_is_prepared_all_the_same(mechanism: str, password: str) -> None:
    for policy in (TRIED, Policy()):
        account = Account(username="alice", password={"\u00aa": "a"}.get(password, "IX"))
        assert logs_on(mechanism, account, policy, "alice", password)


@pytest.mark.parametrize("password", ODD)
def test_without_the_policy_the_error_names_it(password: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        Client("SCRAM-SHA-256", service="postgres", host="h", credentials=Password("alice", password))
    assert "password_preparation" in str(caught.value)
    with pytest.raises(InvalidParameter):
        derive_scram_keys(password)
    assert not logs_on("PLAIN", Account(username="alice", password=password), Policy(), "alice", password)


def test_names_go_as_they_are_where_the_policy_says_so() -> None:
    for policy, sent in ((UNPREPARED, "\u2168"), (Policy(), "IX")):
        client = Client(
            "SCRAM-SHA-256", service="mongodb", host="h", credentials=Password("\u2168", "pw"), policy=policy
        )
        assert fields((client.start() or b"")[3:])["n"] == sent


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_two_users_whose_names_are_prepared_alike_stay_two(mechanism: str) -> None:
    account = Account(username="\u2168", password="nine")
    assert logs_on(mechanism, account, UNPREPARED, "\u2168", "nine")
    assert not logs_on(mechanism, account, UNPREPARED, "IX", "nine")
    assert not logs_on(mechanism, account, Policy(), "\u2168", "nine"), "its name is IX there"


@pytest.mark.parametrize("text", ["nul\0", "\ud800"])
@pytest.mark.parametrize("policy", [UNPREPARED, TRIED, Policy(username_preparation=Preparation.TRIED)])
def test_what_no_message_can_carry_is_refused_whatever_the_policy(policy: Policy, text: str) -> None:
    for credentials in (Password(text, "pw"), Password("alice", text)):
        with pytest.raises(SaslError):
            Client("SCRAM-SHA-256", service="imap", host="h", credentials=credentials, policy=policy).start()
    with pytest.raises(InvalidParameter):
        derive_scram_keys(text, preparation=Preparation.TRIED)
