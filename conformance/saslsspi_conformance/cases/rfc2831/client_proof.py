"""RFC 2831 sections 2.1.3 to 3: what a client makes of the proof, of the offered strength, and of another logon."""

from __future__ import annotations

from saslsspi_conformance.case import REFUSAL, SUCCESS, Observation, against_client, holds
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.lists import read
from saslsspi_conformance.peers.digest.server import ScriptedDigestServer


@against_client("RFC2831-2.1.3-06", "RFC2831-3-10", accept=REFUSAL)
def wrong_proof(run: CaseRun) -> Observation:
    """A wrong rspauth is no success."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge())
    return server.finish(b"rspauth=" + b"0" * 32)


@against_client("RFC2831-2.1.3-07", "RFC4422-3.4-02", accept=REFUSAL)
def no_proof(run: CaseRun) -> Observation:
    """Success without rspauth is no success."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge())
    return server.finish(None)


@against_client("RFC2831-2.1.3-09", accept=REFUSAL)
def wrong_proof_with_more(run: CaseRun) -> Observation:
    """A wrong rspauth with other directives behind it is no success."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge())
    return server.finish(b"rspauth=" + b"0" * 32 + b",foo=bar")


@against_client("RFC2831-2.1.3-03", "RFC2831-2.1.3-04", "RFC4422-3-05", "RFC4422-3-07", accept=SUCCESS)
def right_proof(run: CaseRun) -> Observation:
    """The right rspauth is success."""
    return ScriptedDigestServer(run).log_on()


@against_client("RFC2831-2.1.3-10", "RFC4422-3-06", "RFC4422-3-07", "RFC4422-5-04", accept=SUCCESS)
def proof_apart(run: CaseRun) -> Observation:
    """An rspauth that comes as one more challenge is answered with an empty response."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge())
    return server.finish_apart(server.proof())


@against_client("RFC4422-3.4-03", accept=REFUSAL)
def challenge_after_completion(run: CaseRun) -> Observation:
    """A challenge after the mechanism is complete makes the client give up."""
    server = ScriptedDigestServer(run)
    server.responded(server.challenge())
    server.connection.challenge(server.proof())
    return server.connection.challenge(server.proof()).seen


@against_client("RFC2831-3-04")
def strongest_protection(run: CaseRun) -> Observation:
    """The strongest qop that is offered is chosen."""
    server = ScriptedDigestServer(run)
    sent = server.responded(server.challenge(qop="auth,auth-int,auth-conf", cipher="des,3des,rc4"))
    return holds(sent.value("qop") == b"auth-conf", repr(sent.value("qop")))


@against_client("RFC2831-3-06")
def strong_cipher(run: CaseRun) -> Observation:
    """A weak cipher is not chosen where a strong one is offered."""
    server = ScriptedDigestServer(run)
    sent = server.responded(server.challenge(qop="auth-conf", cipher="rc4-40,des,rc4-56,3des,rc4"))
    return holds(sent.value("cipher") in (b"3des", b"rc4"), repr(sent.value("cipher")))


@against_client("RFC2831-3-05", "RFC4422-6.1.2-02", accept=REFUSAL)
def below_minimum(run: CaseRun) -> Observation:
    """A client that wants encryption gives up where only auth is offered."""
    server = ScriptedDigestServer(run, Setting(min_ssf=56))
    return server.ask(server.challenge(qop="auth"))


@against_client("RFC2831-3-05", "RFC4422-6.1.2-02", accept=REFUSAL)
def below_integrity(run: CaseRun) -> Observation:
    """A client that wants integrity gives up where only auth is offered."""
    server = ScriptedDigestServer(run, Setting(min_ssf=1))
    return server.ask(server.challenge(qop="auth"))


@against_client("RFC2831-7.2-07", "RFC2831-7.2-06")
def escaped_backslash(run: CaseRun) -> Observation:
    """A lone backslash in the name is escaped on the wire."""
    server = ScriptedDigestServer(run, Setting(user="dom\\user"))
    sent = server.responded(server.challenge())
    return holds(sent.raw("username") == b'"dom\\\\user"' and server.right(), repr(sent.raw("username")))


@against_client("RFC2831-2.2-02", "RFC4422-5-03")
def no_initial_response(run: CaseRun) -> Observation:
    """A client that does not know the server waits for the challenge."""
    return holds(ScriptedDigestServer(run).initial.data is None)


@against_client("RFC2831-2.2-01", "RFC2831-2.2.1-01", "RFC2831-2.2.1-02", "RFC2831-2.2.1-03")
def subsequent(run: CaseRun) -> Observation:
    """The next logons have nc=00000002 and 3 over the same nonces, rightly computed."""
    setting = Setting(remembers=True, max_ssf=0)  # a client may well authenticate anew where it wants a layer
    first = ScriptedDigestServer(run, setting)
    first.log_on()
    for count in (b"00000002", b"00000003"):
        again = ScriptedDigestServer(run, setting)
        again.sent = read(again.initial.data or b"")
        same = again.sent.value("cnonce") == first.sent.value("cnonce") and again.sent.value("nc") == count
        if not same or not again.right():
            return holds(False, f"nc {again.sent.value('nc')!r}")
        again.finish(again.proof())
    return holds(True)


@against_client("RFC2831-2.2.2-14", "RFC2831-2.2.2-13")
def new_challenge(run: CaseRun) -> Observation:
    """A challenge in place of success begins again: nc=00000001 and a new cnonce, without asking anybody."""
    setting = Setting(remembers=True, max_ssf=0)
    first = ScriptedDigestServer(run, setting)
    first.log_on()
    again = ScriptedDigestServer(run, setting)
    sent = again.responded(again.challenge(b"stale=true", nonce=b'nonce="another"'))
    fresh = sent.value("cnonce") != first.sent.value("cnonce")
    return holds(fresh and sent.value("nc") == b"00000001" and again.right())
