"""The face of pyspnego: its names and its behaviour, beside our own and beside pyspnego itself."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import spnego as original
import spnego.channel_bindings
import spnego.tls

from saslsspi.compat import spnego as face
from saslsspi.compat.spnego import exceptions
from saslsspi.compat.spnego.channel_bindings import AddressType, GssChannelBindings

ALICE = ("ÉCOLE\\alïce", "wönderland𝄞")
HASHES = "4588C64B89437893AAD3B435B51404EE:878D8014606CDA29677A44EFA1353FC7"  # of "secret"
NTLM = face.NegotiateOptions.use_ntlm
BOUND = b"tls-server-end-point:" + bytes(32)
ENDS = [(face, face), (face, original), (original, face)]
IDS = ["ours", "pyspnego accepts", "pyspnego initiates"]


@pytest.fixture(autouse=True)
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "üsers"
    path.write_text(
        f"{ALICE[0].replace(chr(92), ':')}:{ALICE[1]}\n:bob@example.test:builder\nnonsense\n"
        f"DOM\\carol:1000:{HASHES}:[U]:LCT-1589398321\n:wrong:1:2:3:4:5\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("NTLM_USER_FILE", str(path))
    monkeypatch.delenv("LM_COMPAT_LEVEL", raising=False)
    return path


def exchange(client, server, **bindings):  # type: ignore[no-untyped-def]
    token = None
    while not (client.complete and server.complete):
        token = client.step(token, **bindings)
        if token is not None and not server.complete:
            token = server.step(token, **bindings)
    return client, server


@pytest.mark.parametrize(("initiator", "acceptor"), ENDS, ids=IDS)
@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
def test_messages_beside_pyspnego(initiator, acceptor, protocol: str) -> None:  # type: ignore[no-untyped-def]
    options = original.NegotiateOptions.use_negotiate if protocol == "negotiate" else original.NegotiateOptions.use_ntlm
    client = initiator.client(*ALICE, hostname="host", service="http", protocol=protocol, options=options)
    server = acceptor.server(protocol=protocol, options=options)
    client, server = exchange(client, server)
    assert server.client_principal == ALICE[0]
    assert client.session_key == server.session_key
    assert int(client.context_attr) & 0x3C == int(server.context_attr) & 0x3C == 0x3C
    for one, other in ((client, server), (server, client)):
        sealed = one.wrap(b"text")
        assert sealed.encrypted
        assert other.unwrap(sealed.data) == (b"text", True, 0)
        other.verify(b"signed", one.sign(b"signed"))
        header, data, padding = one.wrap_winrm(b"text")
        assert other.unwrap_winrm(header, data) == b"text"
        assert (len(header), padding) == (16, 0)
        parts = one.wrap_iov([(11, b"before"), b"text", (4096, b"after"), 2]).buffers
        assert [part.data for part in parts][::2] == [b"before", b"after"]
        assert other.unwrap_iov(parts).buffers[1].data == b"text"


@pytest.mark.parametrize(("initiator", "acceptor"), ENDS, ids=IDS)
@pytest.mark.parametrize("step", [False, True], ids=["of the context", "of the step"])
def test_an_acceptor_with_bindings_demands_them(initiator, acceptor, step: bool) -> None:  # type: ignore[no-untyped-def]
    def ends(theirs: bytes | None, ours: bytes | None):  # type: ignore[no-untyped-def]
        made = [
            module.channel_bindings.GssChannelBindings(application_data=data) if data else None
            for module, data in ((initiator, theirs), (acceptor, ours))
        ]
        kept = [None, None] if step else made
        client = initiator.client(*ALICE, protocol="ntlm", options=NTLM, channel_bindings=kept[0])
        server = acceptor.server(protocol="ntlm", options=NTLM, channel_bindings=kept[1])
        told = made if step else [None, None]
        challenge = server.step(client.step(channel_bindings=told[0]), channel_bindings=told[1])
        server.step(client.step(challenge, channel_bindings=told[0]), channel_bindings=told[1])
        assert server.complete

    ends(BOUND, BOUND)
    for wrong in (None, BOUND[:-1] + b"?"):
        with pytest.raises(acceptor.exceptions.BadBindingsError):
            ends(wrong, BOUND)


@pytest.mark.parametrize(
    ("user", "password", "principal"),
    [
        ("alïce", None, None),  # the form must be the file's
        ("école\\ALÏCE", None, ALICE[0]),
        ("bob@example.test", "builder", "bob@example.test"),
        ("BOB@EXAMPLE.TEST", None, "bob@example.test"),
        ("dom\\carol", "secret", "DOM\\carol"),
        ("DOM\\carol", HASHES, "DOM\\carol"),
        ("DOM\\carol", None, "DOM\\carol"),
        (None, None, ALICE[0]),
    ],
)
def test_the_user_file_in_both_forms(user: str | None, password: str | None, principal: str | None) -> None:
    if principal is None:
        with pytest.raises(exceptions.NoCredentialError, match="NTLM_USER_FILE"):
            face.client(user, password, protocol="ntlm")
        return
    client, server = exchange(
        face.client(user, password, protocol="ntlm", options=NTLM), face.server(protocol="ntlm", options=NTLM)
    )
    assert server.client_principal == principal
    assert client.client_principal is None


def test_a_wrong_password_is_refused_and_the_error_has_windows_number() -> None:
    for user, password in ((ALICE[0], "wrong"), ("NOBODY\\x", "wrong")):
        with pytest.raises(exceptions.InvalidTokenError) as refusal:
            exchange(face.client(user, password, protocol="ntlm"), face.server(protocol="ntlm"))
        assert refusal.value.nt_status == -2146893044
        assert refusal.value.base_error is not None


def test_no_user_file_leaves_no_ntlm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NTLM_USER_FILE")
    with pytest.raises(exceptions.OperationNotAvailableError, match="NTLM_USER_FILE"):
        face.server(protocol="ntlm")
    with pytest.raises(exceptions.OperationNotAvailableError, match="credential cache"):
        face.client(protocol="ntlm")


def test_a_file_that_changes_counts_at_once(users: Path) -> None:
    server = face.server(protocol="ntlm", options=NTLM)
    users.write_text("DOM:new:secret\n", encoding="utf-8")
    _, server = exchange(face.client("DOM\\new", "secret", protocol="ntlm", options=NTLM), server)
    assert server.client_principal == "DOM\\new"


@pytest.mark.parametrize("level", ["0", "1", "2", "3", "5"])
@pytest.mark.parametrize(("initiator", "acceptor"), ENDS, ids=IDS)
def test_the_level_of_lan_manager(  # type: ignore[no-untyped-def]
    initiator, acceptor, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", level)
    client, server = exchange(
        initiator.client("bob@example.test", "builder", protocol="ntlm", options=NTLM),
        acceptor.server(protocol="ntlm", options=NTLM),
    )
    assert server.unwrap(client.wrap(b"text").data).data == b"text"


def test_an_acceptor_takes_ntlmv1_only_where_a_level_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_COMPAT_LEVEL", "2")
    client = face.client(*ALICE, protocol="ntlm", options=NTLM)
    monkeypatch.delenv("LM_COMPAT_LEVEL")
    with pytest.raises(exceptions.InvalidTokenError):
        exchange(client, face.server(protocol="ntlm", options=NTLM))
    monkeypatch.setenv("LM_COMPAT_LEVEL", "6")
    with pytest.raises(exceptions.SpnegoError, match="between 0 and 5"):
        face.client(*ALICE, protocol="ntlm")


# --- CredSSP


def credssp(client, server):  # type: ignore[no-untyped-def]
    """Run an exchange; every token but the last is there, for callers put it into base64 unseen."""
    token = None
    while not server.complete:
        token = client.step(token)
        assert isinstance(token, bytes)
        token = server.step(token)
    assert token is None


@pytest.mark.parametrize(("initiator", "acceptor"), ENDS, ids=IDS)
def test_credssp_beside_pyspnego(initiator, acceptor) -> None:  # type: ignore[no-untyped-def]
    client = initiator.client(*ALICE, protocol="credssp", options=original.NegotiateOptions.use_negotiate)
    server = acceptor.server(protocol="credssp", options=original.NegotiateOptions.use_negotiate)
    credssp(client, server)
    assert client.complete
    handed = server.get_extra_info("client_credential")
    assert (handed.domain_name, handed.username, handed.password) == (*ALICE[0].split("\\"), ALICE[1])
    assert server.client_principal == ALICE[0]
    assert client.get_extra_info("protocol_version") == server.get_extra_info("protocol_version") == 6
    for size in (0, 1, 16384, 40000):
        if size:
            assert server.unwrap(client.wrap(bytes(size)).data).data == bytes(size)
            assert client.unwrap_winrm(*server.wrap_winrm(bytes(size))[:2]) == bytes(size)


@pytest.mark.parametrize(("initiator", "acceptor"), ENDS, ids=IDS)
@pytest.mark.parametrize("ways", [("option", "option"), ("context", "context"), ("option", "context")])
def test_ntlm_alone_inside_credssp(initiator, acceptor, ways: tuple[str, str]) -> None:  # type: ignore[no-untyped-def]
    """Without SPNEGO around it, which an acceptor for NTLM alone does not know."""

    def more(one, way: str, side: str) -> dict[str, object]:  # type: ignore[no-untyped-def]
        if way == "option":
            return {"options": original.NegotiateOptions.use_ntlm}
        inner = one.client(*ALICE, protocol="ntlm") if side == "client" else one.server(protocol="ntlm")
        return {"credssp_negotiate_context": inner}

    client = initiator.client(*ALICE, protocol="credssp", **more(initiator, ways[0], "client"))
    server = acceptor.server(protocol="credssp", **more(acceptor, ways[1], "server"))
    credssp(client, server)
    assert server.client_principal == ALICE[0]
    assert client.negotiated_protocol == server.negotiated_protocol == "ntlm"
    assert server.unwrap(client.wrap(b"text").data).data == b"text"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_ssl_objects_are_those_of_the_exchange_from_its_making(tmp_path: Path, version: ssl.TLSVersion) -> None:
    pem, key, public = face.tls.generate_tls_certificate()
    path = tmp_path / "server.pem"
    path.write_bytes(pem + key)
    own = face.tls.default_tls_context("accept")
    own.context.maximum_version = version
    own.context.load_cert_chain(path)
    client = face.client(*ALICE, protocol="credssp")
    server = face.server(protocol="credssp", credssp_tls_context=own)
    connection = client.get_extra_info("ssl_object")
    assert isinstance(connection, ssl.SSLObject)
    assert connection.version() is None
    assert isinstance(client.get_extra_info("sslcontext"), ssl.SSLContext)
    assert server.get_extra_info("sslcontext") is own.context
    connection.set_by_a_caller = True
    token = None
    stages = []
    while not server.complete:
        token = server.step(client.step(token))
        stages.append((client.get_extra_info("auth_stage"), server.get_extra_info("auth_stage")))
    assert client.get_extra_info("ssl_object") is connection
    assert connection.version() == ("TLSv1.2" if version is ssl.TLSVersion.TLSv1_2 else "TLSv1.3")
    assert connection.cipher() == server.get_extra_info("ssl_object").cipher()
    certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    assert face.tls.get_certificate_public_key(certificate) == public
    assert stages[0] == ("TLS Handshake", "TLS Handshake")
    assert stages[-1] == ("Credential exchange", "Credential exchange")


def test_credssp_tells_a_wrong_password_on_both_sides_and_is_at_its_end() -> None:
    client = face.client(ALICE[0], "wrong", protocol="credssp", options=NTLM)
    server = face.server(protocol="credssp")
    with pytest.raises(exceptions.InvalidTokenError) as refusal:
        credssp(client, server)
    assert not server.complete
    assert refusal.value.nt_status == -2146893044
    assert server.get_extra_info("auth_stage") == "Authentication"
    with pytest.raises(exceptions.InvalidTokenError):
        server.step(b"")
    assert client.get_extra_info("ssl_object", "gone") == "gone"


def test_two_credentials_one_logs_on_and_one_is_handed_over() -> None:
    client = face.client(
        [face.NTLMHash("DOM\\carol", nt_hash=HASHES.split(":")[1]), face.Password("other", "delegated")],
        protocol="credssp",
    )
    server = face.server(protocol="credssp")
    credssp(client, server)
    assert server.client_principal == "DOM\\carol"
    assert server.get_extra_info("client_credential").username == "other"


def test_a_peer_below_the_least_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.compat.spnego import _credssp

    server = face.server(protocol="credssp", credssp_min_protocol=5)
    monkeypatch.setattr(_credssp, "_CREDSSP_VERSION", 4)
    client = face.client(*ALICE, protocol="credssp")
    with pytest.raises(exceptions.InvalidTokenError):
        credssp(client, server)


# --- names


def test_errors_choose_their_class_by_the_code() -> None:
    assert type(exceptions.SpnegoError(exceptions.ErrorCode.bad_mic)) is exceptions.BadMICError
    native = exceptions.NativeError("text", winerror=-2146892986)
    made = exceptions.SpnegoError(base_error=native, context_msg="doing")
    assert type(made) is exceptions.BadBindingsError
    assert str(made) == "SpnegoError (4): text, Context: doing"

    class Own(exceptions.SpnegoError):
        """Of a program."""

    assert type(Own(error_code=1024)) is Own
    with pytest.raises(ValueError, match="requires either"):
        exceptions.SpnegoError()


def test_what_comes_too_early_is_an_error_of_the_right_class() -> None:
    client = face.client(*ALICE, protocol="ntlm")
    for call in (lambda: client.wrap(b""), lambda: client.sign(b""), lambda: client.session_key,
                 client.query_message_sizes):  # fmt: skip
        with pytest.raises(exceptions.NoContextError):
            call()
    assert client.context_attr == face.ContextReq.none
    for option in (face.NegotiateOptions.session_key, face.NegotiateOptions.wrapping_iov):
        with pytest.raises(exceptions.FeatureMissingError):
            face.client(*ALICE, protocol="credssp", options=option)
    with pytest.raises(exceptions.UnsupportedQop):
        exchange(client, face.server(protocol="ntlm"))[0].wrap(b"", qop=1)


def test_bindings_pack_as_pyspnegos_and_come_back() -> None:
    values = (AddressType.inet, b"\x7f\0\0\x01", AddressType.inet6, None, b"data")
    ours = GssChannelBindings(*values)
    theirs = spnego.channel_bindings.GssChannelBindings(*values)
    assert ours.pack() == theirs.pack()
    assert GssChannelBindings.unpack(ours.pack()) == ours
    assert (str(ours), repr(ours)) == (str(theirs), repr(theirs))
    for cut in range(len(ours.pack())):
        with pytest.raises(ValueError, match="cut"):
            GssChannelBindings.unpack(ours.pack()[:cut])


def test_a_new_context_logs_on_again_without_the_file(users: Path) -> None:
    client = face.client("DOM\\carol", None, protocol="ntlm", options=NTLM)
    server = face.server(protocol="ntlm", options=NTLM)
    for _ in range(2):
        exchange(client, server)
        client, server = client.new_context(), server.new_context()
        assert not client.complete
