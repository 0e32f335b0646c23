"""Failed logons: counted in a sliding window, by account and by address, and paid for with time alone."""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import replace
from typing import Any

import pytest

from saslsspi import Account, InvalidParameter, MemoryAuthority, Policy, Question, Secret
from saslsspi.accounts import FailureLimits, LockOut, MemoryFailures, Throttle
from saslsspi.accounts.failures import _network
from saslsspi.adapters.asgi import AsgiAuthentication
from saslsspi.adapters.http import HttpAcceptor, HttpDecision, HttpRequest
from saslsspi.adapters.mail.server import SaslService
from saslsspi.authd.exchanges import Door
from saslsspi.engine.hooks.audit import audited_from, proof_refused
from saslsspi.errors import NoAuthenticatingAuthority, OutOfSequence
from saslsspi.services.settings import ListenerSettings, ServiceLimits
from testbed.ldap_fixtures import SUFFIX, ldap_server
from testbed.raw_ldap import RawLdap, sasl_bind, simple_bind

LIMITS = FailureLimits(window=100, by_account=2, by_address=4, delay=1, longest=10, jitter=0)
PEOPLE = MemoryAuthority({"alice": "wonderland"})


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_throttle(clock: Clock | None = None, **more: Any) -> Throttle:
    return Throttle(MemoryFailures(monotonic=clock or Clock()), LIMITS, **more)


def test_each_failure_beyond_the_first_ones_doubles_the_delay() -> None:
    throttle = a_throttle()
    assert [throttle.failed("alice", "") for _ in range(7)] == [1, 1, 2, 4, 8, 10, 10]
    assert throttle.failed("bob", "") == 1, "another account"
    assert throttle.failed("ALICE", "") == 10, "whatever the case"


def test_an_address_is_counted_whatever_name_it_says_and_whatever_its_port() -> None:
    throttle = a_throttle()
    assert [throttle.failed(f"user{n}", f"192.0.2.7:{n}") for n in range(6)] == [1, 1, 1, 1, 2, 4]
    assert throttle.failed("", "192.0.2.7:9") == 8
    assert throttle.failed("", "192.0.2.8:9") == 1


def test_the_window_slides() -> None:
    clock = Clock()
    throttle = a_throttle(clock)
    for second in range(5):
        clock.now = 1000.0 + 10 * second
        throttle.failed("alice", "")
    assert throttle.failures_of("alice") == 5
    clock.now = 1100.0
    assert throttle.failures_of("alice") == 4
    clock.now = 1139.0
    assert throttle.failures_of("alice") == 1
    clock.now = 1140.0
    assert throttle.failed("alice", "") == 1


def test_jitter_is_a_part_of_the_delay() -> None:
    limits = FailureLimits(delay=2, jitter=0.25)
    assert [Throttle(limits=limits, draw=lambda at=at: at).failed("a", "") for at in (0.0, 0.5, 1.0)] == [1.5, 2, 2.5]


def test_the_memory_is_bounded_in_names_and_in_each() -> None:
    clock = Clock()
    memory = MemoryFailures(size=10, monotonic=clock)
    for number in range(100):
        memory.add(f"{number}", 100)
        memory.add("0", 100)
    assert len(memory) == 10
    for _ in range(3000):
        memory.add("0", 100)
    assert memory.count("0", 100) == 1024


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.7:49152", "192.0.2.7"),
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7:49152", "192.0.2.7"),
        ("2001:db8::1:49152", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("[2001:db8:0:0:5::1]:443", "2001:db8::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("/run/socket", ""),
        ("testclient:50000", ""),
    ],
)
def test_an_address_is_read_as_carriers_write_it(peer: str, address: str) -> None:
    assert _network(peer) == address


@pytest.mark.parametrize("wrong", [{"window": 0}, {"delay": -1}, {"jitter": 2}, {"by_account": -1}])
def test_limits_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameter):
        FailureLimits(**wrong)


def test_lock_out_makes_a_user_unknown_for_a_while() -> None:
    clock = Clock()
    throttle = a_throttle(clock)
    authority = LockOut(PEOPLE, throttle, after=3)
    question = Question("alice", "", (Secret.PASSWORD,))
    for _ in range(2):
        throttle.failed("alice", "")
    assert authority.lookup(question) is not None
    throttle.failed("alice", "")
    assert authority.lookup(question) is None
    assert authority.secrets == PEOPLE.secrets
    clock.now += 100
    assert authority.lookup(question) is not None


def plain(password: str) -> bytes:
    return b"PLAIN " + base64.b64encode(b"\0alice\0" + password.encode())


