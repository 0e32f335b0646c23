"""NTLM and Negotiate with NTLM: handshakes of both sides, sign and seal, beside pyspnego and sspilib (sspi-rs).

Credentials are acquired outside the loop. sspilib's acceptor does not look at the password, and its Negotiate acceptor
and its signatures do not work off Windows; pyspnego's acceptor reads its users from a file at every logon.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.decrepit.ciphers.algorithms import ARC4
from cryptography.hazmat.primitives.ciphers import Cipher

from measure import best_times, repeated
from saslsspi.accounts import MemoryAuthority
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Request, Side
from saslsspi.engine.policy import NegotiatePolicy, Policy
from saslsspi.engine.protection import Protection
from saslsspi.engine.registry import find_package
from saslsspi.sspi import AscReq, Environment, IscReq, WinNTAuthIdentity
from table import microseconds, show, verdict

TARGET = "ldap/ldap.example.test"
SIZES = (64, 1024, 65536)
_ASKED = int(IscReq.ISC_REQ_INTEGRITY | IscReq.ISC_REQ_CONFIDENTIALITY)
_REQUIRED = int(AscReq.ASC_REQ_INTEGRITY | AscReq.ASC_REQ_CONFIDENTIALITY)
_POLICY = Policy(negotiate=NegotiatePolicy(packages="ntlm"))


def _our_contexts(name: str) -> Callable[[], tuple[SecurityContext, SecurityContext]]:
    package = find_package(name)
    here = Environment(policy=_POLICY)
    there = Environment(policy=_POLICY, authority=MemoryAuthority({"alice": "wonderland"}))
    identity = WinNTAuthIdentity("alice", "DOM", "wonderland")
    outbound = package.acquire(None, identity, frozenset({Side.INITIATE}), here)
    inbound = package.acquire(None, None, frozenset({Side.ACCEPT}), there)
    asked, required = Request(TARGET, 0, _ASKED), Request("", _REQUIRED, _REQUIRED)

    def both() -> tuple[SecurityContext, SecurityContext]:
        client = SecurityContext(package, outbound, Side.INITIATE, here)
        server = SecurityContext(package, inbound, Side.ACCEPT, there)
        token = client.advance(b"", asked).token
        while token is not None:
            answer = server.advance(token, required).token
            token = client.advance(answer, asked).token if answer is not None else None
        return client, server

    return both


def _pyspnego(name: str) -> Callable[[], tuple[Any, Any]] | None:
    try:
        import spnego
    except ImportError:
        return None
    credential = spnego.Password("DOM\\alice", "wonderland")
    options = spnego.NegotiateOptions.use_ntlm if name == "NTLM" else spnego.NegotiateOptions.use_negotiate

    def both() -> tuple[Any, Any]:
        client = spnego.client(credential, protocol=name.lower(), options=options)
        server = spnego.server(protocol=name.lower(), options=options)
        token = client.step()
        while not (client.complete and server.complete):
            answer = server.step(token)
            token = client.step(answer) if answer else None
        return client, server

    return both


def _sspilib() -> Callable[[], tuple[Any, Any]] | None:
    try:
        import sspilib
    except ImportError:
        return None
    outbound = sspilib.UserCredential("alice", "wonderland", "DOM", protocol="NTLM")
    inbound = sspilib.UserCredential("alice", "wonderland", "DOM", protocol="NTLM", usage="accept")

    def both() -> tuple[Any, Any]:
        client = sspilib.ClientSecurityContext(outbound, TARGET)
        server = sspilib.ServerSecurityContext(inbound)
        server.step(client.step(server.step(client.step())))
        return client, server

    return both


@contextlib.contextmanager
def _user_file() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "users")
        path.write_text("DOM:alice:wonderland\n")
        os.environ["NTLM_USER_FILE"] = str(path)
        try:
            yield
        finally:
            del os.environ["NTLM_USER_FILE"]


def handshakes() -> None:
    """Print a handshake of both sides."""
    rows = []
    times = {}
    for name in ("NTLM", "Negotiate"):
        contenders: dict[str, Callable[[], object]] = {"ours": _our_contexts(name)}
        if (theirs := _pyspnego(name)) is not None:
            contenders["pyspnego"] = theirs
        if name == "NTLM" and (rust := _sspilib()) is not None:
            contenders["sspilib"] = rust
        best = best_times({who: repeated(action) for who, action in contenders.items()})
        times[name] = best["ours"]
        others = [microseconds(best[who]) if who in best else "-" for who in ("pyspnego", "sspilib")]
        faster = f"{best['pyspnego'] / best['ours']:.1f}" if "pyspnego" in best else "-"
        slower = f"{best['ours'] / best['sspilib']:.2f}" if "sspilib" in best else "-"
        rows.append([name, microseconds(best["ours"]), *others, faster, slower])
    headings = ["handshake, both sides", "ours µs", "pyspnego µs", "sspilib µs", "pyspnego / ours", "ours / sspilib"]
    show("NTLM handshakes (targets: 200 µs, pyspnego / ours ≥ 15, ours / sspilib ≤ 1.6)", headings, rows)
    added = (times["Negotiate"] - times["NTLM"]) * 1e6
    print(f"  Negotiate adds {added:.0f} µs to NTLM: {verdict(added, 150)}")


def _bare(size: int, *, seals: bool) -> Callable[[], object]:
    """A MAC and a cipher call on each side."""
    key = bytes(range(16))
    inner_state, outer_state = hashlib.md5(key.ljust(64, b"\0")), hashlib.md5(key.rjust(64, b"\0"))
    encipher = Cipher(ARC4(key), mode=None).encryptor().update
    decipher = Cipher(ARC4(key), mode=None).encryptor().update
    data, ciphered = bytes(size), bytes(size + 8 if seals else 8)

    def mac() -> bytes:
        inner = inner_state.copy()
        inner.update(data)
        outer = outer_state.copy()
        outer.update(inner.digest())
        return outer.digest()

    return lambda: (mac(), encipher(ciphered), decipher(ciphered), mac())


def _our_protections() -> tuple[Protection, Protection]:
    client, server = _our_contexts("NTLM")()
    return client.protection(), server.protection()


def messages() -> None:
    """Print seal and unseal, sign and verify, of one message."""
    rows = []
    ours, peer = _our_protections()
    spnego_pair = _pyspnego("NTLM")
    rust_pair = _sspilib()
    theirs = spnego_pair() if spnego_pair is not None else None
    rust = rust_pair() if rust_pair is not None else None
    for size in SIZES:
        data = bytes(size)
        contenders: dict[str, Callable[[], object]] = {
            "bare": _bare(size, seals=True),
            "ours": lambda data=data: peer.unseal(b"".join(ours.seal(data))),  # type: ignore[misc]
        }
        if theirs is not None:
            contenders["pyspnego"] = lambda data=data, pair=theirs: pair[1].unwrap(pair[0].wrap(data).data)  # type: ignore[misc]
        if rust is not None:
            contenders["sspilib"] = lambda data=data, pair=rust: pair[1].unwrap(pair[0].wrap(data))  # type: ignore[misc]
        rows.append(_row("seal + unseal", size, contenders))
    for size in SIZES:
        data = bytes(size)
        contenders = {
            "bare": _bare(size, seals=False),
            "ours": lambda data=data: peer.verify(data, ours.sign(data, 0), 0),  # type: ignore[misc]
        }
        if theirs is not None:
            contenders["pyspnego"] = lambda data=data, pair=theirs: pair[1].verify(data, pair[0].sign(data))  # type: ignore[misc]
        rows.append(_row("sign + verify", size, contenders))
    headings = [
        "message",
        "octets",
        "bare µs",
        "ours µs",
        "pyspnego µs",
        "sspilib µs",
        "ours / bare",
        "pyspnego / ours",
    ]
    show("NTLM messages (targets at 64: ours / bare ≤ 1.6, pyspnego / ours ≥ 5, ahead of sspilib)", headings, rows)


def _row(kind: str, size: int, contenders: dict[str, Callable[[], object]]) -> list[str]:
    best = best_times({who: repeated(action) for who, action in contenders.items()})
    shown = [microseconds(best[who]) if who in best else "-" for who in ("bare", "ours", "pyspnego", "sspilib")]
    faster = f"{best['pyspnego'] / best['ours']:.1f}" if "pyspnego" in best else "-"
    return [kind, str(size), *shown, f"{best['ours'] / best['bare']:.2f}", faster]


def run() -> None:
    """Print every table."""
    with _user_file():
        handshakes()
        messages()


if __name__ == "__main__":
    run()
