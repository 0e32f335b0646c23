"""What the protocols of this service have in common: exchanges on a listener's accounts, beside the event loop."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

from saslsspi.accounts.account import AccountLookup, Pending
from saslsspi.accounts.authority import secrets_of
from saslsspi.accounts.failures import Throttle
from saslsspi.accounts.nonces import NonceStore
from saslsspi.adapters.mail.identity import MailAuthority
from saslsspi.adapters.stream.beside_loop import beside_loop
from saslsspi.engine.hooks.audit import Attempt, audited_from, refusals
from saslsspi.engine.policy import SSF_UNLIMITED, Policy
from saslsspi.errors import InvalidToken, NoAuthenticatingAuthority, SaslError
from saslsspi.sasl.acceptance import offer
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sasl.server import Server
from saslsspi.services.settings import ListenerSettings, ServiceLimits

__all__ = ["Door"]

_LOG: Final = logging.getLogger("saslsspi.authd")
_LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Door:
    """A listener with the accounts behind it.

    Attributes:
        throttle: Counts failed logons, for all listeners of this process.
        nonces: Where logons are remembered that may be taken up again, at any worker; None: nowhere.
        policy: What exchanges must satisfy. None of them gets a layer: the carriers go on in clear, or in TLS.
    """

    listener: ListenerSettings
    authority: AccountLookup
    policy: Policy
    limits: ServiceLimits
    throttle: Throttle
    nonces: NonceStore | None = None

    @property
    def without_layer(self) -> Policy:
        """The policy of an exchange whose carrier has no use for a layer."""
        return replace(self.policy, max_ssf=0)

    @cached_property
    def mechanisms(self) -> tuple[str, ...]:
        """What is offered to a client inside TLS; the carriers pass no channel bindings, so nothing with -PLUS."""
        return offer(
            self.without_layer,
            self.listener.mechanisms,
            external_ssf=SSF_UNLIMITED,
            external_identity="somebody with a certificate",
            secrets=secrets_of(self.authority),
        ).names

    def server(
        self, mechanism: str, *, service: str, secured: bool, certificate_user: str = "", peer: str = ""
    ) -> Server:
        """Return the server of one exchange; one that cannot be leaves a record.

        Raises:
            SaslError: the mechanism is not offered, or not on such a connection.
        """
        known = MECHANISMS.find(mechanism)
        try:
            if known is None or known.name not in self.mechanisms:
                raise InvalidToken(f"{mechanism[:20]!r} is not offered here")
            return Server(
                known,
                service=service,
                # curl's digest-uri has the realm in place of the host, and carriers do not say how they are called.
                host=[*self.listener.names, *([self.listener.realm] if self.listener.realm else [])],
                authority=MailAuthority(self.authority),
                realm=self.listener.realm or None,
                policy=self.without_layer,
                nonce_store=self.nonces,
                external_ssf=SSF_UNLIMITED if secured else 0,
                external_identity=certificate_user or None,
                success_data=False,
            )
        except SaslError as error:
            with audited_from(peer):
                Attempt("an unknown mechanism" if known is None else known.name).refused(error)
            raise

    async def step(self, server: Server, response: bytes | None, peer: str) -> bytes | None:
        """Take one message of a client; what may block does it in a thread."""
        delay = 0.0

        def run() -> bytes | Pending | SaslError | None:
            nonlocal delay
            with audited_from(peer), refusals() as found:
                try:
                    return server.step(response)
                except SaslError as error:
                    # Who comes while the accounts cannot be had has guessed nothing.
                    if not isinstance(error, NoAuthenticatingAuthority):
                        delay = max((self.throttle.failed(refusal.username, peer) for refusal in found), default=0.0)
                    return error

        reply = await beside_loop(run)
        if isinstance(reply, SaslError):
            # hold_back holds every refusal back by the first delay; this is what repetition costs beside it.
            await asyncio.sleep(max(0.0, delay - self.limits.failure_delay))
            raise reply
        assert reply is None or isinstance(reply, bytes), "step asks the authority itself"
        return reply

    async def hold_back(self, error: SaslError) -> None:
        """Let a refusal wait: whoever guesses is slow, and nobody else."""
        _LOG.info("refused: %s", error)
        await asyncio.sleep(self.limits.failure_delay)
