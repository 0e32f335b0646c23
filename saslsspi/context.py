"""Context: one side of a security context of any package, for programs that carry its tokens and messages themselves.

`step` until `done`, then `wrap` and `unwrap`, `sign` and `verify`. It stands on the engine's SecurityContext, as SSPI's
functions in `saslsspi.sspi` do; neither knows the other. A SASL exchange, with its framing, is Client or Server.
"""

from __future__ import annotations

from typing import Self, TypeVar

from saslsspi.accounts.account import Account, AccountLookup, Pending, Question
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.engine.attributes import SecPkgContext
from saslsspi.engine.channel_attributes import SCHANNEL_SHUTDOWN
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.environment import DEFAULT_ENVIRONMENT, Environment
from saslsspi.engine.exchange import Event, Request, Side, StepResult
from saslsspi.engine.export import export_context, import_context
from saslsspi.engine.flags import ExportFlags
from saslsspi.engine.identity import AuthIdentity, identity_of
from saslsspi.engine.policy import Policy
from saslsspi.engine.registry import find_package
from saslsspi.engine.security import Security, check_outcome, flags_for, seals_signed, security_of
from saslsspi.errors import ContextMisuse, IncompleteMessage, SaslError
from saslsspi.messages import Messages

__all__ = ["Context"]

Attribute = TypeVar("Attribute", bound=SecPkgContext)


