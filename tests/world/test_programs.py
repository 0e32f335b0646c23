"""An environment of another program is made once, holds what was asked for, and is not this one."""

import subprocess
from pathlib import Path

from world.programs import python_with


def test_an_environment_of_its_own() -> None:
    python = python_with("pure-sasl==0.6.2", this=())
    assert python == python_with("pure-sasl==0.6.2", this=())
    program = "import puresasl, saslsspi, sys; print(puresasl.__file__); print(saslsspi.__file__)"
    theirs, ours = subprocess.run(
        [python, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert Path(theirs).is_relative_to(python.parents[1])
    assert Path(ours) == Path(__file__).parents[2] / "saslsspi" / "__init__.py"


def test_a_peer_that_does_not_see_this_project(tmp_path: Path) -> None:
    python = python_with("pure-sasl==0.6.2", this=None)
    assert (
        subprocess.run([python, "-c", "import saslsspi"], cwd=tmp_path, capture_output=True, check=False).returncode
        == 1
    )
