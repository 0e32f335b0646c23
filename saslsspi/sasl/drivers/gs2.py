"""The GS2 family: a header before the context's first token, which its channel bindings cover (RFC 5801).

There is no layer. The header is never wrapped: channel bindings of GSS-API, which both sides always pass, are the
header and behind it those of the channel, where the client uses them.
"""

from __future__ import annotations

from typing import Final

from saslsspi.accounts.account import Account, Question
from saslsspi.accounts.authorization import authorize
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.der import Lengths, Reader, Tag, element, encode_oid
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Outcome, Qop, Request, Side, StepResult
from saslsspi.engine.flags import IscReq
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import Policy
from saslsspi.errors import BadBindings, InvalidToken, MutualAuthFailed
from saslsspi.prep import encode_field
from saslsspi.sasl.gs2 import Gs2Header, client_header, flag_problem, usable_bindings
from saslsspi.sasl.mechanism import ClientExchange, Driver, First, ServerExchange

__all__ = ["Gs2"]

_FRAME: Final = 0x60  # RFC 2743 section 3.1: [APPLICATION 0]
_MAX_TOKEN: Final = 1 << 17
# Section 8: "The mutual_req_flag MUST be set". Of the flags for messages it says that they SHOULD NOT be; that of
# sequences is, since Cyrus SASL's server refuses whoever comes without it. It does nothing where no message follows.
_FLAGS: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH | IscReq.ISC_REQ_SEQUENCE_DETECT | IscReq.ISC_REQ_NO_INTEGRITY)
_MUTUAL: Final = int(IscReq.ISC_REQ_MUTUAL_AUTH)


class Gs2(Driver):
    """The driver of two mechanisms over one GSS-API mechanism.

    Args:
        name: Of the mechanism without -PLUS.
        oid: The object identifier of the GSS-API mechanism.
        plus: Whether this is the one with -PLUS.
    """

    __slots__ = ("_name", "_oid", "_plus")
    binds_itself = True

    def __init__(self, name: str, oid: str, *, plus: bool) -> None:
        self._name = name
        self._oid = element(Tag.OID, encode_oid(oid))
        self._plus = plus

    def flags(self, package: AnyPackage, side: Side, policy: Policy) -> tuple[int, int]:
        """See Driver.flags."""
        return 0, _FLAGS if side is Side.INITIATE else 0

    def client(
        self, context: SecurityContext, request: Request, policy: Policy, *, max_message: int = 0
    ) -> ClientExchange:
        """See Driver.client."""
        encode_field(request.authzid, "an authorization identity")
        header, data = client_header(
            self._name,
            plus=self._plus,
            bindings=request.bindings,
            policy=policy.channel_binding,
            authzid=request.authzid,
            requirement="RFC5801-5-05",
        )
        return _Client(context, _bound(request, header, data), header, self._oid)

    def server(
        self, context: SecurityContext, request: Request, policy: Policy, *, first: First, max_message: int = 0
    ) -> ServerExchange:
        """See Driver.server."""
        return _Server(context, request, policy, self._oid, plus=self._plus)


class _Client(ClientExchange):
    """The client's side."""

    __slots__ = ("_begun", "_context", "_header", "_oid", "_request", "outcome")

    def __init__(self, context: SecurityContext, request: Request, header: Gs2Header, oid: bytes) -> None:
        self.outcome: Outcome | None = None
        self._begun = False
        self._context = context
        self._request = request
        self._header = header
        self._oid = oid

    def step(self, challenge: bytes | None) -> bytes | None:
        """See ClientExchange.step."""
        step = self._context.advance(challenge or b"", self._request)
        token = step.token
        if not self._begun:
            self._begun = True
            token = _first_message(self._header, token or b"", self._oid)
        if step.event is Event.COMPLETE:
            outcome = _settled(self._context, self._header)
            if not outcome.flags & _MUTUAL:
                raise MutualAuthFailed("the server has not proved who it is", requirement="RFC5801-8-03")
            self.outcome = outcome
        return token


class _Server(ServerExchange):
    """The server's side."""

    __slots__ = ("_bindings", "_context", "_header", "_oid", "_plus", "_policy", "_request", "outcome")

    def __init__(self, context: SecurityContext, request: Request, policy: Policy, oid: bytes, *, plus: bool) -> None:
        self.outcome: Outcome | None = None
        self._header: Gs2Header | None = None
        given = (request.bindings, *request.alternate_bindings)
        self._bindings = usable_bindings(given, policy.channel_binding)
        self._context = context
        self._request = request
        self._policy = policy
        self._oid = oid
        self._plus = plus

    def step(self, response: bytes | None) -> bytes | Question | None:
        """See ServerExchange.step."""
        if self._header is not None:
            return self._follow(self._context.begin(response or b"", self._request))
        if response is None:
            return b""  # section 6: "the server will send an initial empty challenge"
        header, token = Gs2Header.split(response)
        problem = flag_problem(header, plus=self._plus, types=self._bindings, policy=self._policy.channel_binding)
        if problem is not None:
            raise problem.error(header, "RFC5801-5-06")
        self._header = header
        # Section 4: the header of the token "MUST be recomputed and restored", unless F says that there was none.
        token = token if header.nonstandard else element(_FRAME, self._oid, token)
        self._request = _bound(self._request, header, self._bindings.get(header.binding_type, b""))
        return self._follow(self._context.begin(token, self._request))

    def resume(self, account: Account | None) -> bytes | Question | None:
        """See ServerExchange.resume."""
        return self._follow(self._context.resume(account))

    def _follow(self, reply: StepResult | Question) -> bytes | Question | None:
        if isinstance(reply, Question):
            return reply
        if reply.event is Event.COMPLETE:
            assert self._header is not None, "the context has seen a token"
            outcome = _settled(self._context, self._header)
            authorize(
                self._context.authority,
                outcome.account,
                outcome.username,
                outcome.authzid,
                realm=outcome.realm,
                requirement="RFC5801-7-03",
            )
            self.outcome = outcome
        return reply.token


def _bound(request: Request, header: Gs2Header, data: bytes) -> Request:
    """Return a request whose channel bindings are the header, and those of the channel behind it (section 5.1)."""
    return request._replace(bindings=ChannelBindings(application_data=header.bound + data), alternate_bindings=())


def _first_message(header: Gs2Header, token: bytes, oid: bytes) -> bytes:
    """Return the header and the token without its own, which the server restores (section 4)."""
    if token[:1] != bytes([_FRAME]):
        raise InvalidToken("the context's first token has no header", requirement="RFC5801-4-05")
    inner = Reader(token, max_size=_MAX_TOKEN, lengths=Lengths.ANY_DEFINITE).enter(_FRAME)
    if inner.encoded(Tag.OID) != oid:
        raise InvalidToken("the context's first token is another mechanism's", requirement="RFC5801-4-05")
    return header.to_bytes() + inner.rest()


def _settled(context: SecurityContext, header: Gs2Header) -> Outcome:
    """Return the mechanism's outcome: what the context has of layers is none of it (section 12)."""
    outcome = context.outcome
    assert outcome is not None, "the context is established"
    if not outcome.channel_binding:
        raise BadBindings(
            "the peer has not bound the GS2 header into its token, so anybody could have changed it; MIT Kerberos "
            "tells so from 1.19 on",
            requirement="RFC5801-5-09",
        )
    return outcome._replace(
        protection=None,
        qop=Qop.AUTH,
        cipher="",
        ssf=0,
        max_send=0,
        max_receive=0,
        authzid=header.authzid,
        channel_binding=header.binding_type,
    )
