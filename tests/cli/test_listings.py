import json
import subprocess
import sys
from pathlib import Path

import pytest

from saslsspi.__main__ import main
from saslsspi.cli import mechanisms, packages
from saslsspi.cli.commands import COMMANDS
from saslsspi.cli.output import print_table
from saslsspi.engine.entry_points import Plugin

TREE = Path(__file__).resolve().parents[2]


def test_mechanisms_tells_all_of_digest_md5(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mechanisms", "--json"]) == 0
    listed = {record["name"]: record for record in json.loads(capsys.readouterr().out)["mechanisms"]}
    digest = listed["DIGEST-MD5"]
    assert digest.pop("distribution").startswith("saslsspi ")
    assert digest == {
        "name": "DIGEST-MD5",
        "problem": None,
        "package": "WDigest",
        "sides": ["client", "server"],
        "layers": ["none", "integrity", "confidentiality"],
        "max_ssf": 128,
        "properties": ["mutual", "no-plaintext", "no-anonymous"],
    }
    assert main(["mechanisms"]) == 0
    assert "DIGEST-MD5  " in capsys.readouterr().out


def test_packages_tells_all_of_wdigest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["packages", "--json"]) == 0
    listed = {record["name"]: record for record in json.loads(capsys.readouterr().out)["packages"]}
    digest = listed["WDigest"]
    assert (digest["aliases"], digest["sides"], digest["rpcid"]) == (["Digest"], ["client", "server"], 21)
    assert digest["layers"] == ["none", "integrity", "confidentiality"]
    assert {"integrity", "privacy", "mutual-auth"} <= set(digest["capabilities"])
    assert main(["packages"]) == 0
    assert "WDigest  " in capsys.readouterr().out


@pytest.mark.parametrize(("name", "table"), [("mechanisms", mechanisms.MECHANISMS), ("packages", packages.PACKAGES)])
def test_a_plugin_that_failed_is_listed_with_the_reason(
    name: str, table: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken: Plugin[object] = Plugin("BROKEN", "theirs 2.0", None, "theirs:X failed to load: ImportError: gone")
    monkeypatch.setattr(table, "plugins", lambda: (broken,))
    assert main([name]) == 0
    assert "BROKEN of theirs 2.0 cannot be used: theirs:X failed to load" in capsys.readouterr().out
    assert main([name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[name][0]["problem"] == broken.problem


def test_a_pipe_gets_aligned_lines_with_numbers_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "SSF"), [("a", 1), ("long name", 128)])
    assert capsys.readouterr().out == "name       SSF\na            1\nlong name  128\n"


def test_help_lists_every_command_and_loads_none() -> None:
    program = "import sys, saslsspi.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], cwd=TREE, capture_output=True, text=True, check=True)
    *text, modules = told.stdout.splitlines()
    assert all(any(line.startswith(f"  {name} ") for line in text) for name in COMMANDS)
    assert not {"saslsspi.errors", "saslsspi.sspi", "cryptography", "ssl", "asyncio", "ldap3"} & set(modules.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert f"usage: saslsspi {name}" in capsys.readouterr().out
