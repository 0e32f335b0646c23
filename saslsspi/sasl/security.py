"""What an exchange ended in, as the callers of the upper floor see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from saslsspi.accounts.account import Account
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.identity import Delegated
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["Security", "security_of"]


@dataclass(frozen=True, slots=True)
class Security:
    """What an exchange ended in.

    Attributes:
        mechanism: Its name.
        package: The security package underneath, "" without one.
        negotiated: With GSS-SPNEGO and CREDSSP, the package that Negotiate chose; "" elsewhere.
        authcid: The authenticated user.
        authzid: The authorization identity in force, "" for the user's own.
        qop: auth, auth-int or auth-conf.
        ssf: Security strength factor of the layer.
        max_send: Largest protected buffer that the peer takes, in octets; 0 without a layer.
        max_receive: Largest protected buffer that this side takes, in octets; 0 without a layer.
        channel_binding: Type of the bindings that were verified, "" without.
        tolerances: Names of the tolerances that the peer made necessary.
        account: On a server, what the authority knew of the user.
        trace: On a server, what an anonymous client says of itself; anybody may say anything.
        delegated: On a server, the credentials that the client has handed over (CREDSSP), or None.
    """

    mechanism: str
    package: str
    authcid: str
    authzid: str
    realm: str
    qop: str
    cipher: str
    ssf: int
    max_send: int
    max_receive: int
    channel_binding: str
    reauthenticated: bool
    tolerances: tuple[str, ...]
    account: Account | None = field(default=None, repr=False)
    trace: str = ""
    delegated: Delegated | None = field(default=None, repr=False)
    negotiated: str = ""


def security_of(mechanism: Mechanism, outcome: Outcome) -> Security:
    """Return what an outcome means to a caller of the upper floor."""
    return Security(
        mechanism=mechanism.name,
        package=mechanism.package or "",
        authcid=outcome.username,
        authzid=outcome.authzid,
        realm=outcome.realm,
        qop=outcome.qop,
        cipher=outcome.cipher,
        ssf=outcome.ssf,
        max_send=outcome.max_send,
        max_receive=outcome.max_receive,
        channel_binding=outcome.channel_binding,
        reauthenticated=outcome.reauthenticated,
        tolerances=outcome.tolerances,
        account=outcome.account,
        trace=outcome.trace,
        delegated=outcome.delegated,
        negotiated=outcome.negotiated,
    )
