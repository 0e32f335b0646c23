"""What a policy asks of a context, and what an exchange ended in: the same for contexts and for SASL mechanisms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from saslsspi.accounts.account import Account
from saslsspi.engine.exchange import Outcome, Qop, Side
from saslsspi.engine.flags import AscReq, IscReq
from saslsspi.engine.identity import Delegated, HandedOver
from saslsspi.engine.policy import ChannelBindingPolicy, Policy
from saslsspi.errors import BadBindings, DowngradeDetected, QopNotSupported

__all__ = ["Security", "check_outcome", "flags_for", "seals_signed", "security_of"]

_SIGNS: Final[Mapping[Side, int]] = {
    Side.INITIATE: int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_REPLAY_DETECT | IscReq.ISC_REQ_SEQUENCE_DETECT),
    Side.ACCEPT: int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_REPLAY_DETECT | AscReq.ASC_REQ_SEQUENCE_DETECT),
}
_STREAM: Final[Mapping[Side, int]] = {
    Side.INITIATE: int(IscReq.ISC_REQ_EXTENDED_ERROR | IscReq.ISC_REQ_STREAM),
    Side.ACCEPT: int(AscReq.ASC_REQ_EXTENDED_ERROR | AscReq.ASC_REQ_STREAM),
}
_DELEGATES: Final = int(IscReq.ISC_REQ_DELEGATE)
_SEALS: Final = int(IscReq.ISC_REQ_CONFIDENTIALITY)  # as MUTUAL_AUTH, the same bit on both sides
_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """What an exchange ended in.

    Attributes:
        mechanism: Name of the SASL mechanism, "" for a context without one.
        package: The security package underneath, "" without one.
        negotiated: With GSS-SPNEGO and CREDSSP, the package that Negotiate chose; "" elsewhere.
        authcid: The authenticated user.
        authzid: The authorization identity in force, "" for the user's own.
        qop: Qop.AUTH, Qop.AUTH_INT or Qop.AUTH_CONF, which equal "auth", "auth-int" and "auth-conf".
        ssf: Security strength factor of the layer.
        external_ssf: Security strength factor of the channel around it (TLS), as the caller has told; 0 without one.
        max_send: Largest protected buffer that the peer takes, in octets; 0 without a layer.
        max_receive: Largest protected buffer that this side takes, in octets; 0 without a layer.
        channel_binding: Type of the bindings that were verified, "" without.
        tolerances: Names of the tolerances that the peer made necessary.
        account: On a server, what the authority knew of the user, without secrets.
        trace: On a server, what an anonymous client says of itself; anybody may say anything.
        handed_over: On a server, the credentials that the client has handed over (CREDSSP); see delegated.
    """

    mechanism: str
    package: str
    authcid: str
    authzid: str
    realm: str
    qop: Qop
    cipher: str
    ssf: int
    max_send: int
    max_receive: int
    channel_binding: str
    reauthenticated: bool
    tolerances: tuple[str, ...]
    account: Account | None = None
    trace: str = ""
    handed_over: HandedOver | None = field(default=None, repr=False)
    negotiated: str = ""
    external_ssf: int = 0

    @property
    def delegated(self) -> Delegated | None:
        """The credentials that the client has handed over (CREDSSP), or None."""
        return None if self.handed_over is None else self.handed_over.credentials


_SHOWN: Final = tuple(
    field.name for field in fields(Security) if field.name in Outcome._fields and field.name != "account"
)


def security_of(outcome: Outcome, *, mechanism: str = "", package: str = "", external_ssf: int = 0) -> Security:
    """Return what an outcome means to whoever uses a context or a mechanism; its protection is not shown."""
    shown: dict[str, Any] = {name: getattr(outcome, name) for name in _SHOWN}
    return Security(
        mechanism=mechanism,
        package=package,
        authcid=outcome.username,
        external_ssf=external_ssf,
        account=None if outcome.account is None else outcome.account.shown,
        handed_over=None if outcome.delegated is None else HandedOver(outcome.delegated),
        **shown,
    )


def flags_for(policy: Policy, side: Side, *, stream: bool = False) -> tuple[int, int]:
    """Return the flags that a policy requires of a context, and those to obtain where the peer agrees.

    Args:
        policy: What this side accepts.
        side: In whose bits the flags are.
        stream: Whether the package's context is a byte stream, whose records are sealed whatever is asked for.
    """
    if stream:
        delegates = side is Side.INITIATE and policy.credssp.delegate
        return 0, _STREAM[side] | (_DELEGATES if delegates else 0)
    signs = _SIGNS[side]
    required = _MUTUAL
    if policy.min_ssf > 0:
        required |= signs
    if policy.min_ssf > 1:
        required |= _SEALS
    requested = required
    if policy.max_ssf > 0:
        requested |= signs
    if policy.max_ssf > 1:
        requested |= _SEALS
    return required, requested


def seals_signed(principal: str | None) -> bool:
    """Whether a service, by the name of its principal, has messages sealed where signing alone was agreed on.

    LDAP has: Active Directory and Samba do so with NTLM, and MS-NLMP has no word of it.
    """
    return principal is not None and principal[:5].lower() == "ldap/"


def check_outcome(name: str, outcome: Outcome, policy: Policy) -> None:
    """Raise unless an outcome is what the policy demands; a list of offers may have been changed on its way.

    Args:
        name: Of the mechanism or package, for the error's text.
        outcome: What the exchange ended in on this side.
        policy: What this side accepts.

    Raises:
        DowngradeDetected: less protection than required.
        QopNotSupported: more than the carrier or the policy can take, or so little at once that it would be no use.
        BadBindings: channel bindings are required and were not verified.
    """
    if outcome.ssf < policy.min_ssf:
        raise DowngradeDetected(f"{name} ended with SSF {outcome.ssf}, and {policy.min_ssf} is required")
    if outcome.ssf > policy.max_ssf:
        raise QopNotSupported(f"{name} ended with SSF {outcome.ssf}, above the permitted {policy.max_ssf}")
    least = min(policy.min_peer_buffer, policy.max_buffer)
    if outcome.ssf and 0 < outcome.max_send < least:
        raise QopNotSupported(
            f"the peer takes {outcome.max_send} octets at once under {name}'s layer, and at least {least} are required "
            "(Policy.min_peer_buffer)"
        )
    if policy.channel_binding is ChannelBindingPolicy.REQUIRE and not outcome.channel_binding:
        raise BadBindings(f"{name} verified no channel bindings, and the policy requires them")
