"""Our NTLM beside sspi-rs, which sspilib bundles off Windows; and sspilib's own upper classes on our lower floor.

sspi-rs has no MakeSignature (0.6.0), its acceptor does not look at the password, and its Negotiate acceptor asks for a
Local Security Authority. What it can do is crossed here.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interop.require import require_peer
from saslsspi import SaslError, sspi
from saslsspi.sspi import AscRet
from sspi_context import (
    ACCEPT_SEAL,
    DOMAIN,
    PASSWORD,
    SEAL,
    TARGET,
    USER,
    Context,
    client_credential,
    run,
    server_credential,
)

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def peer() -> None:
    require_peer("sspilib")


def their_client(package: str, password: str = PASSWORD) -> Any:
    import sspilib

    return sspilib.ClientSecurityContext(sspilib.UserCredential(USER, password, DOMAIN, protocol=package), TARGET)


def their_server(package: str) -> Any:
    import sspilib

    credential = sspilib.UserCredential(USER, PASSWORD, DOMAIN, protocol=package, usage="accept")
    return sspilib.ServerSecurityContext(credential)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_their_client_seals_with_our_server(package: str) -> None:
    client, server = their_client(package), Context(server_credential(package), ACCEPT_SEAL)
    run(client, server)
    assert client.complete
    assert server.complete
    assert server.attributes & AscRet.ASC_RET_CONFIDENTIALITY
    for number in range(4):
        message = b"number %d" % number * number
        assert server.unwrap(client.wrap(message)) == message
        assert client.unwrap(server.wrap(message)).data == message


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_their_client_with_a_wrong_password_is_denied(package: str) -> None:
    with pytest.raises(SaslError) as caught:
        run(their_client(package, "looking-glass"), Context(server_credential(package), ACCEPT_SEAL))
    assert caught.value.status is sspi.SecurityStatus.SEC_E_LOGON_DENIED


def test_our_client_seals_with_their_server() -> None:
    client, server = Context(client_credential(), SEAL, TARGET), their_server("NTLM")
    run(client, server)
    assert client.complete
    assert server.complete
    for number in range(4):
        message = b"number %d" % number * number
        assert server.unwrap(client.wrap(message)).data == message
        assert client.unwrap(server.wrap(message)) == message


@pytest.fixture
def upper_classes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """sspilib's own upper classes, read from the installed package, with our lower floor where they import theirs."""
    found = importlib.util.find_spec("sspilib")
    assert found is not None
    assert found.origin is not None
    raw = types.ModuleType("sspilib.raw")
    raw.__dict__.update({name: getattr(sspi, name) for name in sspi.__all__})

    def replace(temporary: sspi.CredHandle, target: sspi.CredHandle) -> None:
        vars(target).update(vars(temporary))

    raw._credential = types.SimpleNamespace(_replace_cred_handle=replace)  # type: ignore[attr-defined]
    for name in [name for name in sys.modules if name.split(".")[0] == "sspilib"]:
        monkeypatch.delitem(sys.modules, name)
    spec = importlib.util.spec_from_file_location(
        "sspilib", found.origin, submodule_search_locations=[str(Path(found.origin).parent)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    package.raw = raw  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sspilib", package)
    monkeypatch.setitem(sys.modules, "sspilib.raw", raw)
    spec.loader.exec_module(package)
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "sspilib"]:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_sspilib_upper_classes_run_on_our_lower_floor(upper_classes: Any, package: str) -> None:
    client_credential = upper_classes.UserCredential(USER, PASSWORD, DOMAIN, protocol=package)
    server_credential = upper_classes.UserCredential(USER, PASSWORD, DOMAIN, protocol=package, usage="accept")
    client = upper_classes.ClientSecurityContext(client_credential, TARGET)
    server = upper_classes.ServerSecurityContext(server_credential)
    token = client.step()
    while True:
        token = server.step(token)
        if not client.complete:
            token = client.step(token)
        if client.complete and server.complete:
            break
    assert isinstance(client, sspi.CtxtHandle)
    assert client.attributes & sspi.IscRet.ISC_RET_CONFIDENTIALITY
    assert server.attributes & sspi.AscRet.ASC_RET_CONFIDENTIALITY
    # One counter for all operations of a side, in the order in which the program happens to call them.
    wrapped = client.wrap(b"sealed")
    assert b"sealed" not in wrapped
    assert server.unwrap(wrapped) == (b"sealed", 0)
    clear = server.wrap(b"only signed", encrypt=False)
    assert b"only signed" in clear
    assert client.unwrap(clear) == (b"only signed", sspi.QopFlags.SECQOP_WRAP_NO_ENCRYPT)
    assert server.verify(b"data", client.sign(b"data")) == 0
    with pytest.raises(upper_classes.WindowsError) as caught:
        client.verify(b"data", server.sign(b"other data"))
    assert caught.value.winerror == -2146893041  # SEC_E_MESSAGE_ALTERED, signed


def test_sspilib_upper_classes_see_a_wrong_password(upper_classes: Any) -> None:
    client = upper_classes.ClientSecurityContext(upper_classes.UserCredential(USER, "wrong", protocol="NTLM"), TARGET)
    server = upper_classes.ServerSecurityContext(
        upper_classes.UserCredential(USER, PASSWORD, protocol="NTLM", usage="accept")
    )
    challenge = server.step(client.step())
    with pytest.raises(upper_classes.WindowsError) as caught:
        server.step(client.step(challenge))
    assert caught.value.winerror == -2146893044  # SEC_E_LOGON_DENIED, signed


@pytest.mark.parametrize("protocols", [["ntlm"], ["kerberos", "ntlm"], ["!kerberos", "ntlm"]])
def test_sspilib_protocol_lists_joined_by_colons_are_read(upper_classes: Any, protocols: list[str]) -> None:
    credential = upper_classes.UserCredential(USER, PASSWORD, protocol_list=protocols)
    context = upper_classes.ClientSecurityContext(credential, TARGET)
    context.step()
    info = sspi.query_context_attributes(context, sspi.SecPkgContextNegotiationInfo)
    assert info.package_info.name == "NTLM"
    assert "Kerberos" in info.refused
