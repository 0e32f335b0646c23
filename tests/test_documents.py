"""Documents name modules and files that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in path.parts]  # those are generated
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *PAGES]
DOTTED = re.compile(r"(?<![\w./])(saslsspi(?:_mechanisms|_conformance)?(?:\.\w+)+)")
PATHS = re.compile(
    r"(?<![\w/])((?:saslsspi|mechanisms|conformance|tests|benchmarks|docs)/[\w./-]+\.(?:py|md|toml|json))"
)
# Loggers, entry-point groups and keys of WSGI and ASGI have dots too, and are no modules.
NO_MODULES = {
    "saslsspi.audit", "saslsspi.http", "saslsspi.mail", "saslsspi.redis", "saslsspi.trace", "saslsspi.trace.mechanism",
    "saslsspi.trace.package", "saslsspi.ldap", "saslsspi.mechanisms", "saslsspi.packages", "saslsspi.user",
    "saslsspi.connection",
}  # fmt: skip


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[size:]:
            if not hasattr(found, attribute):
                return False
            found = getattr(found, attribute)
        return True
    return False


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    names = set(DOTTED.findall(text)) - NO_MODULES
    assert [name for name in sorted(names) if not resolves(name.rstrip("."))] == []
    assert [path for path in sorted(set(PATHS.findall(text))) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_to_is_there(document: Path) -> None:
    made = {"reference", "exchanges.md"}  # when the site is built
    for link in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        target = document.parent / link
        assert target.exists() or made & set(target.parts), link
