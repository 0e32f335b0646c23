"""What a digest-challenge says about the strength of DIGEST-MD5 (RFC 2831 section 2.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from saslsspi.packages.digest.sasl.messages import DigestChallenge
from saslsspi_conformance.probe.findings import Finding, Severity

__all__ = ["judge_challenge", "judge_nonces"]

_SHORT_NONCE: Final = 16
_SMALL_BUFFER: Final = 1024
_BROKEN: Final = frozenset({b"rc4-40", b"rc4-56", b"des"})


def judge_challenge(challenge: DigestChallenge) -> list[Finding]:
    """Judge qop, ciphers, nonce, maxbuf, charset and what the reader had to put up with."""
    qop = {value.decode("ascii", "replace") for value in challenge.qop}
    found = []
    if "auth" not in qop:
        found.append(Finding(Severity.GOOD, "layer-required", "a security layer is required: qop auth is not offered"))
    elif qop & {"auth-int", "auth-conf"}:
        found.append(Finding(Severity.INFO, "layer-optional", "a security layer is offered but not required"))
    else:
        found.append(Finding(Severity.WARN, "no-layer", "no security layer: qop is auth only"))
    if "auth-conf" in qop:
        found += _judge_ciphers(challenge.ciphers)
    if len(challenge.nonce) < _SHORT_NONCE:
        text = f"the nonce has {len(challenge.nonce)} octets; 64 bits of chance need about {_SHORT_NONCE}"
        found.append(Finding(Severity.WARN, "short-nonce", text))
    if challenge.maxbuf < _SMALL_BUFFER:
        found.append(Finding(Severity.INFO, "small-maxbuf", f"maxbuf is {challenge.maxbuf}: small buffers are slow"))
    if not challenge.utf8:
        found.append(Finding(Severity.INFO, "no-utf8", "charset=utf-8 is missing: names are ISO 8859-1 only"))
    if challenge.tolerances:
        found.append(Finding(Severity.WARN, "grammar", "the challenge departs from the grammar of RFC 2831"))
    return found


def _judge_ciphers(ciphers: Sequence[bytes]) -> list[Finding]:
    broken = sorted(cipher.decode() for cipher in _BROKEN.intersection(ciphers))
    if broken:
        return [Finding(Severity.FAIL, "weak-cipher", f"breakable ciphers are offered: {', '.join(broken)}")]
    return [Finding(Severity.WARN, "old-cipher", "the ciphers of DIGEST-MD5 (RC4, 3DES) are outdated; use TLS")]


def judge_nonces(nonces: Sequence[bytes]) -> list[Finding]:
    """Judge the nonces of several exchanges (section 2.1.1: "different each time a digest-challenge is sent")."""
    if len(set(nonces)) < len(nonces):
        return [Finding(Severity.FAIL, "nonce-repeats", f"the same nonce came twice in {len(nonces)} challenges")]
    return [Finding(Severity.GOOD, "nonce-fresh", f"{len(nonces)} challenges had {len(nonces)} nonces")]
