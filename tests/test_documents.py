"""Documents name modules and files that exist."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from saslsspi.cli.commands import COMMANDS, program

ROOT = Path(__file__).parent.parent
PAGES = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in path.parts]  # those are generated
DOCUMENTS = [ROOT / "README.md", ROOT / "SECURITY.md", *PAGES]
WRITTEN = sorted(path for path in (ROOT / "share").rglob("*") if path.is_file())
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
    made = {"reference", "exchanges.md", "house.md"}  # when the site is built
    for link in re.findall(r"\]\(([^)#:]+\.md)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        target = document.parent / link
        assert target.exists() or made & set(target.parts), link


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the long options and commands of a parser and of those below it."""
    for action in parser._actions:
        yield from (option for option in action.option_strings if option.startswith("--"))
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield name
                yield from options(below)


@pytest.mark.parametrize("file", WRITTEN, ids=[path.name for path in WRITTEN])
def test_the_manual_page_and_the_completions_have_every_option_and_no_other(file: Path) -> None:
    text = re.sub(r"\\f[BIRP]|\\[,/]", "", file.read_text(encoding="utf-8")).replace("\\-", "-")  # roff
    wanted = set(options(program()))
    # argparse-manpage leaves --help out; fish has long options as "-l name", and zsh and fish words of their own.
    missing = {
        name
        for name in wanted - {"--help"}
        if not re.search(rf"(?<![\w-])(?:{name}|-l {name.removeprefix('--')})(?![\w-])", text)
    }
    assert not missing, "the parser has changed: `make share` writes the files anew"
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", text)) | {
        f"--{name}" for name in re.findall(r"^complete .* -l ([a-z0-9-]+)", text, re.MULTILINE)
    }
    assert named - wanted <= {"--roles-only"}, "the parser has changed: `make share` writes the files anew"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_document_of_the_program_has_every_command(name: str) -> None:
    assert f"`saslsspi {name}" in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
