"""LOGIN and CRAM-MD5: off until a policy names them, and what they are then."""

from __future__ import annotations

import hmac
import re
from typing import Any

import pytest

import vector_files
from pair import authenticate
from saslsspi import (
    Account,
    Client,
    Environment,
    InvalidParameter,
    InvalidToken,
    LogonDenied,
    MemoryAuthority,
    PackageNotFound,
    Password,
    Policy,
    Server,
    choose,
    offer,
)
from saslsspi.accounts import derive_scram_keys
from saslsspi.adapters.mail.line_protocol import Verdict
from saslsspi.adapters.mail.server import SaslService
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.errors import IncompleteCredentials, SecurityQosFailed

TLS = 256
BOTH = ["LOGIN", "CRAM-MD5"]
NAMED = Policy(weak_mechanisms=("LOGIN", "CRAM-MD5"))
AUTHORITY = MemoryAuthority(
    [
        Account(username="alice", password="wonderland"),
        Account(username="a b", password="x" * 100),
        Account(username="j\u00f6rg", password="gr\u00fc\u00dfe"),
        Account(username="keys", scram={"SHA-256": derive_scram_keys("wonderland", iterations=4096)}),
        Account(username="empty", password=""),
    ]
)


def new_client(mechanism: str, user: str = "alice", password: str = "wonderland", **options: Any) -> Client:
    options = {"policy": NAMED, "external_ssf": TLS, "service": "smtp", "host": "h"} | options
    return Client(mechanism, credentials=Password(user, password), **options)


def new_server(mechanism: str, **options: Any) -> Server:
    options = {"policy": NAMED, "authority": AUTHORITY, "external_ssf": TLS, "service": "smtp", "host": "h"} | options
    return Server(mechanism, **options)


@pytest.mark.requirement("RFC2195-4-01")
@pytest.mark.parametrize("mechanism", BOTH)
def test_nothing_begins_until_a_policy_names_it(mechanism: str) -> None:
    for make in (new_client, new_server):
        with pytest.raises(SecurityQosFailed, match=rf"weak_mechanisms=\('{mechanism}',\)"):
            make(mechanism, policy=Policy())
    assert mechanism in offer(Policy(), external_ssf=TLS).reasons
    assert mechanism in offer(NAMED, external_ssf=TLS).names
    with pytest.raises(PackageNotFound, match="off unless a policy names it"):
        choose([mechanism], Policy(), external_ssf=TLS)
    assert (
        choose([mechanism], Policy(weak_mechanisms=(mechanism.lower(),)), external_ssf=TLS).mechanism.name == mechanism
    )


@pytest.mark.requirement("RFC2195-2-03", "RFC2195-2-05", "RFC2195-2-06")
@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize(
    ("user", "password"), [("alice", "wonderland"), ("a b", "x" * 100), ("j\u00f6rg", "gr\u00fc\u00dfe")]
)
def test_who_knows_the_password_logs_on(mechanism: str, user: str, password: str) -> None:
    client, server = new_client(mechanism, user, password), new_server(mechanism)
    authenticate(client, server)
    assert client.done
    assert server.security.authcid == user
    assert (client.layer, server.layer) == (None, None)


@pytest.mark.requirement("RFC2195-2-05")
@pytest.mark.parametrize("mechanism", BOTH)
@pytest.mark.parametrize(
    ("user", "password"), [("alice", "wrong"), ("nobody", "wonderland"), ("alice ", "wonderland"), ("empty", "\0x")]
)
def test_who_does_not_is_refused_alike(mechanism: str, user: str, password: str) -> None:
    client = new_client(mechanism, user, password.replace("\0", "x"))
    with pytest.raises(LogonDenied, match=r"the user is unknown or the password is wrong|nothing is left|cannot be"):
        authenticate(client, new_server(mechanism))


def test_cram_md5_needs_the_password_itself() -> None:
    with pytest.raises(LogonDenied):
        authenticate(new_client("CRAM-MD5", "keys"), new_server("CRAM-MD5"))
    authenticate(new_client("LOGIN", "keys"), new_server("LOGIN"))


def test_a_user_without_a_password_has_none_that_can_be_guessed() -> None:
    authority = MemoryAuthority([Account(username="alice", password="")])
    server = new_server("CRAM-MD5", authority=authority)
    for key in (b"", b"\0"):
        session = server.again()
        challenge = session.step(None)
        assert challenge
        with pytest.raises(LogonDenied):
            session.step(b"alice " + HmacMd5(key).digest(challenge).hex().encode())


