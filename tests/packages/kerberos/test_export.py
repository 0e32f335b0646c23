"""A Kerberos context that moves: what GSS_Export_sec_context allows."""

from collections.abc import Iterator

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from packages.kerberos.ours import SIGN, logged_on, opened, sealed
from saslsspi import errors, sspi
from saslsspi.sspi import ExportFlags

KEY = b"the key of both processes"
DELETE = ExportFlags.SECPKG_CONTEXT_EXPORT_DELETE_OLD

pytestmark = pytest.mark.interop


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    with kdc.as_user(ALICE):
        yield


@pytest.mark.parametrize("flags", [SIGN, None])
def test_a_context_goes_on_where_it_stood(flags: int | None) -> None:
    contexts = logged_on() if flags is None else logged_on(flags)
    client, server = contexts.client, contexts.server
    assert opened(server, b"".join(sealed(client, b"one")))[0] == b"one"
    blob = sspi.export_security_context(server, DELETE, key=KEY)
    there = sspi.import_security_context("Kerberos", blob, key=KEY)
    assert opened(there, b"".join(sealed(client, b"two")))[0] == b"two"
    assert opened(client, b"".join(sealed(there, b"three")))[0] == b"three"
    with pytest.raises(errors.ContextMisuse):
        sealed(server, b"x")


@pytest.mark.parametrize("flags", [0, ExportFlags.SECPKG_CONTEXT_EXPORT_RESET_NEW | DELETE])
def test_what_the_library_cannot_do_is_refused_and_the_context_lives(flags: int) -> None:
    contexts = logged_on()
    client, server = contexts.client, contexts.server
    with pytest.raises(errors.UnsupportedFunction):
        sspi.export_security_context(server, flags, key=KEY)
    assert opened(server, b"".join(sealed(client, b"one")))[0] == b"one"
