"""DIGEST-MD5: handshakes, messages under the layer, import time and the memory of a pending server exchange."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial

import floor
import peers
import saslsspi
from measure import Timed, best_times, repeated
from table import microseconds, show, verdict

LEVELS = {
    "auth": saslsspi.Policy(max_ssf=0),
    "auth-int": saslsspi.Policy(min_ssf=1, max_ssf=1),
    "auth-conf rc4": saslsspi.Policy(min_ssf=2, ciphers=("rc4",)),
    "auth-conf 3des": saslsspi.Policy(min_ssf=2, ciphers=("3des",)),
}
HANDSHAKE_TARGETS = {"auth": 5.0, "auth-int": 5.0, "auth-conf rc4": 3.5, "auth-conf 3des": 3.5}
MESSAGE_TARGETS = {64: 1.6, 1024: 1.35, 65000: 1.05}

_CLIENT_START = "import dataclasses, enum, re, typing, hashlib"
_FLOORS = "import saslsspi.sspi, saslsspi.sasl.client, saslsspi.sasl.server"


def _sides(policy: saslsspi.Policy) -> tuple[saslsspi.Client, saslsspi.Server]:
    credentials = saslsspi.Password("alice", "wonderland")
    host = "ldap.example.test"
    client = saslsspi.Client("DIGEST-MD5", service="ldap", host=host, credentials=credentials, policy=policy)
    authority = saslsspi.MemoryAuthority({"alice": "wonderland"})
    server = saslsspi.Server(
        "DIGEST-MD5", service="ldap", host=host, authority=authority, realm="example.test", policy=policy
    )
    return client, server


def _handshake(client: saslsspi.Client, server: saslsspi.Server) -> None:
    client.start()
    response = client.step(server.step(None) or b"")
    client.succeed(server.step(response or b""))


def _ours(policy: saslsspi.Policy) -> Callable[[], object]:
    """Both sides; credentials are acquired once, as a pool or a server does, and each exchange is a full one."""
    first_client, first_server = _sides(policy)

    def both() -> object:
        client, server = first_client.again(), first_server.again()
        response = client.step(server.step(None) or b"")
        client.succeed(server.step(response or b""))
        return client

    return both


def _client_only() -> Callable[[], object]:
    first, _ = _sides(LEVELS["auth"])
    return lambda: first.again().step(peers.CHALLENGE)


def _server_only() -> Callable[[], object]:
    """The server's part, against a response to a fixed nonce."""
    fixed = saslsspi.Environment(random=bytes)
    server = saslsspi.Server(
        "DIGEST-MD5",
        service="ldap",
        host="ldap.example.test",
        authority=saslsspi.MemoryAuthority({"alice": "wonderland"}),
        realm="example.test",
        policy=LEVELS["auth"],
        environment=fixed,
    )
    client, _ = _sides(LEVELS["auth"])
    response = client.step(server.again().step(None) or b"") or b""

    def serve() -> object:
        exchange = server.again()
        exchange.step(None)
        return exchange.step(response)

    return serve


def handshakes() -> None:
    """Print the handshakes beside the floor and OpenJDK."""
    rows = []
    with peers.java_handshakes() as java:
        for level, policy in LEVELS.items():
            contenders: dict[str, Timed] = {
                "floor": repeated(floor.HANDSHAKE[level]),
                "ours": repeated(_ours(policy)),
            }
            if java is not None:
                contenders["java"] = java(level)
            best = best_times(contenders)
            ratio = best["ours"] / best["floor"]
            shown_java = microseconds(best["java"]) if "java" in best else "-"
            java_ratio = f"{best['java'] / best['floor']:.1f}" if "java" in best else "-"
            rows.append(
                [level, microseconds(best["floor"]), microseconds(best["ours"]), f"{ratio:.1f}", shown_java, java_ratio,
                 verdict(ratio, HANDSHAKE_TARGETS[level])]
            )  # fmt: skip
    headings = ["handshake, both sides", "floor µs", "ours µs", "× floor", "OpenJDK µs", "× floor", "target"]
    show("DIGEST-MD5 handshakes", headings, rows)


def one_side() -> None:
    """Print one side alone, beside the Python clients."""
    contenders = {"floor, one side": repeated(floor.one_side), "ours, client": repeated(_client_only())}
    contenders["ours, server"] = repeated(_server_only())
    pure_sasl = peers.pure_sasl_client()
    if pure_sasl is not None:
        contenders["pure-sasl, client"] = repeated(pure_sasl)
    contenders["ldap3, client"] = repeated(peers.ldap3_client())
    best = best_times(contenders)
    bare = best["floor, one side"]
    rows = [[name, microseconds(seconds), f"{seconds / bare:.1f}"] for name, seconds in best.items()]
    show("One side, qop auth", ["", "µs", "× floor"], rows)


def _there_and_back(wrap: Callable[[bytes], bytes], unwrap: Callable[[bytes], bytes], data: bytes) -> bytes:
    return unwrap(wrap(data))


def messages() -> None:
    """Print wrap and unwrap of one message beside the bare calls."""
    rows = []
    for level in ("auth-int", "auth-conf rc4", "auth-conf 3des"):
        client, server = _sides(LEVELS[level])
        _handshake(client, server)
        assert client.layer is not None
        assert server.layer is not None
        wrap, unwrap = client.layer.wrap, server.layer.unwrap
        for size, target in MESSAGE_TARGETS.items():
            best = best_times(
                {
                    "floor": repeated(floor.message(level, size)),
                    "ours": repeated(partial(_there_and_back, wrap, unwrap, bytes(size))),
                }
            )
            ratio = best["ours"] / best["floor"]
            rows.append(
                [level, str(size), microseconds(best["floor"]), microseconds(best["ours"]), f"{ratio:.2f}",
                 verdict(ratio, target)]
            )  # fmt: skip
    show("Wrap and unwrap of one message", ["layer", "octets", "floor µs", "ours µs", "× floor", "target"], rows)


def import_time() -> None:
    """Print what `import saslsspi` costs beyond the standard modules that any such library needs."""

    def start(code: str) -> Timed:
        return lambda count: sum(_start_seconds(code) for _ in range(count))

    best = best_times(
        {"base": start(_CLIENT_START), "ours": start(f"{_CLIENT_START}; import saslsspi"),
         "floors": start(f"{_CLIENT_START}; {_FLOORS}")},
        rounds=7,
    )  # fmt: skip
    rows = [
        ["import saslsspi", f"{(best['ours'] - best['base']) * 1e3:.1f}", "≤ 25"],
        [
            _FLOORS,
            f"{(best['floors'] - best['base']) * 1e3:.1f}",
            "",
        ],
    ]
    show(f"Import, beyond `{_CLIENT_START}`", ["", "ms", "target"], rows)


def _start_seconds(code: str) -> float:
    timed = f"import time; t = time.perf_counter(); exec({code!r}); print(time.perf_counter() - t)"
    return float(subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True).stdout)


def pending_memory() -> None:
    """Print the memory of server exchanges that wait for a response."""
    _, first = _sides(LEVELS["auth-conf rc4"])
    rows = []
    for count in (1, 1000, 100_000):
        tracemalloc.start()
        pending = []
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            server = first.again()
            server.step(None)
            pending.append(server)
        used = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        rows.append([f"{count:,}", f"{used / count:,.0f}", "< 4096"])
    show("Memory of a pending server exchange", ["pending", "octets each", "target"], rows)


def run() -> None:
    """Print every table."""
    handshakes()
    one_side()
    messages()
    import_time()
    pending_memory()
