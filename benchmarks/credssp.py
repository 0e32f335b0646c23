"""CredSSP: the whole handshake beside TLS alone and beside pyspnego, and messages beside bare records of TLS.

Credentials are acquired outside the loop: "warm" means that the certificate and the TLS contexts are there. The bare
handshake has the same certificate and as little around OpenSSL as Python allows. pyspnego has shared TLS contexts as
well, which its callers have to arrange; it binds to RSA keys only, so the second row is the same work for everybody.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from measure import ROUNDS, best_times, repeated
from saslsspi.accounts import MemoryAuthority
from saslsspi.engine.context import SecurityContext
from saslsspi.engine.exchange import Event, Request, Side
from saslsspi.engine.policy import NegotiatePolicy, Policy
from saslsspi.engine.protection import Protection
from saslsspi.engine.registry import find_package
from saslsspi.packages.schannel.certificate import self_signed
from saslsspi.sspi import CredsspCred, Environment, SchCredentials, WinNTAuthIdentity
from table import microseconds, show

_TARGET = "HTTP/host.example"
_POLICY = Policy(negotiate=NegotiatePolicy(packages="ntlm"))
_SIZES = (64, 1024, 65536)

Pair = tuple[SecurityContext, SecurityContext]


def _ours(certificate: str) -> Callable[[], Pair]:
    package = find_package("CREDSSP")
    here = Environment(policy=_POLICY)
    there = Environment(policy=_POLICY, authority=MemoryAuthority({"alice": "wonderland"}))
    identity = WinNTAuthIdentity("alice", "DOM", "wonderland")
    outbound = package.acquire(None, identity, frozenset({Side.INITIATE}), here)
    holding = CredsspCred(schannel=SchCredentials(certificate=certificate))
    inbound = package.acquire(None, holding, frozenset({Side.ACCEPT}), there)
    asked, required = Request(_TARGET), Request()

    def both() -> Pair:
        client = SecurityContext(package, outbound, Side.INITIATE, here)
        server = SecurityContext(package, inbound, Side.ACCEPT, there)
        step = client.advance(b"", asked)
        while step.event is not Event.COMPLETE:
            step = client.advance(server.advance(step.token or b"", required).token or b"", asked)
        server.advance(step.token or b"", required)
        return client, server

    return both


def _bare(certificate: str) -> Callable[[], tuple[ssl.SSLObject, ssl.MemoryBIO, ssl.SSLObject, ssl.MemoryBIO]]:
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname, client_context.verify_mode = False, ssl.CERT_NONE
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.num_tickets = 0
    server_context.load_cert_chain(certificate)

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


def _pyspnego(certificate: str) -> Callable[[], tuple[Any, Any]] | None:
    try:
        import spnego
        import spnego.tls
    except ImportError:
        return None
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    options = spnego.NegotiateOptions.use_negotiate
    shared = spnego.tls.default_tls_context(usage="accept")
    key = x509.load_pem_x509_certificate(Path(certificate).read_bytes()).public_key()
    shared.public_key = key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    shared.context.load_cert_chain(certificate)
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
def _files() -> Iterator[dict[str, str]]:
    """Write pyspnego's users and two certificates; return the latter by the kind of their keys."""
    with tempfile.TemporaryDirectory() as folder:
        users = Path(folder, "users")
        users.write_text("DOM:alice:wonderland\n")
        certificates = {"P-256": self_signed("host.example", now=time.time()).pem, "RSA 2048": _rsa_certificate()}
        names = {}
        for kind, pem in certificates.items():
            path = Path(folder, f"{kind}.pem")
            path.write_bytes(pem)
            names[kind] = str(path)
        os.environ["NTLM_USER_FILE"] = str(users)
        try:
            yield names
        finally:
            del os.environ["NTLM_USER_FILE"]


def _rsa_certificate() -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "host.example")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
    made = builder.public_key(key.public_key()).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.public_bytes(pem) + secret


def handshakes(certificates: Mapping[str, str]) -> None:
    """Print the whole handshake, and what of it is TLS."""
    contenders: dict[str, Callable[[], object]] = {}
    for kind, certificate in certificates.items():
        contenders[f"ours, {kind}"], contenders[f"TLS, {kind}"] = _ours(certificate), _bare(certificate)
    if (theirs := _pyspnego(certificates["RSA 2048"])) is not None:
        contenders["pyspnego"] = theirs
    # A millisecond seldom passes undisturbed on a machine with other work: four times the usual rounds.
    best = best_times({who: repeated(action) for who, action in contenders.items()}, 4 * ROUNDS)
    pyspnego = best.get("pyspnego")
    rows = []
    for kind in certificates:
        whole, tls = best[f"ours, {kind}"], best[f"TLS, {kind}"]
        times = [microseconds(whole), microseconds(tls), microseconds(whole - tls)]
        others = ["-", "-"] if pyspnego is None else [microseconds(pyspnego), f"{pyspnego / whole:.1f}"]
        rows.append([kind, *times, f"{whole / tls:.2f}", *others])
    headings = [
        "certificate",
        "ours µs",
        "TLS alone µs",
        "the rest µs",
        "ours / TLS",
        "pyspnego (RSA) µs",
        "pyspnego / ours",
    ]
    show("CredSSP handshake, both sides, warm (targets: ours / TLS ≤ 2.5, pyspnego / ours ≥ 3)", headings, rows)


def messages(certificates: Mapping[str, str]) -> None:
    """Print wrap and unwrap of a message beside bare records."""
    client, server = _ours(certificates["P-256"])()
    sender, receiver = _protection(client), _protection(server)
    bare_client, up, bare_server, _ = _bare(certificates["P-256"])()
    theirs = _pyspnego(certificates["RSA 2048"])
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
            up.write(up.read())  # the octets for the wire, and back from it
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
    with _files() as certificates:
        handshakes(certificates)
        messages(certificates)


if __name__ == "__main__":
    run()
