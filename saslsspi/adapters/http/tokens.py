"""A client's logon with a scheme that authenticates the connection, token by token (RFC 4559, MS-NTHT, MS-CSSP)."""

from __future__ import annotations

from typing import Final

from saslsspi import sspi
from saslsspi.adapters.http.headers import bound
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.errors import IncompleteMessage, SaslError
from saslsspi.sspi import (
    IscReq,
    SecBuffer,
    SecBufferDesc,
    SecBufferType,
    SecPkgContextNegotiationInfo,
    SecurityStatus,
)

__all__ = ["TokenLogon"]

_TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
_CREDSSP: Final = "credssp"
_TICKETS: Final = "kerberos"
_SEALED: Final = IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_INTEGRITY

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
        credential: An outbound handle of its package.
        host: The server's, for the name of its service.
        mutual: Whether the server has to prove who it is.
        bindings: Of the TLS connection.

    Attributes:
        context: The context.
        done: Whether it is complete.
        proved: Whether something went out that a server checks against an account: a refusal then is the last word.
    """

    def __init__(
        self, scheme: str, credential: sspi.CredHandle, host: str, *, mutual: bool, bindings: ChannelBindings | None
    ) -> None:
        self.context = sspi.CtxtHandle()
        self.done = False
        self.proved = False
        self._credential = credential
        self._target = f"HTTP/{host}"
        self._bindings = bindings
        self._scheme = scheme
        self._flags = IscReq.ISC_REQ_DELEGATE if scheme == _CREDSSP else _SEALED
        self._flags |= IscReq.ISC_REQ_MUTUAL_AUTH if mutual else 0
        self._rest = b""
        self._tokens = 0  # of the scheme, or for CredSSP of what runs inside its TLS

    def step(self, token: bytes) -> bytes:
        """Take the server's token, b"" at first; return the next one, b"" where there is none."""
        octets = self._rest + token
        inputs = [SecBuffer(bytearray(octets), _TOKEN), SecBuffer(None, 0)] if octets else []
        output = SecBuffer(None, _TOKEN)
        try:
            result = sspi.initialize_security_context(
                self._credential, self.context, self._target, self._flags, 0,
                SecBufferDesc([*inputs, *bound(self._bindings)]), SecBufferDesc([output]),
            )  # fmt: skip
        except IncompleteMessage:
            self._rest = octets
            return b""
        extra = len(inputs) > 1 and inputs[1].buffer_type == SecBufferType.SECBUFFER_EXTRA
        self._rest = inputs[1].data if extra else b""
        self.done = result.status == SecurityStatus.SEC_E_OK
        self._count()
        return output.data

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
            return sspi.query_context_attributes(self.context, SecPkgContextNegotiationInfo)
        except SaslError:
            return None

    def broken_off(self) -> str:
        """Return in words where the server stopped, and what servers mean by it."""
        if self._scheme != _CREDSSP:
            return f"after {self._tokens} of our tokens"
        if self.done:
            return _AT_DELEGATION
        return (_AT_TLS, _AT_NEGOTIATE)[self._tokens] if self._tokens < 2 else _AT_PROOF
