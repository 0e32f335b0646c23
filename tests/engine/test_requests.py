"""What was asked once stays asked, in every package that is installed and on both sides; what is reported happened.

Programs repeat flags, target and bindings in each call, or give them once. The packages are found by entry point, so
one that is added is tried as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from saslsspi import MemoryAuthority, NegotiatePolicy, Policy
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.context import SecurityContext, State
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Credential, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, AscRet, IscReq, IscRet
from saslsspi.engine.identity import AuthIdentity, CredsspCred, SchCredentials, WinNTAuthIdentity
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import CredSspPolicy
from saslsspi.engine.registry import PACKAGES
from saslsspi.errors import DelegationPolicy, IncompleteMessage, InvalidParameter, MutualAuthFailed, PolicyNtlmOnly

TARGET = "HTTP/localhost"
PEOPLE = MemoryAuthority({"alice": "wonderland"})
POLICY = Policy(negotiate=NegotiatePolicy(packages="NTLM"), credssp=CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*",)))
USER = WinNTAuthIdentity("alice", None, "wonderland")
INSTALLED = [plugin.value for plugin in PACKAGES.plugins() if plugin.value is not None]
USABLE = [package for package in INSTALLED if package.info.name != "Kerberos"]  # whose exchange needs a KDC
SIDES = pytest.mark.parametrize("side", list(Side))


def each(packages: list[AnyPackage]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("package", packages, ids=lambda package: package.info.name)


class Recorder(Exchange):
    """Stands in for a package's exchange and keeps what each step was asked."""

    def __init__(self) -> None:
        self.outcome = Outcome()
        self.seen: list[Request] = []

    def step(self, token: bytes, request: Request) -> StepResult:
        self.seen.append(request)
        return StepResult(Event.COMPLETE if token == b"end" else Event.CONTINUE, b"")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[[AnyPackage, Side], tuple[SecurityContext, Recorder]]:
    def make(package: AnyPackage, side: Side) -> tuple[SecurityContext, Recorder]:
        recorder = Recorder()
        for name in ("initiate", "accept"):
            monkeypatch.setattr(type(package), name, lambda *arguments: recorder)

        class Nobody(Credential):
            username = ""

        return SecurityContext(package, Nobody(), side, Environment()), recorder

    return make


@SIDES
@each(INSTALLED)
def test_a_later_call_takes_nothing_back(
    package: AnyPackage, side: Side, recorded: Callable[[AnyPackage, Side], tuple[SecurityContext, Recorder]]
) -> None:
    context, recorder = recorded(package, side)
    bindings = ChannelBindings.tls_unique(b"the channel")
    first = Request(TARGET, 1, 3, bindings, (b"parameter",), "alice", b"host", b"protocols")
    context.advance(b"", first)
    context.advance(b"one", Request())
    context.advance(b"two", Request(required=4, requested=12))
    context.advance(b"end", Request())
    assert recorder.seen[0] == first
    assert recorder.seen[1] == first._replace(parameters=())
    assert recorder.seen[-1] == first._replace(parameters=(), required=5, requested=15)
    assert context.requested == 15


@SIDES
@each(INSTALLED)
def test_a_later_call_that_means_another_target_is_refused_and_nothing_happens(
    package: AnyPackage, side: Side, recorded: Callable[[AnyPackage, Side], tuple[SecurityContext, Recorder]]
) -> None:
    context, recorder = recorded(package, side)
    context.advance(b"", Request(TARGET, requested=1))
    state = context.state
    with pytest.raises(InvalidParameter):
        context.advance(b"one", Request("HTTP/elsewhere", requested=2))
    assert (context.state, len(recorder.seen), context.requested) == (state, 1, 1)
    context.advance(b"end", Request(TARGET))
    assert context.state is State.ESTABLISHED


def identity(package: AnyPackage, side: Side) -> AuthIdentity | None:
    if package.info.name == "Schannel":
        return SchCredentials(host="localhost") if side is Side.ACCEPT else None
    if side is Side.ACCEPT:
        return None
    return CredsspCred(spnego=USER) if package.info.name == "CREDSSP" else USER


def ends(package: AnyPackage, policy: Policy) -> tuple[SecurityContext, SecurityContext]:
    environment = Environment(policy=policy, authority=PEOPLE)

    def end(side: Side) -> SecurityContext:
        principal = TARGET if side is Side.ACCEPT else None
        credential = package.acquire(principal, identity(package, side), frozenset({side}), environment)
        return SecurityContext(package, credential, side, environment)

    return end(Side.INITIATE), end(Side.ACCEPT)


def run(
    package: AnyPackage, ours: Iterator[Request], theirs: Iterator[Request], policy: Policy = POLICY
) -> tuple[SecurityContext, SecurityContext]:
    """Run an exchange whose calls ask what comes next of each side's requests."""
    client, server = ends(package, policy)
    untaken = {Side.INITIATE: b"", Side.ACCEPT: b""}

    def step(context: SecurityContext, requests: Iterator[Request], token: bytes) -> bytes | None:
        octets = untaken[context.side] + token
        try:
            reply = context.advance(octets, next(requests))
        except IncompleteMessage:
            untaken[context.side] = octets
            return b""
        untaken[context.side] = octets[len(octets) - reply.extra :] if reply.extra else b""
        return reply.token

    digest = package.info.name == "WDigest"  # the server speaks first
    token = b"" if digest else step(client, ours, b"")
    for _ in range(20):
        if server.outcome is None:
            token = step(server, theirs, token or b"")
        if client.outcome is None:
            token = step(client, ours, token or b"")
        if client.outcome is not None and server.outcome is not None:
            return client, server
    raise AssertionError("the exchange does not end")


