"""Every logon of every adapter leaves one record: accepted, refused, broken off half-way, or not to be had at all.

Adapters are found by reading which modules begin a server's exchange, mechanisms by entry point, protocols of lines and
of `authd`, and the schemes of HTTP, where they are listed. Whatever is added has to be tried here.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import dataclasses
import logging
import socket
import ssl
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import ldap3
import pytest
from aiosmtpd.handlers import Sink

import saslsspi
from adapters.http.browser import DigestClient, TokenClient, acceptor, offered, request
from authd.test_service import saslauthd
from interop.authd import Talk
from saslsspi import Account, Anonymous, Client, MemoryAuthority, Password, Policy, SaslError, Secret, Token
from saslsspi.accounts import Throttle
from saslsspi.adapters.aiosmtpd import SaslSmtpProtocol
from saslsspi.adapters.http.acceptor import _NAMES as SCHEMES
from saslsspi.adapters.ldap import Connection
from saslsspi.adapters.mail.asyncio_stream import LineClient, read_stream
from saslsspi.adapters.mail.line_protocol import LineProtocol
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.mail.server import SaslService
from saslsspi.authd.crowd import Crowd
from saslsspi.authd.exchanges import Door
from saslsspi.authd.service import _accepting
from saslsspi.engine.hooks.audit import AuditRecord
from saslsspi.engine.policy import ChannelBindingPolicy, CredSspPolicy, NegotiatePolicy
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.services.settings import ListenerSettings, ServiceLimits
from saslsspi.testbed.ldap.server import LdapServer
from saslsspi.testbed.loopback import running
from saslsspi.testbed.mail import server_of
from testbed.ldap_fixtures import SUFFIX
from testbed.raw_ldap import RawLdap, sasl_bind, simple_bind
from testbed.tls_fixtures import Tls, make_tls

pytestmark = pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning")  # ldap3's, before Python 3.12
ROOT = Path(saslsspi.__file__).parent
WEAK = ("LOGIN", "CRAM-MD5")
TOKENS = ("OAUTHBEARER", "XOAUTH2")
POLICY = Policy(
    allow_anonymous=True,
    weak_mechanisms=WEAK,
    negotiate=NegotiatePolicy(packages="NTLM"),
    credssp=CredSspPolicy(delegate=True, allow_fresh=("*",), allow_fresh_ntlm_only=("*",)),
)
PEOPLE = MemoryAuthority([Account(username="alice", password="wonderland", other={Secret.TOKEN: "wonderland"})])
INSTALLED = sorted(plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None)
PATIENCE = 20.0


class Leaves(Exception):
    """What the client does in the middle of an exchange."""


def leaving(close: Callable[[], object]) -> type[Client]:
    """A client that goes away instead of answering, where the mechanism has it answer at all."""

    class Leaving(Client):
        def step(self, challenge: bytes | None) -> bytes | None:
            close()
            raise Leaves

    return Leaving


class Rubbish(Client):
    """Says what is no message of any mechanism."""

    def start(self) -> bytes | None:
        return None if super().start() is None else b"\xff\0\xfe"

    def step(self, challenge: bytes | None) -> bytes | None:
        return b"\xff\0\xfe"


def policy(mechanism: str) -> Policy:
    """The client's: it takes the very mechanism that is named, and no other one after it."""
    bound = ChannelBindingPolicy.ALLOW if mechanism.endswith("-PLUS") else ChannelBindingPolicy.NONE
    return dataclasses.replace(POLICY, channel_binding=bound)


def credentials(mechanism: str, password: str) -> Any:
    if mechanism == "ANONYMOUS":
        return Anonymous("guest")
    if mechanism == "EXTERNAL":
        return None
    return Token("alice", password) if mechanism in TOKENS else Password("alice", password)


class Served(Protocol):
    """A server of a door, tried by one who logs on there."""

    @property
    def offered(self) -> set[str]:
        """The mechanisms that a client inside TLS can have."""

    def log_on(self, mechanism: str, password: str, kind: type[Client] | None = None) -> None:
        """Log on, whatever comes of it; without a kind the client leaves where it is to answer."""

    def begin(self, mechanism: str) -> None:
        """Begin an exchange without an initial response, hear what is said, and leave."""


