"""Exchanges that no recording can repeat, since TLS has randomness of its own: both ends run, and octets edit.

The first octet says which message is changed; each four after it are one change: where (two octets), how, and with
what.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from fuzz.target import Finding, Target
from saslsspi import Context, MemoryAuthority, Password, Policy, SaslError
from saslsspi.engine.package import AnyPackage
from saslsspi.engine.policy import CredSspPolicy, NegotiatePolicy
from saslsspi.engine.registry import PACKAGES

__all__ = ["LEFT_OUT", "context_targets", "packages"]

LEFT_OUT: Final = {
    "Kerberos": "its tokens are read by the system's Kerberos",
    "Schannel": "its records are read by OpenSSL; what stands around them is fuzzed as CREDSSP",
}
_PEOPLE: Final = MemoryAuthority({"alice": "wonderland"})
_POLICY: Final = Policy(negotiate=NegotiatePolicy(packages="NTLM"), credssp=CredSspPolicy(allow_fresh_ntlm_only=("*",)))
_TEXT: Final = b"attack at dawn"
_MOST: Final = 24
_SEEDS: Final = [bytes([at, 0, 9, how, 0x41]) for at in range(6) for how in range(5)]


def packages() -> list[AnyPackage]:
    """Return every package that is installed and can be fuzzed here."""
    found = (plugin.value for plugin in PACKAGES.plugins())
    return [package for package in found if package is not None and package.info.name not in LEFT_OUT]


def context_targets() -> Iterator[Target]:
    """Return the exchange of every package between two contexts, with a message behind it."""
    for package in packages():
        name = package.info.name
        yield Target(
            f"context-{name.lower()}",
            lambda octets, name=name: _fuzz(name, octets),  # type: ignore[misc]
            lambda: _SEEDS,
        )


class _Wire:
    """Changes one of the messages that cross it."""

    def __init__(self, octets: bytes) -> None:
        self._left = octets[0] % 8 if octets else 0
        self._edits = octets[1:65]

    def carry(self, message: bytes) -> bytes:
        self._left -= 1
        return message if self._left != -1 else _edited(message, self._edits)


def _edited(message: bytes, edits: bytes) -> bytes:
    for at in range(0, len(edits) - 3, 4):
        where = int.from_bytes(edits[at : at + 2]) % (len(message) + 1)
        how, what = edits[at + 2] % 5, edits[at + 3]
        before, behind = message[:where], message[where:]
        if how == 0:
            message = before + bytes([what]) + behind[1:]
        elif how == 1:
            message = before + bytes([what]) * (what % 9) + behind
        elif how == 2:
            message = before + behind[what:]
        elif how == 3:
            message = before
        else:
            message += behind[:what]
    return message


def _fuzz(package: str, octets: bytes) -> None:
    wire = _Wire(octets)
    try:
        client = Context.initiate(package, target="HTTP/h", credentials=Password("alice", "wonderland"), policy=_POLICY)
        server = Context.accept(package, authority=_PEOPLE, policy=_POLICY)
        said = client.step() if package != "WDigest" else client.step(wire.carry(server.step() or b""))
        for _ in range(_MOST):
            if said is None:
                break
            reply = server.step(wire.carry(said))
            if reply is None or client.done:
                break
            said = client.step(wire.carry(reply))
        if client.done and server.done:
            if not server.security.authcid.lower().endswith("alice"):
                raise Finding(f"it is said to be {server.security.authcid!r}")
            if server.unwrap(wire.carry(client.wrap(_TEXT))) not in (_TEXT, b""):
                raise Finding("what nobody has wrapped came out of a context")
    except SaslError:
        pass
