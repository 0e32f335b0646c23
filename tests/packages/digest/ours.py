"""Our two sides of DIGEST-MD5 as these tests make them: one user, one realm, one host, and every layer by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import pytest

from packages.digest.scripted import HOST, PASSWORD, REALM, USER, ScriptedClient
from pair import authenticate
from saslsspi import (
    Client,
    Environment,
    MemoryAuthority,
    MemoryNonceStore,
    NonceStore,
    Password,
    Policy,
    SaslError,
    Server,
)
from saslsspi.accounts.authority import Authority
from saslsspi.errors import ContextMisuse

__all__ = [
    "CIPHERS",
    "LAYERS",
    "fixed_random",
    "joined",
    "new_client",
    "new_server",
    "policy_for",
    "refuse",
    "remembering",
    "run",
]

CIPHERS: Final = ("rc4", "3des", "rc4-56", "des", "rc4-40")
LAYERS: Final = ("auth-int", *CIPHERS)


def policy_for(layer: str, policy: Policy | None = None) -> Policy:
    """A policy that permits exactly one layer, by the name of its cipher, or auth-int, or auth."""
    base = policy or Policy(min_peer_buffer=0)
    if layer == "auth":
        return replace(base, max_ssf=0)
    if layer == "auth-int":
        return replace(base, min_ssf=1, max_ssf=1)
    return replace(base, min_ssf=2, ciphers=(layer,))


def new_server(
    layer: str | None = None,
    *,
    service: str = "imap",
    host: str | tuple[str, ...] = HOST,
    realm: str | tuple[str, ...] | None = REALM,
    authority: Authority | Mapping[str, str] | None = None,
    policy: Policy | None = None,
    nonce_store: NonceStore | None = None,
    success_data: bool = True,
    environment: Environment | None = None,
) -> Server:
    if authority is None:
        authority = {USER: PASSWORD}
    return Server(
        "DIGEST-MD5",
        service=service,
        host=host,
        realm=realm,
        authority=MemoryAuthority(authority) if isinstance(authority, Mapping) else authority,
        policy=policy if layer is None else policy_for(layer, policy),
        nonce_store=nonce_store,
        success_data=success_data,
        environment=environment,
    )


def new_client(
    layer: str | None = None,
    *,
    username: str = USER,
    password: str = PASSWORD,
    realm: str | None = None,
    service: str = "imap",
    host: str = HOST,
    server_name: str | None = None,
    authzid: str = "",
    policy: Policy | None = None,
    environment: Environment | None = None,
) -> Client:
    return Client(
        "DIGEST-MD5",
        service=service,
        host=host,
        server_name=server_name,
        credentials=Password(username, password, realm=realm),
        authzid=authzid,
        policy=policy if layer is None else policy_for(layer, policy),
        environment=environment,
    )


def joined(
    layer: str | None = None, *, client: Client | None = None, server: Server | None = None
) -> tuple[Client, Server]:
    """A client and a server that have authenticated."""
    client = client or new_client(layer)
    server = server or new_server(layer)
    authenticate(client, server)
    assert client.done
    assert server.done
    return client, server


def fixed_random(octets: bytes) -> Callable[[int], bytes]:
    """A source of randomness that always gives the same octets, whatever was asked."""
    return lambda count: octets


def run(script: ScriptedClient, server: Server | None = None) -> tuple[Server, bytes]:
    """Let a server answer a scripted client; return it and what it sent with success."""
    server = server or new_server()
    challenge = server.step(None)
    assert challenge is not None
    proof = server.step(script.answer(challenge))
    assert proof is not None
    assert server.done
    return server, proof


def refuse(script: ScriptedClient, error: type[SaslError], server: Server | None = None) -> SaslError:
    """Let a server refuse a scripted client; it is not done afterwards, and takes nothing more."""
    server = server or new_server()
    challenge = server.step(None)
    assert challenge is not None
    with pytest.raises(error) as caught:
        server.step(script.answer(challenge))
    assert type(caught.value) is type(error(""))  # no class of it that says something else
    assert caught.value.token is None
    assert not server.done
    assert server.layer is None
    right = ScriptedClient().answer(challenge)
    with pytest.raises(ContextMisuse):
        server.step(right)
    return caught.value


def remembering(layer: str | None = "auth", **named: object) -> tuple[Server, MemoryNonceStore]:
    store = MemoryNonceStore()
    return new_server(layer, nonce_store=store, **named), store  # type: ignore[arg-type]  # the names are new_server's
