"""What an archive's front page says without the repository around it."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import pytest

from setup.front_page import settle, told_front

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\(([^)]+)\)")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def name_home(tree: Path, home: str) -> None:
    text = (tree / "pyproject.toml").read_text(encoding="utf-8")
    assert text.count("\nhome = ") == 1
    (tree / "pyproject.toml").write_text(re.sub(r'(?m)^home = "[^"]*"', f'home = "{home}"', text), encoding="utf-8")


def test_without_a_home_links_to_files_are_plain_names(tree: Path) -> None:
    name_home(tree, "")
    settle(tree)
    readme = (tree / "README.md").read_text(encoding="utf-8")
    assert all(link.startswith("https://") for link in LINK.findall(readme))
    assert "docs/ldap.md |" in readme
    assert "urls" not in tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_with_a_home_every_link_is_absolute_and_the_metadata_have_urls(tree: Path) -> None:
    name_home(tree, "https://forge.example/people/saslsspi/")
    settle(tree)
    project = tomllib.loads((tree / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project["version"]
    readme = (tree / "README.md").read_text(encoding="utf-8")
    assert f"[docs/ldap.md](https://forge.example/people/saslsspi/blob/v{version}/docs/ldap.md)" in readme
    assert all(link.startswith("https://") for link in LINK.findall(readme))
    assert set(project["urls"]) == {"Homepage", "Documentation", "Changelog", "Security", "Issues"}
    assert all(url.startswith("https://forge.example/people/saslsspi") for url in project["urls"].values())
    assert project["urls"]["Homepage"] == "https://forge.example/people/saslsspi"
    assert project["optional-dependencies"]


def test_links_elsewhere_and_anchors_stay() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = "[RFC](https://www.rfc-editor.org/rfc/rfc6331) and [below](#more)"
    assert told_front(text, project) == text


def test_nothing_is_named_a_home_elsewhere() -> None:
    assert not re.search(r"^\[project\.urls\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