def test_a_mail_server_holds_refusals_back_and_nothing_else() -> None:
    throttle = a_throttle()
    service = SaslService(
        service="smtp", host="h", authority=PEOPLE, policy=Policy(allow_plaintext=True), throttle=throttle
    )

    def tried(arguments: bytes) -> float:
        dialogue = service.dialogue(external_ssf=256)
        with audited_from("192.0.2.7:1"):
            dialogue.begin(arguments)
            dialogue.abandon()
        return dialogue.delay

    assert [tried(plain("wrong")) for _ in range(4)] == [1, 1, 2, 4]
    assert tried(plain("wonderland")) == 0
    begun = b"SCRAM-SHA-256 " + base64.b64encode(b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL")
    assert tried(begun) == 0, "whoever gives up has guessed nothing"
    assert throttle.failures_of("alice") == 4


def test_an_ldap_server_holds_refusals_back_and_nothing_else() -> None:
    costs: list[float] = []

    class Hundredth(Throttle):
        def failed(self, username: str, peer: str) -> float:
            costs.append(super().failed(username, peer))
            return costs[-1] / 100

    throttle = Hundredth(MemoryFailures(monotonic=Clock()), LIMITS)
    with (
        ldap_server(authority=PEOPLE, policy=Policy(allow_plaintext=True), throttle=throttle) as server,
        RawLdap(server.port) as raw,
    ):
        began = time.monotonic()
        assert [raw.sasl(password="wrong").code for _ in range(2)] == [49, 49]
        for password, code in (("wrong", 49), ("wrong", 49), ("wonderland", 0)):
            assert raw.ask(simple_bind(f"uid=alice,ou=people,{SUFFIX}", password)).code == code
        assert time.monotonic() - began >= 0.08
        assert raw.sasl().code == 0
        raw.ask(sasl_bind("SCRAM-SHA-256", b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL"))
        assert raw.ask(simple_bind()).code == 0
        assert costs == [1, 1, 2, 4], "whoever gives up has guessed nothing"


def digest(nonce: str) -> str:
    right = "0" * 64
    return (
        f'Digest username="alice", realm="r", nonce="{nonce}", uri="/", algorithm=SHA-256, qop=auth, nc=00000001, '
        f'cnonce="c", response="{right}"'
    )


def test_an_http_server_holds_refusals_back_and_nothing_else() -> None:
    acceptor = HttpAcceptor.of(PEOPLE, realm="r", throttle=a_throttle())
    wrong = HttpRequest(method="GET", targets=("/",), credentials=digest("n"), peer="192.0.2.7:1")
    assert [acceptor.judge(wrong).delay for _ in range(4)] == [1, 1, 2, 4]
    assert acceptor.judge(HttpRequest(method="GET", targets=("/",))).delay == 0


def test_requests_that_overtook_one_another_are_no_failures() -> None:
    class Overtaken(HttpAcceptor):
        def _judge(self, request: HttpRequest) -> HttpDecision:
            proof_refused("Digest", "alice", "r", "nc")
            return HttpDecision(None, 401, [], OutOfSequence("nc"))

    throttle = a_throttle()
    acceptor = Overtaken.of(PEOPLE, realm="r", throttle=throttle)
    assert acceptor.judge(HttpRequest(method="GET", targets=("/",))).delay == 0
    assert throttle.failures_of("alice") == 0


def test_an_asgi_server_waits_and_serves_others_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("saslsspi.adapters.http.asgi.asyncio.sleep", sleep)
    application = AsgiAuthentication(None, HttpAcceptor.of(PEOPLE, realm="r", throttle=a_throttle()))  # type: ignore[arg-type]
    scope = {
        "type": "http", "method": "GET", "path": "/", "headers": [(b"authorization", digest("n").encode())],
        "scheme": "http", "client": ("192.0.2.7", 5),
    }  # fmt: skip
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def ask() -> None:
        for _ in range(3):
            await application(dict(scope), receive, send)

    asyncio.run(ask())
    assert waited == [1, 1, 2]
    assert sent[0]["status"] == 401


class Away:
    def lookup(self, question: Question) -> Account | None:
        raise NoAuthenticatingAuthority("the store is away")


def test_whoever_comes_while_the_accounts_cannot_be_had_has_guessed_nothing() -> None:
    """Else an hour without a database is paid for by everybody who tried meanwhile."""
    throttle = a_throttle()
    service = SaslService(
        service="smtp", host="h", authority=Away(), policy=Policy(allow_plaintext=True), throttle=throttle
    )
    dialogue = service.dialogue(external_ssf=256)
    with audited_from("192.0.2.7:1"):
        dialogue.begin(plain("wonderland"))
        dialogue.abandon()
    assert dialogue.delay == 0
    acceptor = HttpAcceptor.of(Away(), ["Digest"], realm="r", throttle=throttle)
    request = HttpRequest(method="GET", targets=("/",), peer="192.0.2.7:1")
    (challenge,) = (value for name, value in acceptor.judge(request).headers if "SHA-256" in value)
    nonce = challenge.partition('nonce="')[2].partition('"')[0]
    decision = acceptor.judge(replace(request, credentials=digest(nonce)))
    assert isinstance(decision.error, NoAuthenticatingAuthority)
    assert decision.delay == 0
    with (
        ldap_server(authority=Away(), policy=Policy(allow_plaintext=True), throttle=throttle) as server,
        RawLdap(server.port) as raw,
    ):
        assert raw.ask(simple_bind(f"uid=alice,ou=people,{SUFFIX}", "wonderland")).code == 52
        assert raw.sasl().code == 52
    limits = ServiceLimits(failure_delay=0)
    listener = ListenerSettings(protocol="dovecot", path="/run/a", host=("localhost",))
    door = Door(listener, Away(), Policy(), limits, throttle)
    with pytest.raises(NoAuthenticatingAuthority):
        asyncio.run(door.step(door.server("PLAIN", service="smtp", secured=True), b"\0alice\0x", "192.0.2.7:1"))
    assert throttle.failures_of("alice") == 0
    assert throttle.failures.count("address 192.0.2.7", 100) == 0
