"""RFC 2831 section 2.2: subsequent authentication, as a server sees it."""

from __future__ import annotations

from saslsspi_conformance.case import NotApplicable, Observation, Reaction, against_server, holds
from saslsspi_conformance.case_run import Answer, CaseRun, Setting
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.digest.lists import read

_REMEMBERS = Setting(remembers=True)


def _again(
    run: CaseRun, first: ScriptedDigestClient, nc: bytes, *, right: bool = True, setting: Setting = _REMEMBERS
) -> Answer:
    """Send the initial response of a subsequent authentication."""
    if not run.target.initial_response:
        raise NotApplicable("the protocol has no initial response")
    nonce, cnonce = first.values.nonce, first.values.cnonce
    client = ScriptedDigestClient(run, setting, nc=nc, nonce=nonce, cnonce=cnonce, wrong_password=not right)
    client.challenge = first.challenge
    client.raw_challenge = first.raw_challenge
    return client.connection.begin("DIGEST-MD5", client.write())


def _challenged(answer: Answer, unlike: bytes = b"") -> Observation:
    nonce = read(answer.data or b"").value("nonce")
    return holds(answer.outcome is Reaction.CHALLENGE and nonce and nonce != unlike, f"{answer.outcome}: {answer.text}")


@against_server("RFC2831-2.2.2-01", "RFC4422-5-02")
def initial_response_without_memory(run: CaseRun) -> Observation:
    """A server without subsequent authentication answers an initial response with a challenge."""
    if not run.target.local:
        raise NotApplicable("whether the server remembers sessions is not known")
    first = ScriptedDigestClient(run).logged_on()
    return _challenged(_again(run, first, b"00000002", setting=Setting()), first.values.nonce)


@against_server("RFC2831-2.2.2-02")
def unknown_nonce(run: CaseRun) -> Observation:
    """An initial response over an unknown nonce is answered with a challenge."""
    first = ScriptedDigestClient(run)
    first.begin()
    first.write()
    first.values.nonce = b"AAAAAAAAAAAAAAAAAAAAAAAA"
    return _challenged(_again(run, first, b"00000002", setting=Setting()))


@against_server("RFC2831-2.2.2-08", "RFC2831-2.2.1-01", "RFC2831-2.2.1-03")
def second_count(run: CaseRun) -> Observation:
    """nc=00000002 over the nonce of before is taken at once, and the rspauth is right."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    answer = _again(run, first, b"00000002")
    first.values.nc = b"00000002"
    proof = b"rspauth=" + first.values.rspauth()
    return holds(answer.outcome in {Reaction.SUCCESS, Reaction.CHALLENGE} and answer.data == proof, str(answer.outcome))


@against_server("RFC2831-2.2.2-03")
def count_left_out(run: CaseRun) -> Observation:
    """nc=00000003 after 00000001 is answered with a challenge."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    return _challenged(_again(run, first, b"00000003"), first.values.nonce)


@against_server("RFC2831-2.2.2-04")
def count_is_saved(run: CaseRun) -> Observation:
    """After 2 comes 3, and 2 is not taken again."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    answers = [_again(run, first, nc).outcome for nc in (b"00000002", b"00000003", b"00000002")]
    right = [Reaction.SUCCESS, Reaction.SUCCESS, Reaction.CHALLENGE]
    return holds(answers == right, ", ".join(answers))


@against_server("RFC2831-2.2.2-05")
def wrong_again(run: CaseRun) -> Observation:
    """A wrong subsequent response is answered with a challenge with a new nonce."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    return _challenged(_again(run, first, b"00000002", right=False), first.values.nonce)


@against_server("RFC2831-2.2.2-07")
def wrong_response_uses_no_count(run: CaseRun) -> Observation:
    """A wrong response with nc=00000002 leaves 00000002 to the right one."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    _again(run, first, b"00000002", right=False)
    return holds(_again(run, first, b"00000002").outcome is Reaction.SUCCESS, "the right one was not taken")


_EXPIRED = Setting(remembers=True, nonce_lifetime=-1.0)


@against_server("RFC2831-2.2.2-09", "RFC2831-2.2.2-10")
def old_nonce(run: CaseRun) -> Observation:
    """A right response over a nonce that is too old is answered with another nonce and stale=true."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    challenge = read(_again(run, first, b"00000002", setting=_EXPIRED).data or b"")
    return holds(challenge.value("stale").lower() == b"true" and challenge.value("nonce") != first.values.nonce)


@against_server("RFC2831-2.2.2-11")
def wrong_over_an_old_nonce(run: CaseRun) -> Observation:
    """A wrong response over a nonce that is too old does not look stale."""
    first = ScriptedDigestClient(run, _REMEMBERS).logged_on()
    answer = _again(run, first, b"00000002", right=False, setting=_EXPIRED)
    return holds(answer.outcome is Reaction.CHALLENGE and not read(answer.data or b"").count("stale"))


@against_server("RFC2831-2.2.2-15", accept=frozenset({Reaction.SUCCESS}))
def fallback(run: CaseRun) -> Observation:
    """After an initial response that was not taken, the three steps run on the same command."""
    if not run.target.initial_response:
        raise NotApplicable("the protocol has no initial response")
    client = ScriptedDigestClient(run)
    old = (
        b'username="x",realm="",nonce="old",nc=00000002,cnonce="c",digest-uri="a/b",response='
        + b"0" * 32
        + b",qop=auth"
    )
    client.begin(old)
    return client.log_on()


@against_server("RFC2831-2.3-17")
def counters_restart(run: CaseRun) -> Observation:
    """The layer after a subsequent authentication counts from zero, or after the new one that the server wants."""
    first = ScriptedDigestClient(run, _REMEMBERS, qop="auth-int").logged_on()
    second = ScriptedDigestClient(run, _REMEMBERS, qop="auth-int", nc=b"00000002", nonce=first.values.nonce,
                          cnonce=first.values.cnonce)  # fmt: skip
    second.challenge, second.raw_challenge = first.challenge, first.raw_challenge
    answer = second.connection.begin("DIGEST-MD5", second.write())
    if answer.outcome is Reaction.CHALLENGE and not (answer.data or b"").startswith(b"rspauth"):
        second.begin_anew(answer.data or b"")
        second.logged_on()
    elif answer.outcome is not Reaction.SUCCESS:
        return holds(False, f"{answer.outcome}")
    from saslsspi_conformance.peers.digest.client import Protected

    layer = Protected(second)
    return holds(layer.ask(layer.out.wrap(second.connection.probe)).outcome is Reaction.DELIVERED)