def always(request: Request) -> Iterator[Request]:
    while True:
        yield request


def once(request: Request, then: Request) -> Iterator[Request]:
    yield request
    yield from always(then)


def says(context: SecurityContext) -> tuple[object, ...]:
    outcome = context.outcome
    assert outcome is not None
    return context.flags, outcome.qop, outcome.ssf, outcome.target, outcome.channel_binding, outcome.delegated


MANUAL = int(IscReq.ISC_REQ_MANUAL_CRED_VALIDATION)
ASKED = {
    Side.INITIATE: [
        IscReq.ISC_REQ_INTEGRITY,
        IscReq.ISC_REQ_CONFIDENTIALITY,
        IscReq.ISC_REQ_REPLAY_DETECT,
        IscReq.ISC_REQ_IDENTIFY,
        IscReq.ISC_REQ_CONNECTION,
        IscReq.ISC_REQ_STREAM,
        IscReq.ISC_REQ_EXTENDED_ERROR,
        IscReq.ISC_REQ_UNVERIFIED_TARGET_NAME,
        IscReq.ISC_REQ_DELEGATE,
    ],
    Side.ACCEPT: [
        AscReq.ASC_REQ_CONFIDENTIALITY,
        AscReq.ASC_REQ_CONNECTION,
        AscReq.ASC_REQ_STREAM,
        AscReq.ASC_REQ_EXTENDED_ERROR,
    ],
}


@each(USABLE)
@pytest.mark.parametrize(
    ("side", "flag"),
    [(side, flag) for side in Side for flag in ASKED[side]],
    ids=lambda value: getattr(value, "name", ""),
)
def test_a_flag_of_the_first_call_is_a_flag_of_the_exchange(package: AnyPackage, side: Side, flag: int) -> None:
    flag = int(flag)
    if flag & package.refused.get(side, 0):
        pytest.skip("the package never takes it")
    manual = MANUAL if package.info.name == "Schannel" else 0
    seals = int(IscReq.ISC_REQ_CONFIDENTIALITY)
    ours, theirs = Request(TARGET, 0, manual | seals), Request("", 0, seals)
    asking = (ours if side is Side.INITIATE else theirs)._replace(requested=manual | seals | flag)
    silent = Request() if side is Side.ACCEPT else Request(TARGET)

    def both(requests: Iterator[Request]) -> tuple[SecurityContext, SecurityContext]:
        return run(package, requests, always(theirs)) if side is Side.INITIATE else run(package, always(ours), requests)

    for repeated, given_once in zip(both(always(asking)), both(once(asking, silent)), strict=True):
        assert says(given_once) == says(repeated)


CREDSSP = next(package for package in INSTALLED if package.info.name == "CREDSSP")
DELEGATE, MUTUAL = int(IscReq.ISC_REQ_DELEGATE), int(IscReq.ISC_REQ_MUTUAL_AUTH)


@pytest.mark.parametrize("when", [0, 1, 2, 3])
@pytest.mark.parametrize("allowed", ["", "HTTP/*"])
def test_credentials_go_only_where_the_policy_lets_them_whichever_call_asks(when: int, allowed: str) -> None:
    """The server proves nothing, so they may go only where allow_fresh_ntlm_only names it."""
    credssp = CredSspPolicy(allow_fresh=("HTTP/*",), allow_fresh_ntlm_only=(allowed,) if allowed else ())
    policy = Policy(negotiate=POLICY.negotiate, credssp=credssp)

    def asking() -> Iterator[Request]:
        for number in range(20):
            yield Request(TARGET, 0, DELEGATE if number == when else 0)

    if not allowed:
        with pytest.raises(PolicyNtlmOnly):
            run(CREDSSP, asking(), always(Request()), policy)
        return
    client, server = run(CREDSSP, asking(), always(Request()), policy)
    assert client.flags & IscRet.ISC_RET_DELEGATE
    assert server.flags & AscRet.ASC_RET_DELEGATE
    assert server.outcome is not None
    assert getattr(server.outcome.delegated, "username", "") == "alice"


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_target_that_the_policy_does_not_name_gets_nothing_whichever_call_asks(when: int) -> None:
    def asking() -> Iterator[Request]:
        for number in range(20):
            yield Request(TARGET, 0, DELEGATE if number == when else 0)

    with pytest.raises(DelegationPolicy):
        run(CREDSSP, asking(), always(Request()), Policy(negotiate=POLICY.negotiate))


@pytest.mark.parametrize("when", [0, 1, 2, 3])
def test_mutual_authentication_is_enforced_whichever_call_asks(when: int) -> None:
    def asking() -> Iterator[Request]:
        for number in range(20):
            yield Request(TARGET, 0, MUTUAL if number == when else 0)

    with pytest.raises(MutualAuthFailed):
        run(CREDSSP, asking(), always(Request()))


def test_nothing_is_claimed_that_was_not_asked_and_done() -> None:
    client, server = run(CREDSSP, always(Request(TARGET)), always(Request()))
    assert not client.flags & (IscRet.ISC_RET_DELEGATE | IscRet.ISC_RET_MUTUAL_AUTH)
    assert not server.flags & AscRet.ASC_RET_DELEGATE
