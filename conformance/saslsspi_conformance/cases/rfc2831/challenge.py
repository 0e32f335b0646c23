"""RFC 2831 sections 2.1 and 2.1.1: the digest-challenge of a server."""

from __future__ import annotations

import re

from saslsspi_conformance.bench import Bench, Setting
from saslsspi_conformance.case import NotApplicable, Outcome, Seen, against_server, holds
from saslsspi_conformance.peers.digest.client import DigestClient
from saslsspi_conformance.peers.digest.lists import Directives


def _challenge(bench: Bench) -> Directives:
    return DigestClient(bench).begin()


@against_server("RFC2831-1-01")
def name(bench: Bench) -> Seen:
    """The mechanism is called DIGEST-MD5."""
    bench.need("DIGEST-MD5")
    return holds("DIGEST-MD5" in bench.target.mechanisms())


@against_server("RFC2831-2.1-02")
def server_speaks_first(bench: Bench) -> Seen:
    """Without an initial response the server sends a digest-challenge."""
    return holds(_challenge(bench).count("nonce"))


@against_server("RFC2831-2.1.1-01", "RFC2831-7.1-03", "RFC2831-7.1-05", "RFC2831-7.2-03")
def grammar(bench: Bench) -> Seen:
    """The challenge is a list of directives, and every octet of it fits the grammar."""
    challenge = _challenge(bench)
    return holds(not challenge.flaw and challenge.listed, challenge.flaw)


def _quotes(challenge: Directives, *names: str) -> list[str]:
    return [name for name in names if (challenge.raw(name) or b"").startswith(b'"')]


@against_server("RFC2831-2.1.1-02", "RFC2831-7.2-04")
def quoted_values(bench: Bench) -> Seen:
    """The values of realm, nonce, qop and cipher stand in quotes."""
    challenge = _challenge(bench)
    there = [name for name in ("realm", "nonce", "qop", "cipher") if challenge.count(name)]
    return holds(_quotes(challenge, *there) == there, f"in quotes: {_quotes(challenge, *there)} of {there}")


@against_server("RFC2831-2.1.1-03")
def bare_values(bench: Bench) -> Seen:
    """The values of stale, maxbuf, charset and algorithm stand without quotes."""
    wrong = _quotes(_challenge(bench), "stale", "maxbuf", "charset", "algorithm")
    return holds(not wrong, f"in quotes: {', '.join(wrong)}")


@against_server("RFC2831-2.1.1-06")
def several_realms(bench: Bench) -> Seen:
    """A server of several realms offers each in a directive of its own."""
    challenge = DigestClient(bench, Setting(realms=("one.example", "two.example"))).begin()
    return holds(challenge.values("realm") == [b"one.example", b"two.example"])


@against_server("RFC2831-2.1.1-08", "RFC2831-3-01")
def fresh_nonce(bench: Bench) -> Seen:
    """Every challenge has a nonce of its own."""
    count = 1000 if bench.target.local else 10
    nonces = [_challenge(bench).value("nonce") for _ in range(count)]
    return holds(len(set(nonces)) == count, f"{len(set(nonces))} different nonces in {count} challenges")


@against_server("RFC2831-2.1.1-09")
def nonce_alphabet(bench: Bench) -> Seen:
    """The nonce is base64 or hexadecimal data."""
    nonce = _challenge(bench).value("nonce")
    return holds(re.fullmatch(rb"[A-Za-z0-9+/]+={0,2}", nonce), "the nonce has other characters")


@against_server("RFC2831-2.1.1-10", "RFC2831-2.1.1-13", "RFC2831-2.1.1-14")
def one_nonce(bench: Bench) -> Seen:
    """The nonce is there exactly once, and no bare quote is in it."""
    challenge = _challenge(bench)
    return holds(challenge.count("nonce") == 1 and not challenge.flaw, f"{challenge.count('nonce')} nonces")


@against_server("RFC2831-2.1.1-17")
def qop_tokens(bench: Bench) -> Seen:
    """The qop list, if there is one, has elements, and auth is the word for authentication alone."""
    challenge = _challenge(bench)
    options = challenge.options("qop")
    return holds(not challenge.count("qop") or options, f"offered: {options}")


@against_server("RFC2831-2.1.1-21", "RFC2831-2.1.1-23")
def no_stale(bench: Bench) -> Seen:
    """The first challenge of a connection is not stale."""
    challenge = _challenge(bench)
    return holds(challenge.value("stale").lower() != b"true" and challenge.count("stale") <= 1)


