"""Two ends of CredSSP, and a hand inside TLS that changes what one of them sends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from packages.schannel.stream import Side, connect, inbound, outbound
from saslsspi import Context, MemoryAuthority, sspi
from saslsspi.packages.credssp.client import CredsspClient
from saslsspi.packages.credssp.exchange import CredsspExchange
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.packages.credssp.server import CredsspServer
from saslsspi.sspi import (
    AscReq,
    Authority,
    CredSspPolicy,
    Environment,
    IscReq,
    NegotiatePolicy,
    Policy,
    WinNTAuthIdentity,
)

TARGET = "HTTP/host.example"
USER, DOMAIN, PASSWORD = "alice", "DOM", "wonderland"
PEOPLE = MemoryAuthority({USER: PASSWORD})
DELEGATE = IscReq.ISC_REQ_DELEGATE
TOLD = IscReq.ISC_REQ_EXTENDED_ERROR
TELLS = AscReq.ASC_REQ_EXTENDED_ERROR
FREELY = CredSspPolicy(allow_fresh_ntlm_only=("HTTP/*",))
NTLM_ONLY = NegotiatePolicy(packages="NTLM")


def client_side(
    flags: int = TOLD,
    policy: CredSspPolicy = FREELY,
    password: str = PASSWORD,
    *,
    target: str = TARGET,
    identity: sspi.AuthIdentity | None = None,
    **more: Any,
) -> Side:
    identity = identity or WinNTAuthIdentity(USER, DOMAIN, password)
    environment = Environment(policy=Policy(credssp=policy, negotiate=NTLM_ONLY), **more)
    return Side(outbound("CREDSSP", identity, environment=environment), flags, target)


def server_side(
    flags: int = TELLS,
    policy: CredSspPolicy = FREELY,
    authority: Authority = PEOPLE,
    identity: sspi.AuthIdentity | None = None,
) -> Side:
    environment = Environment(policy=Policy(credssp=policy, negotiate=NTLM_ONLY), authority=authority)
    return Side(inbound("CREDSSP", identity, environment=environment), flags)


def accepting(identity: sspi.AuthIdentity | None = None, *, authority: Authority = PEOPLE) -> Context:
    """The same server, where no buffer matters."""
    policy = Policy(credssp=FREELY, negotiate=NTLM_ONLY)
    return Context.accept("CREDSSP", authority=authority, credentials=identity, policy=policy, flags=TELLS)


def logged_on(client: Side | None = None, server: Side | None = None) -> tuple[Side, Side]:
    client, server = client or client_side(), server or server_side()
    connect(client, server)
    return client, server


Change = Callable[[TSRequest], Iterable[TSRequest | bytes]]


class Hand:
    """Sees every TSRequest that one kind of side sends, and says what goes in its place: messages, or raw octets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: type[CredsspExchange], change: Change) -> None:
        self.seen: list[TSRequest] = []
        original = CredsspExchange._reply

        def _reply(exchange: CredsspExchange, message: TSRequest | None) -> None:
            if message is None:
                return
            self.seen.append(message)
            for item in change(message):
                if isinstance(item, TSRequest):
                    original(exchange, item)
                else:
                    exchange._replies.extend(bytes(part) for part in exchange._channel.seal(item))

        monkeypatch.setattr(kind, "_reply", _reply)


def watch(monkeypatch: pytest.MonkeyPatch) -> tuple[list[TSRequest], list[TSRequest]]:
    """Return the lists that the messages of clients and of servers will be put into."""
    client = Hand(monkeypatch, CredsspClient, lambda message: [message])
    server = Hand(monkeypatch, CredsspServer, lambda message: [message])
    return client.seen, server.seen


def client_sends(monkeypatch: pytest.MonkeyPatch, change: Change) -> Hand:
    return Hand(monkeypatch, CredsspClient, change)


def server_sends(monkeypatch: pytest.MonkeyPatch, change: Change) -> Hand:
    return Hand(monkeypatch, CredsspServer, change)
