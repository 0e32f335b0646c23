"""The programs of docs/porting.md, run in the order in which they stand there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import saslsspi
from interop.kdc import Kdc
from interop.kdc import kdc as kdc
from interop.people import ALICE
from saslsspi import Context, sspi
from saslsspi.compat.pywin32 import configure

PAGE = (Path(__file__).parent.parent / "docs" / "porting.md").read_text()
SECTIONS = {
    title: re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
Peer = Callable[[bytes], bytes]


def run(section: str, peer: Peer, **names: Any) -> dict[str, Any]:
    (code,) = SECTIONS[section]
    space: dict[str, Any] = {"peer": peer, **names}
    exec(code, space)
    return space


def accepting(package: str) -> Context:
    return Context.accept(package, authority=saslsspi.MemoryAuthority({"alice": "wonderland"}))


def answering(server: Context) -> Peer:
    return lambda token: (server.step(token) or b"") if token else b""


def test_every_section_has_one_program_of_ours() -> None:
    assert {title: len(blocks) for title, blocks in SECTIONS.items()} == dict.fromkeys(SECTIONS, 1)
    assert len(SECTIONS) == 5


def test_from_sspilib() -> None:
    server = accepting("NTLM")
    space = run("From sspilib", answering(server))
    assert server.done
    assert space["attributes"] & sspi.IscRet.ISC_RET_CONFIDENTIALITY


def test_the_lines_for_sspilib_run_with_sspilib() -> None:
    pytest.importorskip("sspilib")
    (code,) = SECTIONS["From sspilib"]
    assert code.startswith("import saslsspi.sspi as raw")
    server = accepting("NTLM")
    exec(code.replace("saslsspi.sspi", "sspilib.raw", 1), {"peer": answering(server)})
    assert server.done


def test_from_pywin32() -> None:
    server = accepting("NTLM")
    try:
        space = run("From pywin32", answering(server))
        assert server.unwrap(space["trailer"] + space["message"]) == b"attack at dawn"
        answer = server.wrap(b"answer")
        assert space["client"].decrypt(answer[16:], answer[:16]) == b"answer"
        for package in ("NTLM", "CREDSSP"):
            accepted_by_its_acceptor(space["accept"], package)
    finally:
        configure()


def accepted_by_its_acceptor(accept: Callable[..., Any], package: str) -> None:
    alice = saslsspi.Password("alice", "wonderland")
    policy = saslsspi.Policy(negotiate=saslsspi.NegotiatePolicy(packages="NTLM"))
    client = Context.initiate(package, target="host/host.example", credentials=alice, policy=policy)
    waiting = [client.step()]
    server = accept(package, lambda: waiting.pop(0), lambda token: waiting.append(client.step(token) or b""))
    assert client.done
    assert server.authenticated
    assert server.ctxt.QueryContextAttributes(1).endswith("alice")


def test_from_pyspnego() -> None:
    server = accepting("Negotiate")
    space = run("From pyspnego", answering(server))
    assert server.done
    assert server.unwrap(space["wire"]) == b"attack at dawn"


def test_from_pure_sasl() -> None:
    server = saslsspi.Server(
        "DIGEST-MD5",
        service="ldap",
        host="ldap.example.test",
        authority=saslsspi.MemoryAuthority({"alice": "wonderland"}),
        realm="example.test",
    )
    space = run("From pure-sasl", lambda message: server.step(message or None) or b"")
    assert space["client"].security.ssf == 128
    assert server.layer is not None
    assert server.layer.unwrap(space["wire"]) == b"attack at dawn"


@pytest.mark.interop
def test_from_python_gssapi(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        server = Context.accept("Kerberos", principal="ldap/localhost")
        space = run("From python-gssapi and winkerberos", answering(server))
        assert server.unwrap(space["wire"]) == b"attack at dawn"
