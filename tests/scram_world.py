"""The accounts of the SCRAM tests, and the ends that know them."""

from __future__ import annotations

from typing import Any

from saslsspi import Account, Client, MemoryAuthority, Password, Server
from saslsspi.accounts import derive_scram_keys
from scripted_scram import SALT

__all__ = ["AUTHORITY", "HASHES", "STORED", "fields", "new_client", "new_server"]

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}
STORED = derive_scram_keys("builder", iterations=4096, salt=SALT)
AUTHORITY = MemoryAuthority(
    [
        Account(username="alice", password="wonderland", may_act_as=frozenset({"admin", "a,b=c"})),
        Account(username="bob", scram={"SHA-256": STORED}),
        Account(username="IX", password="nine"),
        Account(username="a,b=c", password="x"),
        Account(username="empty", password=""),
        Account(username="odd", password="\x07"),
    ]
)


def new_client(
    username: str = "alice", password: str = "wonderland", mechanism: str = "SCRAM-SHA-256", **options: Any
) -> Client:
    return Client(mechanism, service="imap", host="h", credentials=Password(username, password), **options)


def new_server(mechanism: str = "SCRAM-SHA-256", **options: Any) -> Server:
    return Server(mechanism, service="imap", host="h", **({"authority": AUTHORITY} | options))


def fields(message: bytes | None) -> dict[str, str]:
    assert message is not None
    return {part[:1]: part[2:] for part in message.decode().split(",")}
