"""RFC 2831 sections 2.1 and 2.1.1: the digest-challenge of a server."""

from __future__ import annotations

import re

from saslsspi_conformance.case import NotApplicable, Observation, Reaction, against_server, holds
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.digest.lists import Directives


def _challenge(run: CaseRun) -> Directives:
    return ScriptedDigestClient(run).begin()


@against_server("RFC2831-1-01")
def name(run: CaseRun) -> Observation:
    """The mechanism is called DIGEST-MD5."""
    run.need("DIGEST-MD5")
    return holds("DIGEST-MD5" in run.target.mechanisms())


@against_server("RFC2831-2.1-02")
def server_speaks_first(run: CaseRun) -> Observation:
    """Without an initial response the server sends a digest-challenge."""
    return holds(_challenge(run).count("nonce"))


@against_server("RFC2831-2.1.1-01", "RFC2831-7.1-03", "RFC2831-7.1-05", "RFC2831-7.2-03")
def grammar(run: CaseRun) -> Observation:
    """The challenge is a list of directives, and every octet of it fits the grammar."""
    challenge = _challenge(run)
    return holds(not challenge.flaw and challenge.listed, challenge.flaw)


def _quotes(challenge: Directives, *names: str) -> list[str]:
    return [name for name in names if (challenge.raw(name) or b"").startswith(b'"')]


@against_server("RFC2831-2.1.1-02", "RFC2831-7.2-04")
def quoted_values(run: CaseRun) -> Observation:
    """The values of realm, nonce, qop and cipher stand in quotes."""
    challenge = _challenge(run)
    there = [name for name in ("realm", "nonce", "qop", "cipher") if challenge.count(name)]
    return holds(_quotes(challenge, *there) == there, f"in quotes: {_quotes(challenge, *there)} of {there}")


@against_server("RFC2831-2.1.1-03")
def bare_values(run: CaseRun) -> Observation:
    """The values of stale, maxbuf, charset and algorithm stand without quotes."""
    wrong = _quotes(_challenge(run), "stale", "maxbuf", "charset", "algorithm")
    return holds(not wrong, f"in quotes: {', '.join(wrong)}")


@against_server("RFC2831-2.1.1-06")
def several_realms(run: CaseRun) -> Observation:
    """A server of several realms offers each in a directive of its own."""
    challenge = ScriptedDigestClient(run, Setting(realms=("one.example", "two.example"))).begin()
    return holds(challenge.values("realm") == [b"one.example", b"two.example"])


@against_server("RFC2831-2.1.1-08", "RFC2831-3-01")
def fresh_nonce(run: CaseRun) -> Observation:
    """Every challenge has a nonce of its own."""
    count = 1000 if run.target.local else 10
    nonces = [_challenge(run).value("nonce") for _ in range(count)]
    return holds(len(set(nonces)) == count, f"{len(set(nonces))} different nonces in {count} challenges")


