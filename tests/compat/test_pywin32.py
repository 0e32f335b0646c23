"""The face of pywin32: numbers, buffers, attributes, errors, and where accounts come from."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from saslsspi import (
    ChannelBindingPolicy,
    ChannelBindings,
    Context,
    CredSspPolicy,
    MemoryAuthority,
    NegotiatePolicy,
    Policy,
)
from saslsspi.compat import pywin32
from saslsspi.compat.pywin32 import ClientAuth, ServerAuth, sspicon, win32api, win32security
from saslsspi.errors import InvalidParameter
from saslsspi.sspi import CredsspCred, Environment, WinNTAuthIdentity

ALICE = ("alice", "DOM", "wonderland")
REQUIRE = ChannelBindingPolicy.REQUIRE
PEOPLE = MemoryAuthority({"alice": "wonderland"})


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NTLM_USER_FILE", raising=False)
    pywin32.configure()
    yield
    pywin32.configure()


def logged_on(package: str = "NTLM", **server: object) -> tuple[ClientAuth, ServerAuth]:
    client = ClientAuth(package, auth_info=ALICE, targetspn="host/host.example")
    acceptor = ServerAuth(package, authority=PEOPLE, **server)  # type: ignore[arg-type]
    error, token = 1, None
    while error:
        _, token = client.authorize(token)
        error, token = acceptor.authorize(token)
    if not client.authenticated:
        client.authorize(token)
    return client, acceptor


def test_numbers_are_signed_as_pywin32_has_them() -> None:
    assert sspicon.SEC_E_LOGON_DENIED == -2146893044
    assert sspicon.SEC_I_CONTINUE_NEEDED == 590610
    assert sspicon.SECQOP_WRAP_NO_ENCRYPT == -2147483647
    assert sspicon.SECBUFFER_READONLY == -2147483648
    assert (sspicon.ISC_REQ_INTEGRITY, sspicon.ASC_REQ_INTEGRITY) == (65536, 131072)
    assert "SECPKG_ATTR_SIZES" in vars(sspicon)
    assert sspicon.SEC_SUCCESS(sspicon.SEC_I_CONTINUE_NEEDED)
    assert not sspicon.SEC_SUCCESS(sspicon.SEC_E_LOGON_DENIED)
    with pytest.raises(AttributeError, match="SEC_E_NOTHING"):
        _ = sspicon.SEC_E_NOTHING


def test_a_buffer_has_a_size_and_a_memory() -> None:
    buffer = win32security.PySecBufferType(4, sspicon.SECBUFFER_DATA)
    assert (buffer.Buffer, buffer.BufferSize, buffer.MaxBufferSize) == (bytes(4), 4, 4)
    buffer.Buffer = b"ab"
    assert (buffer.Buffer, buffer.BufferSize) == (b"ab", 2)
    buffer.Buffer = "ä"
    assert buffer.Buffer == "ä".encode()
    with pytest.raises(ValueError, match="5 octets do not fit into a buffer of 4"):
        buffer.Buffer = b"12345"
    buffer.Clear()
    assert buffer.Buffer == bytes(4)
    array = win32security.PySecBufferDescType()
    array.append(buffer)
    assert (len(array), array[0], array.Buffer) == (1, buffer, (buffer,))
    with pytest.raises(TypeError):
        array.append(b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("packed", ["<8I", "8L"], ids=["DWORD", "long"])
def test_bindings_are_found_whatever_a_long_has_here(packed: str) -> None:
    """requests-negotiate-sspi packs them with "L", which has four octets on Windows and may have eight elsewhere."""
    data = b"tls-server-end-point:" + bytes(32)
    bindings = ChannelBindings(application_data=data)
    server = Context.accept("NTLM", authority=PEOPLE, bindings=bindings, policy=Policy(channel_binding=REQUIRE))
    client = ClientAuth("NTLM", auth_info=ALICE, targetspn="host/host.example")
    buffers = win32security.PySecBufferDescType()
    held = win32security.PySecBufferType(4096, sspicon.SECBUFFER_CHANNEL_BINDINGS)
    held.Buffer = struct.pack(packed, 0, 0, 0, 0, 0, 0, len(data), 32) + data
    buffers.append(held)
    _, token = client.authorize(buffers)
    challenge = win32security.PySecBufferType(4096, sspicon.SECBUFFER_TOKEN)
    challenge.Buffer = server.step(token[0].Buffer)
    buffers.append(challenge)
    _, token = client.authorize(buffers)
    server.step(token[0].Buffer)
    assert server.done


def test_attributes_come_as_dictionaries_tuples_and_texts() -> None:
    client, server = logged_on()
    assert client.ctxt is not None
    assert server.ctxt is not None
    sizes = client.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_SIZES)
    assert set(sizes) == {"MaxToken", "MaxSignature", "BlockSize", "SecurityTrailer"}
    assert (sizes["MaxSignature"], sizes["SecurityTrailer"]) == (16, 16)
    assert server.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_NAMES) == "alice"
    assert client.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_PACKAGE_INFO)["Name"] == "NTLM"
    start, end = client.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_LIFESPAN)
    assert (start, end) == (datetime(1601, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
    assert client.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_KEY_INFO)["KeySize"] == 128
    keys = {each.QueryContextAttributes(sspicon.SECPKG_ATTR_SESSION_KEY) for each in (client.ctxt, server.ctxt)}
    assert len(keys) == 1
    assert client.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_FLAGS) & sspicon.ISC_RET_CONFIDENTIALITY
    assert server.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_CLIENT_SPECIFIED_TARGET) == "host/host.example"
    for number in (sspicon.SECPKG_ATTR_NATIVE_NAMES, 99):
        with pytest.raises(pywin32.error) as caught:
            client.ctxt.QueryContextAttributes(number)
        assert caught.value.winerror == sspicon.SEC_E_UNSUPPORTED_FUNCTION
    negotiating, _ = logged_on("Negotiate")
    assert negotiating.ctxt is not None
    state, info = negotiating.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_NEGOTIATION_INFO)
    assert (state, info["Name"]) == (sspicon.SECPKG_NEGOTIATION_COMPLETE, "NTLM")


def test_an_error_has_number_function_and_words_and_can_be_unpacked() -> None:
    client, server = logged_on()
    with pytest.raises(win32security.error) as caught:
        server.verify(b"other", client.sign(b"text"))
    number, function, words = caught.value  # type: ignore[misc]
    assert (number, function) == (sspicon.SEC_E_MESSAGE_ALTERED, "VerifySignature")
    assert words == caught.value.strerror
    assert win32security.error is win32api.error is pywin32.error
    with pytest.raises(pywin32.error) as unknown:
        ClientAuth("Nothing")
    assert unknown.value.args[:2] == (sspicon.SEC_E_SECPKG_NOT_FOUND, "QuerySecurityPackageInfo")


def test_impersonation_is_told_by_the_name_of_the_user() -> None:
    _, server = logged_on()
    assert server.ctxt is not None
    before = win32api.GetUserName()
    server.ctxt.ImpersonateSecurityContext()
    assert (win32api.GetUserName(), win32api.GetUserNameEx(win32api.NameSamCompatible)) == ("alice", "alice")
    server.ctxt.RevertSecurityContext()
    assert win32api.GetUserName() == before
    assert server.ctxt.QuerySecurityContextToken().username.endswith("alice")


def test_a_server_begins_anew_with_its_credential() -> None:
    _, server = logged_on()
    server.reset()
    assert (server.ctxt, server.authenticated, server.next_seq_num) == (None, False, 0)
    client = ClientAuth("NTLM", auth_info=ALICE)
    _, token = client.authorize(None)
    status, token = server.authorize(token[0].Buffer)
    assert status == sspicon.SEC_I_CONTINUE_NEEDED
    server.authorize(client.authorize(token)[1])
    assert server.authenticated


def test_handles_are_given_back() -> None:
    client, _ = logged_on()
    assert client.ctxt is not None
    assert client.credentials.QueryCredentialsAttributes(sspicon.SECPKG_CRED_ATTR_NAMES).endswith("alice")
    client.ctxt.DeleteSecurityContext()
    client.credentials.FreeCredentialsHandle()
    with pytest.raises(pywin32.error) as caught:
        client.encrypt(b"x")
    assert caught.value.winerror == sspicon.SEC_E_INVALID_HANDLE


def test_nobody_is_let_in_or_logged_on_before_somebody_says_who_is_here() -> None:
    for make in (lambda: ServerAuth("NTLM"), lambda: ClientAuth("NTLM").authorize(None)):
        with pytest.raises(pywin32.error) as caught:
            make()
        assert caught.value.winerror == sspicon.SEC_E_NO_CREDENTIALS


def test_a_file_says_who_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users"
    file.write_text("DOM:alice:wonder:land\nELSEWHERE:alice:looking-glass\n", encoding="utf-8")
    monkeypatch.setenv("NTLM_USER_FILE", str(file))
    client, server, token, error = ClientAuth("NTLM"), ServerAuth("NTLM"), None, 1
    while error:
        _, token = client.authorize(token)
        error, token = server.authorize(token)
    assert server.ctxt is not None
    assert server.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_NAMES) == "DOM\\alice"
    file.write_text("DOM:alice\n", encoding="utf-8")
    with pytest.raises(pywin32.error, match="line 1 is not DOMAIN:USER:PASSWORD"):
        ServerAuth("NTLM")


@pytest.mark.parametrize("identity", [ALICE, WinNTAuthIdentity(*ALICE), list(ALICE)])
def test_credssp_both_sides(identity: object) -> None:
    policy = Policy(negotiate=NegotiatePolicy(packages="NTLM"), credssp=CredSspPolicy(allow_fresh_ntlm_only=("*",)))
    flags = sspicon.ISC_REQ_CONFIDENTIALITY | sspicon.ISC_REQ_DELEGATE
    client = ClientAuth(
        "CREDSSP", auth_info=identity, targetspn="TERMSRV/host", scflags=flags,  # type: ignore[arg-type]
        environment=Environment(policy=policy),
    )  # fmt: skip
    server = ServerAuth("CREDSSP", auth_info=CredsspCred(), environment=Environment(policy=policy, authority=PEOPLE))
    token, error = None, 1
    while error:
        _, token = client.authorize(token[0].Buffer if token else None)
        error, token = server.authorize(token[0].Buffer)
    assert client.authenticated
    assert server.ctxt_attr & sspicon.ASC_RET_DELEGATE
    assert server.ctxt is not None
    sizes = server.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_STREAM_SIZES)
    assert sizes["MaximumMessage"] > 0
    assert server.ctxt.QueryContextAttributes(sspicon.SECPKG_ATTR_CONNECTION_INFO)["CipherStrength"] >= 128


def test_an_identity_has_three_parts() -> None:
    with pytest.raises(InvalidParameter, match="a user, a domain and a password"):
        pywin32.configure(identity=("alice", "wonderland"))  # type: ignore[arg-type]


def test_packages_are_told_as_dictionaries() -> None:
    found = {info["Name"] for info in win32security.EnumerateSecurityPackages()}
    assert {"NTLM", "Negotiate", "CREDSSP"} <= found
    assert (
        win32security.QuerySecurityPackageInfo("ntlm")["MaxToken"]
        == ClientAuth("NTLM", auth_info=ALICE).pkg_info["MaxToken"]
    )
