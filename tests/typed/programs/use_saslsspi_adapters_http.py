"""A framework of one's own: client and server without a socket."""

from typing import assert_type

from saslsspi import MemoryAuthority, Password
from saslsspi.adapters.http import HttpAcceptor, HttpIdentity, HttpLogon, HttpRequest, HttpUser

logon = HttpLogon(HttpIdentity(Password("alice", "wonderland")), "GET", "https://tea.example/cups", "/cups")
assert_type(logon.begin(), str | None)
assert_type(logon.answer(['Digest realm="tea", nonce="n", qop="auth"']), str | None)

acceptor = HttpAcceptor.of(MemoryAuthority({"alice": "wonderland"}), ["Digest"], realm="tea.example")
decision = acceptor.judge(HttpRequest(method="GET", targets=("/cups",)))
assert_type(decision.user, HttpUser | None)
assert_type(decision.status, int)