class Context(Messages):
    """One side of a security context; made by initiate, accept and imported.

    With the packages whose context is a byte stream (CREDSSP, Schannel) tokens and protected messages may be cut
    anywhere: octets that are not taken yet are kept inside.

    One thread may wrap while another unwraps; of everything else one call at a time.
    """

    __slots__ = ("_policy", "_request")

    def __init__(self, context: SecurityContext, request: Request, policy: Policy) -> None:
        super().__init__(context)
        self._request, self._policy = request, policy
        context.recorded(deferred=True)

    @classmethod
    def initiate(
        cls,
        package: str = "Negotiate",
        *,
        target: str,
        credentials: Credentials | AuthIdentity | None = None,
        authzid: str = "",
        policy: Policy | None = None,
        bindings: ChannelBindings | None = None,
        flags: int = 0,
        environment: Environment | None = None,
    ) -> Self:
        """Begin the client's side.

        Args:
            package: Name of the package, compared without regard to case.
            target: The principal that is meant, such as "ldap/host.example".
            credentials: What to authenticate with; None takes what the user has, such as Kerberos tickets.
            authzid: The identity to act as, where the package (WDigest) can say it; "" for one's own.
            policy: What to ask for and accept, checked again after completion; overrides the environment's.
            bindings: Channel bindings of the TLS channel around the exchange.
            flags: What to ask for beside what the policy says, in ISC_REQ bits.
            environment: Clock, randomness and policy; None is the system's own and the default policy.

        Raises:
            PackageNotFound: no such package.
            NoCredentials: there is nothing to authenticate with.
            UnknownCredentials: the package does not take credentials of this kind.
            UnsupportedFunction: the package does not take one of the flags.
        """
        surroundings = (environment or DEFAULT_ENVIRONMENT).overridden(policy=policy)
        found = find_package(package)
        credential = found.acquire(None, identity_of(credentials, package), frozenset({Side.INITIATE}), surroundings)
        context = SecurityContext(found, credential, Side.INITIATE, surroundings)
        request = _request(context, surroundings.policy, bindings, flags, target)._replace(
            target=target, authzid=authzid
        )
        return cls(context, request, surroundings.policy)

    @classmethod
    def accept(
        cls,
        package: str = "Negotiate",
        *,
        principal: str | None = None,
        authority: AccountLookup | None = None,
        credentials: AuthIdentity | None = None,
        policy: Policy | None = None,
        bindings: ChannelBindings | None = None,
        flags: int = 0,
        environment: Environment | None = None,
    ) -> Self:
        """Begin the server's side.

        Args:
            package: Name of the package, compared without regard to case.
            principal: The names that clients may mean, such as "ldap/host.example", separated by blanks; None checks
                nothing.
            authority: Who may log on; overrides the environment's.
            credentials: The server's own: a keytab, a certificate; None takes those of the machine.
            policy: What to ask for and accept, checked again after completion; overrides the environment's.
            bindings: Channel bindings of the TLS channel around the exchange.
            flags: What to demand beside what the policy says, in ASC_REQ bits.
            environment: Clock, randomness, authority, nonce store and policy.

        Raises:
            NoCredentials: there is nothing to prove oneself with, or nobody to ask about clients.
            PackageNotFound, UnsupportedFunction: as initiate.
        """
        surroundings = (environment or DEFAULT_ENVIRONMENT).overridden(policy=policy, authority=authority)
        found = find_package(package)
        credential = found.acquire(principal, credentials, frozenset({Side.ACCEPT}), surroundings)
        context = SecurityContext(found, credential, Side.ACCEPT, surroundings)
        return cls(context, _request(context, surroundings.policy, bindings, flags, principal), surroundings.policy)

    @classmethod
    def imported(cls, blob: bytes, key: bytes, *, policy: Policy | None = None) -> Self:
        """Go on with a context that another process has exported.

        Args:
            blob: What export returned there.
            key: The key of the export.
            policy: What the context must have; None takes it as it is.

        Raises:
            InvalidToken: it is no exported context of this version.
            MessageAltered: it was changed, or exported under another key.
        """
        context = import_context(None, blob, key)
        made = cls(context, Request(), policy or DEFAULT_ENVIRONMENT.policy)
        if policy is not None:
            made._check()
        return made

    def again(self) -> Self:
        """Return a context for another exchange with the same credentials, which are not acquired anew."""
        return type(self)(self._context.again(), self._request, self._policy)

    @property
    def done(self) -> bool:
        """Whether the context is established on this side; a token that step returned still goes to the peer."""
        return self._context.outcome is not None

    @property
    def security(self) -> Security:
        """Who was authenticated, and how messages are protected; raises ContextMisuse before the context is done."""
        if (outcome := self._context.outcome) is None:
            raise ContextMisuse("the context is not established, so nothing was negotiated")
        return security_of(outcome, package=self._context.package.info.name)

    def query(self, kind: type[Attribute]) -> Attribute:
        """Return an attribute, one of the SecPkgContext classes of `saslsspi.sspi`.

        What is early (SecPkgContextTlsObjects, say) can be asked for before the first step too.

        Raises:
            ContextMisuse: it can be asked for only once the context is done.
            UnsupportedFunction: this package has no such attribute.
        """
        if kind.early:
            self._context.prepare(self._request)
        return self._context.query(kind)

    def step(self, token: bytes | None = None, *, bindings: ChannelBindings | None = None) -> bytes | None:
        """Take the peer's token (None: none has come) and return the next one, or None where nothing goes to the peer.

        b"" is an empty token. Questions about accounts go to the authority, which may block.

        Args:
            token: The peer's.
            bindings: Channel bindings, where they are known only now; they go before those that the context has.

        Raises:
            SaslError: the exchange failed and is dead; the error's token, if any, still goes to the peer.
        """
        reply = self._advance(token, bindings, ask=True)
        assert not isinstance(reply, Pending), "the engine has asked"
        return reply

    def begin(self, token: bytes | None = None) -> bytes | Pending | None:
        """Like step, but hand a question about an account to the caller, who passes the answer to resume."""
        return self._advance(token, None, ask=False)

    def resume(self, account: Account | None) -> bytes | Pending | None:
        """Go on with the answer to a question: an account, or None for an unknown user."""
        return self._follow(self._context.resume(account))

    def export(self, key: bytes) -> bytes:
        """Move the context to another process, which goes on with imported; here it ends.

        It ends because two that went on from one place would use the same numbers and the same key stream.

        Args:
            key: At least 16 octets. What is returned holds the session key: keep it like a password.

        Raises:
            ContextMisuse: the context is not done.
            UnsupportedFunction: the package, or this context of it, cannot be exported; it lives on.
        """
        blob = export_context(self._context, int(ExportFlags.SECPKG_CONTEXT_EXPORT_DELETE_OLD), key)
        self._protect()
        return blob

    def close(self) -> bytes | None:
        """Close our direction of a stream and return what tells the peer; None with packages that have no such word."""
        if not self._streams or not self.done:
            return None
        self._context.control(SCHANNEL_SHUTDOWN)
        return self._context.advance(b"", self._request).token

    def __repr__(self) -> str:
        context = self._context
        return f"<{type(self).__name__} {context.package.info.name} {context.side.value}: {context.state.name.lower()}>"

    @property
    def _streams(self) -> bool:
        return self._context.package.takes_records

    def _advance(self, token: bytes | None, bindings: ChannelBindings | None, *, ask: bool) -> bytes | Pending | None:
        context, request = self._context, self._request
        if bindings is not None:
            request = request._replace(bindings=bindings)
        take = context.advance if ask else context.begin
        if not self._streams:
            if self.done:
                raise ContextMisuse("the context is established: no token is due")
            return self._follow(take(token or b"", request))
        self._untaken += token or b""
        try:
            # A server's last token may follow the end of the handshake: unwrap finds it.
            reply = None if self.done else take(bytes(self._untaken), request)
            while isinstance(reply, StepResult) and reply.event is Event.ASK_CREDENTIALS:
                # The server asks for a certificate; the credential is what it is, so the handshake goes on with it.
                del self._untaken[: len(self._untaken) - reply.extra]
                reply = take(bytes(self._untaken), request)
        except IncompleteMessage:
            return None
        return None if reply is None else self._follow(reply)

    def _follow(self, reply: StepResult | Question) -> bytes | Pending | None:
        if isinstance(reply, Question):
            return Pending(reply)
        if reply.event is Event.COMPLETE:
            self._check()
            self._protect()
        if not self._streams:
            return reply.token
        del self._untaken[: len(self._untaken) - reply.extra]
        return reply.token or None

    def _check(self) -> None:
        """End the context where it is not what the policy demands."""
        outcome = self._context.outcome
        assert outcome is not None
        try:
            check_outcome(self._context.package.info.name, outcome, self._policy)
        except SaslError as error:
            self._context.fail(error)
            raise
        self._context.accept()


def _request(
    context: SecurityContext, policy: Policy, bindings: ChannelBindings | None, flags: int, principal: str | None
) -> Request:
    context.package.check_flags(context.side, int(flags))
    required, requested = flags_for(policy, context.side, stream=context.package.takes_records)
    # As with SSPI: an initiator asks, and an acceptor's flags are what it demands.
    demanded = int(flags) if context.side is Side.ACCEPT else 0
    required, requested, seals = required | demanded, requested | int(flags), seals_signed(principal)
    return Request(required=required, requested=requested, bindings=bindings, seals_signed=seals)
