"""Contexts that move: ExportSecurityContext and ImportSecurityContext, package by package."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from saslsspi import Policy, errors, sspi
from saslsspi.sspi import Environment, ExportFlags, SecurityStatus
from sspi_context import (
    ACCEPT_SEAL,
    ACCEPT_SIGN,
    PEOPLE,
    SEAL,
    SIGN,
    TARGET,
    Context,
    client_credential,
    run,
    server_credential,
)
from sspi_program import ACCEPT_SEAL as DIGEST_ACCEPT_SEAL
from sspi_program import ACCEPT_SIGN as DIGEST_ACCEPT_SIGN
from sspi_program import SEAL as DIGEST_SEAL
from sspi_program import SIGN as DIGEST_SIGN
from sspi_program import Side, connected, seal, sign, signed, unseal

KEY = b"the key of both processes"
RESET = ExportFlags.SECPKG_CONTEXT_EXPORT_RESET_NEW
DELETE = ExportFlags.SECPKG_CONTEXT_EXPORT_DELETE_OLD
CIPHERS = ["rc4", "3des", "rc4-56", "des", "rc4-40"]


NTLM = {
    "extended": (SEAL, ACCEPT_SEAL, {}),
    "signing": (SIGN, ACCEPT_SIGN, {}),
    "plain": (SEAL, ACCEPT_SEAL, {"extended_session_security": False, "min_key_bits": 40}),
}


def digest_pair(layer: str) -> tuple[Side, Side]:
    if layer == "auth-int":
        return connected(int(DIGEST_SIGN), int(DIGEST_ACCEPT_SIGN))
    base = Environment(policy=Policy(ciphers=(layer,)))
    return connected(int(DIGEST_SEAL), int(DIGEST_ACCEPT_SEAL), environment=base)


def talk(client: Side, server: Side, rounds: int = 3) -> None:
    for number in range(rounds):
        for one, other in ((client, server), (server, client)):
            text = b"tea %d " % number * (number * 50 + 1)
            assert unseal(other, seal(one, text)) == text


def moved(side: Side, flags: int = 0) -> Side:
    blob = sspi.export_security_context(side.handle, flags, key=KEY)
    return replace(side, context=sspi.import_security_context("WDigest", blob, key=KEY))


@pytest.mark.parametrize("layer", ["auth-int", *CIPHERS])
def test_a_digest_context_goes_on_where_it_stood(layer: str) -> None:
    client, server = digest_pair(layer)
    talk(client, server)
    client, server = moved(client), moved(server, int(DELETE))
    talk(client, server)
    wire = seal(client, b"twice")
    unseal(server, wire)
    with pytest.raises(errors.OutOfSequence):
        unseal(server, wire)


@pytest.mark.parametrize("layer", ["auth-int", *CIPHERS])
def test_an_unused_digest_context_moves_too(layer: str) -> None:
    client, server = digest_pair(layer)
    talk(moved(client), moved(server))


@pytest.mark.parametrize("layer", ["auth-int", *CIPHERS])
def test_the_exporter_goes_on_as_well_unless_it_is_deleted(layer: str) -> None:
    client, server = digest_pair(layer)
    talk(client, server)
    moved(client)
    moved(server)
    talk(client, server)
    moved(client, int(DELETE))
    with pytest.raises(errors.ContextMisuse):
        seal(client, b"x")


@pytest.mark.parametrize("layer", ["auth-int", "rc4", "3des"])
def test_reset_new_begins_anew_on_both_sides(layer: str) -> None:
    client, server = digest_pair(layer)
    fresh_client, fresh_server = moved(client), moved(server)
    first = seal(fresh_client, b"first")
    talk(client, server)
    again, other = moved(client, int(RESET)), moved(server, int(RESET))
    assert seal(again, b"first") == first
    assert unseal(other, first) == b"first"
    assert unseal(fresh_server, first) == b"first"


@pytest.mark.parametrize("kind", NTLM)
def test_reset_new_begins_an_ntlm_context_anew(kind: str) -> None:
    client, server = ntlm_pair("NTLM", kind)
    first = client.wrap(b"first")
    assert server.unwrap(first) == b"first"
    client.unwrap(server.wrap(b"answer"))
    client, server = moved_end(client, "NTLM", int(RESET)), moved_end(server, "NTLM", int(RESET))
    assert client.wrap(b"first") == first
    assert server.unwrap(first) == b"first"
    assert client.unwrap(server.wrap(b"answer")) == b"answer"


def test_signatures_go_on_as_well() -> None:
    client, server = digest_pair("auth-int")
    sspi.verify_signature(server.handle, signed(b"1", sign(client, b"1")), 0)
    client, server = moved(client), moved(server)
    sspi.verify_signature(server.handle, signed(b"2", sign(client, b"2")), 0)


def ntlm_pair(package: str, kind: str) -> tuple[Context, Context]:
    flags, accept, ntlm = NTLM[kind]
    policy = Policy(ntlm=sspi.NtlmPolicy(**ntlm))  # type: ignore[arg-type]
    client = Context(client_credential(package, environment=Environment(policy=policy)), flags, TARGET)
    server = Context(server_credential(package, environment=Environment(policy=policy, authority=PEOPLE)), accept)
    run(client, server)
    return client, server


def moved_end(end: Context, package: str, flags: int = 0) -> Context:
    blob = sspi.export_security_context(end, flags, key=KEY)
    there = Context(end._credential, end._flags, end._target)
    there._context = sspi.import_security_context(package, blob, key=KEY)._context
    return there


@pytest.mark.parametrize("kind", NTLM)
@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_an_ntlm_context_goes_on_where_it_stood(package: str, kind: str) -> None:
    client, server = ntlm_pair(package, kind)
    for _ in range(2):
        for _ in range(3):
            assert server.unwrap(client.wrap(b"tea")) == b"tea"
            assert client.unwrap(server.wrap(b"cup" * 999)) == b"cup" * 999
            server.verify(b"x", client.sign(b"x"))
        client, server = moved_end(client, package), moved_end(server, package, int(DELETE))
    wire = client.wrap(b"twice")
    server.unwrap(wire)
    with pytest.raises((errors.OutOfSequence, errors.MessageAltered)):
        server.unwrap(wire)


def test_a_context_without_a_layer_moves_with_its_identity() -> None:
    _, server = connected()
    there = moved(server)
    assert sspi.query_context_attributes(there.handle, sspi.SecPkgContextNames).username == "alice"
    assert sspi.query_security_context_token(there.handle) == sspi.query_security_context_token(server.handle)
    assert sspi.query_context_attributes(there.handle, sspi.SecPkgContextTarget).target_name == "ldap/dc.example.test"
    with pytest.raises(errors.QopNotSupported):
        seal(there, b"x")


def test_an_imported_context_is_not_authenticated_anew_and_lives_on() -> None:
    client, server = digest_pair("auth-int")
    there = moved(client)
    with pytest.raises(errors.UnsupportedFunction):
        sspi.initialize_security_context(None, there.handle, "ldap/x", 0, 0, None, None)
    assert unseal(server, seal(there, b"x")) == b"x"
    sspi.delete_security_context(there.handle)


IMPORTER = """
import sys
from saslsspi import sspi
package, key, blob, wire = sys.argv[1], *map(bytes.fromhex, sys.argv[2:])
handle = sspi.import_security_context(package, blob, key=key)
stream, plain = sspi.SecBuffer(bytearray(wire), 10), sspi.SecBuffer(None, 1)
sspi.decrypt_message(handle, sspi.SecBufferDesc([stream, plain]), 0)
head = sspi.SecBuffer(bytearray(16), 2)
data, rest = sspi.SecBuffer(bytearray(plain.data + b" and back"), 1), sspi.SecBuffer(bytearray(32), 9)
before = [] if package == "WDigest" else [head]
for _ in range(2):
    sspi.encrypt_message(handle, 0, sspi.SecBufferDesc([*before, data, rest]), 0)
    print(b"".join(buffer.data for buffer in [*before, data, rest]).hex())
    head = sspi.SecBuffer(bytearray(16), 2)
    data, rest = sspi.SecBuffer(bytearray(b"again"), 1), sspi.SecBuffer(bytearray(32), 9)
    before = [] if package == "WDigest" else [head]
