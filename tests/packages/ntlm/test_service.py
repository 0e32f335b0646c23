"""The service that a client means: what an acceptor compares, by policy, and what it reports."""

from __future__ import annotations

import pytest

from packages.ntlm.ends import client, server, status
from packages.ntlm.tokens import AUTHENTICATE, answer_pairs
from saslsspi import (
    Client,
    Context,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    NtlmPolicy,
    NtlmTarget,
    Password,
    Policy,
    Server,
    sspi,
)
from saslsspi.errors import WrongPrincipal
from saslsspi.packages.ntlm.service import ServiceName
from saslsspi.sspi import IscReq, SecurityStatus
from sspi_context import SEAL, run

CARRIERS = pytest.mark.parametrize("package", ["NTLM", "Negotiate", "CREDSSP"])
PEOPLE = MemoryAuthority({"alice": "wonderland"})
PRINCIPAL = "smtp/mail-gateway-of-the.example.test"
OWN = ("relay.example.test", "192.0.2.7", "2001:db8::7", "büro.example.test")

TAKEN = [
    "smtp/mail-gateway-of-the.example.test",
    "SMTPSVC/mail-gateway-of-the.example.test",
    "SMTP/Mail-Gateway-Of-The.Example.Test",
    "POP3/mail-gateway-of-the.example.test.",
    "host/mail-gateway-of-the.example.test",
    "smtp/mail-gateway-of-the",
    "smtp/MAIL-GATEWAY-OF",
    "mail-gateway-of-the.example.test",
    "smtp/mail-gateway-of-the.example.test:587/instance",
    "imap/relay.example.test",
    "imap/relay",
    "SMTPSVC/192.0.2.7",
    "SMTPSVC/[2001:db8::7]:587",
    "SMTPSVC/2001:DB8::7",
    "smtp/xn--bro-hoa.example.test",
    "smtp/BÜRO.example.test",
    "",
]
REFUSED = [
    "smtp/evil.example.test",
    "smtp/example.test",
    "smtp/mail-gateway-of-the.example.test.evil.test",
    "smtp/mail",
    "smtp/192",
    "smtp/192.0.2.70",
    "smtp/",
    "/",
    "smtp",
    "evil.example.test",
    "smtp/evil.example.test/mail-gateway-of-the.example.test",
    "smtp/" + "ü" * 20_000,
]


def policy(rule: NtlmTarget = NtlmTarget.HOST, own: tuple[str, ...] = OWN) -> Policy:
    ntlm_only = NegotiatePolicy(packages="NTLM")
    delegation = CredSspPolicy(allow_fresh_ntlm_only=("*",))
    return Policy(ntlm=NtlmPolicy(target=rule, own_names=own), negotiate=ntlm_only, credssp=delegation)


def logged_on(package: str, target: str, rules: Policy, principal: str | None = PRINCIPAL) -> Context:
    ours = Context.initiate(package, target=target, credentials=Password("alice", "wonderland"), policy=policy())
    theirs = Context.accept(package, principal=principal, authority=PEOPLE, policy=rules)
    token = ours.step()
    while not (ours.done and theirs.done):
        token = theirs.step(token)
        if not ours.done:
            token = ours.step(token)
    return theirs


@pytest.mark.parametrize("target", TAKEN)
def test_any_class_is_taken_for_a_name_of_the_acceptor(target: str) -> None:
    theirs = server(policy=policy(), principal=PRINCIPAL)
    run(client(target=target), theirs)
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextTarget).target_name == target


@pytest.mark.parametrize("target", REFUSED)
def test_the_name_of_another_host_is_refused(target: str) -> None:
    refused = server(policy=policy(), principal=PRINCIPAL)
    assert status(lambda: run(client(target=target), refused)) is SecurityStatus.SEC_E_WRONG_PRINCIPAL