class Lines:
    """A protocol of lines, by our client under asyncio, inside TLS."""

    def __init__(self, protocol: LineProtocol, port: int, tls: Tls) -> None:
        self._protocol, self._port, self._tls = protocol, port, tls
        self.offered: set[str] = asyncio.run(self._listed())

    async def _connected(self) -> LineClient:
        return await LineClient.connect(self._protocol, "localhost", self._port, starttls=self._tls.alice)

    async def _listed(self) -> set[str]:
        async with await self._connected() as client:
            return set(client.listed.mechanisms or ())

    def log_on(self, mechanism: str, password: str, kind: type[Client] | None = None) -> None:
        async def run() -> None:
            async with await self._connected() as client:
                used = kind or leaving(lambda: client.stream._writer.transport.abort())
                with contextlib.suppress(SaslError, Leaves):
                    await client.authenticate_sasl(
                        mechanism,
                        credentials=credentials(mechanism, password),
                        policy=policy(mechanism),
                        client_class=used,
                    )

        asyncio.run(run())

    def begin(self, mechanism: str) -> None:
        async def run() -> None:
            async with await self._connected() as client:
                client.stream.write(self._protocol.begin(mechanism, None, b"x"))
                await read_stream(client.stream, self._protocol.read(b"x"))

        asyncio.run(run())


class Ldap:
    """LDAP, by our Connection, inside TLS."""

    def __init__(self, server: LdapServer, tls: Tls) -> None:
        self._server, self._tls = server, tls
        certificate = str(tls.ca_file.parent / "alice.pem")
        trust = ldap3.Tls(
            validate=ssl.CERT_REQUIRED, ca_certs_file=str(tls.ca_file), local_certificate_file=certificate,
            local_private_key_file=certificate,
        )  # fmt: skip
        self._target = ldap3.Server("localhost", port=server.port, tls=trust, get_info=ldap3.DSA)
        with contextlib.closing(self._connected(authentication=ldap3.ANONYMOUS)) as nobody:
            nobody.start_tls()
            self.offered = set(nobody.server.info.supported_sasl_mechanisms)

    def _connected(self, **options: Any) -> Any:
        made = Connection(self._target, **options)
        made.open()
        made.close = lambda: made.strategy.close()
        return made

    def log_on(self, mechanism: str, password: str, kind: type[Client] | None = None) -> None:
        found: list[Any] = []
        used = kind or leaving(lambda: found[0].socket.transport.shutdown(socket.SHUT_RDWR))
        options = {"credentials": credentials(mechanism, password), "policy": policy(mechanism), "client_class": used}
        with contextlib.closing(self._connected(mechanism=mechanism, **options)) as connection:
            found.append(connection)
            connection.start_tls()
            with contextlib.suppress(SaslError, Leaves, OSError):
                connection.bind()

    def begin(self, mechanism: str) -> None:
        with RawLdap(self._server.ldaps_port) as raw:
            raw._socket = self._tls.alice.wrap_socket(raw._socket, server_hostname="localhost")
            raw.ask(sasl_bind(mechanism))

    def bind_simply(self, password: str) -> None:
        with RawLdap(self._server.ldaps_port) as raw:
            raw._socket = self._tls.alice.wrap_socket(raw._socket, server_hostname="localhost")
            raw.ask(simple_bind(f"uid=alice,ou=people,{SUFFIX}", password))


class Dovecot:
    """Dovecot's authentication protocol."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with Talk(path) as talk:
            self.offered = set(talk.mechanisms)

    def log_on(self, mechanism: str, password: str, kind: type[Client] | None = None) -> None:
        with Talk(self._path) as talk:
            client = (kind or leaving(lambda: None))(
                mechanism, service="smtp", host="h", credentials=credentials(mechanism, password), policy=POLICY,
                external_ssf=256,
            )  # fmt: skip
            said = client.start()
            words = ["AUTH", "1", mechanism, "service=smtp", "secured", "valid-client-cert", "cert_username=alice"]
            talk.send("\t".join([*words, f"resp={b64encode(said).decode()}"] if said is not None else words))
            with contextlib.suppress(SaslError, Leaves):
                while (reply := talk.line())[0] == "CONT":
                    answer = None if client.done else client.step(b64decode(reply[2]))
                    talk.send(f"CONT\t1\t{b64encode(answer or b'').decode()}")

    def begin(self, mechanism: str) -> None:
        with Talk(self._path) as talk:
            talk.send(f"AUTH\t1\t{mechanism}\tsecured\tvalid-client-cert\tcert_username=alice")
            assert talk.line()[0] in ("FAIL", "CONT")


class Starting:
    """Anything that an asyncio server is, as what `running` takes."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start

    async def start(self) -> None:
        self.server: asyncio.Server = await self._start()

    async def stop(self) -> None:
        self.server.close()


