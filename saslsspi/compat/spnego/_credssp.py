"""CredSSPProxy: pyspnego's CredSSP, over `saslsspi.Context`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

from saslsspi.compat.spnego._context import (
    IOV,
    ContextProxy,
    ContextReq,
    IOVUnwrapResult,
    IOVWrapResult,
    UnwrapResult,
    WinRMWrapResult,
    WrapResult,
    translated,
)
from saslsspi.compat.spnego._credential import Credential, Password, engine_credentials, split_username
from saslsspi.compat.spnego._credssp_structures import structure_of
from saslsspi.compat.spnego._policy import ntlm_policy
from saslsspi.compat.spnego._user_file import UserFileAuthority, user_file
from saslsspi.compat.spnego.channel_bindings import GssChannelBindings
from saslsspi.compat.spnego.exceptions import (
    FeatureMissingError,
    InvalidTokenError,
    NegotiateOptions,
    OperationNotAvailableError,
    SpnegoError,
)
from saslsspi.compat.spnego.tls import own_context
from saslsspi.context import Context
from saslsspi.engine.attributes import SecPkgContextNames, SecPkgContextNegotiationInfo, SecPkgContextStreamSizes
from saslsspi.engine.channel_attributes import (
    CredSspStage,
    SecPkgContextCredSspProgress,
    SecPkgContextTlsObjects,
)
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Side
from saslsspi.engine.identity import CredsspCred, SchCredentials, identity_of
from saslsspi.engine.policy import CredSspPolicy, NegotiatePolicy, Policy
from saslsspi.errors import DowngradeDetected, SaslError

__all__ = ["CredSSPProxy"]

_CREDSSP_VERSION = 6
_ANY: Final = ("*",)
_RECORD: Final = 16384
_STAGES: Final = {
    CredSspStage.TLS_HANDSHAKE: "TLS Handshake",
    CredSspStage.NEGOTIATE: "Authentication",
    CredSspStage.PUBLIC_KEY: "Public key exchange",
    CredSspStage.CREDENTIALS: "Credential exchange",
}


class CredSSPProxy(ContextProxy):
    """One side of a CredSSP context.

    Args:
        credssp_negotiate_context: A context of `client` or `server` whose protocol and credentials serve inside.
        credssp_tls_context: A `spnego.tls.CredSSPTLSContext`; an acceptor's holds its certificate.
        credssp_min_protocol: Least version that is taken; 5 is the first without CVE-2018-0886.
    """

    def __init__(
        self,
        credentials: list[Credential],
        hostname: str | None,
        service: str | None,
        channel_bindings: GssChannelBindings | None,
        context_req: ContextReq,
        usage: str,
        protocol: str,
        options: NegotiateOptions,
        *,
        credssp_negotiate_context: ContextProxy | None = None,
        credssp_tls_context: Any = None,
        credssp_min_protocol: int = 2,
        **rest: Any,
    ) -> None:
        self._inner, self._tls, self._least = credssp_negotiate_context, credssp_tls_context, credssp_min_protocol
        self._version = _CREDSSP_VERSION
        self._told: SecPkgContextCredSspProgress | None = None
        self._failed: SpnegoError | None = None
        if options & NegotiateOptions.session_key:
            raise FeatureMissingError(NegotiateOptions.session_key)
        super().__init__(credentials, hostname, service, channel_bindings, context_req, usage, protocol, options)

    @classmethod
    def available_protocols(cls, options: NegotiateOptions | None = None) -> list[str]:
        """CredSSP alone."""
        return ["credssp"]

    @classmethod
    def iov_available(cls) -> bool:
        """It has no messages of several parts."""
        return False

    # --- the exchange

    def _initiating(self, bindings: GssChannelBindings | None) -> Context:
        inside = "negotiate" if self._inner is None else self._inner.protocol
        if inside == "negotiate" and self.options & NegotiateOptions.use_ntlm:
            inside = "ntlm"
        given = self._credentials if self._inner is None else self._inner._credentials
        spnego = identity_of(engine_credentials(given, inside), "Negotiate")
        password = next(one for one in self._credentials if isinstance(one, Password))
        return Context.initiate(
            "CREDSSP",
            target=(self._inner.spn if self._inner is not None else None) or self.spn or "host/unspecified",
            credentials=CredsspCred(schannel=self._schannel(), spnego=spnego, delegated=_handed_over(password)),
            policy=self._policy(Side.INITIATE, "" if inside == "negotiate" else inside),
        )

    def _accepting(self, bindings: GssChannelBindings | None) -> Context:
        inside = "" if self._inner is None or self._inner.protocol == "negotiate" else self._inner.protocol
        if self.options & NegotiateOptions.use_ntlm:
            inside = "ntlm"
        elif user_file() is None:
            inside = "kerberos"
        return Context.accept(
            "CREDSSP",
            credentials=CredsspCred(schannel=self._schannel()),
            policy=self._policy(Side.ACCEPT, inside),
            environment=Environment(authority=UserFileAuthority()),
        )

    def _schannel(self) -> SchCredentials | None:
        if self._tls is None and self.usage == "accept":
            return SchCredentials(context=own_context())
        return None if self._tls is None else SchCredentials(context=self._tls.context)

    def _policy(self, side: Side, packages: str) -> Policy:
        # There the user is asked for nothing else: whoever names CredSSP wants to hand his password over.
        version = min(self._version, 6)
        return Policy(
            ntlm=ntlm_policy(side),
            negotiate=NegotiatePolicy(packages=packages),
            credssp=CredSspPolicy(
                minimum_version=min(self._least, version),
                version=version,
                bare_ntlm=packages == "ntlm",  # as there: who has no other package has no SPNEGO either
                delegate=True,
                allow_default=_ANY,
                allow_fresh=_ANY,
                allow_default_ntlm_only=_ANY,
                allow_fresh_ntlm_only=_ANY,
            ),
        )

    def new_context(self) -> Self:
        """See ContextProxy.new_context."""
        made = super().new_context()
        made._told = made._failed = None
        return made

    def step(
        self, in_token: bytes | None = None, *, channel_bindings: GssChannelBindings | None = None
    ) -> bytes | None:
        """See ContextProxy.step. Callers put the token into base64 unseen, so there is one until the end: b"".

        An acceptor that refuses a client returns what tells it so, if its version has a word for that; the context
        stays incomplete, and the next step raises.
        """
        if self._failed is not None:
            raise self._failed
        token = self._advance(in_token)
        progress = self._progress()
        if progress.version is not None and progress.version < self._least:  # where it is above our own, too
            self._failed = InvalidTokenError(
                context_msg=f"The peer protocol version was {progress.version} and did not meet the minimum "
                f"requirements of {self._least}"
            )
            raise self._failed
        if self._inner is not None and progress.stage in (CredSspStage.PUBLIC_KEY, CredSspStage.CREDENTIALS):
            self._inner._settled = self.negotiated_protocol
        return token if token is not None or (self._context.done and self.usage == "accept") else b""

    def _advance(self, in_token: bytes | None) -> bytes | None:
        try:
            return self._context.step(in_token)
        except DowngradeDetected as error:
            raise InvalidTokenError(base_error=error, context_msg="Processing security token") from error
        except SaslError as error:
            failed = SpnegoError(base_error=error, context_msg="Processing security token")
            if self.usage == "accept" and error.token and self._stage() is not CredSspStage.TLS_HANDSHAKE:
                self._failed = failed
                return error.token
            raise failed from error

    def _stage(self) -> CredSspStage:
        return self._progress().stage

    def _progress(self) -> SecPkgContextCredSspProgress:
        """Return how far the exchange is; where it has failed, how far it was."""
        try:
            self._told = self._context.query(SecPkgContextCredSspProgress)
        except SaslError:
            if self._told is None:
                raise
        return self._told

    @property
    def client_principal(self) -> str | None:
        """See ContextProxy.client_principal."""
        if self.usage == "initiate" or not self._context.done:
            return None
        return self._context.query(SecPkgContextNames).username or None

    @property
    def negotiated_protocol(self) -> str | None:
        """What Negotiate has chosen inside; None while TLS is on its way."""
        if self._stage() is CredSspStage.TLS_HANDSHAKE:
            return None
        try:
            return self._context.query(SecPkgContextNegotiationInfo).package_info.name.lower()
        except SaslError:
            return None

    @property
    def session_key(self) -> bytes:
        """There is none to share."""
        raise OperationNotAvailableError(context_msg="CredSSP does not have a session key to share")

    @property
    def context_attr(self) -> ContextReq:
        """None apply, as there."""
        return ContextReq.none

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return client_credential (accepting), sslcontext, ssl_object, auth_stage or protocol_version."""
        if name == "client_credential" and self.usage == "accept" and self._context.done:
            return structure_of(self._context.security.delegated) or default
        if name == "auth_stage":
            return _STAGES[self._stage()]
        if name == "protocol_version":
            return self._progress().version or default
        if name in ("sslcontext", "ssl_object"):
            try:
                objects = self._context.query(SecPkgContextTlsObjects)
            except SaslError:
                return default
            return objects.context if name == "sslcontext" else objects.connection
        return default

    # --- messages

    def _header_size(self) -> int:
        return self._context.query(SecPkgContextStreamSizes).trailer

    @translated("Wrapping data")
    def wrap(self, data: bytes, encrypt: bool = True, qop: int | None = None) -> WrapResult:
        """Return records of TLS."""
        octets = bytes(data)
        pieces = [octets[at : at + _RECORD] for at in range(0, len(octets), _RECORD)] or [b""]
        return WrapResult(b"".join(map(self._context.wrap, pieces)), True)

    @translated("Unwrapping data")
    def unwrap(self, data: bytes) -> UnwrapResult:
        """Return what whole records have come; the rest is kept for the next call."""
        return UnwrapResult(self._context.unwrap(bytes(data)), True, 0)

    def wrap_winrm(self, data: bytes) -> WinRMWrapResult:
        """Return records of TLS; the first octets, as many as a trailer has, stand for the signature."""
        wire = self.wrap(data).data
        sizes = self._context.query(SecPkgContextStreamSizes)
        split = len(wire) - len(data) - sizes.header if 0 < len(data) <= _RECORD else sizes.trailer
        return WinRMWrapResult(wire[:split], wire[split:], 0)

    def wrap_iov(self, iov: Iterable[IOV], encrypt: bool = True, qop: int | None = None) -> IOVWrapResult:
        """It has none."""
        raise OperationNotAvailableError(context_msg="CredSSP does not offer IOV wrapping")

    def unwrap_iov(self, iov: Iterable[IOV]) -> IOVUnwrapResult:
        """It has none."""
        raise OperationNotAvailableError(context_msg="CredSSP does not offer IOV wrapping")

    def sign(self, data: bytes, qop: int | None = None) -> bytes:
        """It has none."""
        raise OperationNotAvailableError(context_msg="CredSSP does not offer signing")

    def verify(self, data: bytes, mic: bytes) -> int:
        """It has none."""
        raise OperationNotAvailableError(context_msg="CredSSP does not offer verification")


def _handed_over(password: Password) -> bytes:
    from saslsspi.packages.credssp.credentials import PasswordCredentials

    domain, user = split_username(password.username)
    return PasswordCredentials(domain or "", user or "", password.password).to_bytes()