@CARRIERS
def test_the_carrier_changes_nothing(package: str) -> None:
    assert logged_on(package, "SMTPSVC/relay.example.test", policy()).done
    with pytest.raises(WrongPrincipal, match="own_names"):
        logged_on(package, "smtp/evil.example.test", policy())
    with pytest.raises(WrongPrincipal):
        logged_on(package, "SMTPSVC/relay.example.test", policy(NtlmTarget.STRICT))
    assert logged_on(package, "smtp/evil.example.test", policy(NtlmTarget.REPORT)).done


@pytest.mark.parametrize(
    ("target", "taken"),
    [
        ("SMTP/mail-gateway-of-the.example.test", True),
        ("smtp/mail-gateway-of-the", True),
        ("smtp/relay.example.test", True),
        ("SMTPSVC/relay.example.test", False),
        ("SMTPSVC/mail-gateway-of-the.example.test", False),
        ("mail-gateway-of-the.example.test", False),
        ("smtp/evil.example.test", False),
    ],
)
def test_strict_compares_the_class_as_well(target: str, taken: bool) -> None:
    theirs = server(policy=policy(NtlmTarget.STRICT), principal=PRINCIPAL)
    if taken:
        run(client(target=target), theirs)
    else:
        assert status(lambda: run(client(target=target), theirs)) is SecurityStatus.SEC_E_WRONG_PRINCIPAL


def test_strict_pairs_each_class_with_its_host() -> None:
    theirs = lambda: server(  # noqa: E731
        policy=policy(NtlmTarget.STRICT, ()), principal="http/a.example ldap/b.example"
    )
    run(client(target="ldap/b.example"), theirs())
    assert status(lambda: run(client(target="ldap/a.example"), theirs())) is SecurityStatus.SEC_E_WRONG_PRINCIPAL


@pytest.mark.parametrize("rule", NtlmTarget)
def test_nothing_is_compared_where_nobody_said_who_the_acceptor_is(rule: NtlmTarget) -> None:
    theirs = server(policy=policy(rule, ()))
    run(client(target="smtp/evil.example"), theirs)
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextTarget).target_name == "smtp/evil.example"


def test_own_names_alone_are_compared() -> None:
    assert logged_on("NTLM", "SMTPSVC/relay.example.test", policy(), principal=None).done
    with pytest.raises(WrongPrincipal):
        logged_on("NTLM", "SMTPSVC/evil.example.test", policy(), principal=None)


@pytest.mark.requirement("MSNLMP-2.2.2.1-06")
@pytest.mark.parametrize("rule", NtlmTarget)
def test_a_name_marked_untrusted_counts_as_none(rule: NtlmTarget) -> None:
    theirs = server(policy=policy(rule), principal=PRINCIPAL)
    unverified = SEAL | int(IscReq.ISC_REQ_UNVERIFIED_TARGET_NAME)
    tokens = run(client(unverified, target="smtp/evil.example"), theirs)
    assert answer_pairs(tokens[AUTHENTICATE])[6] == b"\x06\0\0\0"
    assert sspi.query_context_attributes(theirs, sspi.SecPkgContextTarget).target_name == ""


def test_a_sasl_server_goes_by_its_hosts() -> None:
    def logon(host: str, service: str) -> Server:
        ours = Client("NTLM", service=service, host=host, credentials=Password("alice", "wonderland"))
        theirs = Server("NTLM", service="smtp", host=["mail.example.test", "mx.example.test"], authority=PEOPLE)
        theirs.step(ours.step(theirs.step(ours.start()) or b""))
        return theirs

    assert logon("MX.example.test", "SMTPSVC").done
    with pytest.raises(WrongPrincipal):
        logon("evil.example.test", "smtp")


def test_target_names_in_parts() -> None:
    assert ServiceName.of("HTTP/Host.Example:8080/instance") == ("http", "host.example")
    assert str(ServiceName.of("HTTP/[::1]:80")) == "http/::1"
    assert str(ServiceName.of("Host.")) == "host"
