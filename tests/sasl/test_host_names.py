"""A host is named in A-labels, however it was given, and what it is named decides nothing a package should not know."""

from __future__ import annotations

from pathlib import Path

import pytest

import saslsspi
from saslsspi import Client, Context, MemoryAuthority, Password, Policy, Server, sspi
from saslsspi.host_names import in_a_labels
from saslsspi.sasl.logon import Logon
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType
from sspi_program import SIGN, Acceptor, Initiator, inbound, outbound

ALICE = Password("alice", "wonderland")
GIVEN, NAMED = "b\u00fccher.example", "xn--bcher-kva.example"


@pytest.mark.parametrize("given", [GIVEN, NAMED])
@pytest.mark.parametrize("served", [GIVEN, NAMED])
def test_either_side_may_be_told_either_form(given: str, served: str) -> None:
    client = Client("DIGEST-MD5", service="ldap", host=given, credentials=ALICE)
    server = Server("DIGEST-MD5", service="ldap", host=served, authority=MemoryAuthority({"alice": "wonderland"}))
    response = client.step(server.step(client.start()))
    assert response is not None
    assert f'digest-uri="ldap/{NAMED}"'.encode() in response
    client.succeed(server.step(response))
    assert server.done


def test_a_replicated_service_and_a_logon_are_named_so_too() -> None:
    client = Client("DIGEST-MD5", service="ldap", host=GIVEN, server_name=GIVEN[1:], credentials=ALICE)
    server = Server(
        "DIGEST-MD5",
        service="ldap",
        host=f"{GIVEN}/{GIVEN[1:]}",
        authority=MemoryAuthority({"alice": "wonderland"}),
    )
    response = client.step(server.step(client.start()))
    assert response is not None
    assert f'digest-uri="ldap/{NAMED}/{in_a_labels(GIVEN[1:])}"'.encode() in response
    client.succeed(server.step(response))
    assert Logon.of("ldap", host=GIVEN).target == f"ldap/{NAMED}"


@pytest.mark.parametrize("name", ["h.example", "", "127.0.0.1", "::1", "\u00fc" * 64, "\u00fc..example"])
def test_what_is_no_such_name_stays_as_it_is(name: str) -> None:
    assert in_a_labels(name) == name


def test_hosts_are_encoded_in_one_place() -> None:
    root = Path(saslsspi.__file__).parent
    assert [path.name for path in root.rglob("*.py") if '"idna"' in path.read_text(encoding="utf-8")] == [
        "host_names.py"
    ]


def test_no_package_asks_which_service_it_serves() -> None:
    packages = Path(saslsspi.__file__).parent / "packages"
    asking = [path.name for path in packages.rglob("*.py") if '== "ldap' in path.read_text(encoding="utf-8")]
    assert asking == []


@pytest.mark.parametrize("service", ["ldap", "LDAP", "imap"])
@pytest.mark.parametrize("hosts", [("h",), ()])
def test_a_server_seals_what_is_signed_by_its_own_service(service: str, hosts: tuple[str, ...]) -> None:
    policy = Policy(max_ssf=1)
    client = Client("NTLM", service=service, host="h", credentials=ALICE, policy=policy)
    server = Server("NTLM", service=service, host=hosts, authority=MemoryAuthority({"alice": "wonderland"}))
    authenticate = server.step(client.step(server.step(client.start())))
    client.succeed(authenticate)
    assert client.layer is not None
    assert server.layer is not None
    wire = client.layer.wrap(b"a message")
    assert (b"a message" in wire) is (service == "imap")
    assert server.layer.unwrap(wire) == b"a message"


@pytest.mark.parametrize(("service", "clear"), [("ldap", False), ("imap", True)])
def test_the_other_faces_go_by_the_principal(service: str, clear: bool) -> None:
    client = Initiator(outbound(package="NTLM"), int(SIGN))
    client.target = f"{service}/h"
    server = Acceptor(inbound(package="NTLM", principal=f"{service}/h"), 0)
    server.step(client.step(server.step(client.step(None))))
    message = SecBufferDesc(
        [
            SecBuffer(bytearray(16), SecBufferType.SECBUFFER_TOKEN),
            SecBuffer(bytearray(b"a message"), SecBufferType.SECBUFFER_DATA),
        ]
    )
    sspi.encrypt_message(client.handle, 0, message, 0)
    assert (message[1].data == b"a message") is clear
    sspi.decrypt_message(server.handle, message, 0)
    assert message[1].data == b"a message"

    ours = Context.initiate("NTLM", target=f"{service}/h", credentials=ALICE, policy=Policy(max_ssf=1))
    theirs = Context.accept("NTLM", principal=f"{service}/h", authority=MemoryAuthority({"alice": "wonderland"}))
    theirs.step(ours.step(theirs.step(ours.step())))
    wire = ours.wrap(b"a message")
    assert (b"a message" in wire) is clear
    assert theirs.unwrap(wire) == b"a message"