@contextlib.contextmanager
def of_lines(protocol: LineProtocol, tls: Tls) -> Iterator[Served]:
    server = server_of(protocol)(
        authority=PEOPLE, policy=POLICY, certificate=tls.server, bindings=tls.bindings, realm="r"
    )  # fmt: skip
    with running(server):
        yield Lines(protocol, server.port, tls)


@contextlib.contextmanager
def of_aiosmtpd(tls: Tls) -> Iterator[Served]:
    service = SaslService(service="smtp", host="localhost", authority=PEOPLE, policy=POLICY)

    async def start() -> asyncio.Server:
        loop = asyncio.get_running_loop()

        def make() -> SaslSmtpProtocol:
            return SaslSmtpProtocol(Sink(), sasl=service, loop=loop, tls_context=tls.server, bindings=tls.bindings)

        return await loop.create_server(make, "127.0.0.1", 0)

    with running(Starting(start)) as started:
        yield Lines(LINE_PROTOCOLS["smtp"], started.server.sockets[0].getsockname()[1], tls)


@contextlib.contextmanager
def of_ldap(tls: Tls) -> Iterator[Served]:
    server = LdapServer(authority=PEOPLE, policy=POLICY, certificate=tls.server, bindings=[tls.bindings], realm="r")
    with running(server):
        yield Ldap(server, tls)


@contextlib.contextmanager
def of_authd(protocol: str, path: Path) -> Iterator[Path]:
    limits = ServiceLimits(failure_delay=0)
    listener = ListenerSettings(protocol=protocol, path=str(path), host=("h",), realm="r")
    door = Door(listener, PEOPLE, POLICY, limits, Throttle(limits=limits.failures()))
    with running(Starting(lambda: asyncio.start_unix_server(_accepting(door, Crowd(64)), path))):
        yield path


def of_dovecot(tls: Tls) -> contextlib.AbstractContextManager[Served]:
    @contextlib.contextmanager
    def opened() -> Iterator[Served]:
        with of_authd("dovecot", tls.ca_file.parent / "dovecot") as path:
            yield Dovecot(path)

    return opened()


DOORS: dict[str, Callable[[Tls], contextlib.AbstractContextManager[Served]]] = {
    **{name: partial(of_lines, protocol) for name, protocol in LINE_PROTOCOLS.items()},
    "aiosmtpd": of_aiosmtpd,
    "ldap": of_ldap,
    "authd dovecot": of_dovecot,
}
# Which modules begin a server's exchange or record one that cannot begin, and what below tries them.
BEGINNING = {
    "saslsspi/adapters/mail/server.py": "protocols of lines, aiosmtpd",
    "saslsspi/adapters/http/acceptor.py": "schemes",
    "saslsspi/adapters/http/inbound.py": "schemes",
    "saslsspi/authd/exchanges.py": "authd dovecot, saslauthd",
    "saslsspi/testbed/ldap/bind.py": "ldap, simple binds",
    "saslsspi/testbed/ldap/server.py": "one that is never begun: whether it could be",
}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


