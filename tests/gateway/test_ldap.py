"""The LDAP door in front of a directory of ours: binds, what is carried, TLS on both sides, and who is let in."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.world import audited, gateway, limited
from interop.certificate import make_server_certificate
from saslsspi import MemoryAuthority, Policy
from saslsspi.der import element, integer, octet_string, sequence
from saslsspi.gateway.settings import Tls
from saslsspi.sasl.acceptance import Offer
from saslsspi.testbed.ldap.server import Bound, LdapServer
from saslsspi.testbed.ldap.settings import Settings, Surroundings
from testbed.ldap_fixtures import ALICE_DN, ENTRIES, SUFFIX, ldap_server
from testbed.raw_ldap import (
    BAD_CREDENTIALS,
    CONFIDENTIALITY,
    CRITICAL_EXTENSION,
    NO_METHOD,
    OPERATIONS_ERROR,
    PROTOCOL_ERROR,
    SUCCESS,
    UNAVAILABLE,
    UNWILLING,
    WHO_AM_I,
    RawLdap,
    extended,
    request,
    sasl_bind,
    search,
    simple_bind,
)
from testbed.tls_fixtures import Tls as TlsFiles
from testbed.tls_fixtures import make_tls

MECHANISMS = ("DIGEST-MD5", "GSS-SPNEGO", "NTLM", "CREDSSP")
UNBIND = element(0x42)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsFiles:
    return make_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def bounds() -> list[Bound]:
    return []


@pytest.fixture(scope="module")
def directory(tls: TlsFiles, bounds: list[Bound]) -> Iterator[LdapServer]:
    """A directory that demands sealing."""
    with ldap_server(
        policy=Policy(min_ssf=56), certificate=tls.server, bindings=[tls.bindings], on_security=bounds.append
    ) as server:
        yield server


@pytest.fixture(scope="module")
def port(directory: LdapServer) -> Iterator[int]:
    with gateway("ldap", f"localhost:{directory.port}") as started:
        yield started.port


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_simple_bind_is_a_sealed_logon_and_everything_behind_it_is_carried(
    mechanism: str, directory: LdapServer, bounds: list[Bound]
) -> None:
    with gateway("ldap", f"localhost:{directory.port}", mechanisms=(mechanism,)) as started:
        with RawLdap(started.port) as client, audited() as records:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
            assert client.who_am_i() == "u:alice"
            entries, done = client.find(search(SUFFIX))
            assert (len(entries), done.code) == (ENTRIES + 3, SUCCESS)
            refused = client.ask(simple_bind("alice", "looking-glass"))
            assert (refused.code, bool(refused.text)) == (BAD_CREDENTIALS, True)
        assert (bounds[-1].method, bounds[-1].ssf >= 56) == (mechanism, True)
    ours = [record for record in records if record.how == "a simple bind"]
    assert [(one.accepted, one.username) for one in ours] == [(True, "alice"), (False, "alice")]
    assert ours[0].negotiated == mechanism
    assert all(one.peer.startswith("127.0.0.1:") for one in ours)


@pytest.mark.parametrize("listed", ["DIGEST-MD5", "NTLM", "GSS-SPNEGO"])
def test_the_usual_mechanisms_take_what_a_directory_lists(listed: str) -> None:
    found: list[Bound] = []
    with (
        ldap_server(policy=Policy(min_ssf=56), mechanisms=(listed,), on_security=found.append) as server,
        gateway("ldap", f"localhost:{server.port}") as started,
        RawLdap(started.port) as client,
    ):
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        assert client.who_am_i() == "u:alice"
        assert client.ask(simple_bind("alice", "looking-glass")).code == BAD_CREDENTIALS
    assert found[0].method == listed


def test_a_stronger_mechanism_that_was_hidden_lets_nobody_in(
    directory: LdapServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody in the middle shortens the list that comes in clear (RFC 4422 section 6.1.2)."""
    whole = Settings.offer_on

    def shortened(settings: Settings, around: Surroundings) -> Offer:
        return whole(settings, around) if around.ssf else Offer(("DIGEST-MD5",), {})

    monkeypatch.setattr(Settings, "offer_on", shortened)
    with (
        gateway("ldap", f"localhost:{directory.port}") as started,
        audited() as records,
        RawLdap(started.port) as client,
    ):
        refused = client.ask(simple_bind("alice", "wonderland"))
        assert refused.code not in (SUCCESS, BAD_CREDENTIALS)
        assert "GSS-SPNEGO was hidden" in refused.text
        assert client.ask(extended(WHO_AM_I)).code == OPERATIONS_ERROR
    assert [one.accepted for one in records if one.how == "a simple bind"] == [False]