@against_server("RFC2831-2.1.1-09")
def nonce_alphabet(run: CaseRun) -> Observation:
    """The nonce is base64 or hexadecimal data."""
    nonce = _challenge(run).value("nonce")
    return holds(re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", nonce), "the nonce has other characters")


@against_server("RFC2831-2.1.1-10", "RFC2831-2.1.1-13", "RFC2831-2.1.1-14")
def one_nonce(run: CaseRun) -> Observation:
    """The nonce is there exactly once, and no bare quote is in it."""
    challenge = _challenge(run)
    return holds(challenge.count("nonce") == 1 and not challenge.flaw, f"{challenge.count('nonce')} nonces")


@against_server("RFC2831-2.1.1-17")
def qop_tokens(run: CaseRun) -> Observation:
    """The qop list, if there is one, has elements, and auth is the word for authentication alone."""
    challenge = _challenge(run)
    options = challenge.options("qop")
    return holds(not challenge.count("qop") or options, f"offered: {options}")


@against_server("RFC2831-2.1.1-21", "RFC2831-2.1.1-23")
def no_stale(run: CaseRun) -> Observation:
    """The first challenge of a connection is not stale."""
    challenge = _challenge(run)
    return holds(challenge.value("stale").lower() != b"true" and challenge.count("stale") <= 1)


@against_server("RFC2831-2.1.1-24", "RFC2831-2.1.1-27")
def maxbuf_number(run: CaseRun) -> Observation:
    """The maxbuf, if there is one, is one decimal number."""
    challenge = _challenge(run)
    value = challenge.raw("maxbuf") or b"65536"
    return holds(value.isdigit() and challenge.count("maxbuf") <= 1, f"maxbuf is {value!r}")


@against_server("RFC2831-2.1.1-28", "RFC2831-2.1.1-32")
def charset(run: CaseRun) -> Observation:
    """The charset, if there is one, is utf-8 and stands once."""
    values = [value.lower() for value in _challenge(run).values("charset")]
    return holds(values in ([], [b"utf-8"]), f"charset: {values}")


@against_server("RFC2831-2.1.1-33", "RFC2831-2.1.1-34", "RFC2831-2.1.1-35")
def algorithm(run: CaseRun) -> Observation:
    """The algorithm is there once and is md5-sess."""
    values = [value.lower() for value in _challenge(run).values("algorithm")]
    return holds(values == [b"md5-sess"], f"algorithm: {values}")


@against_server("RFC2831-2.1.1-39")
def cipher_with_confidentiality(run: CaseRun) -> Observation:
    """There is exactly one cipher list where auth-conf is offered."""
    challenge = _challenge(run)
    if "auth-conf" not in challenge.options("qop"):
        raise NotApplicable("the server does not offer auth-conf")
    return holds(challenge.count("cipher") == 1, f"{challenge.count('cipher')} cipher directives")


@against_server("RFC2831-2.1.1-41")
def triple_des_offered(run: CaseRun) -> Observation:
    """3des is among the ciphers of a server with auth-conf."""
    challenge = _challenge(run)
    if "auth-conf" not in challenge.options("qop"):
        raise NotApplicable("the server does not offer auth-conf")
    return holds("3des" in challenge.options("cipher"), f"offered: {challenge.options('cipher')}")


@against_server("RFC2831-2.1.1-51")
def no_http_directives(run: CaseRun) -> Observation:
    """There is neither opaque nor domain, which are HTTP's."""
    challenge = _challenge(run)
    return holds(not challenge.count("opaque") and not challenge.count("domain"))


@against_server("RFC2831-2.1.1-53")
def challenge_size(run: CaseRun) -> Observation:
    """The challenge is shorter than 2,048 octets."""
    client = ScriptedDigestClient(run)
    client.begin()
    return holds(len(client.raw_challenge) < 2048, f"{len(client.raw_challenge)} octets")


@against_server("RFC2831-2.1.1-49")
def other_directives_once(run: CaseRun) -> Observation:
    """Directives that must be unique are, whatever else the challenge holds."""
    challenge = _challenge(run)
    repeated = [name for name in ("nonce", "stale", "maxbuf", "charset", "algorithm") if challenge.count(name) > 1]
    return holds(not repeated, f"repeated: {repeated}")


@against_server("RFC2831-7.2-07", "RFC2831-7.2-06", "RFC2831-7.2-09")
def realm_is_escaped(run: CaseRun) -> Observation:
    """A quote, a backslash and letters beyond ASCII in a realm arrive as they are."""
    realm = 'a\\b"ü'
    challenge = ScriptedDigestClient(run, Setting(realms=(realm,))).begin()
    return holds(not challenge.flaw and challenge.value("realm") == realm.encode(), challenge.flaw or "another realm")


@against_server("RFC4422-6.1.2-01")
def minimum_in_challenge(run: CaseRun) -> Observation:
    """A server that wants integrity at least does not offer auth."""
    options = ScriptedDigestClient(run, Setting(min_ssf=1)).begin().options("qop")
    return holds(options and "auth" not in options, f"offered: {options}")


@against_server("RFC2831-2.1.2-48", "RFC2831-2.1.1-25", accept=frozenset({Reaction.HOLDS}))
def announced_maxbuf(run: CaseRun) -> Observation:
    """A server with a maxbuf of its own says so; 65,536 goes without saying."""
    told = ScriptedDigestClient(run, Setting(max_buffer=4096)).begin().value("maxbuf")
    silent = ScriptedDigestClient(run).begin().value("maxbuf")
    return holds(told == b"4096" and silent in (b"", b"65536"), f"announced: {told!r}, {silent!r}")
