"""A realm whose KDCs do not answer: asked once a minute, waited for no longer than the policy says."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from packages.negotiate.ends import client, info
from packages.negotiate.stand_in import StandIn
from saslsspi import Client, Environment, NegotiatePolicy, NoAuthenticatingAuthority, Password, Policy, SaslError
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT
from saslsspi.engine.exchange import Side
from saslsspi.engine.identity import WinNTAuthIdentity
from saslsspi.engine.registry import find_package
from saslsspi.errors import NoCredentials
from saslsspi.packages.kerberos.package import KerberosPackage
from saslsspi.packages.negotiate.away import AWAY, AwayRealms, realm_of


@dataclass
class Kdc:
    """What Kerberos does, and how often it was asked, each time with how many seconds."""

    answer: type[SaslError] = NoAuthenticatingAuthority
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.asked: list[float] = []

    def acquire(self, *arguments: Any) -> Any:
        self.asked.append(arguments[-1].policy.kdc_timeout)
        raise self.answer("there is none")

    def logon(self, user: str = "alice", **policy: Any) -> None:
        environment = Environment(clock=lambda: self.now, policy=Policy(negotiate=NegotiatePolicy(**policy)))
        credentials = Password(user, "wonderland")
        client = Client("GSS-SPNEGO", service="ldap", host="h", credentials=credentials, environment=environment)
        assert client.start()


@pytest.fixture
def kdc(monkeypatch: pytest.MonkeyPatch) -> Kdc:
    made = Kdc()
    monkeypatch.setattr(KerberosPackage, "acquire", lambda package, *arguments: made.acquire(*arguments))
    return made


def test_one_attempt_in_a_minute_and_for_each_realm(kdc: Kdc) -> None:
    for _ in range(3):
        kdc.logon()
    assert kdc.asked == [2.0]
    kdc.logon("alice@OTHER.TEST")
    kdc.logon("alice@other.test")
    assert len(kdc.asked) == 2
    kdc.now += 59
    kdc.logon()
    assert len(kdc.asked) == 2
    kdc.now += 2
    kdc.logon()
    assert len(kdc.asked) == 3
    kdc.now -= 3600  # a clock that was set back is no reason to wait an hour
    kdc.logon()
    assert len(kdc.asked) == 4


def test_a_refusal_is_no_absence(kdc: Kdc) -> None:
    kdc.answer = NoCredentials
    kdc.logon()
    kdc.logon()
    assert len(kdc.asked) == 2


def test_the_policy_says_how_long_and_the_shorter_of_both_counts(kdc: Kdc) -> None:
    kdc.logon(kdc_timeout=0.5)
    kdc.logon("alice@A", kdc_timeout=90.0)
    assert kdc.asked == [0.5, DEFAULT_ENVIRONMENT.policy.kdc_timeout]


@pytest.mark.parametrize("policy", [{"packages": "kerberos"}, {"fallback": False}], ids=["alone", "no fallback"])
def test_who_has_nothing_else_asks_always_and_waits(kdc: Kdc, policy: dict[str, Any]) -> None:
    AWAY.note("", kdc.now, "no KDC")
    for _ in range(2):
        if "packages" in policy:
            with pytest.raises(NoCredentials):
                kdc.logon(**policy)
        else:
            kdc.logon(**policy)
    assert kdc.asked == [DEFAULT_ENVIRONMENT.policy.kdc_timeout] * 2


def test_the_reason_says_that_it_is_remembered(kdc: Kdc) -> None:
    package = find_package("Negotiate")
    environment = Environment(clock=lambda: kdc.now)
    identity = WinNTAuthIdentity("alice", None, "wonderland")
    for expected in ("there is none", "there is none (remembered for 60 s)"):
        credential = package.acquire(None, identity, frozenset({Side.INITIATE}), environment)
        assert credential.refused["Kerberos"] == expected  # type: ignore[attr-defined]  # Negotiate's own


def test_tickets_whose_kdc_does_not_answer_are_not_tried_again_either() -> None:
    """A ticket-granting ticket is there, and the one for the service cannot be had."""
    stand_in = StandIn(cannot_begin=True)
    for reason in ("no KDC can be reached", "no KDC can be reached (remembered for 60 s)"):
        context = client(stand_in)
        context.step()
        assert info(context).refused["Kerberos"] == reason
    assert len(stand_in.requests) == 1


@pytest.mark.parametrize(
    ("user", "domain", "realm"),
    [("alice", None, ""), ("alice", "R", "R"), ("alice@R", None, "R"), ("R\\alice", None, "R"), ("a@b", "R", "R")],
)
def test_which_realm_is_asked(user: str, domain: str | None, realm: str) -> None:
    assert realm_of(WinNTAuthIdentity(user, domain, "x")) == realm


def test_no_more_than_a_hundred_are_remembered() -> None:
    realms = AwayRealms()
    for number in range(150):
        realms.note(f"R{number}", 0.0, "no KDC")
    assert [realms.reason(f"R{number}", 1.0) is None for number in (0, 49, 50, 149)] == [True, True, False, False]


@pytest.mark.interop
def test_a_kdc_that_says_nothing_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's own library and a port where nobody answers: the second logon sends nothing there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        silent.settimeout(30)
        (tmp_path / "krb5.conf").write_text(
            "[libdefaults]\ndefault_realm = SILENT.TEST\ndns_lookup_kdc = false\nrdns = false\n"
            f"[realms]\nSILENT.TEST = {{\n kdc = 127.0.0.1:{silent.getsockname()[1]}\n}}\n"
        )
        monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
        environment = Environment(policy=Policy(negotiate=NegotiatePolicy(kdc_timeout=0.2)))

        def logon() -> None:
            credentials = Password("alice", "wonderland")
            Client("GSS-SPNEGO", service="ldap", host="h", credentials=credentials, environment=environment).start()

        logon()
        assert silent.recv(65536), "the first one asks"
        assert AWAY.reason("", environment.clock()) is not None
        made: list[object] = []
        monkeypatch.setattr(KerberosPackage, "acquire", lambda *arguments: made.append(arguments))
        logon()
        assert made == []
