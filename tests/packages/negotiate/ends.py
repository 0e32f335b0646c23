"""Both ends of a negotiation, with NTLM and a stand-in for Kerberos, and ways to change its tokens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from packages.negotiate.stand_in import StandIn, kerberos_is
from saslsspi import NegotiatePolicy, Policy, SaslError, sspi
from saslsspi.packages.negotiate.messages import NegState, NegTokenInit, NegTokenResp
from saslsspi.sspi import (
    Environment,
    SecPkgContextNegotiationInfo,
    SecurityStatus,
)
from sspi_context import (
    PASSWORD,
    PEOPLE,
    SEAL,
    TARGET,
    Context,
    client_credential,
    server_credential,
)

__all__ = [
    "KERBEROS",
    "MS_KERBEROS",
    "NTLM",
    "Change",
    "client",
    "info",
    "offer_changed",
    "reply_changed",
    "server",
    "states",
    "status",
]


NTLM, KERBEROS, MS_KERBEROS = "1.3.6.1.4.1.311.2.2.10", "1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2"


Change = Callable[[NegTokenResp], NegTokenResp]


def client(
    kerberos: StandIn | None = None,
    flags: int = SEAL,
    *,
    packages: str = "",
    policy: NegotiatePolicy | None = None,
    password: str = PASSWORD,
    target: str = TARGET,
) -> Context:
    environment = Environment(policy=Policy(negotiate=policy or NegotiatePolicy()))
    with kerberos_is(kerberos):
        credential = client_credential(
            "Negotiate", password=password, environment=environment, package_list=packages or None
        )
    return Context(credential, flags, target)


def server(kerberos: StandIn | None = None, flags: int = 0, *, packages: str = "") -> Context:
    with kerberos_is(kerberos):
        credential = server_credential(
            "Negotiate", environment=Environment(authority=PEOPLE), package_list=packages or None
        )
    return Context(credential, flags)


def info(context: Context) -> SecPkgContextNegotiationInfo:
    return sspi.query_context_attributes(context, SecPkgContextNegotiationInfo)


def status(run_it: Callable[[], object]) -> SecurityStatus | sspi.NTSTATUS:
    with pytest.raises(SaslError) as caught:
        run_it()
    return caught.value.status


def reply_changed(number: int, change: Change) -> Callable[[int, bytes], bytes]:
    """Change one NegTokenResp of an exchange."""
    return lambda at, token: change(NegTokenResp.from_bytes(token)).to_bytes() if at == number else token


def offer_changed(change: Callable[[NegTokenInit], NegTokenInit]) -> Callable[[int, bytes], bytes]:
    """Change the offer."""
    return lambda at, token: change(NegTokenInit.from_bytes(token)).to_bytes() if at == 0 else token


def states(tokens: list[bytes]) -> list[NegState | None]:
    return [NegTokenResp.from_bytes(token).state for token in tokens[1:]]
