"""CredSSP: the whole handshake beside TLS alone and beside pyspnego, and messages beside bare records of TLS.

Credentials are acquired outside the loop: "warm" means that the certificate and the TLS contexts are there. The bare
handshake has a certificate of the same kind and as little around OpenSSL as Python allows. pyspnego has shared TLS
contexts as well; it binds to RSA keys only, and a signature with one costs it about half a millisecond more.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import best_times, repeated
from saslsspi.accounts import MemoryAuthority
from saslsspi.packages.schannel.certificate import self_signed, temporary_file
from saslsspi.sspi import Environment, WinNTAuthIdentity
from saslsspi.sspi.context import SecurityContext
from saslsspi.sspi.package import Event, Protection, Request, Side
from saslsspi.sspi.policy import NegotiatePolicy, Policy
from saslsspi.sspi.registry import find_package
from table import microseconds, show

_TARGET = "HTTP/host.example"
_POLICY = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
_SIZES = (64, 1024, 65536)

Pair = tuple[SecurityContext, SecurityContext]


def _ours() -> Callable[[], Pair]:
    package = find_package("CREDSSP")
    here = Environment(policy=_POLICY)
    there = Environment(policy=_POLICY, authority=MemoryAuthority({"alice": "wonderland"}))
    identity = WinNTAuthIdentity("alice", "DOM", "wonderland")
    outbound = package.acquire(None, identity, frozenset({Side.INITIATE}), here)
    inbound = package.acquire(None, None, frozenset({Side.ACCEPT}), there)
    asked, required = Request(_TARGET), Request()

    def both() -> Pair:
        client = SecurityContext(package, outbound, Side.INITIATE, here)
        server = SecurityContext(package, inbound, Side.ACCEPT, there)
        leg = client.advance(b"", asked)
        while leg.event is not Event.COMPLETE:
            leg = client.advance(server.advance(leg.token or b"", required).token or b"", asked)
        server.advance(leg.token or b"", required)
        return client, server

    return both


def _bare() -> Callable[[], tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.SSLObject, ssl.MemoryBIO]]:
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.num_tickets = 0
    with temporary_file(self_signed("host.example").pem) as file:
        server_context.load_cert_chain(file)

    def both() -> tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.SSLObject, ssl.MemoryBIO]:
        up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(down, up, server_hostname="host.example")
        server = server_context.wrap_bio(up, down, server_side=True)
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        with contextlib.suppress(ssl.SSLWantReadError):
            server.do_handshake()
        client.do_handshake()
        server.do_handshake()
        return client, up, server, down

    return both


def _pyspnego() -> Callable[[], tuple[Any, Any]] | None:
    try:
        import spnego
        import spnego.tls
    except ImportError:
        return None
    options = spnego.NegotiateOptions.use_negotiate
    shared = spnego.tls.default_tls_context(usage="accept")
    certificate, key, shared.public_key = spnego.tls.generate_tls_certificate()
    with temporary_file(certificate + key) as file:
        shared.context.load_cert_chain(file)
    initiating = spnego.tls.default_tls_context(usage="initiate")
    credential = spnego.Password("DOM\\alice", "wonderland")

    def both() -> tuple[Any, Any]:
        client = spnego.client(
            credential, hostname="host.example", protocol="credssp", options=options, credssp_tls_context=initiating
        )
        server = spnego.server(protocol="credssp", options=options, credssp_tls_context=shared)
        token = client.step()
        while not (client.complete and server.complete):
            token = client.step(server.step(token)) if not client.complete else server.step(token)
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
    """Print the whole handshake, and what of it is TLS."""
    contenders: dict[str, Callable[[], object]] = {"ours": _ours(), "TLS alone": _bare()}
    if (theirs := _pyspnego()) is not None:
        contenders["pyspnego"] = theirs
    best = best_times({who: repeated(action) for who, action in contenders.items()})
    whole, tls = best["ours"], best["TLS alone"]
    theirs_time = microseconds(best["pyspnego"]) if "pyspnego" in best else "-"
    faster = f"{best['pyspnego'] / whole:.1f}" if "pyspnego" in best else "-"
    row = [microseconds(whole), microseconds(tls), microseconds(whole - tls), theirs_time, f"{whole / tls:.2f}", faster]
    headings = ["ours µs", "TLS alone µs", "the rest µs", "pyspnego µs", "ours / TLS", "pyspnego / ours"]
    show("CredSSP handshake, both sides, warm (targets: ours / TLS ≤ 2.5, pyspnego / ours ≥ 3)", headings, [row])


def messages() -> None:
    """Print wrap and unwrap of a message beside bare records."""
    client, server = _ours()()
    sender, receiver = _protection(client), _protection(server)
    bare_client, up, bare_server, _ = _bare()()
    theirs = _pyspnego()
    their_pair = theirs() if theirs is not None else None
    rows = []
    for size in _SIZES:
        text = bytes(size)

        def ours(text: bytes = text) -> bytes:
            return receiver.unseal(b"".join(sender.seal(text)))

        def bare(text: bytes = text) -> bytes:
            done = 0
            while done < len(text):
                done += bare_client.write(text[done:] if done else text)
            parts = []
            while up.pending:
                parts.append(bare_server.read(16384))
            return b"".join(parts)

        contenders: dict[str, Callable[[], object]] = {"ours": ours, "bare": bare}
        if their_pair is not None:
            contenders["pyspnego"] = lambda text=text: their_pair[1].unwrap(their_pair[0].wrap(text).data)
        best = best_times({who: repeated(action) for who, action in contenders.items()})
        others = microseconds(best["pyspnego"]) if "pyspnego" in best else "-"
        ratio = f"{best['ours'] / best['bare']:.2f}"
        rows.append([str(size), microseconds(best["ours"]), microseconds(best["bare"]), others, ratio])
    headings = ["octets, wrap + unwrap", "ours µs", "bare records µs", "pyspnego µs", "ours / bare"]
    show("CredSSP messages (targets: ours / bare ≤ 1.5 at 64, ≤ 1.1 at 65536)", headings, rows)


def _protection(context: SecurityContext) -> Protection:
    return context.protection()


def run() -> None:
    """Print every table."""
    with _user_file():
        handshakes()
        messages()


if __name__ == "__main__":
    run()
