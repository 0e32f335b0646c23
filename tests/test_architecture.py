"""The arrows of the house point one way: who may import whom, read from the source."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = [
    ROOT / "saslsspi",
    ROOT / "mechanisms" / "saslsspi_mechanisms",
    ROOT / "conformance" / "saslsspi_conformance",
]

# One security package, one room.
PACKAGES = {f"saslsspi.packages.{path.parent.name}" for path in (ROOT / "saslsspi" / "packages").glob("*/__init__.py")}

# Floor by floor, the lowest first. A module imports from its own room and from lower floors only.
FLOORS: list[set[str]] = [
    {"saslsspi.status"},
    {"saslsspi.errors"},
    {"saslsspi.der", "saslsspi.host_names", "saslsspi.kinds"},
    {"saslsspi.crypto"},
    {"saslsspi.channel_bindings", "saslsspi.credentials", "saslsspi.prep"},
    {"saslsspi.accounts"},
    {"saslsspi.engine"},
    {"saslsspi.messages"},
    {"saslsspi.context", "saslsspi.packages", *PACKAGES},
    {"saslsspi.sasl"},
    {"saslsspi.sspi"},
    {"saslsspi"},  # the public names
    {"saslsspi_mechanisms", "saslsspi.adapters"},
    {"saslsspi.services"},
    {"saslsspi.authd", "saslsspi.gateway"},
    {"saslsspi.compat"},
    {"saslsspi.testbed"},
    {"saslsspi_conformance"},
    {"saslsspi_conformance.cases"},
    {"saslsspi.cli"},
    {"saslsspi.__main__"},
]
# The public face names what it hands out on first use; nothing is imported until then.
FACE = "saslsspi"


def modules() -> Iterator[tuple[str, Path]]:
    for source in SOURCES:
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def room(name: str) -> str:
    """The longest listed name that a module's name is or begins with."""
    listed = [floor for names in FLOORS for floor in names]
    matching = [r for r in listed if name == r or (name.startswith(r + ".") and r != FACE)]
    if not matching:
        raise AssertionError(f"{name} stands in no room: add it to a floor")
    return max(matching, key=len)


def height(name: str) -> int:
    return next(number for number, names in enumerate(FLOORS) if room(name) in names)


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if is_module(inner) else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def is_module(name: str) -> bool:
    return any(known == name for known, _ in MODULES)


MODULES = list(modules())


def imported_modules(name: str, path: Path) -> set[str]:
    """The files that a module's imports run, its type checker's apart: those of ours."""
    found = set()
    for imported in imports(path):
        if is_module(imported) and imported != name:
            found.add(imported)
    return found


def circles() -> list[list[str]]:
    """The circles among all files (Tarjan's strongly connected components of more than one)."""
    arrows = {name: imported_modules(name, path) - {FACE} for name, path in MODULES if name != FACE}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(arrows[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            circle = [stack.pop()]
            while circle[-1] != name:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for name in sorted(arrows):
        if name not in index:
            visit(name)
    return found


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circles() == []


def test_no_folder_is_a_hall() -> None:
    folders = Counter(path.parent for _, path in MODULES)
    assert {str(folder.relative_to(ROOT)): count for folder, count in folders.items() if count > 16} == {}


def test_no_room_outgrows_the_largest_of_the_first_release() -> None:
    lines: Counter[str] = Counter()
    for name, path in MODULES:
        lines[room(name)] += len(path.read_text().splitlines())
    assert {name: count for name, count in lines.items() if count > 10_788} == {}


def test_no_public_class_has_its_name_in_two_rooms() -> None:
    homes: dict[str, list[str]] = {}
    for name, path in MODULES:
        if name.startswith("saslsspi.compat."):
            continue  # a face has the names of the library that it stands for
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name)
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down(name: str, path: Path) -> None:
    for imported in imports(path):
        if not imported.startswith("saslsspi") or name == FACE or room(imported) == room(name):
            continue
        assert height(imported) < height(name), f"{name} imports {imported}, which stands above or beside it"


def test_packages_never_import_each_other() -> None:
    for name, path in MODULES:
        if name.startswith("saslsspi.packages."):
            own = ".".join(name.split(".")[:3])
            foreign = [i for i in imports(path) if i.startswith("saslsspi.packages.") and not i.startswith(own)]
            assert not foreign, f"{name} imports {foreign}"


def test_plugins_import_no_other_plugin_package() -> None:
    for name, path in MODULES:
        if name.startswith("saslsspi_mechanisms"):
            assert not [i for i in imports(path) if i.startswith("saslsspi.packages")], name


def test_a_group_of_entry_points_has_one_table() -> None:
    groups = Counter(
        ast.unparse(node.args[0])
        for _, path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).partition("[")[0].endswith("PluginTable")
    )
    assert {"'saslsspi.mechanisms'", "'saslsspi.packages'"} <= groups.keys()
    assert {group: count for group, count in groups.items() if count > 1} == {}


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_sockets_stand_in_adapters_testbed_and_services_only(name: str, path: Path) -> None:
    if name.startswith(("saslsspi.adapters", "saslsspi.testbed", "saslsspi.cli", "saslsspi_conformance")):
        return
    if name.startswith(("saslsspi.services", "saslsspi.authd", "saslsspi.gateway")):  # what they are for
        return
    if name.startswith("saslsspi.compat.ldap3"):
        return  # it stands on the adapter, and speaks of what ldap3 has
    used = {imported.split(".")[0] for imported in imports(path)}
    if name == "saslsspi.accounts.verifier":
        used.discard("asyncio")  # it bounds for how long a function of somebody's own is awaited, and opens nothing
    assert not used & {"socket", "asyncio", "selectors", "socketserver", "smtplib", "imaplib", "poplib", "ldap3"}


@pytest.mark.parametrize(("name", "path"), MODULES, ids=[name for name, _ in MODULES])
def test_no_module_is_a_drawer_for_everything(name: str, path: Path) -> None:
    assert path.stem not in {"util", "utils", "helpers", "common", "misc"}
    assert len(path.read_text().splitlines()) <= 400, "is it really one thing?"


def test_import_loads_nothing_that_costs() -> None:
    heavy = ["cryptography", "ssl", "asyncio", "importlib.metadata", "ldap3", "pyasn1", "socket"]
    code = f"import sys, saslsspi; print([name for name in {heavy!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.strip() == "[]"


def test_a_session_without_a_cipher_loads_nothing_that_costs() -> None:
    heavy = ["cryptography", "ssl", "asyncio", "ldap3"]
    code = (
        "import sys, saslsspi\n"
        "client = saslsspi.Client('DIGEST-MD5', service='ldap', host='h', credentials=saslsspi.Password('u', 'p'))\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert shown.strip() == "[]"
