from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import FileAuthority
from saslsspi.accounts import derive_scram_keys
from saslsspi.accounts.account import Question, ScramKeys, Secret
from saslsspi.accounts.scram import format_scram_keys, parse_scram_keys
from saslsspi.errors import InvalidParameter
from scripted_scram import SALT, iterated

WRITTEN = (  # of the password "builder"
    "SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$J0c2CUHz/e6xwUWqOhXX6QI4Nwml+Ir/xc51K5QGvc8=:"
    "/gQPMPNSRenaoDh1mkih0O5q4zH4SUfCEKOh7Atlg6U="
)


@pytest.mark.requirement("RFC5802-3-01", "RFC5802-3-03")
def test_derived_keys_are_those_of_the_password() -> None:
    import hashlib
    import hmac

    keys = derive_scram_keys("pencil", "SHA-1", iterations=4096, salt=SALT)
    salted = iterated("sha1", b"pencil", SALT, 4096)
    assert keys.stored_key == hashlib.sha1(hmac.digest(salted, b"Client Key", "sha1")).digest()
    assert keys.server_key == hmac.digest(salted, b"Server Key", "sha1")
    assert "pencil" not in repr(keys)


@pytest.mark.requirement("RFC5802-3-04", "RFC4616-2-08")
def test_the_password_is_prepared_as_a_stored_string() -> None:
    assert derive_scram_keys("\u2168", salt=SALT) == derive_scram_keys("IX", salt=SALT)
    for refused in ("", "\u00ad", "\x07", "\u0221"):
        with pytest.raises(InvalidParameter):
            derive_scram_keys(refused, salt=SALT)


def test_each_derivation_has_a_salt_of_its_own() -> None:
    one, other = derive_scram_keys("pencil"), derive_scram_keys("pencil")
    assert one.salt != other.salt
    assert len(one.salt) == 16
    assert derive_scram_keys("pencil", random=lambda size: b"s" * size).salt == b"s" * 16


@pytest.mark.parametrize("iterations", [0, -1, 1, 4095, 10_000_001])
def test_iterations_are_bounded(iterations: int) -> None:
    with pytest.raises(InvalidParameter):
        derive_scram_keys("pencil", iterations=iterations)


@pytest.mark.parametrize("hash_name", ["MD5", "sha-1", "SHA-384", ""])
def test_only_the_hashes_of_the_family_are_taken(hash_name: str) -> None:
    with pytest.raises(InvalidParameter):
        derive_scram_keys("pencil", hash_name)


def test_an_empty_salt_is_refused() -> None:
    with pytest.raises(InvalidParameter):
        derive_scram_keys("pencil", salt=b"")


keys_of_any_kind = st.sampled_from([("SHA-1", 20), ("SHA-256", 32), ("SHA-512", 64)]).flatmap(
    lambda kind: st.builds(
        ScramKeys,
        st.just(kind[0]),
        st.binary(min_size=1, max_size=32),
        st.integers(1, 999_999_999),
        st.binary(min_size=kind[1], max_size=kind[1]),
        st.binary(min_size=kind[1], max_size=kind[1]),
    )
)


@given(keys_of_any_kind)
def test_keys_survive_being_written_down(keys: ScramKeys) -> None:
    assert parse_scram_keys(format_scram_keys(keys)) == keys


@given(st.text(max_size=60) | st.integers(0, len(WRITTEN)).map(lambda at: WRITTEN[:at] + WRITTEN[at + 1 :]))
def test_anything_else_is_refused_without_showing_it(text: str) -> None:
    assert WRITTEN[30:60] not in refusal(text)


def refusal(text: str) -> str:
    try:
        assert format_scram_keys(parse_scram_keys(text)) == text
    except InvalidParameter as error:
        return str(error)
    return ""


def test_keys_are_written_as_rfc_5803_and_postgresql_write_them() -> None:
    keys = derive_scram_keys("builder", iterations=4096, salt=SALT)
    assert format_scram_keys(keys) == WRITTEN
    assert parse_scram_keys(WRITTEN) == keys


@pytest.mark.parametrize(
    "text", ["", WRITTEN + "\n", WRITTEN.replace("SHA-256", "SHA-1"), WRITTEN.replace("4096", "04096"), "x" + WRITTEN]
)
def test_a_wrong_spelling_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_scram_keys(text)


def test_a_file_of_accounts_holds_stored_keys(tmp_path: Path) -> None:
    path = tmp_path / "accounts.toml"
    one, other = derive_scram_keys("pencil", iterations=5000), derive_scram_keys("pencil", "SHA-1", iterations=5000)
    path.touch(mode=0o600)
    path.write_text(f'[[account]]\nuser = "u"\nscram = ["{format_scram_keys(one)}", "{format_scram_keys(other)}"]\n')
    authority = FileAuthority(path)
    account = authority.lookup(Question("u", "", (Secret.SCRAM_SHA_1,)))
    assert account is not None
    assert account.scram == {"SHA-256": one, "SHA-1": other}
    path.write_text('[[account]]\nuser = "u"\nscram = ["nonsense"]\n')
    with pytest.raises(InvalidParameter):
        FileAuthority(path)
