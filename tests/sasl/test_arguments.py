"""A wrong kind of argument is refused where it is given, in words; credentials by what a description says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from saslsspi import (
    Anonymous,
    ChannelBindings,
    Client,
    CredSspPolicy,
    Environment,
    MemoryAuthority,
    NegotiatePolicy,
    NtlmPolicy,
    Password,
    Policy,
    Server,
    errors,
)
from saslsspi.engine.policy import HttpDigestPolicy
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS

ALICE = Password("alice", "wonderland")
BINDINGS = ChannelBindings(application_data=b"tls-unique:x")
WRONG: dict[str, object] = {
    "policy": {"min_ssf": 1},
    "environment": {"policy": None},
    "bindings": b"tls-unique",
    "external_ssf": "256",
    "max_message": "12288",
    "service": b"imap",
    "host": 7,
    "mechanism": b"PLAIN",
}
INSTALLED: list[Mechanism] = [plugin.value for plugin in MECHANISMS.plugins() if plugin.value is not None]


def client(**changed: Any) -> Client:
    given: dict[str, Any] = {"mechanism": "DIGEST-MD5", "service": "imap", "host": "h", "credentials": ALICE}
    return Client(**(given | changed))


def server(**changed: Any) -> Server:
    given: dict[str, Any] = {
        "mechanism": "DIGEST-MD5",
        "service": "imap",
        "host": "h",
        "authority": MemoryAuthority({"alice": "wonderland"}),
    }
    return Server(**(given | changed))


@pytest.mark.parametrize("make", [client, server])
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_kind_of_argument_is_refused_where_it_is_given(make: Callable[..., object], name: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=rf"{name}.* takes .*not {type(WRONG[name]).__name__}"):
        make(**{name: WRONG[name]})


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [
        (client, "authzid", None),
        (client, "server_name", b"n"),
        (server, "host", [b"h"]),
        (server, "realm", b"r"),
        (server, "realm", ["r", 7]),
        (server, "bindings", [b"x"]),
        (server, "external_identity", 7),
    ],
)
def test_so_are_those_of_one_side(make: Callable[..., object], name: str, value: object) -> None:
    with pytest.raises(errors.InvalidParameter, match=f"{name}.* takes"):
        make(**{name: value})


def test_an_authority_that_cannot_be_asked_is_refused() -> None:
    with pytest.raises(errors.InvalidParameter, match="lookup"):
        server(authority={"alice": "wonderland"})


@pytest.mark.parametrize("given", [("alice", b"x", None), (b"alice", "x", None), ("alice", "x", b"r"), (7, "x", None)])
def test_so_is_what_is_no_text_in_a_password(given: tuple[Any, Any, Any]) -> None:
    with pytest.raises(errors.InvalidParameter, match="takes str"):
        Password(given[0], given[1], realm=given[2])
    with pytest.raises(errors.InvalidParameter, match="trace takes str"):
        Anonymous(given[0] if not isinstance(given[0], str) else b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("record", [Policy, NtlmPolicy, NegotiatePolicy, CredSspPolicy, HttpDigestPolicy])
def test_every_field_of_every_policy_refuses_a_wrong_kind(record: type) -> None:
    made = record()
    for each in fields(record):
        if getattr(made, each.name) is None:
            continue
        with pytest.raises(errors.InvalidParameter, match=f"{each.name} takes"):
            replace(made, **{each.name: object()})
        if isinstance(getattr(made, each.name), tuple):
            with pytest.raises(errors.InvalidParameter, match=f"{each.name} takes"):
                replace(made, **{each.name: "rc4"})


def test_what_an_unknown_user_is_shown_comes_from_the_environments_own_chance() -> None:
    def challenge(seed: int) -> bytes | None:
        environment = Environment(random=lambda size: bytes([seed]) * size, clock=lambda: 0.0)
        server = Server("SCRAM-SHA-256", service="imap", host="h", environment=environment)
        server.begin(b"n,,n=nobody,r=abc")
        reply = server.resume(None)
        assert isinstance(reply, bytes)
        return reply

    first, second, third = challenge(1), challenge(2), challenge(1)
    assert first == third
    assert first is not None
    assert second is not None
    assert first.partition(b",s=")[2] != second.partition(b",s=")[2]


def test_an_environment_takes_functions_and_a_policy() -> None:
    for wrong in ({"clock": 0.0}, {"random": b"x"}, {"policy": 1}):
        with pytest.raises(errors.InvalidParameter):
            Environment(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("mechanism", INSTALLED, ids=[mechanism.name for mechanism in INSTALLED])
def test_credentials_that_a_description_does_not_name_are_refused(mechanism: Mechanism) -> None:
    assert mechanism.credentials, "ours say what they take"

    def made(credentials: Any) -> Client:
        policy = Policy(weak_mechanisms=(mechanism.name,))
        return Client(
            mechanism,
            service="imap",
            host="h",
            credentials=credentials,
            external_ssf=256,
            bindings=BINDINGS,
            policy=policy,
        )

    for credentials in (ALICE, Anonymous(), None):
        kind = None if credentials is None else type(credentials)
        if kind not in mechanism.credentials:
            refusal = errors.NoCredentials if kind is None else errors.UnknownCredentials
            with pytest.raises(refusal, match=f"^.*{mechanism.name} takes"):
                made(credentials)
    with pytest.raises(errors.UnknownCredentials, match="not tuple"):
        made(("alice", "wonderland"))


def test_a_class_below_a_kind_of_credentials_is_of_that_kind() -> None:
    class Kept(Password):
        pass

    assert client(credentials=Kept("alice", "wonderland")).start() is None
