"""An NT hash in HTTP: NTLM takes it, alone and in Negotiate; Digest cannot."""

from __future__ import annotations

import pytest

from saslsspi import MemoryAuthority, NegotiatePolicy, NtHash, Policy
from saslsspi.adapters.http import HttpAcceptor, HttpRequest
from saslsspi.adapters.http.client.identity import HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.crypto.md4 import md4
from saslsspi.errors import UnknownCredentials

HASH = md4("wonderland".encode("utf-16-le"))
PEOPLE = MemoryAuthority({"alice": "wonderland"})
POLICY = Policy(negotiate=NegotiatePolicy(packages="NTLM"))


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_a_logon_by_hash(scheme: str) -> None:
    site = HttpAcceptor.of(PEOPLE, [scheme], realm="tea.example", policy=POLICY)
    identity = HttpIdentity(NtHash("alice", HASH), schemes=[scheme], policy=POLICY)
    logon = HttpLogon(identity, "GET", "http://tea.example/", "/")
    decision = site.judge(HttpRequest(method="GET", targets=("/",), connection=1))
    for _ in range(4):
        offered = [value for _, value in decision.headers]
        credentials = logon.answer(offered)
        assert credentials is not None
        decision = site.judge(HttpRequest(method="GET", targets=("/",), credentials=credentials, connection=1))
        if decision.user is not None:
            break
    assert decision.user is not None
    assert decision.user.username == "alice"


def test_digest_needs_the_password() -> None:
    with pytest.raises(UnknownCredentials):
        HttpIdentity(NtHash("alice", HASH)).digest()