@pytest.mark.parametrize("name", ["alice", "alice@example.test", "EXAMPLE\\alice"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_names_as_programs_write_them(name: str, mechanism: str, directory: LdapServer) -> None:
    with (
        gateway("ldap", f"localhost:{directory.port}", mechanisms=(mechanism,)) as started,
        RawLdap(started.port) as client,
    ):
        answer = client.ask(simple_bind(name, "wonderland"))
    known = mechanism != "DIGEST-MD5" or "\\" not in name  # EXAMPLE is not the directory's realm
    assert answer.code == (SUCCESS if known else BAD_CREDENTIALS)


def test_each_bind_is_its_own_logon_on_a_new_connection(port: int, directory: LdapServer) -> None:
    with RawLdap(port) as client:
        for name, password, code in (
            ("alice", "wonderland", SUCCESS),
            ("bob", "builder", SUCCESS),
            ("bob", "wonderland", BAD_CREDENTIALS),
            ("jörg", "grüße", SUCCESS),
        ):
            assert client.ask(simple_bind(name, password)).code == code
            if code == SUCCESS:
                assert client.who_am_i() == f"u:{name}"
                assert directory.connections == 1
            else:
                # RFC 4513 section 4: a bind that failed leaves nobody.
                assert client.ask(extended(WHO_AM_I)).code == OPERATIONS_ERROR


def test_operations_behind_a_bind_wait_for_its_answer(port: int) -> None:
    with RawLdap(port) as client:
        client.send_raw(
            request(1, simple_bind("alice", "wonderland"))
            + request(2, extended(WHO_AM_I))
            + request(3, simple_bind("bob", "builder"))
            + request(4, extended(WHO_AM_I))
        )
        answers = []
        while not answers or answers[-1].id != 4:
            answer = client.receive()
            assert answer is not None
            answers.append(answer)
        # RFC 4511 section 4.2.1: what a bind finds unanswered is completed or abandoned.
        assert [one.id for one in answers] in ([1, 2, 3, 4], [1, 3, 4])
        assert [one.code for one in answers] == [SUCCESS] * len(answers)
        assert answers[-1].value == b"u:bob"


def test_a_bind_in_the_middle_of_a_search_leaves_whole_messages(tls: TlsFiles) -> None:
    with (
        ldap_server(policy=Policy(min_ssf=56), entries=20_000) as server,
        gateway("ldap", f"localhost:{server.port}") as started,
        RawLdap(started.port) as client,
    ):
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        search_id = client.start(search(SUFFIX))
        first = client.receive()
        assert first is not None
        assert first.id == search_id
        bind_id = client.start(simple_bind("bob", "builder"))
        while (answer := client.receive()) is not None and answer.id == search_id:
            assert answer.tag in (0x64, 0x65)
        assert answer is not None
        assert (answer.id, answer.code) == (bind_id, SUCCESS)
        assert client.who_am_i() == "u:bob"


def test_an_answer_of_the_gateway_stands_between_two_of_the_server(tls: TlsFiles) -> None:
    with (
        ldap_server(policy=Policy(min_ssf=56), entries=20_000) as server,
        gateway("ldap", f"localhost:{server.port}") as started,
        RawLdap(started.port) as client,
    ):
        client.ask(simple_bind("alice", "wonderland"))
        search_id = client.start(search(SUFFIX))
        others = {client.start(extended("1.3.6.1.4.1.1466.20037")) for _ in range(20)}
        codes = {}
        while (answer := client.receive()) is not None:
            if answer.tag != 0x64:
                codes[answer.id] = answer.code
            if answer.id == search_id and answer.code is not None and len(codes) == 21:
                break
            if len(codes) == 21:
                break
        assert codes == {search_id: SUCCESS, **dict.fromkeys(others, PROTOCOL_ERROR)}


def test_unbind_ends_both_connections(port: int, directory: LdapServer) -> None:
    with RawLdap(port) as client:
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        client.start(UNBIND)
        assert client.ended()
    wait_until(lambda: directory.connections == 0)


def test_a_client_that_leaves_takes_its_connection_along(port: int, directory: LdapServer) -> None:
    with RawLdap(port) as client:
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        assert directory.connections == 1
    wait_until(lambda: directory.connections == 0)


def wait_until(holds: Any) -> None:
    over = threading.Event()
    for _ in range(1000):
        if holds():
            return
        over.wait(0.02)
    raise AssertionError("it does not come to that")


@pytest.mark.parametrize(
    ("bind", "code", "told"),
    [
        (simple_bind("", ""), UNWILLING, "anonymous is off"),
        (simple_bind("alice", ""), UNWILLING, "without a password"),
        (simple_bind(ALICE_DN, "wonderland"), UNWILLING, "lookup_user"),
        (simple_bind("alice", "wonderland", version=2), PROTOCOL_ERROR, "version 3"),
        (sasl_bind("PLAIN", b"\0alice\0wonderland"), NO_METHOD, "simple"),
        (sasl_bind("DIGEST-MD5"), NO_METHOD, "simple"),
        (element(0x60, integer(3), octet_string(b""), element(0x89, b"x")), NO_METHOD, "simple"),
        (simple_bind("nobody", "wonderland"), BAD_CREDENTIALS, ""),
        (element(0x60, integer(3), octet_string(b"alice"), element(0x80, b"\xff\xfe")), BAD_CREDENTIALS, ""),
    ],
)
def test_binds_that_are_refused_say_why_and_leave_a_record(bind: bytes, code: int, told: str, port: int) -> None:
    with RawLdap(port) as client, audited() as records:
        answer = client.ask(bind)
        assert (answer.code, told in answer.text) == (code, True), answer
        ours = [one for one in records if "bind" in one.how]
        assert [(one.accepted, "wonderland" in one.text()) for one in ours] == [(False, False)]
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS


@pytest.mark.parametrize(("critical", "code"), [(b"\xff", CRITICAL_EXTENSION), (b"\0", SUCCESS)])
def test_controls_of_a_bind_are_obeyed_or_refused(critical: bytes, code: int, port: int) -> None:
    control = sequence(octet_string(b"1.3.6.1.4.1.42.2.27.8.5.1"), element(0x01, critical))
    with RawLdap(port) as client:
        assert client.ask(simple_bind("alice", "wonderland"), element(0xA0, control)).code == code


def test_nobody_is_served_before_a_bind(port: int, directory: LdapServer) -> None:
    with RawLdap(port) as client:
        assert client.ask(search("", scope=0)).code == OPERATIONS_ERROR
        client.start(element(0x50, b"\x01"))  # abandon has no answer
        assert client.ask(extended(WHO_AM_I)).code == OPERATIONS_ERROR
        assert directory.connections == 0


def test_who_does_not_log_on_is_passed_on_where_that_is_said() -> None:
    with (
        ldap_server() as server,
        gateway("ldap", f"localhost:{server.port}", anonymous=True) as started,
        RawLdap(started.port) as client,
        audited() as records,
    ):
        entries, done = client.find(search("", scope=0))
        assert (len(entries), done.code) == (1, SUCCESS)
        assert client.ask(simple_bind()).code == SUCCESS
        assert client.who_am_i() == ""
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        assert client.who_am_i() == "u:alice"
        assert client.ask(simple_bind()).code == SUCCESS
        assert client.who_am_i() == ""
    assert [(one.accepted, one.username) for one in records if one.how == "an anonymous bind"] == [(True, "")] * 2


def test_a_long_message_is_carried_as_it_comes(port: int, directory: LdapServer) -> None:
    # A search whose filter has a value of 300,000 octets: more than is ever kept.
    huge = element(0xA3, octet_string(b"cn"), octet_string(b"x" * 300_000))
    with RawLdap(port) as client:
        client.ask(simple_bind("alice", "wonderland"))
        entries, done = client.find(search(SUFFIX, filter_=huge))
        assert (entries, done.code) == ([], SUCCESS)
        assert client.who_am_i() == "u:alice"


@pytest.mark.parametrize("begins", [Tls.IMMEDIATE, Tls.STARTTLS])
@pytest.mark.parametrize("mechanism", ["GSS-SPNEGO", "NTLM", "DIGEST-MD5"])
def test_tls_goes_out_with_channel_bindings_and_without_a_layer(
    begins: Tls, mechanism: str, directory: LdapServer, tls: TlsFiles, bounds: list[Bound]
) -> None:
    there = directory.ldaps_port if begins is Tls.IMMEDIATE else directory.port
    settings: dict[str, Any] = {"tls": begins, "ca": str(tls.ca_file), "mechanisms": (mechanism,)}
    with gateway("ldap", f"localhost:{there}", **settings) as started, RawLdap(started.port) as client:
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        assert client.who_am_i() == "u:alice"
        security = bounds[-1].security
        assert security is not None
        assert security.ssf == 0
        assert security.channel_binding == "tls-server-end-point" or mechanism == "DIGEST-MD5"
        assert client.ask(simple_bind("alice", "wrong")).code == BAD_CREDENTIALS


@pytest.mark.parametrize("begins", [Tls.IMMEDIATE, Tls.STARTTLS])
def test_a_server_whose_certificate_is_not_trusted_sees_no_logon(
    begins: Tls, directory: LdapServer, bounds: list[Bound]
) -> None:
    there = directory.ldaps_port if begins is Tls.IMMEDIATE else directory.port
    before = len(bounds)
    with gateway("ldap", f"localhost:{there}", tls=begins) as started, RawLdap(started.port) as client:
        answer = client.ask(simple_bind("alice", "wonderland"))
        assert (answer.code, "certificate" in answer.text) == (UNAVAILABLE, True)
    assert len(bounds) == before


def listener_of(folder: Path, **changes: Any) -> tuple[dict[str, Any], ssl.SSLContext]:
    """A listener with a certificate, and a client's context that trusts it."""
    made = make_server_certificate(folder)
    told = {"certificate": str(made.certificate_file), "key": str(made.key_file), **changes}
    return told, ssl.create_default_context(cafile=made.ca_file)


@pytest.mark.parametrize("begins", [Tls.IMMEDIATE, Tls.STARTTLS])
def test_clients_come_in_by_tls(begins: Tls, directory: LdapServer, tmp_path: Path) -> None:
    told, context = listener_of(tmp_path, tls=begins)
    with gateway("ldap", f"localhost:{directory.port}", listener=told) as started, RawLdap(started.port) as client:
        if begins is Tls.IMMEDIATE:
            client.wrap_tls(context)
        else:
            assert client.start_tls(context).code == SUCCESS
        assert client.ask(extended("1.3.6.1.4.1.1466.20037")).code == OPERATIONS_ERROR
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        entries, done = client.find(search(SUFFIX))
        assert (len(entries), done.code) == (ENTRIES + 3, SUCCESS)


def test_passwords_beyond_loopback_wait_for_tls(directory: LdapServer, tmp_path: Path) -> None:
    told, context = listener_of(tmp_path, tls=Tls.STARTTLS, address="0.0.0.0")
    with gateway("ldap", f"localhost:{directory.port}", listener=told) as started, RawLdap(started.port) as client:
        assert client.ask(simple_bind("alice", "wonderland")).code == CONFIDENTIALITY
        assert client.start_tls(context).code == SUCCESS
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS


def test_tls_begins_before_a_bind_and_with_nothing_behind_its_request(directory: LdapServer, tmp_path: Path) -> None:
    told, _ = listener_of(tmp_path, tls=Tls.STARTTLS)
    with gateway("ldap", f"localhost:{directory.port}", listener=told) as started:
        with RawLdap(started.port) as client:
            client.ask(simple_bind("alice", "wonderland"))
            assert client.ask(extended("1.3.6.1.4.1.1466.20037")).code == OPERATIONS_ERROR
        with RawLdap(started.port) as client:
            client.send_raw(request(1, extended("1.3.6.1.4.1.1466.20037")) + request(2, simple_bind("bob", "builder")))
            answer = client.receive()
            assert answer is not None
            assert answer.code == PROTOCOL_ERROR
            assert client.ended()


def test_a_unix_socket(directory: LdapServer, tmp_path: Path) -> None:
    place = tmp_path / "ldap"
    with (
        gateway("ldap", f"localhost:{directory.port}", listener={"path": str(place)}),
        audited() as records,
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.settimeout(20)
        client.connect(str(place))
        client.sendall(request(1, simple_bind("alice", "wonderland")))
        assert client.recv(100)[-7:] == bytes((0x0A, 1, SUCCESS, 4, 0, 4, 0))
    assert [one.peer for one in records if one.how == "a simple bind"] == [f"unix:uid={os.geteuid()}"]


def test_a_refusal_is_held_back_and_the_more_the_oftener(directory: LdapServer) -> None:
    limits = limited(failure_delay=0.4, failures_by_account=1, longest_delay=10.0)
    with gateway("ldap", f"localhost:{directory.port}", limits=limits) as started, RawLdap(started.port) as client:
        took = []
        for _ in range(3):
            began = time.monotonic()
            assert client.ask(simple_bind("alice", "wrong")).code == BAD_CREDENTIALS
            took.append(time.monotonic() - began)
        assert took[0] >= 0.29
        assert took[2] >= 1.19


def test_limits_of_silence_and_of_a_connection_s_life(directory: LdapServer) -> None:
    for limits, bound in (
        (limited(logon_seconds=0.3), False),
        (limited(idle_seconds=0.3), True),
        (limited(session_seconds=0.5), True),
    ):
        with (
            gateway("ldap", f"localhost:{directory.port}", limits=limits) as started,
            RawLdap(started.port) as client,
        ):
            if bound:
                assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
            goodbye = client.receive()
            assert goodbye is not None
            assert (goodbye.id, goodbye.code) == (0, UNAVAILABLE)
            assert client.ended()
    wait_until(lambda: directory.connections == 0)


def test_more_clients_than_are_let_in(directory: LdapServer) -> None:
    with gateway("ldap", f"localhost:{directory.port}", limits=limited(connections=2)) as started, ExitStack() as stack:
        clients = [stack.enter_context(RawLdap(started.port)) for _ in range(2)]
        for client in clients:
            assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        with RawLdap(started.port) as third:
            assert third.ended()
        clients[0].start(UNBIND)
        wait_until(lambda: started.gateway.clients == 1)
        with RawLdap(started.port) as third:
            assert third.ask(simple_bind("alice", "wonderland")).code == SUCCESS


def test_servers_are_asked_in_their_order(directory: LdapServer) -> None:
    with (
        ldap_server(authority=MemoryAuthority({"alice": "elsewhere"})) as other,
        gateway("ldap", "localhost:1", f"localhost:{directory.port}", f"localhost:{other.port}") as started,
        RawLdap(started.port) as client,
    ):
        assert client.ask(simple_bind("alice", "wonderland")).code == SUCCESS
        # One that refuses has decided: the next one would be another guess.
        assert client.ask(simple_bind("alice", "elsewhere")).code == BAD_CREDENTIALS
    with gateway("ldap", "localhost:1", "localhost:2") as started, RawLdap(started.port) as client:
        answer = client.ask(simple_bind("alice", "wonderland"))
        assert (answer.code, "localhost:1" in answer.text, "localhost:2" in answer.text) == (UNAVAILABLE, True, True)


def test_a_server_is_not_asked_for_more_logons_at_once_than_it_has_room_for() -> None:
    """It says nothing: so many connections come, and no more, however many clients bind."""
    with (
        socket.create_server(("127.0.0.1", 0), backlog=200) as silent,
        gateway("ldap", f"127.0.0.1:{silent.getsockname()[1]}", mechanisms=("NTLM",)) as started,
        ExitStack() as stack,
    ):
        for _ in range(50):
            stack.enter_context(RawLdap(started.port)).start(simple_bind("alice", "wonderland"))
        silent.settimeout(15)
        for _ in range(32):
            stack.enter_context(silent.accept()[0])
        silent.settimeout(0.5)
        with pytest.raises(TimeoutError):
            stack.enter_context(silent.accept()[0])
