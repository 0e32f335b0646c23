"""Whom an acceptor names: what its authority said, not what the client claimed, and qualified where there are domains.

Every installed package whose clients have passwords is tried, over the functions of SSPI and over Context.
"""

from __future__ import annotations

import pytest

from packages.credssp.ours import Side as Stream
from packages.schannel.stream import connect, inbound, outbound
from saslsspi import (
    Account,
    Context,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    NtlmPolicy,
    Password,
    Policy,
    sspi,
)
from saslsspi.engine.policy import Policy as EnginePolicy
from saslsspi.sspi import Environment, SecPkgContextNames

PACKAGES = pytest.mark.parametrize("package", ["NTLM", "Negotiate", "CREDSSP"])
PEOPLE = MemoryAuthority(
    [
        Account(username="alice", domain="SALES", password="wonderland"),
        Account(username="alice", realm="ADMINS", password="wonderland"),
        Account(username="bob", password="builder"),
    ]
)


def logged_on(package: str, username: str, password: str, domain: str, ntlm: NtlmPolicy | None = None) -> Context:
    policy = Policy(negotiate=NegotiatePolicy(packages="NTLM"), ntlm=ntlm or NtlmPolicy())
    client = Context.initiate(
        package, target="HTTP/h", credentials=Password(username, password, realm=domain), policy=policy
    )
    server = Context.accept(package, authority=PEOPLE, policy=policy)
    token = client.step()
    while not (client.done and server.done):
        token = server.step(token)
        if not client.done:
            token = client.step(token)
    return server


@PACKAGES
@pytest.mark.parametrize("domain", ["SALES", "ADMINS"])
def test_two_of_a_name_are_two(package: str, domain: str) -> None:
    server = logged_on(package, "alice", "wonderland", domain)
    assert server.query(SecPkgContextNames).username == f"{domain}\\alice"
    assert (server.security.authcid, server.security.realm) == ("alice", domain)


@PACKAGES
@pytest.mark.parametrize("claim", ["", "ADMINS", "CORP.EXAMPLE"])
def test_a_claimed_domain_is_reported_nowhere(package: str, claim: str) -> None:
    server = logged_on(package, "bob", "builder", claim)
    assert server.query(SecPkgContextNames).username == "bob"
    assert (server.security.authcid, server.security.realm) == ("bob", "")


@PACKAGES
@pytest.mark.parametrize("claim", ["", "ADMINS", "OWN"])
def test_an_account_without_a_domain_is_of_this_machine(package: str, claim: str) -> None:
    server = logged_on(package, "bob", "builder", claim, NtlmPolicy(domain_name="OWN"))
    assert server.query(SecPkgContextNames).username == "OWN\\bob"
    assert server.security.realm == "OWN"


@pytest.mark.parametrize("domain", ["SALES", "ADMINS"])
def test_the_token_of_credssp_names_the_domain(domain: str) -> None:
    policy = EnginePolicy(
        negotiate=NegotiatePolicy(packages="NTLM"), credssp=CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*",))
    )
    identity = sspi.WinNTAuthIdentity("alice", domain, "wonderland")
    client = Stream(outbound("CREDSSP", identity, environment=Environment(policy=policy)), 0, "HTTP/h")
    server = Stream(inbound("CREDSSP", environment=Environment(policy=policy, authority=PEOPLE)), 0)
    connect(client, server)
    assert sspi.query_security_context_token(server.handle).username == f"{domain}\\alice"
    assert sspi.query_context_attributes(client.handle, SecPkgContextNames).username == f"{domain}\\alice"
