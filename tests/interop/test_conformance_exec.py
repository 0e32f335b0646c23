"""`saslsspi conformance exec`: libraries of other languages behind small drivers that speak the line protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from interop.people import ALICE
from interop.require import program, require_peer

pytestmark = pytest.mark.interop

ROOT = Path(__file__).parents[2]
EXPECT = ROOT / "tests" / "conformance" / "expect"


@pytest.mark.parametrize(("side", "least"), [("server", 50), ("client", 40)])
def test_perl_s_authen_sasl_misses_what_is_known(side: str, least: int, tmp_path: Path) -> None:
    require_peer("authen-sasl")
    file = tmp_path / "report.json"
    driver = ["perl", str(ROOT / "examples" / "conformance" / "authen_sasl.pl"), side]
    done = subprocess.run(
        [sys.executable, "-m", "saslsspi", "conformance", "exec", "--side", side, "--user", ALICE.name, "--quiet",
         "--spec", "rfc2831", "--json", file, "--expect", EXPECT / "authen_sasl.txt", "--",
         program("perl"), *driver[1:], "{mechanism}", "{service}", "{host}", "{user}"],
        env=os.environ | {"SASLSSPI_PASSWORD": ALICE.password}, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    report = json.loads(file.read_text(encoding="utf-8"))
    usual = {"pass", "known failure", "not applicable"}
    assert {entry["case"]: entry["detail"] for entry in report["results"] if entry["verdict"] not in usual} == {}
    assert report["counts"]["pass"] >= least
    assert done.returncode == 0
    assert ALICE.password not in done.stdout + file.read_text(encoding="utf-8")
