"""Names with any character: what a store or a file of another program takes comes back, and nobody else with it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from saslsspi.accounts import derive_ha1
from saslsspi.accounts.stores.foreign import FORMS
from saslsspi.accounts.stores.places import authority_at, store_at
from saslsspi.accounts.stores.stored import StoredAccount, derived
from saslsspi.errors import InvalidParameter

REALM = "example.test"
SCRAM = derived("u", "wonderland", iterations=4096).scram
OTHER = "mallory"
# What ends a line, a field or a name, begins a comment, or would be read as something else, in one form or another.
PIECES = [
    "a", "b", ":", "\n", "\r", "\t", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "#", "'",
    '"', "\\", " ", "@", "=", ",", ";", "$", "%", "{SCRAM}", "[[account]]", "é", "花", "\ufeff", "İ", "ß", "uid: x",
    f"\nuid: {OTHER}",     "--", "dn:",
]  # fmt: skip
NAMES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=5).map("".join) | st.text(min_size=1, max_size=8)
WRITERS = [name for name, form in FORMS.items() if form.write is not None]


def whose(name: str, form: str) -> StoredAccount:
    if form in ("htdigest",):
        return StoredAccount(username=name, ha1={REALM: derive_ha1(name, REALM, "wonderland")})
    return StoredAccount(username=name, scram=SCRAM)


@pytest.mark.parametrize("form", ["toml", "htdigest", "sql"])
@settings(max_examples=150, deadline=None)
@given(name=NAMES)
@example(name=f"x\n{OTHER}:{REALM}:{'0' * 32}")
@example(name="#alice")
@example(name="\x85")
def test_a_store_keeps_a_name_as_it_is_or_not_at_all(form: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as room:
        place = f"sqlite:///{room}/a.db" if form == "sql" else f"{form}:{room}/a"
        first = whose("first", form)
        store_at(place).write({"first": first})
        try:
            store_at(place).write({name: whose(name, form)})
        except InvalidParameter:
            assert list(store_at(place).read()) == [first]
        else:
            found = {stored.username: stored for stored in store_at(place).read()}
            assert found == {"first": first, name: whose(name, form)}
            assert authority_at(place) is not None


@pytest.mark.parametrize("form", WRITERS)
@settings(max_examples=200, deadline=None)
@given(name=NAMES)
@example(name=f"x\nauthPassword: y\n\nuid: {OTHER}")
@example(name=" alice")
@example(name="#alice")
def test_another_program_s_file_has_a_name_as_it_is_or_not_at_all(form: str, name: str) -> None:
    write, read = FORMS[form].write, FORMS[form].read
    assert write is not None
    meant = [StoredAccount(username="first", scram=SCRAM), StoredAccount(username=name, scram=SCRAM)]
    try:
        text = "".join(write(meant))
    except InvalidParameter:
        return
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "file"
        path.write_text(text, encoding="utf-8", newline="")
        found = {stored.username: stored.scram for stored in read(path, "")}
        assert found == {stored.username: stored.scram for stored in meant}


def test_a_name_of_postgresql_keeps_the_ends_of_lines_in_it(tmp_path: Path) -> None:
    path = tmp_path / "roles.sql"
    for name in ("a\r\nb", "\r\n", "a\nb"):
        text = "".join(FORMS["postgresql"].write([StoredAccount(username=name, scram=SCRAM)]))  # type: ignore[misc]
        path.write_bytes(text.encode())
        assert [stored.username for stored in FORMS["postgresql"].read(path, "")] == [name]
