"""ContextProxy: pyspnego's context, over `saslsspi.Context`."""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, ParamSpec, Self, TypeVar

from saslsspi.compat.spnego import _buffers
from saslsspi.compat.spnego._credential import Credential, engine_credentials, split_username
from saslsspi.compat.spnego._flags import ContextReq, asked_flags, granted, largest_factor
from saslsspi.compat.spnego._policy import ntlm_policy
from saslsspi.compat.spnego._user_file import UserFileAuthority, user_file
from saslsspi.compat.spnego.channel_bindings import GssChannelBindings, native
from saslsspi.compat.spnego.exceptions import (
    FeatureMissingError,
    NegotiateOptions,
    NoContextError,
    OperationNotAvailableError,
    SpnegoError,
    UnsupportedQop,
)
from saslsspi.compat.spnego.iov import IOVBuffer, IOVResBuffer
from saslsspi.context import Context
from saslsspi.engine.attributes import (
    SecPkgContextFlags,
    SecPkgContextNames,
    SecPkgContextNegotiationInfo,
    SecPkgContextSessionKey,
)
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Side
from saslsspi.engine.flags import AscReq
from saslsspi.engine.identity import TicketsIdentity
from saslsspi.engine.policy import ChannelBindingPolicy, NegotiatePolicy, Policy
from saslsspi.engine.protection import Part
from saslsspi.engine.registry import find_package
from saslsspi.errors import SaslError

__all__ = [
    "ContextProxy",
    "ContextReq",
    "IOVUnwrapResult",
    "IOVWrapResult",
    "SecPkgContextSizes",
    "UnwrapResult",
    "WinRMWrapResult",
    "WrapResult",
    "split_username",
    "translated",
]

P = ParamSpec("P")
T = TypeVar("T")
IOV = IOVBuffer | IOVResBuffer | tuple[int, Any] | int | bytes


class WrapResult(NamedTuple):
    """A protected message, and whether it is sealed."""

    data: bytes
    encrypted: bool


class IOVWrapResult(NamedTuple):
    """A protected message in parts, and whether it is sealed."""

    buffers: tuple[IOVResBuffer, ...]
    encrypted: bool


class WinRMWrapResult(NamedTuple):
    """A protected message as WinRM has it: what stands for the signature, the rest, and how much of that is padding."""

    header: bytes
    data: bytes
    padding_length: int


class UnwrapResult(NamedTuple):
    """A plain message, and whether it was sealed; qop is 0."""

    data: bytes
    encrypted: bool
    qop: int


class IOVUnwrapResult(NamedTuple):
    """A plain message in parts, and whether it was sealed; qop is 0."""

    buffers: tuple[IOVResBuffer, ...]
    encrypted: bool
    qop: int


@dataclass(frozen=True)
class SecPkgContextSizes:
    """The size of what precedes a sealed message, in octets."""

    header: int


_PACKAGES: Final = {"ntlm": "NTLM", "kerberos": "Kerberos", "negotiate": "Negotiate", "credssp": "CREDSSP"}


