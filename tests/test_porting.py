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
from packages.kerberos.ours import accepting
from saslsspi import sspi
from sspi_context import ACCEPT_SEAL, Context, server_credential

PAGE = (Path(__file__).parent.parent / "docs" / "porting.md").read_text()
SECTIONS = {
    title: re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    for title, text in re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
}
Peer = Callable[[bytes], bytes]


def context_class() -> Any:
    (code,) = SECTIONS["A context with the face of the upper libraries"]
    names: dict[str, Any] = {}
    exec(code, names)
    return names["Context"]


def run(section: str, peer: Peer, **names: Any) -> dict[str, Any]:
    (code,) = SECTIONS[section]
    space: dict[str, Any] = {"peer": peer, "Context": context_class(), **names}
    exec(code, space)
    return space


def answering(server: Context) -> Peer:
    return lambda token: (server.step(token) or b"") if token else b""


def test_every_section_has_one_program_of_ours() -> None:
    assert {title: len(blocks) for title, blocks in SECTIONS.items()} == dict.fromkeys(SECTIONS, 1)
    assert len(SECTIONS) == 6


def test_from_sspilib() -> None:
    server = Context(server_credential("NTLM"), ACCEPT_SEAL)
    space = run("From sspilib", answering(server))
    assert server.complete
    assert space["attributes"] & sspi.IscRet.ISC_RET_CONFIDENTIALITY


def test_the_lines_for_sspilib_run_with_sspilib() -> None:
    pytest.importorskip("sspilib")
    (code,) = SECTIONS["From sspilib"]
    assert code.startswith("import saslsspi.sspi as raw")
    server = Context(server_credential("NTLM"), ACCEPT_SEAL)
    exec(code.replace("saslsspi.sspi", "sspilib.raw", 1), {"peer": answering(server)})
    assert server.complete


def test_from_pywin32() -> None:
    server = Context(server_credential("NTLM"), ACCEPT_SEAL)
    space = run("From pywin32", answering(server))
    assert server.unwrap(space["trailer"] + space["message"]) == b"attack at dawn"
    client = space["client"]
    assert client.unwrap(server.wrap(b"answer")) == b"answer"
    server.verify(b"text", client.sign(b"text"))
    client.verify(b"text", server.sign(b"text"))


@pytest.mark.parametrize("package", ["NTLM", "WDigest"])
def test_the_context_serves_every_package_without_records(package: str) -> None:
    client = context_class()(package, "http/host.example", "alice", "wonderland")
    server = Context(server_credential(package), ACCEPT_SEAL)
    token = client.step()
    while not client.complete:
        token = client.step(server.step(token) or b"")
    if not server.complete:
        server.step(token)
    assert server.unwrap(client.wrap(b"attack at dawn")) == b"attack at dawn"


def test_from_pyspnego() -> None:
    server = Context(server_credential("Negotiate", package_list="ntlm"), ACCEPT_SEAL)
    space = run("From pyspnego", answering(server))
    assert server.complete
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
        server = Context(accepting(), ACCEPT_SEAL)
        space = run("From python-gssapi and winkerberos", answering(server))
        assert server.unwrap(space["wire"]) == b"attack at dawn"
