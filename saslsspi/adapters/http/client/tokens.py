"""A client's logon with a scheme that authenticates the connection, token by token (RFC 4559, MS-NTHT, MS-CSSP)."""

from __future__ import annotations

from typing import Final

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.context import Context
from saslsspi.credentials import NtHash, Password, PerPackage, Tickets
from saslsspi.engine.attributes import SecPkgContextNegotiationInfo
from saslsspi.engine.environment import Environment
from saslsspi.engine.flags import IscReq
from saslsspi.errors import SaslError

__all__ = ["TokenLogon"]

_CREDSSP: Final = "credssp"
_TICKETS: Final = "kerberos"

# Where a server stopped CredSSP, and what servers mean by it (MS-CSSP section 3.1.5 has the steps).
_AT_TLS: Final = (
    "while TLS was being set up inside it (step 1): it has no version or cipher suite of TLS in common with us, or its "
    "CredSSP is switched off"
)
_AT_NEGOTIATE: Final = (
    "after the first token of Negotiate (step 2): it takes none of the packages that the policy allows here"
)
_AT_PROOF: Final = (
    "after the user's proof (step 3): the user or the password is wrong, the account may not log on there, or it wants "
    "another version of CredSSP (its policy for encryption oracle remediation)"
)
_AT_DELEGATION: Final = (
    "after the credentials were handed over (step 5): its policy does not take delegated ones (WinRM: "
    "Service/Auth/CredSSP), or nobody can log on with them there"
)


class TokenLogon:
    """One context, and the tokens that have gone out.

    Args:
        scheme: In lower case: negotiate, kerberos, ntlm or credssp.
        package: The package behind it.
        credentials: None takes the Kerberos tickets that are there.
        host: The server's, for the name of its service.
        mutual: Whether the server has to prove who it is.
        bindings: Of the TLS connection.
        environment: Clock, randomness and policy.

    Attributes:
        context: The context.
        proved: Whether something went out that a server checks against an account: a refusal then is the last word.

    Raises:
        SaslError: the package is not there, or cannot use the credentials.
    """

    def __init__(
        self,
        scheme: str,
        package: str,
        credentials: Password | NtHash | Tickets | PerPackage | None,
        host: str,
        *,
        mutual: bool,
        bindings: ChannelBindings | None,
        environment: Environment,
    ) -> None:
        flags = IscReq.ISC_REQ_DELEGATE if scheme == _CREDSSP else 0
        flags |= IscReq.ISC_REQ_MUTUAL_AUTH if mutual else 0
        self.context = Context.initiate(
            package, target=f"HTTP/{host}", credentials=credentials, bindings=bindings, flags=flags,
            environment=environment,
        )  # fmt: skip
        self.proved = False
        self._scheme = scheme
        self._tokens = 0  # of the scheme, or for CredSSP of what runs inside its TLS

    @property
    def done(self) -> bool:
        """Whether the context is complete."""
        return self.context.done

    def step(self, token: bytes | None = None) -> bytes:
        """Take the server's token, None at first; return the next one, b"" where there is none."""
        reply = self.context.step(token)
        self._count()
        return reply or b""

    def _count(self) -> None:
        info = self._negotiation()
        if self._scheme == _CREDSSP and info is None:
            return  # TLS alone so far
        self._tokens += 1
        package = self._scheme if info is None else info.package_info.name
        # NTLM's first message says nothing of the user's secret; a Kerberos ticket is proof at once.
        self.proved = self._tokens > 1 or self.done or package.lower() == _TICKETS

    def _negotiation(self) -> SecPkgContextNegotiationInfo | None:
        try:
            return self.context.query(SecPkgContextNegotiationInfo)
        except SaslError:
            return None

    def broken_off(self) -> str:
        """Return in words where the server stopped, and what servers mean by it."""
        if self._scheme != _CREDSSP:
            return f"after {self._tokens} of our tokens"
        if self.done:
            return _AT_DELEGATION
        return (_AT_TLS, _AT_NEGOTIATE)[self._tokens] if self._tokens < 2 else _AT_PROOF