def translated(doing: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make a method raise pyspnego's errors, with a word of what it was doing."""

    def decorate(method: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            try:
                return method(*args, **kwargs)
            except SaslError as error:
                raise SpnegoError(base_error=error, context_msg=doing) from error

        return call

    return decorate


class ContextProxy:
    """One side of a security context; made by `client` and `server`.

    Attributes:
        usage: "initiate" or "accept".
        protocol: "ntlm", "kerberos", "negotiate" or "credssp".
        spn: The principal that is meant.
        channel_bindings: Of the channel around the exchange.
        options: The caller's NegotiateOptions.
        context_req: What the caller asks for.
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
    ) -> None:
        if usage not in ("initiate", "accept"):
            raise ValueError(f"Invalid usage '{usage}', must be initiate or accept")
        self.usage, self.protocol, self.options = usage, protocol, NegotiateOptions(options)
        if protocol not in self.available_protocols(self.options):
            raise ValueError(f"Protocol {protocol} is not available")
        self.spn = f"{service or 'HOST'}/{hostname or 'unspecified'}" if service or hostname else None
        self.channel_bindings = channel_bindings
        self.context_req = ContextReq(int(context_req))
        self._credentials, self._begun = credentials, False
        self._settled: str | None = None  # what a context around this one, CredSSP's, has ended with in its place
        if self.options & NegotiateOptions.wrapping_iov and not self.iov_available():
            raise FeatureMissingError(NegotiateOptions.wrapping_iov)
        if self.options & NegotiateOptions.negotiate_kerberos and find_package("Kerberos").problem():
            raise FeatureMissingError(NegotiateOptions.negotiate_kerberos)
        self._context = self._make(channel_bindings)

    @property
    def username(self) -> None:
        """Deprecated, as there."""
        warnings.warn("username is deprecated", DeprecationWarning, stacklevel=2)

    @property
    def password(self) -> None:
        """Deprecated, as there."""
        warnings.warn("password is deprecated", DeprecationWarning, stacklevel=2)

    @classmethod
    def available_protocols(cls, options: NegotiateOptions | None = None) -> list[str]:
        """Return the protocols that can be used on this machine."""
        if (options or 0) & NegotiateOptions.use_ntlm:
            return ["ntlm"]
        return [*(() if find_package("Kerberos").problem() else ("kerberos",)), "negotiate", "ntlm"]

    @classmethod
    def iov_available(cls) -> bool:
        """Whether messages of several parts can be wrapped."""
        return True

    # --- the exchange

    @translated("Getting credentials")
    def _make(self, bindings: GssChannelBindings | None) -> Context:
        return self._initiating(bindings) if self.usage == "initiate" else self._accepting(bindings)

    def _initiating(self, bindings: GssChannelBindings | None) -> Context:
        policy = Policy(max_ssf=largest_factor(self.context_req), ntlm=ntlm_policy(Side.INITIATE))
        return Context.initiate(
            _PACKAGES[self.protocol],
            target=self.spn or "host/unspecified",
            credentials=engine_credentials(self._credentials, self.protocol),
            policy=policy,
            bindings=native(bindings),
            flags=asked_flags(self.context_req),
        )

    def _accepting(self, bindings: GssChannelBindings | None) -> Context:
        packages = "" if user_file() is not None else "kerberos"
        if packages and self.protocol == "ntlm":
            raise OperationNotAvailableError(
                context_msg="NTLM acceptor requires NTLM credential cache to be provided through the env var "
                "NTLM_USER_FILE set to a filepath"
            )
        policy = Policy(
            ntlm=ntlm_policy(Side.ACCEPT),
            negotiate=NegotiatePolicy(packages=packages),
            # There an acceptor that was given bindings refuses who is not bound; ours would by itself let him in.
            channel_binding=ChannelBindingPolicy.ALLOW if bindings is None else ChannelBindingPolicy.REQUIRE,
        )
        # An acceptor's other flags are wishes there, and would be demands here.
        flags = int(AscReq.ASC_REQ_DELEGATE)
        if self.context_req & ContextReq.dce_style:
            flags |= int(AscReq.ASC_REQ_USE_DCE_STYLE)
        keytab = next((one for one in self._credentials if hasattr(one, "keytab")), None)
        return Context.accept(
            _PACKAGES[self.protocol],
            credentials=None if keytab is None else TicketsIdentity(keytab=keytab.keytab),
            policy=policy,
            bindings=native(bindings),
            flags=flags if self.protocol != "ntlm" else flags & ~int(AscReq.ASC_REQ_DELEGATE),
            environment=Environment(authority=UserFileAuthority()),
        )

    def new_context(self) -> Self:
        """Return a context for another exchange with the same credentials."""
        made = copy.copy(self)
        made._context, made._begun, made._settled = self._context.again(), False, None
        return made

    @translated("Processing security token")
    def step(
        self, in_token: bytes | None = None, *, channel_bindings: GssChannelBindings | None = None
    ) -> bytes | None:
        """Take the peer's token and return the next one, None where there is none.

        Raises:
            SpnegoError: the exchange failed; its token, if any, still goes to the peer.
        """
        bound = native(channel_bindings)
        if bound is not None and self.usage == "accept" and not self._begun:
            self._context, bound = self._make(channel_bindings), None  # it must demand them from the start
        self._begun = True
        token = self._context.step(in_token, bindings=bound)
        if self._context.done and self.negotiated_protocol == "kerberos" and not self._protects():
            # MIT's library, on which pyspnego stands, wraps whatever was asked for.
            self._context.protect_unpromised()
        return token

    def _protects(self) -> bool:
        return bool(self.context_attr & (ContextReq.integrity | ContextReq.confidentiality))

    @property
    def complete(self) -> bool:
        """Whether the context is established on this side."""
        return self._settled is not None or self._context.done

    @property
    def context_attr(self) -> ContextReq:
        """What was granted; nothing before the end."""
        if not self._context.done:
            return ContextReq.none
        return granted(self.usage, self._context.query(SecPkgContextFlags).flags)

    @property
    def client_principal(self) -> str | None:
        """Who has logged on, of an acceptor."""
        if self.usage == "initiate" or not self._context.done:
            return None
        return self._context.query(SecPkgContextNames).username or None

    @property
    def negotiated_protocol(self) -> str | None:
        """Name what was chosen, "ntlm" or "kerberos"; None where that is open still."""
        if self.protocol != "negotiate":
            return self.protocol
        return self._settled or (self._chosen() if self._begun else None)

    def _chosen(self) -> str | None:
        try:
            return self._context.query(SecPkgContextNegotiationInfo).package_info.name.lower()
        except SaslError:
            return None

    @property
    @translated("Retrieving session key")
    def session_key(self) -> bytes:
        """The session key; raises NoContextError before the end."""
        if not self._context.done:
            raise NoContextError(context_msg="Retrieving session key failed as no context was initialized")
        return self._context.query(SecPkgContextSessionKey).session_key

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what a protocol tells beside the rest; CredSSP alone has something."""
        return default

    # --- messages

    def query_message_sizes(self) -> SecPkgContextSizes:
        """Return how large a header is.

        Raises:
            NoContextError: before the end.
        """
        if not self._context.done:
            raise NoContextError(context_msg="Cannot get message sizes until context has been established")
        return SecPkgContextSizes(header=self._header_size())

    @translated("Getting context sizes")
    def _header_size(self) -> int:
        return self._context.header_size

    @translated("Wrapping data")
    def wrap(self, data: bytes, encrypt: bool = True, qop: int | None = None) -> WrapResult:
        """Protect a message: seal it, or sign it only. NTLM seals whatever encrypt says, as there."""
        _check_qop(qop)
        if encrypt or self.negotiated_protocol == "ntlm":
            return WrapResult(self._context.wrap(bytes(data)), self._seals())
        signature, octets = self._context.wrap_parts([Part(bytes(data), sealed=True)], encrypt=False)
        header = self._context.header_size
        return WrapResult(b"".join((signature[:header], *octets, signature[header:])), False)

    def _seals(self) -> bool:
        attributes = self.context_attr
        return bool(attributes & ContextReq.confidentiality) or not self._protects()

    @translated("Unwrapping data")
    def unwrap(self, data: bytes) -> UnwrapResult:
        """Open a message that is sealed, or signed only; the result says which."""
        text, sealed = self._context.unwrap_any(bytes(data))
        return UnwrapResult(text, sealed, 0)

    @translated("Wrapping WinRM")
    def wrap_winrm(self, data: bytes) -> WinRMWrapResult:
        """Seal a message for WinRM."""
        signature, (octets,) = self._context.wrap_parts([Part(bytes(data), sealed=True)])
        header = self._context.header_size
        padding = signature[header:]
        return WinRMWrapResult(signature[:header], octets + padding, len(padding))

    def unwrap_winrm(self, header: bytes, data: bytes) -> bytes:
        """Open a message of WinRM."""
        return self.unwrap(header + data).data

    @translated("Wrapping IOV buffer")
    def wrap_iov(self, iov: Iterable[IOV], encrypt: bool = True, qop: int | None = None) -> IOVWrapResult:
        """Protect a message of several parts: see IOVBuffer."""
        _check_qop(qop)
        buffers = _buffers.read(iov)
        chosen = _buffers.parts(buffers, signs_readonly=self.negotiated_protocol == "ntlm")
        hides = encrypt or self.negotiated_protocol == "ntlm"
        signature, octets = self._context.wrap_parts([part for _, part in chosen], encrypt=hides)
        header = self._context.header_size
        made = _buffers.filled(buffers, chosen, octets, (signature[:header], signature[header:]))
        return IOVWrapResult(made, hides and self._seals())

    @translated("Unwrapping IOV buffer")
    def unwrap_iov(self, iov: Iterable[IOV]) -> IOVUnwrapResult:
        """Open a message of several parts, or one that lies in a stream buffer as a whole."""
        buffers = _buffers.read(iov)
        if (stream := _buffers.stream(buffers)) is not None:
            text, sealed = self._context.unwrap_any(stream)
            return IOVUnwrapResult(_buffers.with_text(buffers, text), sealed, 0)
        chosen = _buffers.parts(buffers, signs_readonly=self.negotiated_protocol == "ntlm")
        signature = _buffers.signature(buffers)
        octets, sealed = self._context.unwrap_parts_any([part for _, part in chosen], signature)
        return IOVUnwrapResult(_buffers.filled(buffers, chosen, octets, None), sealed, 0)

    @translated("Signing message")
    def sign(self, data: bytes, qop: int | None = None) -> bytes:
        """Return the signature of a message."""
        _check_qop(qop)
        return self._context.sign(bytes(data))

    @translated("Verifying message")
    def verify(self, data: bytes, mic: bytes) -> int:
        """Verify a signature; raises BadMICError. The answer is 0, as the quality of protection is."""
        self._context.verify(bytes(data), bytes(mic))
        return 0


def _check_qop(qop: int | None) -> None:
    if qop:
        raise UnsupportedQop(context_msg=f"Unsupported QoP value {qop} specified")
