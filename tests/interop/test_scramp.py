"""Our SCRAM against scramp, an implementation of its own, both ways."""

from __future__ import annotations

from typing import Any

import pytest

from interop.require import require_peer
from saslsspi import ChannelBindings, Client, MemoryAuthority, Password, Server
from saslsspi.errors import LogonDenied

pytestmark = pytest.mark.interop

NAMES = ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"]
BOUND = [f"{name}-PLUS" for name in NAMES]
PEOPLE = {"alice": "wonderland", "a,b=c": "x=,y", "jörg": "grüße", "\u2168": "n\u2168ne"}
BINDINGS = [
    ChannelBindings.tls_unique(b"finished-msg"),
    ChannelBindings(application_data=b"tls-server-end-point:" + bytes(range(32))),
]


@pytest.fixture(scope="module")
def scramp() -> Any:
    require_peer("scramp")
    import scramp

    return scramp


def scramp_client(
    scramp: Any, mechanism: str, username: str, password: str, bindings: ChannelBindings | None = None
) -> Any:
    bound = None if bindings is None else (bindings.type_name, bindings.type_data)
    return scramp.ScramClient([mechanism], username, password, channel_binding=bound)


def scramp_server(scramp: Any, mechanism: str, bindings: ChannelBindings | None = None) -> Any:
    made = scramp.ScramMechanism(mechanism)
    known = {made_name: made.make_auth_info(password) for made_name, password in PEOPLE.items()}
    known["IX"] = made.make_auth_info("nIXne")
    bound = None if bindings is None else (bindings.type_name, bindings.type_data)
    return made.make_server(known.__getitem__, channel_binding=bound)


def our_server(mechanism: str, bindings: ChannelBindings | None = None) -> Server:
    authority = MemoryAuthority({"IX" if name == "\u2168" else name: password for name, password in PEOPLE.items()})
    return Server(mechanism, service="imap", host="h", authority=authority, bindings=bindings)


def our_client(mechanism: str, username: str, password: str, bindings: ChannelBindings | None = None) -> Client:
    credentials = Password(username, password)
    return Client(mechanism, service="imap", host="h", credentials=credentials, bindings=bindings)


def log_on_here(client: Any, server: Server) -> None:
    challenge = server.step(client.get_client_first().encode()) or b""
    client.set_server_first(challenge.decode())
    client.set_server_final((server.step(client.get_client_final().encode()) or b"").decode())


def log_on_there(client: Client, server: Any) -> None:
    server.set_client_first((client.start() or b"").decode())
    server.set_client_final((client.step(server.get_server_first().encode()) or b"").decode())
    client.succeed(server.get_server_final().encode())


@pytest.mark.requirement("RFC5802-3-02", "RFC7677-3-01", "RFC5802-5-01")
@pytest.mark.parametrize("mechanism", NAMES)
@pytest.mark.parametrize("username", PEOPLE)
def test_scramp_logs_on_to_us(scramp: Any, mechanism: str, username: str) -> None:
    server = our_server(mechanism)
    log_on_here(scramp_client(scramp, mechanism, username, PEOPLE[username]), server)
    assert server.done


@pytest.mark.requirement("RFC5802-3-02", "RFC7677-3-01", "RFC5802-5-01")
@pytest.mark.parametrize("mechanism", NAMES)
@pytest.mark.parametrize("username", PEOPLE)
def test_we_log_on_to_scramp(scramp: Any, mechanism: str, username: str) -> None:
    client = our_client(mechanism, username, PEOPLE[username])
    log_on_there(client, scramp_server(scramp, mechanism))
    assert client.done


@pytest.mark.requirement("RFC5802-6.1-04")
@pytest.mark.parametrize("mechanism", BOUND)
@pytest.mark.parametrize("bindings", BINDINGS, ids=lambda value: value.type_name)
def test_bound_to_one_channel_scramp_and_we_agree(scramp: Any, mechanism: str, bindings: ChannelBindings) -> None:
    server = our_server(mechanism, bindings)
    log_on_here(scramp_client(scramp, mechanism, "alice", "wonderland", bindings), server)
    assert server.security.channel_binding == bindings.type_name
    client = our_client(mechanism, "alice", "wonderland", bindings)
    log_on_there(client, scramp_server(scramp, mechanism, bindings))
    assert client.security.channel_binding == bindings.type_name


@pytest.mark.parametrize("mechanism", NAMES)
def test_a_wrong_password_is_refused_on_both_sides(scramp: Any, mechanism: str) -> None:
    with pytest.raises(LogonDenied):
        log_on_here(scramp_client(scramp, mechanism, "alice", "wrong"), our_server(mechanism))
    client, server = our_client(mechanism, "alice", "wrong"), scramp_server(scramp, mechanism)
    with pytest.raises(scramp.ScramException):
        log_on_there(client, server)
    with pytest.raises(LogonDenied):
        client.step(server.get_server_final().encode())


def test_a_downgrade_is_seen_by_scramp_too(scramp: Any) -> None:
    server = scramp_server(scramp, "SCRAM-SHA-256", BINDINGS[0])
    client = our_client("SCRAM-SHA-256", "alice", "wonderland", BINDINGS[0])
    with pytest.raises(scramp.ScramException, match="channel binding"):
        server.set_client_first((client.start() or b"").decode())
