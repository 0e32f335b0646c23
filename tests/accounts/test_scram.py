from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import Account, Authority, FileAuthority, MemoryAuthority
from saslsspi.accounts import ScramDeriver, derive_scram_keys, scram
from saslsspi.accounts.account import Question, ScramKeys, Secret
from saslsspi.accounts.authority import SingleAccount
from saslsspi.accounts.scram import deriver_of, format_scram_keys, parse_scram_keys
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
    account = authority.lookup(Question("u", "", (Secret.SCRAM,)))
    assert account is not None
    assert account.scram == {"SHA-256": one, "SHA-1": other}
    assert (authority.scram_deriver.iterations, authority.scram_deriver.stored) == (5000, True)
    path.write_text('[[account]]\nuser = "u"\nscram = ["nonsense"]\n')
    with pytest.raises(InvalidParameter):
        FileAuthority(path)


# What is shown for users without stored keys


@pytest.mark.requirement("RFC5802-9-01")
def test_salts_depend_on_the_name_the_hash_and_the_key_and_on_nothing_else() -> None:
    deriver = ScramDeriver(bytes(16))
    salt = deriver.salt("alice", "SHA-1")
    assert salt == deriver.salt("alice", "SHA-1") == ScramDeriver(bytes(16)).salt("alice", "SHA-1")
    others = {
        deriver.salt("bob", "SHA-1"),
        deriver.salt("alice", "SHA-256"),
        ScramDeriver(b"\1" * 16).salt("alice", "SHA-1"),
    }
    assert len({salt} | others) == 4
    with pytest.raises(InvalidParameter):
        ScramDeriver(bytes(15))


@pytest.mark.requirement("RFC5802-9-01")
@pytest.mark.parametrize("password", ["wonderland", None], ids=["known", "unknown"])
def test_a_known_and_an_unknown_user_cost_the_same_derivations(
    password: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    real = scram.client_keys

    def counted(hash_name: str, password: bytes, salt: bytes, iterations: int) -> object:
        made.append(hash_name)
        return real(hash_name, password, salt, iterations)

    monkeypatch.setattr(scram, "client_keys", counted)
    deriver = ScramDeriver(bytes(16))
    first = deriver.keys("alice", "SHA-256", password, 4096)
    assert deriver.keys("alice", "SHA-256", password, 4096) == first
    assert made == ["SHA-256"]
    deriver.keys("alice", "SHA-256", password, 4097)
    assert len(made) == 2


def test_a_changed_password_is_noticed() -> None:
    deriver = ScramDeriver(bytes(16))
    old = deriver.keys("alice", "SHA-256", "old", 4096)
    assert deriver.keys("alice", "SHA-256", "new", 4096).stored_key != old.stored_key


def test_few_results_are_kept() -> None:
    deriver = ScramDeriver(bytes(16))
    made = [deriver.keys(str(number), "SHA-1", "x", 1) for number in range(1025)]
    assert deriver.keys("1024", "SHA-1", "x", 1) is made[1024]
    assert deriver.keys("0", "SHA-1", "x", 1) is not made[0]


def test_a_deriver_looks_like_its_accounts() -> None:
    keys = derive_scram_keys("x", iterations=9000)
    accounts = [Account(username="a", scram={"SHA-256": keys}), Account(username="b", password="x")]
    deriver = MemoryAuthority(accounts).scram_deriver
    assert (deriver.iterations, deriver.stored) == (9000, True)
    deriver = MemoryAuthority({"b": "x"}).scram_deriver
    assert (deriver.iterations, deriver.stored) == (4096, False)


def test_servers_behind_one_name_can_share_the_salts() -> None:
    one, other = (MemoryAuthority({}, salt_key=b"k" * 16).scram_deriver for _ in range(2))
    assert one.salt("x", "SHA-1") == other.salt("x", "SHA-1")


class Plain:
    """An authority that says nothing of salts."""

    def lookup(self, question: Question) -> Account | None:
        return None


class Unhashable(Plain):
    __hash__ = None  # type: ignore[assignment]  # that is the point


@pytest.mark.parametrize(
    "authority", [Plain(), Unhashable(), SingleAccount(Account(username="a")), None], ids=lambda a: type(a).__name__
)
def test_every_authority_has_one_deriver(authority: Authority | None) -> None:
    made = deriver_of(authority, lambda size: b"r" * size)
    assert deriver_of(authority, lambda size: b"s" * size) is made


def test_a_deriver_goes_with_its_authority() -> None:
    authority = Plain()
    deriver = weakref.ref(deriver_of(authority, bytes))
    assert deriver() is not None
    del authority
    gc.collect()
    assert deriver() is None
