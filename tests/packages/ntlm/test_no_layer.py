"""An acceptor that wants no layer, and clients that ask for one (MS-NLMP section 2.2.2.5)."""

from __future__ import annotations

import pytest

from packages.ntlm.tokens import AUTHENTICATE, CHALLENGE, flags_at
from saslsspi import Client, Context, MemoryAuthority, NegotiatePolicy, Password, Policy, Qop, Server
from saslsspi.errors import QopNotSupported, SecurityQosFailed
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag

PEOPLE = MemoryAuthority({"alice": "wonderland"})
NO_LAYER = Policy(max_ssf=0, negotiate=NegotiatePolicy(packages="NTLM"))
SIGNS = Policy(min_ssf=1, max_ssf=1, negotiate=NegotiatePolicy(packages="NTLM"))
BOTH = pytest.mark.parametrize("mechanism", ["NTLM", "GSS-SPNEGO"])


def exchange(mechanism: str, ours: Policy, theirs: Policy) -> tuple[Client, Server]:
    client = Client(
        mechanism, service="ldap", host="host.example", credentials=Password("alice", "wonderland"), policy=ours
    )
    server = Server(mechanism, service="ldap", host="host.example", authority=PEOPLE, policy=theirs)
    token = client.start()
    while not (client.done and server.done):
        answer = server.step(token)
        if not client.done:
            token = client.step(answer)
    return client, server


def tokens(ours: Policy, theirs: Policy) -> list[bytes]:
    client = Context.initiate("NTLM", target="ldap/h", credentials=Password("alice", "wonderland"), policy=ours)
    server = Context.accept("NTLM", authority=PEOPLE, policy=theirs)
    seen = [client.step()]
    seen.append(server.step(seen[-1]))
    seen.append(client.step(seen[-1]))
    server.step(seen[-1])
    return [token or b"" for token in seen]


@BOTH
def test_sign_comes_back_and_whoever_insists_on_it_gets_in(mechanism: str) -> None:
    client, server = exchange(mechanism, SIGNS, NO_LAYER)
    assert server.security.authcid == "alice"
    assert (server.security.qop, server.security.ssf, server.layer) == (Qop.AUTH, 0, None)
    assert client.security.ssf == 1


def test_the_flags_on_the_wire() -> None:
    seen = tokens(SIGNS, NO_LAYER)
    challenge = ChallengeMessage.from_bytes(seen[CHALLENGE]).flags
    assert challenge & NtlmFlag.SIGN
    assert not challenge & (NtlmFlag.SEAL | NtlmFlag.KEY_EXCH)
    assert Authenticate.from_bytes(seen[AUTHENTICATE]).flags & NtlmFlag.SIGN


@BOTH
def test_a_client_that_can_do_without_a_layer_understands(mechanism: str) -> None:
    client, server = exchange(mechanism, Policy(negotiate=NO_LAYER.negotiate), NO_LAYER)
    assert client.security.qop == server.security.qop == Qop.AUTH
    assert (client.layer, server.layer) == (None, None)


def test_a_client_that_insists_on_encryption_ends_the_exchange() -> None:
    """It would seal, and nobody would open: SEAL does not come back where encryption is forbidden."""
    with pytest.raises(SecurityQosFailed):
        tokens(Policy(min_ssf=2), NO_LAYER)
    with pytest.raises(SecurityQosFailed):
        tokens(Policy(min_ssf=2), Policy(max_ssf=1))


def test_weak_keys_of_a_layer_that_is_not_made_keep_nobody_out() -> None:
    client = Context.initiate("NTLM", target="ldap/h", credentials=Password("alice", "wonderland"), policy=SIGNS)
    server = Context.accept("NTLM", authority=PEOPLE, policy=NO_LAYER)
    weak = flags_at(12, clear=NtlmFlag.KEY_128)(client.step() or b"")
    assert server.step(weak) is not None


def test_nothing_protects_messages_then() -> None:
    client = Context.initiate("NTLM", target="HTTP/h", credentials=Password("alice", "wonderland"), policy=SIGNS)
    server = Context.accept("NTLM", authority=PEOPLE, policy=NO_LAYER)
    server.step(client.step(server.step(client.step())))
    for refused in (
        lambda: server.wrap(b"message"),
        lambda: server.unwrap(client.wrap(b"message")),
        lambda: server.sign(b"message"),
        lambda: server.verify(b"message", client.sign(b"message")),
    ):
        with pytest.raises(QopNotSupported, match="max_ssf"):
            refused()
