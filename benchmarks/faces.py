"""The faces of Cyrus's wrapper and of pure-sasl beside the originals; both log on to the same server of ours.

`python benchmarks/faces.py`. The wrapper, `sasl`, has no build for today's Python: fetch its source, let Cython make
saslwrapper.cpp anew, and install that; without it, or without pure-sasl, their columns are empty.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import saslsspi
from measure import Timed, best_times, repeated
from table import microseconds, show

_HOST, _SERVICE, _USER, _PASSWORD = "hive.example.test", "hive", "alice", "wonderland"
_PEOPLE = saslsspi.MemoryAuthority({_USER: _PASSWORD})
_SIZES = (200, 16384)


def _server(mechanism: str, max_ssf: int) -> saslsspi.Server:
    policy = saslsspi.Policy(min_ssf=max_ssf, max_ssf=max_ssf, allow_plaintext=True, ciphers=("rc4",))
    return saslsspi.Server(
        mechanism, service=_SERVICE, host=_HOST, authority=_PEOPLE, realm="example.test", policy=policy
    )


def _exchanged(first: saslsspi.Server, begin: Callable[[], bytes | None], step: Callable[[bytes], bytes | None]) -> Any:
    server = first.again()
    token = begin()
    while not server.done:
        challenge = server.step(token or None)
        token = step(challenge) if challenge is not None else None
    return server


def _wrapper(module: Any, first: saslsspi.Server, max_ssf: int) -> tuple[Any, saslsspi.Server]:
    client = module.Client()
    texts = {"host": _HOST, "service": _SERVICE, "username": _USER, "authname": _USER, "password": _PASSWORD}
    for name, value in texts.items():
        client.setAttr(name, value)
    client.setAttr("maxssf", max_ssf)
    client.init()

    def begin() -> bytes:
        good, _, token = client.start(first.mechanism.name)
        assert good, client.getError()
        return bytes(token)

    def step(challenge: bytes) -> bytes:
        good, token = client.step(challenge)
        assert good, client.getError()
        return bytes(token)

    return client, _exchanged(first, begin, step)


def _pure(module: Any, first: saslsspi.Server) -> tuple[Any, saslsspi.Server]:
    client = module.client.SASLClient(_HOST, _SERVICE, first.mechanism.name, username=_USER, password=_PASSWORD)
    return client, _exchanged(first, client.process, client.process)


def _encoding(client: Any, size: int) -> Timed:
    data = bytes(size)
    return repeated(lambda: client.encode(data))


def _importing(module: str) -> Timed:
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"

    def seconds() -> float:
        return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)

    return lambda count: sum(seconds() for _ in range(count))


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _row(what: str, contenders: dict[str, Timed], rounds: int = 25) -> list[str]:
    best = best_times(contenders, rounds)
    theirs = best.get("original")
    ratio = "-" if theirs is None else f"{best['face'] / theirs:.2f}"
    return [what, microseconds(best["face"]), "-" if theirs is None else microseconds(theirs), ratio]


def _beside(face: Any, original: Any, make: Callable[[Any], Timed]) -> dict[str, Timed]:
    return {"face": make(face)} | ({} if original is None else {"original": make(original)})


def run() -> None:
    """Print a table a face."""
    face, original = importlib.import_module("saslsspi.compat.sasl"), _module("sasl")
    rows = []
    for name, max_ssf in (("PLAIN", 0), ("DIGEST-MD5", 0), ("DIGEST-MD5", 128), ("SCRAM-SHA-256", 0)):
        first = _server(name, max_ssf)

        def logon(module: Any, first: saslsspi.Server = first, max_ssf: int = max_ssf) -> Timed:
            return repeated(partial(_wrapper, module, first, max_ssf))

        rows.append(_row(f"logon, {name}{', sealed' * bool(max_ssf)}", _beside(face, original, logon)))
    for size in _SIZES:

        def encode(module: Any, size: int = size) -> Timed:
            return _encoding(_wrapper(module, _server("DIGEST-MD5", 128), 128)[0], size)

        rows.append(_row(f"encode, sealed, {size} octets", _beside(face, original, encode)))
    importing = {"face": _importing("saslsspi.compat.sasl"), "original": _importing("sasl")}
    rows.append(_row("import", importing if original else {"face": importing["face"]}, 5))
    show("sasl", ["", "face µs", "original µs", "face / original"], rows)
    _pure_sasl()


def _pure_sasl() -> None:
    face, original = importlib.import_module("saslsspi.compat.puresasl"), _module("puresasl")
    for module in (face, original):
        if module is not None:
            importlib.import_module(f"{module.__name__}.client")
    rows = []
    for name in ("PLAIN", "DIGEST-MD5"):
        first = _server(name, 0)

        def logon(module: Any, first: saslsspi.Server = first) -> Timed:
            return repeated(partial(_pure, module, first))

        rows.append(_row(f"logon, {name}", _beside(face, original, logon)))
    importing = {"face": _importing("saslsspi.compat.puresasl.client"), "original": _importing("puresasl.client")}
    rows.append(_row("import", importing if original else {"face": importing["face"]}, 5))
    show("puresasl", ["", "face µs", "original µs", "face / original"], rows)


if __name__ == "__main__":
    run()
