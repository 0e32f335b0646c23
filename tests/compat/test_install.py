"""A face takes a place: of whole modules before they are imported, of ldap3's class before anybody holds it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from saslsspi import compat
from saslsspi.compat.ldap3 import BindSettings
from saslsspi.errors import InvalidParameter

THEIRS = "import saslsspi.compat.places as places; places.take({'theirs': 'saslsspi.accounts'}); "


def run(code: str, *arguments: str, cwd: Path | None = None) -> str:
    """The output of a program in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, cwd=cwd
    )
    return (done.stdout + done.stderr).strip()


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "saslsspi.compat", "run", *arguments],
        capture_output=True, text=True, check=False, cwd=cwd,
    )  # fmt: skip


def test_a_module_of_ours_stands_under_another_name_submodules_and_all() -> None:
    code = THEIRS + (
        "import sys; assert 'saslsspi.accounts' not in sys.modules; "
        "import theirs.memory; from theirs import chain; import saslsspi.accounts.memory as ours; "
        "print(theirs.memory is ours, theirs.memory.__name__, chain.__name__, theirs.__spec__.name)"
    )
    assert run(code) == "True saslsspi.accounts.memory saslsspi.accounts.chain saslsspi.accounts"


def test_a_submodule_that_is_not_ours_does_not_exist() -> None:
    assert run(THEIRS + "import theirs.nothing").endswith("ModuleNotFoundError: No module named 'theirs.nothing'")


def test_what_is_imported_already_keeps_its_place_and_the_text_says_what_to_do() -> None:
    code = "import json, saslsspi.compat.places as places; places.take({'json': 'saslsspi.accounts'})"
    assert "json is in use already, from " in run(code)
    assert "call saslsspi.compat.install before anything imports it" in run(code)


def test_a_place_is_taken_twice_without_harm() -> None:
    code = THEIRS + "import theirs; places.take({'theirs': 'saslsspi.accounts'}); print(theirs.__name__)"
    assert run(code) == "saslsspi.accounts"


def test_faces_and_options_that_do_not_exist_are_refused_in_words() -> None:
    with pytest.raises(InvalidParameter, match=r"no face named nothing; there are .*ldap3"):
        compat.install("nothing")
    with pytest.raises(InvalidParameter, match="takes the names of faces"):
        compat.install()
    with pytest.raises(InvalidParameter, match="ldap3 takes no option speed; it takes clear, lookup"):
        compat.install("ldap3", speed=1)


@pytest.mark.parametrize("first", ["", "import ldap3; "])
def test_ldap3_may_be_imported_before(first: str) -> None:
    code = first + (
        "import saslsspi.compat; saslsspi.compat.install('ldap3'); saslsspi.compat.install('ldap3', clear=True); "
        "import ldap3, ldap3.core.connection as core; "
        "from ldap3 import Connection, ENCRYPT, SIGN, TLS_CHANNEL_BINDING; "
        "print(Connection.__module__, Connection is ldap3.Connection is core.Connection, Connection.settings.clear)"
    )
    assert run(code) == "saslsspi.compat.ldap3.connection True True"


@pytest.mark.parametrize(
    ("holds", "named"),
    [
        ("from ldap3 import Connection", "__main__"),
        ("import ldap3; Old = ldap3.Connection", "__main__"),
        ("import ldap3\nclass Mine(ldap3.Connection): pass", "__main__.Mine"),
    ],
)
def test_who_holds_ldap3s_own_class_is_named(holds: str, named: str) -> None:
    shown = run(f"{holds}\nimport saslsspi.compat; saslsspi.compat.install('ldap3')")
    assert "ldap3's own Connection is in use already, in" in shown
    assert named in shown
    assert "before `from ldap3 import Connection`" in shown


def test_another_replacement_is_not_replaced() -> None:
    shown = run(
        "import ldap3, ldap3.core.connection as core\nimport saslsspi.compat.ldap3\n"
        "class Other: pass\nldap3.Connection = core.Connection = Other\n"
        "import saslsspi.compat; saslsspi.compat.install('ldap3')"
    )
    assert "somebody has put __main__.Other into ldap3's place already" in shown


def test_where_one_face_is_refused_no_place_is_taken() -> None:
    shown = run(
        "from ldap3 import Connection\nimport importlib.util, saslsspi.compat\n"
        "try: saslsspi.compat.install('sasl', 'spnego', 'ldap3')\n"
        "except saslsspi.SaslError: print(importlib.util.find_spec('sasl'))"
    )
    assert shown == "None"
    shown = run(
        "import json, ldap3, saslsspi.compat\nimport sys; sys.modules['sasl'] = json\n"
        "before = ldap3.Connection\n"
        "try: saslsspi.compat.install('ldap3', 'sasl')\n"
        "except saslsspi.SaslError: print(ldap3.Connection is before)"
    )
    assert shown == "True"


def test_ldap3_missing_is_told() -> None:
    shown = run("import sys; sys.modules['ldap3'] = None\nimport saslsspi.compat; saslsspi.compat.install('ldap3')")
    assert "PackageNotFound" in shown or "SEC_E_SECPKG_NOT_FOUND" in shown
    assert "pip install ldap3" in shown


def test_a_program_is_run_with_its_own_arguments_path_and_exit_status(tmp_path: Path) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    (folder / "beside.py").write_text("WORD = 'found'\n")
    (folder / "program.py").write_text(
        "import sys, ldap3, beside\n"
        "print(sys.argv[1:], beside.WORD, __name__, ldap3.Connection.__module__, ldap3.Connection.settings.clear)\n"
        "sys.exit(7)\n"
    )
    done = command("--as", "ldap3", "--with", "clear", str(folder / "program.py"), "--as", "x", cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "['--as', 'x'] found __main__ saslsspi.compat.ldap3.connection True\n"
    done = command("--as", "ldap3", "-m", "program", "a", cwd=folder)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "['a'] found __main__ saslsspi.compat.ldap3.connection False\n"


def test_a_lookup_account_is_a_pair_or_a_file(tmp_path: Path) -> None:
    account = tmp_path / "account"
    account.write_text("svc@example.test\ngrüße\n", encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(
        "import ldap3\nwho = ldap3.Connection.settings.lookup\nprint(who.username, ascii(who.password))\n"
    )
    done = command("--as", "ldap3", "--with", f"lookup={account}", str(program), cwd=tmp_path)
    assert done.stdout == "svc@example.test 'gr\\xfc\\xdfe'\n", done.stderr
    for wrong, said in (
        ("lookup=nowhere", "cannot be read"),
        ("lookup", "a pair of user and"),
        ("clear=1", "clear is"),
    ):
        done = command("--as", "ldap3", "--with", wrong, str(program), cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
    account.write_text("only a name\n", encoding="utf-8")
    assert command("--as", "ldap3", "--with", f"lookup={account}", str(program), cwd=tmp_path).returncode == 2
    assert "wonderland" not in repr(BindSettings.of(lookup=("alice", "wonderland")))


def test_what_cannot_be_run_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x7fELF\0\0")
    shell = tmp_path / "shell"
    shell.write_text("#!/bin/sh\necho no\n")
    for program in (binary, shell):
        done = command("--as", "ldap3", str(program), cwd=tmp_path)
        assert done.returncode == 2
        assert "is not a Python program" in done.stderr
    missing = command("--as", "ldap3", "not-there", cwd=tmp_path)
    assert "no file and no command not-there" in missing.stderr
    unknown = command("--as", "x", "-m", "json.tool", cwd=tmp_path)
    assert "there is no face named x" in unknown.stderr
