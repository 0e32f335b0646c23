"""What a server puts into its challenges for one set of flags (RFC 2831 section 2.1.1)."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.policy import Policy
from saslsspi.errors import SecurityQosFailed
from saslsspi.packages.digest.ciphers import Cipher
from saslsspi.packages.digest.credential import DigestCredential
from saslsspi.packages.digest.qop import permitted
from saslsspi.packages.digest.sasl.messages import DigestChallenge

__all__ = ["DigestOffer", "offer_for"]

_ANY_NONCE: Final = b"0" * 24  # as long as the base64 of 18 octets, which takes its place


class DigestOffer(NamedTuple):
    """An acceptor's offer, made once for a credential.

    Attributes:
        head, tail: The challenge's octets around the nonce.
        qops: Offered qop values.
        ciphers: Offered ciphers by name.
    """

    challenge: DigestChallenge
    head: bytes
    tail: bytes
    qops: frozenset[bytes]
    ciphers: dict[bytes, Cipher]

    @classmethod
    def of(cls, realms: tuple[str, ...], request: Request, policy: Policy) -> Self:
        """Make an offer.

        Raises:
            SecurityQosFailed: flags and policy leave nothing to offer.
        """
        permits = permitted(Side.ACCEPT, request.required, request.requested, policy)
        if not permits.qops:
            raise SecurityQosFailed(
                f"flags and policy (min_ssf {policy.min_ssf}, max_ssf {policy.max_ssf}) leave no qop to offer"
            )
        challenge = DigestChallenge(
            nonce=_ANY_NONCE,
            realms=tuple(realm.encode() for realm in realms),
            qop=tuple(reversed(permits.qops)),
            maxbuf=policy.max_buffer,
            ciphers=tuple(cipher.name for cipher in permits.ciphers),
        )
        challenge._replace(stale=True).to_bytes()  # the longest form must be below the limit as well
        # The realms before it cannot hold this text: their double quotes are escaped.
        head, _, tail = challenge.to_bytes().partition(b'nonce="' + _ANY_NONCE)
        return cls(
            challenge=challenge,
            head=head + b'nonce="',
            tail=tail,
            qops=frozenset(permits.qops),
            ciphers={cipher.name: cipher for cipher in permits.ciphers},
        )


class _Offers(dict[tuple[int, int, int], DigestOffer]):
    """Prepared offers of one handle, by flags and our maxbuf."""


def offer_for(credential: DigestCredential, request: Request, policy: Policy) -> DigestOffer:
    """Return the prepared offer for an acceptor's flags.

    Raises:
        SecurityQosFailed: flags and policy leave nothing to offer.
    """
    offers: _Offers | None = credential.memories.get(_Offers)
    if offers is None:
        offers = credential.memory(_Offers, _Offers)
    key = (request.required, request.requested, policy.max_buffer)
    made = offers.get(key)
    if made is None:
        made = offers[key] = DigestOffer.of(credential.realms, request, policy)
    return made
