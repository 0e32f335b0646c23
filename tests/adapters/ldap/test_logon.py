"""Which mechanism follows another: the dialogue of an LDAP logon with a server of one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ldap3.core.results import RESULT_CODES

from saslsspi import Account, LogonDenied, MemoryAuthority, PackageNotFound, Password, SaslError, Server
from saslsspi.adapters.ldap.logon import BindResult, BindTurn, log_on
from saslsspi.adapters.ldap.refusal import BindRefused
from saslsspi.adapters.stream.dialogue import carry
from saslsspi.sasl.logon import Logon

LISTED = ("DIGEST-MD5", "GSS-SPNEGO", "CRAM-MD5")
PREFERRED = ("GSS-SPNEGO", "DIGEST-MD5")
UNKNOWN, INVALID, UNWILLING, OTHER = 7, 49, 53, 80
NO_KEYTAB = "SASL(-1): generic failure: GSSAPI Error: Key table file '/etc/krb5.keytab' not found"
NO_USER = "SASL(-13): user not found: no secret in database"


def result(code: int, text: str = "", credentials: bytes | None = None) -> dict[str, Any]:
    """What ldap3 makes of a bind response."""
    return {
        "type": "bindResponse",
        "result": code,
        "description": RESULT_CODES[code],
        "message": text,
        "saslCreds": credentials,
    }


def directory(refused: Mapping[str, tuple[int, str]], asked: list[str]) -> Callable[[BindTurn], BindResult]:
    """A server that refuses some mechanisms at once, and knows alice by the others."""
    running: list[Server] = []

    def ask(turn: BindTurn) -> BindResult:
        if turn.token is None or not running or running[-1].mechanism.name != turn.mechanism:
            asked.append(turn.mechanism)
            if turn.mechanism in refused:
                return result(*refused[turn.mechanism])
            authority = MemoryAuthority([Account(username="alice", password="wonderland")])
            running.append(Server(turn.mechanism, service="ldap", host="localhost", authority=authority))
        try:
            challenge = running[-1].step(turn.token)
        except SaslError:
            return result(INVALID)
        return result(0 if running[-1].done else 14, credentials=challenge)

    return ask


def logged_on(refused: Mapping[str, tuple[int, str]], mechanism: Any = PREFERRED) -> tuple[str, list[str]]:
    """Return the mechanism that was used, and those that were tried."""
    asked: list[str] = []
    logon = Logon.of("ldap", mechanism, credentials=Password("alice", "wonderland"), host="localhost")
    dialogue = log_on(logon, LISTED)
    return carry(dialogue, next(dialogue), directory(refused, asked)).mechanism.name, asked


@pytest.mark.parametrize("refusal", [(UNKNOWN, ""), (OTHER, NO_KEYTAB), (OTHER, "")], ids=["unknown", "keytab", "mute"])
@pytest.mark.parametrize("mechanism", [None, PREFERRED], ids=["strongest", "preferred"])
def test_a_mechanism_that_the_server_cannot_do_is_followed_by_the_next(
    refusal: tuple[int, str], mechanism: Any
) -> None:
    first, second = mechanism or ("DIGEST-MD5", "GSS-SPNEGO")
    assert logged_on({first: refusal}, mechanism) == (second, [first, second])


@pytest.mark.parametrize(
    "refusal", [(INVALID, ""), (UNWILLING, ""), (OTHER, NO_USER)], ids=["password", "unwilling", "no such user"]
)
def test_a_refusal_that_may_mean_the_password_is_not_tried_again_by_another_mechanism(refusal: tuple[int, str]) -> None:
    with pytest.raises(BindRefused) as caught:
        logged_on({"GSS-SPNEGO": refusal})
    assert (caught.value.code, caught.value.mechanism) == (refusal[0], "GSS-SPNEGO")


def test_one_mechanism_that_was_named_has_no_next() -> None:
    with pytest.raises(BindRefused, match=r"other \(80\)"):
        logged_on({"DIGEST-MD5": (OTHER, "")}, "DIGEST-MD5")


def test_the_error_is_the_servers_failure_where_nothing_is_left() -> None:
    with pytest.raises(BindRefused, match="keytab") as caught:
        logged_on({"GSS-SPNEGO": (UNKNOWN, ""), "DIGEST-MD5": (OTHER, NO_KEYTAB)})
    assert (caught.value.code, caught.value.mechanism) == (OTHER, "DIGEST-MD5")
    with pytest.raises(PackageNotFound, match="tried: the server refused DIGEST-MD5"):
        logged_on({"GSS-SPNEGO": (OTHER, ""), "DIGEST-MD5": (UNKNOWN, "")})


def test_what_is_lost_on_the_way_is_raised_as_it_came() -> None:
    def lose(turn: BindTurn) -> BindResult:
        raise ConnectionResetError(turn.mechanism)

    dialogue = log_on(Logon.of("ldap", "DIGEST-MD5", credentials=Password("a", "b"), host="localhost"), ())
    with pytest.raises(ConnectionResetError, match="DIGEST-MD5"):
        carry(dialogue, next(dialogue), lose)


def test_a_wrong_password_is_a_logon_that_is_denied() -> None:
    logon = Logon.of("ldap", PREFERRED, credentials=Password("alice", "looking-glass"), host="localhost")
    dialogue = log_on(logon, LISTED)
    asked: list[str] = []
    with pytest.raises(LogonDenied):
        carry(dialogue, next(dialogue), directory({}, asked))
    assert asked == ["GSS-SPNEGO"]


def test_a_turn_shows_no_message() -> None:
    assert repr(BindTurn("PLAIN", b"\0alice\0wonderland")) == "<BindTurn PLAIN>"
