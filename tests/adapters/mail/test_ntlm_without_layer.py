"""NTLM in the mail protocols that go on in clear behind it: no layer unless a policy asks, and then in its words."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest

import saslsspi
from adapters.mail.line_world import SIDES, HonestServer, Side
from adapters.mail_world import IMAP, PEOPLE, POP3, REALM, SMTP, MailProtocol, Peer, Wire, scripted, serving
from saslsspi.adapters.mail.line_protocol import Verdict
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.errors import InvalidToken
from saslsspi.packages.ntlm.messages import ChallengeMessage, Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag

CLEAR = [side for side in SIDES if "NTLM" in side.protocol.clear_after]
LAYERED = NtlmFlag.SIGN | NtlmFlag.SEAL


def test_it_is_in_clear_where_no_mail_server_has_a_layer() -> None:
    assert {name for name, protocol in LINE_PROTOCOLS.items() if "NTLM" in protocol.clear_after} == {
        "imap",
        "pop3",
        "smtp",
    }


def ntlm_server(side: Side, seen: list[int], policy: saslsspi.Policy | None = None) -> Callable[[Peer], None]:
    """Serve NTLM as mail servers do: what follows success is in clear."""

    def script(peer: Peer) -> None:
        server = HonestServer(side.protocol, peer, "NTLM")
        server.greet()
        command = server.until_authentication()
        words = side.protocol.arguments(command.partition(b" ")[2])
        ntlm = saslsspi.Server(
            "NTLM",
            service=side.protocol.service,
            host="127.0.0.1",
            realm=REALM,
            authority=saslsspi.MemoryAuthority(PEOPLE),
            policy=policy,
            success_data=False,
        )
        token = b64decode(words[1])
        seen.append(Negotiate.from_bytes(token).flags)
        while not ntlm.done:
            challenge = ntlm.step(token)
            if challenge is not None:
                peer.say(side.protocol.challenge(b64encode(challenge)))
                token = b64decode(side.protocol.unwritten(peer.hear()))
        peer.say(side.protocol.reply(Verdict.SUCCESS, tag=server.tag))
        while octets := peer.sock.recv(10_000):
            server.tag = octets.partition(b" ")[0]
            peer.say(server.listing())  # in clear, whatever came

    return script


@pytest.mark.parametrize("side", CLEAR, ids=str)
def test_no_layer_is_asked_for_by_default(side: Side) -> None:
    seen: list[int] = []
    with scripted(ntlm_server(side, seen)) as (port, _):
        side(port, "NTLM")
    assert not seen[0] & LAYERED


@pytest.mark.parametrize("side", CLEAR, ids=str)
def test_where_the_policy_asks_for_one_the_error_names_its_field(side: Side) -> None:
    seen: list[int] = []
    with scripted(ntlm_server(side, seen)) as (port, _), pytest.raises(InvalidToken, match=r"Policy\.min_ssf"):
        side(port, "NTLM", policy=saslsspi.Policy(min_ssf=1))
    assert seen[0] & NtlmFlag.SIGN


@pytest.mark.parametrize("protocol", [SMTP, IMAP, POP3], ids=str)
@pytest.mark.parametrize("policy", [None, saslsspi.Policy(max_ssf=0)], ids=["by default", "max_ssf=0"])
def test_our_servers_return_sign_to_who_sent_it_and_have_no_layer(
    protocol: MailProtocol, policy: saslsspi.Policy | None
) -> None:
    """MS-NLMP section 2.2.2.5: SIGN that a client sent "MUST" come back; gss-ntlmssp ends the exchange without it."""
    words = LINE_PROTOCOLS[protocol.name]
    first = Negotiate(int(NtlmFlag.UNICODE | NtlmFlag.NTLM | NtlmFlag.SIGN | NtlmFlag.EXTENDED_SESSIONSECURITY))
    options: dict[str, Any] = {} if policy is None else {"policy": policy}
    with serving(protocol, **options) as (server, _), Wire(server.port) as wire:
        wire.line()
        if protocol is SMTP:
            wire.send(b"EHLO x")
            wire.until(b"250 ")
        wire.send(words.begin("NTLM", b64encode(first.to_bytes()), b"a").removesuffix(b"\r\n"))
        challenge = b64decode(wire.line().removeprefix(words.mark))
    assert ChallengeMessage.from_bytes(challenge).flags & NtlmFlag.SIGN
