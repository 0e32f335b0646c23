"""A Kerberos context that moves: what GSS_Export_sec_context allows."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from interop.kdc import Kdc
from interop.people import ALICE
from packages.kerberos.ours import SEAL, SIGN, TARGET, logged_on, opened, sealed
from saslsspi import errors, sspi
from saslsspi.sspi import ExportFlags
from sspi_context import ACCEPT_SEAL, Context, client_credential, run, server_credential

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


IMPORTER = """
import sys
from saslsspi import sspi
key, blob, wire = map(bytes.fromhex, sys.argv[1:])
handle = sspi.import_security_context("Kerberos", blob, key=key)
stream, plain = sspi.SecBuffer(bytearray(wire), 10), sspi.SecBuffer(None, 1)
sspi.decrypt_message(handle, sspi.SecBufferDesc([stream, plain]), 0)
sizes = sspi.query_context_attributes(handle, sspi.SecPkgContextSizes)
head = sspi.SecBuffer(bytearray(sizes.security_trailer), 2)
data = sspi.SecBuffer(bytearray(plain.data + b" and back"), 1)
rest = sspi.SecBuffer(bytearray(sizes.block_size), 9)
sspi.encrypt_message(handle, 0, sspi.SecBufferDesc([head, data, rest]), 0)
print((head.data + data.data + rest.data).hex())
"""


def test_a_context_goes_on_in_another_process() -> None:
    contexts = logged_on()
    client, server = contexts.client, contexts.server
    for text in (b"one", b"two"):
        assert opened(server, b"".join(sealed(client, text)))[0] == text
        assert opened(client, b"".join(sealed(server, text)))[0] == text
    blob = sspi.export_security_context(server, DELETE, key=KEY)
    arguments = [KEY.hex(), blob.hex(), b"".join(sealed(client, b"there")).hex()]
    made = subprocess.run(
        [sys.executable, "-c", IMPORTER, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    assert opened(client, bytes.fromhex(made.stdout))[0] == b"there and back"
    with pytest.raises(errors.OutOfSequence):
        opened(client, bytes.fromhex(made.stdout))
    for bit in range(0, 8 * len(blob), 61):
        changed = bytearray(blob)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises((errors.MessageAltered, errors.InvalidToken)):
            sspi.import_security_context("Kerberos", bytes(changed), key=KEY)


def test_a_context_that_negotiate_made_of_kerberos_moves_under_its_own_name() -> None:
    client = Context(client_credential("Negotiate", None, None, domain=None, package_list="kerberos"), SEAL, TARGET)
    server = Context(server_credential("Negotiate", principal=TARGET, package_list="kerberos"), ACCEPT_SEAL)
    run(client, server)
    assert sspi.query_security_context_token(server).package == "Kerberos"
    assert opened(server, b"".join(sealed(client, b"one")))[0] == b"one"
    there = sspi.import_security_context("Negotiate", sspi.export_security_context(server, DELETE, key=KEY), key=KEY)
    assert opened(there, b"".join(sealed(client, b"two")))[0] == b"two"
    assert opened(client, b"".join(sealed(there, b"three")))[0] == b"three"
    assert sspi.query_security_context_token(there).package == "Kerberos"


@pytest.mark.parametrize("flags", [0, ExportFlags.SECPKG_CONTEXT_EXPORT_RESET_NEW | DELETE])
def test_what_the_library_cannot_do_is_refused_and_the_context_lives(flags: int) -> None:
    contexts = logged_on()
    client, server = contexts.client, contexts.server
    with pytest.raises(errors.UnsupportedFunction):
        sspi.export_security_context(server, flags, key=KEY)
    assert opened(server, b"".join(sealed(client, b"one")))[0] == b"one"
