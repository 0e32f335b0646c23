"""`make test` on a fresh clone has what the tests import: nothing may come from another target's environment."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from interop.require import give_up
from setup.environment import PURPOSES, requirements_of

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
OURS = {"saslsspi", "saslsspi_mechanisms", "saslsspi_conformance"}
# Written for their own environments: what `make fuzz` and `make share` install.
ELSEWHERE = {TESTS / "fuzz" / "target.py", TESTS / "setup" / "share.py"}


def at_import(path: Path) -> Iterator[str]:
    """Yield the modules without which a file cannot be imported."""
    pending: list[ast.stmt] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
        elif isinstance(node, ast.With | ast.ClassDef):
            pending += node.body  # an if or a try knows what it does


def distribution(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


def with_what_they_need(names: set[str]) -> set[str]:
    """Return distributions and all that they bring along."""
    found: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        pending |= {distribution(line) for line in needed if "extra ==" not in line}
    return found


def modules_waited_for() -> Iterator[str]:
    """Yield what tests ask for by importorskip: where it is missing they skip themselves."""
    for path in TESTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                yield str(ast.literal_eval(node.args[0]))


@pytest.mark.interop
@pytest.mark.parametrize("module", sorted(set(modules_waited_for())))
def test_no_test_skips_itself_for_want_of_a_module(module: str) -> None:
    """Under CI=true; `make test` installs them all."""
    try:
        importlib.import_module(module)
    except ImportError:
        give_up(f"{module} is not here")


def test_the_tests_with_peers_skip_themselves_in_one_way_only() -> None:
    """By require_peer and give_up, which fail under CI=true: a suite that silently lost its peers cannot pass."""
    found = {
        f"{path.relative_to(TESTS)}:{node.lineno}"
        for folder in ("interop", "world")
        for path in (TESTS / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in {"pytest.skip", "pytest.mark.skipif"}
    }
    assert {name.partition(":")[0] for name in found} == {"interop/require.py", "interop/test_harness.py"}, found


def test_what_the_tests_import_is_what_their_environment_installs() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    lines = requirements_of(PURPOSES["test"], project)
    peers = (TESTS / "setup" / "python-peers.txt").read_text(encoding="utf-8").splitlines()
    lines = [line for line in [*lines, *peers] if line and line[0].isalnum() and not line.startswith("/")]
    installed = with_what_they_need({distribution(line) for line in lines})
    provides = importlib.metadata.packages_distributions()
    known = OURS | set(sys.stdlib_module_names) | {path.stem for path in TESTS.iterdir()} | {"benchmarks"}
    missing: dict[str, set[str]] = {}
    for path in TESTS.rglob("*.py"):
        if path in ELSEWHERE or "programs" in "".join(path.parent.name):
            continue  # programs of others run in environments of their own
        for module in at_import(path):
            top = module.partition(".")[0]
            if top in known or (path.parent / f"{top}.py").exists():
                continue
            if not {distribution(name) for name in provides.get(top, [])} & installed:
                missing.setdefault(top, set()).add(str(path.relative_to(ROOT)))
    assert missing == {}