"""


def elsewhere(package: str, handle: sspi.CtxtHandle, wire: bytes) -> list[bytes]:
    """Import a context in another process, open a message there and seal two; return what it sealed."""
    blob = sspi.export_security_context(handle, DELETE, key=KEY)
    arguments = [package, KEY.hex(), blob.hex(), wire.hex()]
    made = subprocess.run(
        [sys.executable, "-c", IMPORTER, *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return [bytes.fromhex(line) for line in made.stdout.split()]


@pytest.mark.parametrize("layer", ["auth-int", "rc4", "3des"])
def test_a_digest_context_goes_on_in_another_process(layer: str) -> None:
    client, server = digest_pair(layer)
    talk(client, server)
    answers = elsewhere("WDigest", server.handle, seal(client, b"there"))
    assert [unseal(client, answer) for answer in answers] == [b"there and back", b"again"]
    with pytest.raises(errors.OutOfSequence):
        unseal(client, answers[-1])
    with pytest.raises(errors.ContextMisuse):
        seal(server, b"x")


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
def test_an_ntlm_context_goes_on_in_another_process(package: str) -> None:
    client, server = ntlm_pair(package, "extended")
    for text in (b"one", b"two"):
        assert server.unwrap(client.wrap(text)) == text
        assert client.unwrap(server.wrap(text)) == text
    first, second = elsewhere(package, server, client.wrap(b"there"))
    with pytest.raises((errors.OutOfSequence, errors.MessageAltered)):
        moved_end(client, package).unwrap(second)
    assert client.unwrap(first) == b"there and back"
    assert client.unwrap(second) == b"again"


class TestRefusals:
    @pytest.mark.parametrize("key", [None, b"", b"short"])
    def test_there_is_no_export_without_a_key(self, key: bytes | None) -> None:
        client, _ = digest_pair("auth-int")
        with pytest.raises(errors.InvalidParameter):
            sspi.export_security_context(client.handle, key=key)
        blob = sspi.export_security_context(client.handle, key=KEY)
        with pytest.raises(errors.InvalidParameter):
            sspi.import_security_context("WDigest", blob, key=key)

    def test_a_changed_bit_is_noticed_wherever_it_is(self) -> None:
        client, _ = digest_pair("rc4")
        blob = sspi.export_security_context(client.handle, key=KEY)
        for bit in range(8 * len(blob)):
            changed = bytearray(blob)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises((errors.MessageAltered, errors.InvalidToken)):
                sspi.import_security_context("WDigest", bytes(changed), key=KEY)

    def test_another_key_and_a_cut_blob_are_refused(self) -> None:
        client, _ = digest_pair("rc4")
        blob = sspi.export_security_context(client.handle, key=KEY)
        with pytest.raises(errors.MessageAltered):
            sspi.import_security_context("WDigest", blob, key=KEY + b".")
        for size in (0, 8, 40, len(blob) - 1):
            with pytest.raises((errors.MessageAltered, errors.InvalidToken)):
                sspi.import_security_context("WDigest", blob[:size], key=KEY)

    @pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
    def test_a_changed_bit_is_noticed_in_a_context_of_ntlm(self, package: str) -> None:
        client, _ = ntlm_pair(package, "extended")
        blob = sspi.export_security_context(client, key=KEY)
        for bit in range(0, 8 * len(blob), 7):
            changed = bytearray(blob)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises((errors.MessageAltered, errors.InvalidToken)):
                sspi.import_security_context(package, bytes(changed), key=KEY)
        with pytest.raises(errors.MessageAltered):
            sspi.import_security_context(package, blob, key=bytes(32))

    def test_another_version_and_a_huge_blob_are_refused(self) -> None:
        from saslsspi.engine import export

        client, _ = digest_pair("rc4")
        blob = sspi.export_security_context(client.handle, key=KEY)
        body = blob[40:]
        with pytest.raises(errors.InvalidToken):
            sspi.import_security_context("WDigest", b"SSPICTX\x02" + export._mac(KEY, body) + body, key=KEY)
        padded = body + b" " * (1 << 20)
        with pytest.raises(errors.InvalidToken):
            sspi.import_security_context("WDigest", blob[:8] + export._mac(KEY, padded) + padded, key=KEY)

    @pytest.mark.parametrize("package", ["Schannel", "CREDSSP"])
    def test_a_stream_of_tls_stays_in_its_process(self, package: str) -> None:
        from packages.credssp.ours import logged_on
        from packages.schannel import stream

        if package == "CREDSSP":
            sides = logged_on()
        else:
            ours, theirs = stream.outbound(), stream.inbound()
            sides = stream.Side(ours, int(stream.MANUAL), stream.TARGET), stream.Side(theirs)
            stream.connect(*sides)
        for side in sides:
            with pytest.raises(errors.UnsupportedFunction):
                sspi.export_security_context(side.handle, key=KEY)

    def test_another_package_is_refused(self) -> None:
        client, _ = digest_pair("rc4")
        blob = sspi.export_security_context(client.handle, key=KEY)
        with pytest.raises(errors.InvalidToken, match="WDigest"):
            sspi.import_security_context("NTLM", blob, key=KEY)
        with pytest.raises(errors.PackageNotFound):
            sspi.import_security_context("nobody's", blob, key=KEY)

    def test_a_record_of_another_release_is_refused_under_the_right_key(self) -> None:
        from saslsspi.engine import export

        for body in (b"{}", b"[]", b"x", b'{"package":"WDigest","side":"accept"}', b'{"package":7}', b"\xff"):
            with pytest.raises(errors.InvalidToken):
                sspi.import_security_context("WDigest", export._MAGIC + export._mac(KEY, body) + body, key=KEY)

    def test_to_kernel_and_unfinished_contexts_are_refused(self) -> None:
        client, _ = digest_pair("auth-int")
        with pytest.raises(errors.UnsupportedFunction):
            sspi.export_security_context(client.handle, ExportFlags.SECPKG_CONTEXT_EXPORT_TO_KERNEL, key=KEY)
        begun = Context(client_credential(), SEAL, TARGET)
        begun.step(None)
        with pytest.raises(errors.ContextMisuse):
            sspi.export_security_context(begun, key=KEY)

    def test_a_package_that_cannot_says_so_and_its_context_lives(self) -> None:
        from packages.digest.http.web import Browser, Site, made_signature

        site, browser = Site(), Browser()
        site.accept(browser.answer(site.challenge()))
        with pytest.raises(errors.UnsupportedFunction) as caught:
            sspi.export_security_context(browser.handle, DELETE, key=KEY)
        assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION
        assert made_signature(browser.handle, b"GET", b"/")

    def test_no_secret_of_the_account_is_in_the_blob(self) -> None:
        _, server = digest_pair("auth-int")
        assert b"wonderland" not in sspi.export_security_context(server.handle, key=KEY)
