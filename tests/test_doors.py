"""The doors: what users import from is this list, and the documents show no other path."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

from documents.surface import members, public, surface

ROOT = Path(__file__).parent.parent
ADAPTERS = ["ldap", "imap", "smtp", "pop3", "sieve", "aiosmtplib", "aiosmtpd", "stream", "requests", "httpx", "http",
            "wsgi", "asgi", "winrm"]  # fmt: skip
FACES = ["ldap3", "puresasl", "pywin32", "sasl", "spnego"]
DOORS = ["saslsspi", "saslsspi.sspi", *(f"saslsspi.adapters.{name}" for name in ADAPTERS),
         "saslsspi.compat", *(f"saslsspi.compat.{name}" for name in FACES),
         "saslsspi_conformance.contract"]  # fmt: skip
# What somebody who writes an authority or a mechanism stands on; docs/architecture.md says so.
PLUGINS = ["saslsspi.accounts", "saslsspi.sasl.mechanism"]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTS = [path for path in DOCUMENTS if "reference" not in path.parts]  # generated
BLOCK = re.compile(r"^```(?:python|pycon)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", DOORS)
def test_a_door_says_what_is_public(name: str) -> None:
    door = importlib.import_module(name)
    assert door.__all__
    assert sorted(set(door.__all__)) == sorted(door.__all__)
    for offered in door.__all__:
        assert not offered.startswith("_")
        assert getattr(door, offered) is not None


@pytest.mark.parametrize("name", ADAPTERS)
def test_beside_the_doors_stand_rooms_only(name: str) -> None:
    found = {path.stem for path in (ROOT / "saslsspi" / "adapters").glob("*.py")} - {"__init__"}
    rooms = {path.parent.name for path in (ROOT / "saslsspi" / "adapters").glob("*/__init__.py")}
    assert found <= set(ADAPTERS)
    assert rooms == {"http", "ldap", "mail", "stream"}


def imported(code: str) -> set[str]:
    return set(re.findall(r"^(?:>>> |\.\.\. )? *(?:from|import) (saslsspi[\w.]*)", code, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=[path.name for path in DOCUMENTS])
def test_documents_import_from_doors_only(document: Path) -> None:
    code = "\n".join(BLOCK.findall(document.read_text(encoding="utf-8")))
    allowed = {*DOORS, *PLUGINS, "saslsspi.adapters"}
    assert imported(code) - allowed == set()


def test_every_door_has_a_page_of_the_reference() -> None:
    tree = ast.parse((ROOT / "docs" / "extensions" / "reference_pages.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOORS"
    )
    assert set(ast.literal_eval(table)) == {*DOORS, *PLUGINS}


def test_every_document_is_in_a_table_of_contents() -> None:
    docs = ROOT / "docs"
    listed = set(re.findall(r"^[a-z0-9/-]+$", (docs / "index.md").read_text(encoding="utf-8"), re.MULTILINE))
    pages = {str(path.relative_to(docs).with_suffix("")) for path in DOCUMENTS if path.is_relative_to(docs)}
    made = {"index", "background/exchanges", "background/house"}
    assert {page for page in pages - made if not page.startswith("decisions/")} <= listed


SURFACE = ROOT / "tests" / "documents" / "surface.txt"
# Where a signature is another library's to say, and that says Any.
NOT_OURS = {
    "saslsspi.adapters.ldap.": "ldap3 has no types",
    "saslsspi.compat.": "the signatures are those of the libraries whose faces they are",
    "saslsspi.adapters.stream.LayeredStream.get_extra_info": "asyncio's",
}


def test_the_public_surface_changes_only_on_purpose() -> None:
    """Where a change is meant: `python tests/documents/surface.py`, and a fragment."""
    found, kept = surface([*DOORS, *PLUGINS]), SURFACE.read_text(encoding="utf-8").splitlines()
    gone, new = sorted(set(kept) - set(found)), sorted(set(found) - set(kept))
    assert (gone, new) == ([], []), (
        "the public names have changed; where that is meant: `python tests/documents/surface.py` writes the list anew, "
        "and a fragment in changelog.d tells of it"
    )


def test_no_signature_says_any_where_we_choose_it() -> None:
    said = {line for line in SURFACE.read_text(encoding="utf-8").splitlines() if re.search(r"\bAny\b", line)}
    assert [line for line in sorted(said) if not line.startswith(tuple(NOT_OURS))] == []
    assert all(any(line.startswith(prefix) for line in said) for prefix in NOT_OURS)


def test_every_public_name_and_what_it_has_is_documented() -> None:
    silent = []
    for name, thing, _ in public([*DOORS, *PLUGINS]):
        if inspect.isclass(thing) and thing.__module__.startswith("saslsspi"):
            silent += [] if vars(thing).get("__doc__") else [name]
            for member, value in members(thing):
                described = value if isinstance(value, property) else getattr(thing, member)
                if (callable(described) or isinstance(value, property)) and not member.startswith("__"):
                    silent += [] if inspect.getdoc(described) else [f"{name}.{member}"]
        elif callable(thing):
            silent += [] if inspect.getdoc(thing) else [name]
    assert silent == []