@against_server("RFC2831-2.1.1-24", "RFC2831-2.1.1-27")
def maxbuf_number(bench: Bench) -> Seen:
    """The maxbuf, if there is one, is one decimal number."""
    challenge = _challenge(bench)
    value = challenge.raw("maxbuf") or b"65536"
    return holds(value.isdigit() and challenge.count("maxbuf") <= 1, f"maxbuf is {value!r}")


@against_server("RFC2831-2.1.1-28", "RFC2831-2.1.1-32")
def charset(bench: Bench) -> Seen:
    """The charset, if there is one, is utf-8 and stands once."""
    values = [value.lower() for value in _challenge(bench).values("charset")]
    return holds(values in ([], [b"utf-8"]), f"charset: {values}")


@against_server("RFC2831-2.1.1-33", "RFC2831-2.1.1-34", "RFC2831-2.1.1-35")
def algorithm(bench: Bench) -> Seen:
    """The algorithm is there once and is md5-sess."""
    values = [value.lower() for value in _challenge(bench).values("algorithm")]
    return holds(values == [b"md5-sess"], f"algorithm: {values}")


@against_server("RFC2831-2.1.1-39")
def cipher_with_confidentiality(bench: Bench) -> Seen:
    """There is exactly one cipher list where auth-conf is offered."""
    challenge = _challenge(bench)
    if "auth-conf" not in challenge.options("qop"):
        raise NotApplicable("the server does not offer auth-conf")
    return holds(challenge.count("cipher") == 1, f"{challenge.count('cipher')} cipher directives")


@against_server("RFC2831-2.1.1-41")
def triple_des_offered(bench: Bench) -> Seen:
    """3des is among the ciphers of a server with auth-conf."""
    challenge = _challenge(bench)
    if "auth-conf" not in challenge.options("qop"):
        raise NotApplicable("the server does not offer auth-conf")
    return holds("3des" in challenge.options("cipher"), f"offered: {challenge.options('cipher')}")


@against_server("RFC2831-2.1.1-51")
def no_http_directives(bench: Bench) -> Seen:
    """There is neither opaque nor domain, which are HTTP's."""
    challenge = _challenge(bench)
    return holds(not challenge.count("opaque") and not challenge.count("domain"))


@against_server("RFC2831-2.1.1-53")
def challenge_size(bench: Bench) -> Seen:
    """The challenge is shorter than 2,048 octets."""
    client = DigestClient(bench)
    client.begin()
    return holds(len(client.raw_challenge) < 2048, f"{len(client.raw_challenge)} octets")


@against_server("RFC2831-2.1.1-49")
def other_directives_once(bench: Bench) -> Seen:
    """Directives that must be unique are, whatever else the challenge holds."""
    challenge = _challenge(bench)
    repeated = [name for name in ("nonce", "stale", "maxbuf", "charset", "algorithm") if challenge.count(name) > 1]
    return holds(not repeated, f"repeated: {repeated}")


@against_server("RFC2831-7.2-07", "RFC2831-7.2-06", "RFC2831-7.2-09")
def realm_is_escaped(bench: Bench) -> Seen:
    """A quote, a backslash and letters beyond ASCII in a realm arrive as they are."""
    realm = 'a\\b"ü'
    challenge = DigestClient(bench, Setting(realms=(realm,))).begin()
    return holds(not challenge.flaw and challenge.value("realm") == realm.encode(), challenge.flaw or "another realm")


@against_server("RFC4422-6.1.2-01")
def minimum_in_challenge(bench: Bench) -> Seen:
    """A server that wants integrity at least does not offer auth."""
    options = DigestClient(bench, Setting(min_ssf=1)).begin().options("qop")
    return holds(options and "auth" not in options, f"offered: {options}")


@against_server("RFC2831-2.1.2-48", "RFC2831-2.1.1-25", accept=frozenset({Outcome.HOLDS}))
def announced_maxbuf(bench: Bench) -> Seen:
    """A server with a maxbuf of its own says so; 65,536 goes without saying."""
    told = DigestClient(bench, Setting(max_buffer=4096)).begin().value("maxbuf")
    silent = DigestClient(bench).begin().value("maxbuf")
    return holds(told == b"4096" and silent in (b"", b"65536"), f"announced: {told!r}, {silent!r}")