@pytest.mark.requirement("RFC2195-2-02", "RFC2195-2-03", "RFC2195-2-04")
@pytest.mark.parametrize("vector", vector_files.load("cram-md5"), ids=lambda vector: vector["id"])
def test_the_digest_is_that_of_the_rfc(vector: dict[str, Any]) -> None:
    client = new_client("CRAM-MD5", vector["username"], vector["password"], external_ssf=0)
    assert client.start() is None
    assert client.step(vector["challenge_text"].encode()) == vector["response_text"].encode()
    client.succeed()
    assert client.done


@pytest.mark.requirement("RFC2195-2-03")
@pytest.mark.parametrize("size", [64, 65, 100])
def test_a_secret_of_any_length_is_a_key_of_hmac(size: int) -> None:
    """Section 2: one longer than 64 octets counts by its MD5, as RFC 2104 has it."""
    client = new_client("CRAM-MD5", "alice", "x" * size)
    client.start()
    digest = hmac.digest(b"x" * size, b"<1.2@h>", "md5").hex()
    assert client.step(b"<1.2@h>") == f"alice {digest}".encode()


@pytest.mark.requirement("RFC2195-2-01")
def test_a_challenge_is_a_message_id_of_this_server_and_never_the_same() -> None:
    server = new_server("CRAM-MD5", host=["mail.example", "other"], environment=Environment(clock=lambda: 1234.5))
    found = {bytes(server.again().step(None) or b"") for _ in range(20)}
    assert len(found) == 20
    assert all(re.fullmatch(rb"<[0-9]+\.1234@mail\.example>", one) for one in found)


@pytest.mark.requirement("RFC2195-2-04")
@pytest.mark.parametrize(
    "response",
    [b"", b"alice", b"alice ", b"alice " + b"0" * 31, b"alice " + b"0" * 33, b"alice " + b"A" * 32, b" " + b"0" * 32,
     b"\xff " + b"0" * 32, b"a" * 5000 + b" " + b"0" * 32, b"alice\n" + b"0" * 32, b"alice " + b"0" * 32 + b"\n"],
)  # fmt: skip
def test_anything_else_is_no_response(response: bytes) -> None:
    server = new_server("CRAM-MD5")
    server.step(None)
    with pytest.raises(InvalidToken):
        server.step(response)


@pytest.mark.parametrize("mechanism", BOTH)
def test_a_client_says_nothing_more(mechanism: str) -> None:
    client = new_client(mechanism)
    client.start()
    client.step(b"<1.2@h>")
    if mechanism == "LOGIN":
        client.step(b"anything")
    with pytest.raises(InvalidToken):
        client.step(b"more")


@pytest.mark.parametrize("challenge", [b"", b"x" * 5000])
def test_cram_md5_answers_no_such_challenge(challenge: bytes) -> None:
    client = new_client("CRAM-MD5")
    client.start()
    with pytest.raises(InvalidToken):
        client.step(challenge)


def test_login_prompts_as_deployed_servers_do_and_ignores_prompts() -> None:
    server, client = new_server("LOGIN"), new_client("LOGIN")
    assert client.start() is None
    assert server.step(None) == b"Username:"
    assert client.step(b"User Name\0") == b"alice"
    assert server.step(b"alice") == b"Password:"
    assert client.step(b"") == b"wonderland"
    assert server.step(b"wonderland") is None
    assert server.done


def test_login_takes_the_name_with_the_command_in_mail() -> None:
    service = SaslService(service="smtp", host="h", authority=AUTHORITY, policy=NAMED)
    dialogue = service.dialogue(external_ssf=TLS)
    assert dialogue.begin(b"LOGIN YWxpY2U=").challenge == b"UGFzc3dvcmQ6"
    assert dialogue.receive(b"d29uZGVybGFuZA==").verdict is Verdict.SUCCESS
    refused = service.dialogue(external_ssf=TLS).begin(b"CRAM-MD5 YWxpY2U=")
    assert refused.verdict is Verdict.UNINVITED


@pytest.mark.parametrize("external_ssf", [0, 1])
def test_login_shows_no_password_in_clear(external_ssf: int) -> None:
    for make in (new_client, new_server):
        with pytest.raises(SecurityQosFailed, match="sends the password in clear"):
            make("LOGIN", external_ssf=external_ssf)
    assert "CRAM-MD5" in offer(NAMED, external_ssf=external_ssf).names


@pytest.mark.parametrize("mechanism", BOTH)
def test_there_is_no_place_for_another_identity(mechanism: str) -> None:
    with pytest.raises(InvalidParameter, match="leave authzid out"):
        new_client(mechanism, authzid="admin")
    with pytest.raises(IncompleteCredentials):
        new_client(mechanism, user="")


def test_stronger_mechanisms_go_before_them() -> None:
    names = offer(NAMED, ["LOGIN", "CRAM-MD5", "SCRAM-SHA-256"], external_ssf=TLS).names
    assert names == ("SCRAM-SHA-256", "CRAM-MD5", "LOGIN")