class Audit(logging.Handler):
    """The records, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[AuditRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.__dict__["audit"])

    def one_more(self, after: int, what: str) -> AuditRecord:
        """Wait for the record of what has just been done."""
        deadline = time.monotonic() + PATIENCE
        while len(self.records) <= after:
            assert time.monotonic() < deadline, f"{what} left no record"
            time.sleep(0.002)
        assert len(self.records) == after + 1, f"{what}: {self.records[after:]}"
        return self.records[after]


@pytest.fixture
def audit() -> Iterator[Audit]:
    log, audit = logging.getLogger("saslsspi.audit"), Audit()
    level = log.level
    log.addHandler(audit)
    log.setLevel(logging.INFO)
    yield audit
    log.removeHandler(audit)
    log.setLevel(level)


def test_every_module_that_begins_an_exchange_is_tried() -> None:
    starting = {"Server", "Attempt", "SecurityContext", "Context.accept", "accept_security_context"}
    found = set()
    for path in (path for room in ("adapters", "authd", "services", "testbed") for path in (ROOT / room).rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        called = {ast.unparse(node.func).removeprefix("sspi.") for node in nodes if isinstance(node, ast.Call)}
        if called & starting and path.parent.name != "client":
            found.add(str(path.relative_to(ROOT.parent)))
    assert found == set(BEGINNING)


@pytest.mark.parametrize("door", DOORS)
def test_each_logon_leaves_one_record(door: str, tls: Tls, audit: Audit) -> None:
    tried = 0

    def one(mechanism: str, what: str, do: Callable[[], object]) -> AuditRecord:
        nonlocal tried
        do()
        found = audit.one_more(tried, f"{mechanism} at {door}, {what}")
        tried += 1
        return found

    with DOORS[door](tls) as served:
        for mechanism in INSTALLED:
            if mechanism in served.offered:
                right = one(mechanism, "accepted", lambda: served.log_on(mechanism, "wonderland", Client))  # noqa: B023
                assert right.accepted, right
                assert right.how == mechanism
                wrong = one(mechanism, "refused", lambda: served.log_on(mechanism, "looking-glass", Rubbish))  # noqa: B023
                assert not wrong.accepted, wrong
                if mechanism not in ("ANONYMOUS", "EXTERNAL"):
                    wrong = one(mechanism, "wrong password", lambda: served.log_on(mechanism, "wrong", Client))  # noqa: B023
                    assert not wrong.accepted, wrong
                left = one(mechanism, "left while it answers", lambda: served.log_on(mechanism, "wonderland"))  # noqa: B023
                assert left.accepted == (left.username != "" and "gave up" not in left.reason), left
            begun = one(mechanism, "begun and left", lambda: served.begin(mechanism))  # noqa: B023
            if door == "ldap" and mechanism == "EXTERNAL":  # RFC 4513 section 5.2.3.1: it is done with that
                assert begun.accepted, begun
                continue
            assert not begun.accepted, begun
            assert ("gave up" in begun.reason) == (mechanism in served.offered), begun
            assert begun.how == mechanism, begun
        unknown = one("X-NOBODYS", "unknown", lambda: served.begin("X-NOBODYS"))
        assert not unknown.accepted
    assert len(audit.records) == tried


def test_a_simple_bind_leaves_one(tls: Tls, audit: Audit) -> None:
    with of_ldap(tls) as served:
        assert isinstance(served, Ldap)
        for number, (password, accepted) in enumerate((("wonderland", True), ("wrong", False))):
            served.bind_simply(password)
            assert audit.one_more(number, "a simple bind").accepted is accepted


def test_a_question_of_saslauthd_leaves_one(tmp_path: Path, audit: Audit) -> None:
    with of_authd("saslauthd", tmp_path / "mux") as path:
        for number, (password, accepted) in enumerate(((b"wonderland", True), (b"wrong", False), (b"", False))):
            saslauthd(path, b"alice", password, b"imap", b"")
            assert audit.one_more(number, "a question").accepted is accepted


@pytest.mark.parametrize("scheme", [*SCHEMES.values(), "Basic"])
def test_a_request_with_credentials_leaves_one(scheme: str, audit: Audit) -> None:
    """What a client of HTTP gives up half-way is tried beside the acceptor's connections."""
    tried = 0
    for password in ("wonderland", "wrong"):
        if scheme == "Digest":
            site, client = acceptor(), DigestClient(password=password)
            site.judge(request(client.answer(offered(site.judge(request())))))
        elif scheme in ("NTLM", "Negotiate"):
            site, tokens, connection = acceptor(scheme), TokenClient(scheme, password), object()
            credentials = tokens.step()
            for _ in range(3):
                decision = site.judge(dataclasses.replace(request(credentials), connection=connection))
                if decision.user is not None or decision.error is not None:
                    break
                credentials = tokens.step(b64decode(offered(decision, scheme)[0]))
        else:
            continue
        assert audit.one_more(tried, scheme).accepted is (password == "wonderland")
        tried += 1
    for other in (scheme if scheme != "Basic" else "Digest", "Digest" if scheme != "Digest" else "NTLM"):
        site = acceptor(other)
        decision = site.judge(dataclasses.replace(request(f"{scheme} rubbish"), connection=object()))
        assert decision.user is None
        assert not audit.one_more(tried, f"rubbish with {scheme}").accepted
        tried += 1
