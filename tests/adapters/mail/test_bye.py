"""A server that hangs up: whose the error is, and what becomes of its last words, in every protocol of lines."""

from __future__ import annotations

import pytest

from adapters.mail.line_world import DOCUMENTED, SIDES, HonestServer, Side
from adapters.mail_world import Peer, scripted
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.errors import InvalidToken, LogonDenied, SaslError

WORDS = "down for maintenance"
BYE = {"imap": "* BYE %s", "smtp": "421 4.3.2 %s", "pop3": "-ERR [SYS/TEMP] %s", "sieve": 'BYE "%s"'}
"""How a server says that it hangs up; POP3 has no word for it."""


def test_every_protocol_has_a_last_word() -> None:
    assert BYE.keys() == LINE_PROTOCOLS.keys()


def bye(side: Side) -> bytes:
    return (BYE[side.protocol.name] % WORDS).encode()


def chain(error: BaseException | None) -> list[BaseException]:
    found = []
    while error is not None:
        found.append(error)
        error = error.__cause__
    return found


@pytest.mark.requirement("RFC5804-1.2-03")
@pytest.mark.parametrize("side", SIDES, ids=str)
@pytest.mark.parametrize("when", ["after the command", "after a response"])
def test_the_text_of_a_server_that_hangs_up_is_told(side: Side, when: str) -> None:
    def script(peer: Peer) -> None:
        server = HonestServer(side.protocol, peer, "SCRAM-SHA-256")
        server.greet()
        server.until_authentication()
        if when == "after a response":
            peer.say(side.protocol.challenge(b""))
            peer.hear()
        peer.say(bye(side))

    with scripted(script) as (port, _), pytest.raises(SaslError, match=WORDS):
        side(port, "SCRAM-SHA-256", initial_response=when == "after the command")


@pytest.mark.parametrize("side", SIDES, ids=str)
def test_a_greeting_that_is_a_farewell_is_told(side: Side) -> None:
    with scripted(lambda peer: peer.say(bye(side))) as (port, _), pytest.raises(DOCUMENTED) as caught:
        side(port)
    assert any(WORDS in str(error) for error in chain(caught.value))


@pytest.mark.requirement("RFC5804-2.1-05")
@pytest.mark.parametrize("side", SIDES, ids=str)
@pytest.mark.parametrize("last", ["words", "nothing"])
def test_ours_is_the_error_and_theirs_its_cause(side: Side, last: str) -> None:
    """Our side finds something wrong and cancels, and the server hangs up: what we found is not lost."""

    def script(peer: Peer) -> None:
        server = HonestServer(side.protocol, peer)
        server.greet()
        server.until_authentication()
        peer.say(side.protocol.challenge(b"%%%"))
        assert side.protocol.unwritten(peer.hear()) == b"*"
        if last == "words":
            peer.say(bye(side))

    with scripted(script) as (port, join):
        with pytest.raises(InvalidToken, match="not base64") as caught:
            side(port)
        join()
    theirs = chain(caught.value)[1:]
    if last == "nothing":
        assert theirs
    elif side.protocol.name != "pop3":  # where -ERR is an answer like any other
        assert any(WORDS in str(error) for error in theirs)
    assert not isinstance(caught.value, LogonDenied)
