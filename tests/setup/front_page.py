"""README and metadata as they stand where the repository does not: on an index, in an archive.

pyproject.toml's [tool.saslsspi.release] is the one place that names the project's home. Where it does, the links of the
README are absolute and the metadata have project.urls; where it is empty, a link to a file becomes the file's name.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

__all__ = ["settle", "told_front", "told_metadata"]

_BEFORE: Final = "[project.optional-dependencies]"
_PAGES: Final = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md", "Security": "SECURITY.md"}
_LINK: Final = re.compile(r"\[([^\]]+)\]\((?!https?:|#|mailto:)([^)]+)\)")


def settle(tree: Path) -> None:
    """Rewrite README.md and pyproject.toml of a copy of the tree that an archive is built from."""
    metadata = (tree / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(metadata)
    readme = tree / "README.md"
    readme.write_text(told_front(readme.read_text(encoding="utf-8"), project), encoding="utf-8")
    (tree / "pyproject.toml").write_text(told_metadata(metadata, project), encoding="utf-8")


def told_front(readme: str, project: dict[str, Any]) -> str:
    """Return the README with links that lead somewhere, or with none."""
    release = project["tool"]["saslsspi"]["release"]
    home = release["home"].rstrip("/")

    def link(match: re.Match[str]) -> str:
        words, path = match.groups()
        if not home:
            return words
        version = project["project"]["version"]
        return f"[{words}]({release['files'].format(home=home, version=version, path=path)})"

    return _LINK.sub(link, readme)


def told_metadata(metadata: str, project: dict[str, Any]) -> str:
    """Return pyproject.toml with the project's URLs, where it has a home."""
    release = project["tool"]["saslsspi"]["release"]
    home = release["home"].rstrip("/")
    if not home:
        return metadata
    version = project["project"]["version"]
    files = {name: release["files"].format(home=home, version=version, path=path) for name, path in _PAGES.items()}
    lines = [f'{name} = "{url}"' for name, url in {"Homepage": home, **files, "Issues": f"{home}/issues"}.items()]
    return metadata.replace(_BEFORE, "\n".join(["[project.urls]", *lines, "", _BEFORE]), 1)
