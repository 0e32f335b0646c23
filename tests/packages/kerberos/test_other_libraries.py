"""A GSS-API library that has less, or says other things, than MIT's of today: stood in for by hiding and changing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from packages.kerberos.ours import SEAL, SIGN, logged_on, opened, sealed
from pair import authenticate
from saslsspi import Client, SaslError, SecurityStatus, Server, sspi
from saslsspi.packages.kerberos import gss

pytestmark = pytest.mark.interop

MODULES = ("credential", "enctypes", "exchange", "failures", "gss", "names", "protection")
EXTENSIONS = (
    "wrap_iov",
    "wrap_iov_length",
    "get_mic_iov_length",
    "inquire_sec_context_by_oid",
    "set_cred_option",
    "acquire_cred_with_password",
)


class Library:
    """The library, less some functions and with others in their place."""

    def __init__(self, hidden: tuple[str, ...] = (), **changed: Callable[..., Any]) -> None:
        self._real, self._hidden, self._changed = gss.library(), hidden, changed

    def __getattr__(self, name: str) -> Any:
        if name in self._hidden:
            raise AttributeError(name)
        if name in self._changed:
            return lambda *args, **options: self._changed[name](getattr(self._real, name)(*args, **options))
        return getattr(self._real, name)


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    with kdc.as_user(ALICE):
        yield


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[Library], None]:
    def stand_in(library: Library) -> None:
        for module in MODULES:
            path = f"saslsspi.packages.kerberos.{module}"
            if hasattr(__import__(path, fromlist=["library"]), "library"):
                monkeypatch.setattr(f"{path}.library", lambda: library)

    return stand_in


@pytest.mark.parametrize("flags", [SIGN, SEAL], ids=["sign", "seal"])
def test_messages_need_no_extension_of_the_library(use: Callable[[Library], None], flags: sspi.IscReq) -> None:
    use(Library(EXTENSIONS))
    contexts = logged_on(flags)
    for sender, receiver in ((contexts.client, contexts.server), (contexts.server, contexts.client)):
        for text in (b"", b"a message", bytes(70_000)):
            assert opened(receiver, b"".join(sealed(sender, text)))[0] == text
    # Nobody tells the encryption type, so the strength is the least that there could be.
    info = sspi.query_context_attributes(contexts.client, sspi.SecPkgContextKeyInfo)
    assert info.key_size == 56
    with pytest.raises(SaslError):
        sspi.query_context_attributes(contexts.client, sspi.SecPkgContextSessionKey)


def test_gssapi_needs_no_extension_of_the_library(use: Callable[[Library], None]) -> None:
    use(Library(EXTENSIONS))
    client = Client("GSSAPI", service="ldap", host="localhost")
    server = Server("GSSAPI", service="ldap", host="localhost")
    authenticate(client, server)
    assert client.layer is not None
    assert server.layer is not None
    assert server.layer.unwrap(client.layer.wrap(bytes(200_000))) == bytes(200_000)


def test_a_password_where_the_library_takes_none_is_said_to(use: Callable[[Library], None]) -> None:
    use(Library(EXTENSIONS))
    identity = sspi.WinNTAuthIdentity("alice", None, ALICE.password)
    with pytest.raises(SaslError, match="kinit") as caught:
        sspi.acquire_credentials_handle(None, "Kerberos", sspi.CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity)
    assert caught.value.status is SecurityStatus.SEC_E_NO_CREDENTIALS


def test_an_anonymous_client_is_refused(use: Callable[[Library], None]) -> None:
    use(Library(accept_sec_context=lambda result: result._replace(flags=int(result.flags) | 0x40)))
    with pytest.raises(SaslError, match="anonymous") as caught:
        logged_on(SEAL)
    assert caught.value.status is SecurityStatus.SEC_E_LOGON_DENIED


@pytest.mark.requirement("RFC4752-3.2-03", "RFC4752-3.2-04")
def test_a_context_of_another_mechanism_is_refused(use: Callable[[Library], None]) -> None:
    ntlm = gss.library().OID.from_int_seq("1.3.6.1.4.1.311.2.2.10")
    use(Library(accept_sec_context=lambda result: result._replace(mech=ntlm)))
    with pytest.raises(SaslError) as caught:
        logged_on(SEAL)
    assert caught.value.requirement == "RFC4752-3.2-04"


def test_a_library_that_does_not_encrypt_is_found_out(use: Callable[[Library], None]) -> None:
    use(Library(wrap_iov=lambda encrypted: False))
    contexts = logged_on(SEAL)
    with pytest.raises(SaslError) as caught:
        sealed(contexts.client, b"a message")
    assert caught.value.status is SecurityStatus.SEC_E_ENCRYPT_FAILURE


def test_a_library_that_does_not_encrypt_a_layer_is_found_out(use: Callable[[Library], None]) -> None:
    use(Library(wrap=lambda result: result._replace(encrypted=False)))
    client = Client("GSSAPI", service="ldap", host="localhost")
    authenticate(client, Server("GSSAPI", service="ldap", host="localhost"))
    assert client.layer is not None
    with pytest.raises(SaslError) as caught:
        client.layer.wrap(b"a message")
    assert caught.value.status is SecurityStatus.SEC_E_ENCRYPT_FAILURE
