"""How things are called: records by keyword, no bare True, and clock and chance from the Environment alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = (ROOT / "saslsspi", ROOT / "mechanisms", ROOT / "conformance")
CORE = tuple(ROOT / "saslsspi" / room for room in ("engine", "packages", "accounts", "sspi", "crypto", "sasl"))
RECORDS = ("Outcome", "Request")
# Signatures of other libraries' methods, which a subclass or a stand-in must have.
INHERITED = {
    "saslsspi/compat/pywin32/sspi.py wrap",
    "saslsspi/adapters/ldap/connection.py rebind",
    "saslsspi/adapters/ldap/layered.py bind",
    "saslsspi/adapters/ldap/layered.py start_tls",
    "saslsspi/adapters/ldap/strategies.py get_response",
    "saslsspi/adapters/ldap/strategies.py open",
    "saslsspi/adapters/ldap/strategies.py start_tls",
    "saslsspi/adapters/stream/tls_duplex.py getpeercert",
    "saslsspi/compat/puresasl/client.py __init__",
    "saslsspi/compat/puresasl/client.py choose_mechanism",
    "saslsspi/compat/spnego/_context.py wrap",
    "saslsspi/compat/spnego/_context.py wrap_iov",
    "saslsspi/compat/spnego/_credssp.py wrap",
    "saslsspi/compat/spnego/_credssp.py wrap_iov",
}
# What tells the time or tosses a coin, by the module it is of.
OUTSIDE = {
    "time": {"time", "time_ns", "monotonic", "perf_counter", "gmtime", "localtime"},
    "os": {"urandom", "getrandom"},
    "datetime": {"now", "utcnow", "today"},
    "random": {"*"},
    "secrets": {"*"},
    "uuid": {"uuid1", "uuid4"},
}
# The defaults of an Environment, and of functions that derive keys for a store, which no exchange calls.
ALLOWED = {
    "saslsspi/engine/environment.py": {"time.time", "os.urandom"},
    "saslsspi/accounts/scram.py": {"os.urandom"},
    "saslsspi/accounts/stores/stored.py": {"os.urandom"},
    "saslsspi/accounts/__init__.py": {"importlib.import_module(home)"},  # a table of our own modules
    # What stands beside exchanges and is in none: defaults of arguments.
    "saslsspi/accounts/failures.py": {"random.random", "time.monotonic"},
    "saslsspi/accounts/shared/redis.py": {"os.urandom", "time.monotonic"},
    "saslsspi/accounts/verifier.py": {"time.monotonic"},
}


def sources(*roots: Path) -> list[Path]:
    return sorted(path for root in roots for path in (root.rglob("*.py") if root.is_dir() else [root]))


def calls(path: Path) -> Iterator[ast.Call]:
    yield from (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))


def positional_records(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    theirs = {
        name.asname or name.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "saslsspi.engine.exchange"
        for name in node.names
        if name.name in RECORDS
    }
    return [
        f"{path.relative_to(ROOT)}:{call.lineno} {call.func.id}"
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id in theirs and call.args
    ]


def bare_booleans(path: Path) -> list[str]:
    """Return the calls with a bare True or False, and the functions that take one by position."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and any(isinstance(argument, ast.Constant) and isinstance(argument.value, bool) for argument in node.args)
    ]
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return found + [found for function in functions for found in positional_booleans(path, function)]


def positional_booleans(path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{function.lineno} def {function.name}({argument.arg})"
        for argument in [*function.args.posonlyargs, *function.args.args]
        if argument.annotation is not None and ast.unparse(argument.annotation) in {"bool", "bool | None"}
    ]


def public_functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Functions, methods and constructors that another module may call."""
    pending: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while pending:
        for node in ast.iter_child_nodes(pending.pop()):
            if isinstance(node, ast.ClassDef):
                pending.append(node)
            elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (
                node.name == "__init__" or not node.name.startswith("_")
            ):
                yield node


def outside_world(path: Path) -> set[str]:
    """Return what a module takes of clock and chance, by name; one that it imports by a call is taken whole."""
    found = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {module: module for module in OUTSIDE}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            of = getattr(node, "module", None)
            known |= {
                name.asname: of or name.name for name in node.names if name.asname and (of or name.name) in OUTSIDE
            }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("__import__", "import_module"):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            names = [value.value for value in given if isinstance(value, ast.Constant)]
            # A name that is put together is not read here, and is what a place to hide would look like.
            found |= {f"{name}.*" for name in names if name in OUTSIDE} if names else {ast.unparse(node)}
        if isinstance(node, ast.ImportFrom) and node.module in OUTSIDE:
            found |= {
                f"{node.module}.{name.name}"
                for name in node.names
                if name.name in OUTSIDE[node.module] or "*" in OUTSIDE[node.module]
            }
        if isinstance(node, ast.Attribute):
            # datetime.datetime.now and time.time alike: the module is what the chain begins with.
            module = known.get(ast.unparse(node).partition(".")[0], "")
            if module in OUTSIDE and (node.attr in OUTSIDE[module] or "*" in OUTSIDE[module]):
                found.add(f"{module}.{node.attr}")
    return found


def test_outcomes_and_requests_are_built_by_keyword_everywhere() -> None:
    assert [found for path in sources(*PRODUCT) for found in positional_records(path)] == []


def test_no_boolean_is_positional_in_the_core() -> None:
    core = sources(*CORE, ROOT / "mechanisms", ROOT / "saslsspi" / "context.py")
    assert [found for path in core for found in bare_booleans(path)] == []


def test_no_public_function_takes_a_boolean_by_position() -> None:
    found = {
        f"{path.relative_to(ROOT)} {function.name}"
        for path in sources(*PRODUCT)
        for function in public_functions(path)
        if positional_booleans(path, function)
    }
    assert found == INHERITED


@pytest.mark.parametrize(
    "path", sources(*CORE, ROOT / "mechanisms", ROOT / "saslsspi" / "context.py"), ids=lambda path: path.stem
)
def test_clock_and_chance_come_from_the_environment(path: Path) -> None:
    assert outside_world(path) == ALLOWED.get(str(path.relative_to(ROOT)), set())


def test_the_searches_find_what_they_are_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "wrong.py"
    file.write_text(
        "import datetime, os\nfrom time import monotonic\nfrom saslsspi.engine.exchange import Outcome\n"
        "def f(loud: bool) -> None: ...\n"
        "f(True); Outcome(1, None); datetime.datetime.now(); os.urandom(3)\n"
    )
    assert len(positional_records(file)) == 1
    assert len(bare_booleans(file)) == 2
    assert [function.name for function in public_functions(file)] == ["f"]
    assert outside_world(file) == {"time.monotonic", "datetime.now", "os.urandom"}
    file.write_text(
        "import importlib, time as t\nfrom datetime import datetime as d\nfrom importlib import import_module\n"
        '__import__("os").urandom(3); importlib.import_module("time").time(); import_module(name="random")\n'
        "t.monotonic(); d.now()\n"
    )
    assert outside_world(file) == {"os.*", "time.*", "random.*", "time.monotonic", "datetime.now"}
