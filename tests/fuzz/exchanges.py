"""Both sides of every mechanism that is installed, with the layer behind them.

A side is given what its peer said once, changed. A server that has other passwords is given the same: it must never
take anybody; nor must a client with another password, where the mechanism proves the server to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from fuzz.target import Finding, Target, environment, joined, parted
from saslsspi import (
    Account,
    Anonymous,
    ChannelBindings,
    Client,
    MemoryAuthority,
    Password,
    Pending,
    Policy,
    SaslError,
    Secret,
    Server,
    Token,
)
from saslsspi.credentials import Credentials
from saslsspi.engine.policy import CredSspPolicy, NegotiatePolicy, Property
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS

__all__ = ["LEFT_OUT", "exchange_targets", "layer_targets", "mechanisms"]

# Which mechanism is not fuzzed here, and why.
LEFT_OUT: Final = {
    "GSSAPI": "its tokens are read by the system's Kerberos",
    "GS2-KRB5": "its tokens are read by the system's Kerberos; the header before them is among the readers",
    "GS2-KRB5-PLUS": "see GS2-KRB5",
    "CREDSSP": "the randomness of TLS is its own: see fuzz.edits",
}
_RIGHT, _WRONG = (
    MemoryAuthority([Account(username="alice", password=secret, other={Secret.TOKEN: secret})])
    for secret in ("wonderland", "looking-glass")
)
_BINDINGS: Final = ChannelBindings.tls_unique(b"the finished message")
_POLICY: Final = Policy(
    negotiate=NegotiatePolicy(packages="NTLM"),
    credssp=CredSspPolicy(allow_fresh_ntlm_only=("*",)),
)
_WITHOUT_PROOF: Final = frozenset({"ANONYMOUS", "EXTERNAL"})
_TEXT: Final = b"attack at dawn"


def mechanisms() -> list[Mechanism]:
    """Return every mechanism that is installed and can be fuzzed here."""
    found = (plugin.value for plugin in MECHANISMS.plugins())
    return [mechanism for mechanism in found if mechanism is not None and mechanism.name not in LEFT_OUT]


def _client(mechanism: Mechanism, password: str = "wonderland") -> Client:
    credentials: Credentials | None = Password("alice", password)
    if Token in mechanism.credentials:
        credentials = Token("alice", password)
    if mechanism.name in _WITHOUT_PROOF:
        credentials = Anonymous("alice@example.test") if mechanism.name == "ANONYMOUS" else None
    return Client(
        mechanism,
        service="imap",
        host="mail.example.test",
        credentials=credentials,
        bindings=_BINDINGS if mechanism.name.endswith("-PLUS") else None,
        external_ssf=256,
        environment=environment(_policy(mechanism)),
    )


def _policy(mechanism: Mechanism) -> Policy:
    weak = (mechanism.name,) if mechanism.weak else ()
    return replace(_POLICY, allow_anonymous=mechanism.name == "ANONYMOUS", weak_mechanisms=weak)


def _server(mechanism: Mechanism, authority: MemoryAuthority = _RIGHT) -> Server:
    return Server(
        mechanism,
        service="imap",
        host="mail.example.test",
        authority=authority,
        realm="example.test",
        bindings=_BINDINGS if mechanism.name.endswith("-PLUS") else None,
        external_ssf=256,
        external_identity="alice",
        environment=environment(_policy(mechanism)),
    )


def _recorded(mechanism: Mechanism) -> tuple[list[bytes | None], list[bytes | None]]:
    """Return what a client and a server say, and a message of each through their layers."""
    client, server, ours, theirs = _run(mechanism)
    if client.layer is not None and server.layer is not None:
        ours.append(client.layer.wrap(_TEXT))
        theirs.append(server.layer.wrap(_TEXT))
    return ours, theirs


def _run(mechanism: Mechanism) -> tuple[Client, Server, list[bytes | None], list[bytes | None]]:
    """Let the two log on, and return them with what the client and the server said."""
    client, server = _client(mechanism), _server(mechanism)
    ours: list[bytes | None] = [client.start()]
    theirs: list[bytes | None] = []
    while not server.done:
        reply = server.step(ours[-1])
        if isinstance(reply, Pending):
            raise Finding("a question that the authority had answered")
        theirs.append(reply)
        if not server.done:
            ours.append(client.step(reply or b""))
    if not client.done:
        client.succeed(theirs[-1])
    return client, server, ours, theirs


def _feed_server(server: Server, conversation: bytes) -> None:
    for message in parted(conversation):
        if server.done:
            if server.layer is not None:
                server.layer.unwrap(message or b"")
        elif isinstance(server.step(message), Pending):
            raise Finding("a question that the authority had answered")


def _feed_client(client: Client, conversation: bytes) -> None:
    client.start()
    messages = parted(conversation)
    for at, message in enumerate(messages):
        if client.done and client.layer is not None:
            client.layer.unwrap(message or b"")
        elif client.done or at == len(messages) - 1 or message is None:
            client.succeed(message)
        else:
            client.step(message)


def _fuzz_server(mechanism: Mechanism, conversation: bytes) -> None:
    for authority in (_RIGHT, _WRONG):
        server = _server(mechanism, authority)
        with contextlib.suppress(SaslError):
            _feed_server(server, conversation)
        if server.done and mechanism.name not in _WITHOUT_PROOF:
            if authority is _WRONG:
                raise Finding("a proof of another password was taken")
            if server.security.authcid.lower() != "alice":
                raise Finding(f"it is said to be {server.security.authcid!r}")


def _fuzz_client(mechanism: Mechanism, conversation: bytes) -> None:
    for password in ("wonderland", "looking-glass"):
        client = _client(mechanism, password)
        try:
            _feed_client(client, conversation)
        except SaslError:
            continue
        if client.done and password != "wonderland" and mechanism.properties & Property.MUTUAL:
            raise Finding("a server that does not know the password was believed")


def exchange_targets() -> Iterator[Target]:
    """Return both sides of every mechanism."""
    for mechanism in mechanisms():
        name = mechanism.name.lower()
        yield Target(
            f"server-{name}",
            lambda octets, mechanism=mechanism: _fuzz_server(mechanism, octets),  # type: ignore[misc]
            lambda mechanism=mechanism: [joined(_recorded(mechanism)[0])],  # type: ignore[misc]
        )
        yield Target(
            f"client-{name}",
            lambda octets, mechanism=mechanism: _fuzz_client(mechanism, octets),  # type: ignore[misc]
            lambda mechanism=mechanism: [joined(_recorded(mechanism)[1])],  # type: ignore[misc]
        )


def layer_targets() -> Iterator[Target]:
    """Return the layer of every mechanism that has one: what comes out of changed octets is what went in, or less."""
    for mechanism in mechanisms():
        if _run(mechanism)[1].layer is not None:
            yield Target(
                f"layer-{mechanism.name.lower()}",
                lambda octets, mechanism=mechanism: _fuzz_layer(mechanism, octets),  # type: ignore[misc]
                lambda mechanism=mechanism: [_stream(mechanism)],  # type: ignore[misc]
            )


def _stream(mechanism: Mechanism) -> bytes:
    layer = _run(mechanism)[0].layer
    assert layer is not None
    return b"".join(layer.wrap(_TEXT * size) for size in (1, 2, 0, 40))


def _fuzz_layer(mechanism: Mechanism, octets: bytes) -> None:
    layer = _run(mechanism)[1].layer
    assert layer is not None
    taken = b""
    try:
        for at in range(0, len(octets), 50):
            taken += layer.unwrap(octets[at : at + 50])
    except SaslError:
        pass
    if not (_TEXT * 43).startswith(taken):
        raise Finding("what nobody has wrapped came out of a layer")
