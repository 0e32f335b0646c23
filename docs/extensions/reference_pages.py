"""The reference, written from the code before Sphinx reads its sources: doors, policies, errors, commands, rules.

Nothing here is kept by hand: a public name without a docstring, a policy's field or a status without a sentence is an
error of the build.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from when import WHEN

DOORS = {
    "saslsspi": "SASL, contexts, accounts",
    "saslsspi.sspi": "SSPI's functions",
    "saslsspi.accounts": "Writing an authority",
    "saslsspi.sasl.mechanism": "Writing a mechanism",
    "saslsspi.adapters.ldap": "LDAP: ldap3",
    "saslsspi.adapters.imap": "IMAP: imaplib",
    "saslsspi.adapters.smtp": "SMTP: smtplib",
    "saslsspi.adapters.pop3": "POP3: poplib",
    "saslsspi.adapters.sieve": "ManageSieve",
    "saslsspi.adapters.aiosmtplib": "SMTP: aiosmtplib",
    "saslsspi.adapters.aiosmtpd": "SMTP servers: aiosmtpd",
    "saslsspi.adapters.stream": "Sockets and asyncio streams with a layer",
    "saslsspi.adapters.requests": "HTTP clients: requests",
    "saslsspi.adapters.httpx": "HTTP clients: httpx",
    "saslsspi.adapters.http": "HTTP servers",
    "saslsspi.adapters.wsgi": "HTTP servers: WSGI",
    "saslsspi.adapters.asgi": "HTTP servers: ASGI",
    "saslsspi.adapters.winrm": "WinRM",
    "saslsspi.compat": "Taking the places of other libraries",
    "saslsspi.compat.ldap3": "ldap3's face",
    "saslsspi.compat.pywin32": "pywin32's face",
    "saslsspi.compat.puresasl": "pure-sasl's face",
    "saslsspi.compat.sasl": "Cyrus SASL's face",
    "saslsspi.compat.spnego": "pyspnego's face",
    "saslsspi_conformance.contract": "Tests of a mechanism of one's own",
}
BRANCHES = ("CallerError", "LocalError", "RemoteError", "SaslError")
HERE = Path(__file__).parents[1]
ROOT = HERE.parent


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages when the build begins."""
    app.connect("builder-inited", lambda _: write_all(HERE / "reference"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write_all(room: Path) -> None:
    """Write every page that has changed."""
    pages = {**doors(), "policies.md": policies(), "errors.md": errors(), "commands.md": commands()}
    pages["specifications.md"] = specifications()
    for name, text in pages.items():
        file = room / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def sentence(thing: object, name: str) -> str:
    """Return the first paragraph of a docstring."""
    text = inspect.getdoc(thing)
    if not text:
        raise ExtensionError(f"{name} is public and has no docstring")
    return " ".join(text.partition("\n\n")[0].split())


def doors() -> dict[str, str]:
    """Return a page a door; a name is described in the first door that has it."""
    told: dict[int, str] = {}
    pages = {}
    for door, title in DOORS.items():
        module = importlib.import_module(door)
        lines = [f"# {title}", "", f"```{{py:module}} {door}", "```", "", sentence(module, door), ""]
        for name in sorted(module.__all__, key=lambda name: (rank(getattr(module, name)), name)):
            thing = getattr(module, name)
            if id(thing) in told and told[id(thing)] != door and not isinstance(thing, str | int | tuple | frozenset):
                home = told[id(thing)]
                lines += [f"`{name}`", f": see [{home}]({home}.md)", ""]
                continue
            told[id(thing)] = door
            lines += ["```{eval-rst}", *described(door, name, thing), "```", ""]
        pages[f"api/{door}.md"] = "\n".join(lines)
    listed = "\n".join(f"| `{door}` | [{title}](api/{door}.md) |" for door, title in DOORS.items())
    names = "\n".join(f"api/{door}" for door in DOORS)
    pages["api.md"] = (
        "# The doors\n\nWhat is public stands here and is stable; users import from these modules and from no others."
        " A list of all names and signatures is kept beside the tests, and a change of it is a change that the"
        " changelog tells of.\n\nEverything has type hints: programs at each door pass mypy --strict and pyright."
        "\n\n"
        f"| import from | for |\n|---|---|\n{listed}\n\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    )
    return pages


def rank(thing: object) -> int:
    """Say where on a page something stands: what one begins with first, and values last."""
    if inspect.isclass(thing):
        return 2 if issubclass(thing, BaseException) else 3 if issubclass(thing, enum.Enum) else 0
    return 1 if callable(thing) else 4


def described(door: str, name: str, thing: object) -> list[str]:
    """Return the directive that describes a public name."""
    if inspect.isclass(thing):
        sentence(thing, f"{door}.{name}")
        kind = "autoexception" if issubclass(thing, BaseException) else "autoclass"
        # Of a named tuple the fields alone: types and meaning stand below, and autodoc trips over defaults of an Enum.
        given = f"({', '.join(thing._fields)})" if hasattr(thing, "_fields") else ""
        return [f".. {kind}:: {door}.{name}{given}", "   :members:"]
    if callable(thing):
        sentence(thing, f"{door}.{name}")
        return [f".. autofunction:: {door}.{name}"]
    kind = type(thing)
    if not kind.__module__.startswith("saslsspi"):
        return [f".. autodata:: {door}.{name}", "   :no-value:"]
    # An instance: autodoc would repeat all that its class says.
    return [f".. py:data:: {door}.{name}", f"   :type: {kind.__name__}", "", f"   {sentence(kind, kind.__name__)}"]


def attributes(kind: type) -> dict[str, str]:
    """Return what the Attributes of a docstring say of each."""
    found: dict[str, str] = {}
    inside, last = False, ""
    for line in (inspect.getdoc(kind) or "").splitlines():
        if re.fullmatch(r"(Attributes|Args):", line):
            inside = True
        elif inside and (match := re.fullmatch(r"    ([a-z_0-9]+): (.*)", line)):
            last = match[1]
            found[last] = match[2]
        elif inside and line.startswith("        ") and last:
            found[last] += " " + line.strip()
        elif inside and line and not line.startswith(" "):
            inside = False
    return found


def policies() -> str:
    """Return the page of all policies: every field, its default and its meaning."""
    module = importlib.import_module("saslsspi.engine.policy")
    lines = [
        "# Policies",
        "",
        (
            "What a side permits and demands. `Policy` has the common fields and one policy a package beside them;"
            " `--policy FIELD=VALUE` names them on the command line (`ntlm.responses=v2`)."
        ),
        "",
    ]
    for name in module.__all__:
        kind = getattr(module, name)
        if not (inspect.isclass(kind) and is_dataclass(kind) and name.endswith("Policy")):
            continue
        told = attributes(kind)
        lines += [f"## {name}", "", sentence(kind, name), ""]
        advice = WHEN.get(name, {})
        if unknown := advice.keys() - {field.name for field in fields(kind)}:
            raise ExtensionError(f"{name} has no {sorted(unknown)}: docs/extensions/when.py tells of what is not there")
        for field in fields(kind):
            meaning, when = told.get(field.name), advice.get(field.name)
            if not meaning:
                raise ExtensionError(f"{name}.{field.name} has no sentence in its docstring")
            if not when:
                raise ExtensionError(f"{name}.{field.name}: docs/extensions/when.py does not say when to change it")
            value = default(field)
            lines += [f"`{field.name}`" + (f" = {value}" if value else ""), f": {meaning}", f": *When:* {when}", ""]
    return "\n".join(lines)


def default(field: Any) -> str:
    """Return what a field is where nothing is said."""
    value = field.default if field.default_factory is inspect._empty or field.default is not None else None
    if type(value).__name__ == "_MISSING_TYPE":
        return ""
    if isinstance(value, enum.Enum):
        return f"`{type(value).__name__}.{value.name}`"
    shown = str(value) if not isinstance(value, str) else repr(value)
    shown = re.sub(r"<(\w+)\.(\w+): .*>", r"\2", shown)
    return f"`{shown}`" if len(shown) < 60 else f"`{type(value).__name__}()`"


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return text.replace("|", "\\|")


def errors() -> str:
    """Return the page of errors: by status, whose fault it is and what to do."""
    module = importlib.import_module("saslsspi.errors")
    lines = [
        "# Errors",
        "",
        (
            "Each error carries the SECURITY_STATUS that Windows gives in its place, and a text that says what to do."
            " Whose fault it is, is a branch that can be caught: `CallerError` (this program's), `LocalError` (this"
            " machine's or policy's), `RemoteError` (the peer's)."
        ),
        "",
    ]
    found: dict[Any, list[str]] = {}
    for name in module.__all__:
        kind = getattr(module, name)
        status = getattr(kind, "status", None)
        if not (inspect.isclass(kind) and issubclass(kind, Exception)) or not hasattr(status, "name"):
            continue
        if name in BRANCHES:
            continue
        usual = getattr(kind, "_branch", None)  # of one that several branches share: where it is raised unless said
        branch = next(base.__name__ for base in (*kind.__mro__, usual) if base and base.__name__ in BRANCHES[:3])
        text = whole(kind, name)
        meaning, marker, advice = text.partition("What to do: ")
        if not marker:
            raise ExtensionError(f"{name} does not say what to do: a paragraph of its docstring begins so")
        found.setdefault(status, []).append(f"`{name}` ({branch})\n: {meaning.strip()}\n: *What to do:* {advice}\n")
    for status, said in sorted(found.items(), key=lambda pair: str(pair[0].name)):
        number = f"`0x{status:08X}`, in other programs {status:08x} or {status - (1 << 32)}"
        lines += [f"## {status.name}", "", f"{number}.", "", *said, ""]
    return "\n".join(lines)


def whole(thing: object, name: str) -> str:
    """Return a docstring without its lists of arguments, as one paragraph."""
    sentence(thing, name)
    text = re.split(r"\n(?:Args|Attributes|Raises):", inspect.getdoc(thing) or "")[0]
    return " ".join(text.split())


def commands() -> str:
    """Return what every command's --help says."""
    from saslsspi.cli.commands import COMMANDS, command

    lines = [
        "# Commands and their options",
        "",
        "What `--help` says of each; [the program](../cli.md) tells the rest.",
        "",
    ]
    for name, meaning in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"saslsspi {name}", allow_abbrev=False, formatter_class=Wide)
        command(name).configure(parser)
        lines += [f"## saslsspi {name}", "", f"{meaning}.", "", "```text", parser.format_help().rstrip(), "```", ""]
    return "\n".join(lines)


class Wide(argparse.HelpFormatter):
    """Help as wide as a page, and not as a terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=100, max_help_position=30)


def specifications() -> str:
    """Return the map from a specification's section to requirement, file and test."""
    claimed = claims()
    lines = [
        "# Specifications: section, requirement, test",
        "",
        "Every rule of the specifications that this library keeps to, and the test that fails when it is broken.",
        "",
    ]
    for file in sorted((ROOT / "conformance" / "saslsspi_conformance" / "catalogue").glob("*.json")):
        document = json.loads(file.read_text(encoding="utf-8"))
        lines += [f"## {file.stem}", "", "| section | requirement | rule | test |", "|---|---|---|---|"]
        for one in entries(document):
            tests = "<br>".join(f"`{test}`" for test in sorted(claimed.get(str(one["id"]), set()))[:3])
            lines.append(f"| {one.get('section', '')} | `{one['id']}` | {cell(str(one.get('text', '')))} | {tests} |")
        lines.append("")
    return "\n".join(lines)


def entries(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the requirements of a file of the catalogue."""
    if isinstance(document, dict):
        document = document.get("requirements", [])
    yield from document


def claims() -> dict[str, set[str]]:
    """Return the tests that claim a requirement: file and function."""
    found: dict[str, set[str]] = {}
    marker = re.compile(r"@pytest\.mark\.requirement\(([^)]*)\)(?:\n@.*)*\n(?:async )?def (\w+)", re.M)
    for file in (ROOT / "tests").rglob("test_*.py"):
        for ids, function in marker.findall(file.read_text(encoding="utf-8")):
            for identifier in re.findall(r"[\"']([^\"']+)[\"']", ids):
                found.setdefault(identifier, set()).add(f"{file.relative_to(ROOT)}::{function}")
    return found
