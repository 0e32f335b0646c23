"""Make a private Python environment for this source tree and keep it up to date.

    python3 tests/setup/environment.py .venv demo

The package is installed editable. What is installed follows from pyproject.toml (extras and dependency groups) and
tests/setup/python-peers.txt. A stamp in the environment says what it was made from; while that has not changed,
nothing happens. Uses the standard library alone: it runs before anything is installed, and gets as far as its own
message on a Python that is too old.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_TREE: Final = Path(__file__).resolve().parents[2]
_PEERS: Final = Path(__file__).with_name("python-peers.txt")
_OLDEST: Final = (3, 11)
_SAID: Final = 30  # lines of pip's that are shown where it fails


@dataclass(frozen=True)
class Purpose:
    """What a use of the environment needs beside the package's own dependencies."""

    extras: tuple[str, ...]
    groups: tuple[str, ...]
    requirement_files: tuple[Path, ...] = ()


_TESTED: Final = ("cli", "gateway", "http", "smtp", "sql", "redis", "kerberos", "oauth")
PURPOSES: Final = {
    "demo": Purpose(extras=("cli", "smtp"), groups=()),
    "test": Purpose(extras=_TESTED, groups=("test", "docs"), requirement_files=(_PEERS,)),
    "fuzz": Purpose(extras=_TESTED, groups=("test", "fuzz"), requirement_files=(_PEERS,)),
    "docs": Purpose(extras=_TESTED, groups=("test", "docs"), requirement_files=(_PEERS,)),
    "release": Purpose(extras=("cli",), groups=("release",)),
    "check": Purpose(
        extras=_TESTED,
        groups=("test", "check", "docs"),
        requirement_files=(_PEERS,),
    ),
}


def requirements_of(purpose: Purpose, project: dict[str, Any]) -> list[str]:
    """Return pip's arguments that install all that a purpose needs beside the package itself.

    The dependency groups are read here, because `pip install --group` is younger (25.1) than the pip of a Python.
    """
    groups: dict[str, list[str]] = project.get("dependency-groups", {})
    arguments = [requirement for group in purpose.groups for requirement in groups[group]]
    for file in purpose.requirement_files:
        arguments += ["--requirement", str(file)]
    extras: dict[str, list[str]] = project["project"].get("optional-dependencies", {})
    arguments += project["project"]["dependencies"]
    for extra in purpose.extras:
        arguments += [] if what_lacks(extra) else extras[extra]
    return arguments


def what_lacks(extra: str) -> str:
    """Return what this machine needs before pip can install an extra, or "".

    There are no wheels of gssapi for Linux: pip compiles it against the system's Kerberos.
    """
    if extra != "kerberos" or sys.platform != "linux":
        return ""
    return ", ".join(program for program in ("gcc", "krb5-config") if shutil.which(program) is None)


def fingerprint(purpose: Purpose) -> str:
    """Digest of everything that decides what the environment holds."""
    digest = hashlib.sha256(sys.version.encode())
    digest.update(str(_TREE).encode())  # an editable installation points at the tree
    for file in (_TREE / "pyproject.toml", _TREE / "setup.cfg", Path(__file__), *purpose.requirement_files):
        content = file.read_bytes()
        digest.update(b"%d:" % len(content) + content)
    digest.update("".join(what_lacks(extra) for extra in purpose.extras).encode())
    return digest.hexdigest()


def main() -> None:
    """Bring the environment up to date, or end with a message that says what to do."""
    parser = argparse.ArgumentParser(description="Make a private Python environment for this source tree.")
    parser.add_argument("folder", type=Path, help="where the environment is to be")
    parser.add_argument("purpose", choices=PURPOSES)
    arguments = parser.parse_args()
    if sys.version_info < _OLDEST:
        sys.exit(
            f"error: this is Python {sys.version.split()[0]}, saslsspi needs {_OLDEST[0]}.{_OLDEST[1]} or later; "
            "name one: make PYTHON=python3.12 demo"
        )
    folder: Path = arguments.folder
    folder.mkdir(exist_ok=True)
    with (folder / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two `make` at once: the second waits, and finds it done
        _update(folder, arguments.purpose)


def _update(folder: Path, name: str) -> None:
    purpose = PURPOSES[name]
    stamp = folder / f"{name}.stamp"
    wanted = fingerprint(purpose)
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return
    print(
        f"setting up {folder} for {name} (Python {sys.version.split()[0]}): a minute or two, the first time", flush=True
    )
    for extra in purpose.extras:
        if lacking := what_lacks(extra):
            print(f"the extra {extra} is left out: it needs {lacking}; on Debian: apt-get install gcc libkrb5-dev")
    python = folder / "bin" / "python"
    if _version_of(python) != sys.version:
        _make_empty(folder)
    import tomllib  # the Pythons that main() turns away have none

    with (_TREE / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    # The build backend lives in the environment: without build isolation a changed plugin table needs no network.
    # Dependencies are built isolated all the same: each brings a build system of its own.
    _pip(python, [*project["build-system"]["requires"], *requirements_of(purpose, project)])
    _pip(python, ["--no-build-isolation", "--no-deps", "--editable", str(_TREE)])
    stamp.write_text(wanted, encoding="ascii")


def _version_of(python: Path) -> str | None:
    try:
        question = [str(python), "-c", "import sys, pip; print(end=sys.version)"]
        told = subprocess.run(question, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.decode()


def _make_empty(folder: Path) -> None:
    for old in folder.iterdir():
        if old.name == "setup.lock":
            continue
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    made = subprocess.run([sys.executable, "-m", "venv", str(folder)], capture_output=True, text=True, check=False)
    if made.returncode:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"{made.stdout}{made.stderr}error: {sys.executable} cannot make a virtual environment; on Debian: "
            f"apt-get install python{version}-venv"
        )


def _pip(python: Path, arguments: list[str]) -> None:
    """Install; what pip says is kept in a file, and shown where it fails."""
    # The warning about running as root means the system's Python, not a private environment.
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
    log = python.parents[1] / "pip.log"
    with log.open("wb") as file:
        running = subprocess.Popen(command, cwd=_TREE, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=file, stderr=subprocess.STDOUT)  # fmt: skip
        _wait(running)
    if running.returncode:
        print("\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SAID:]), file=sys.stderr)
        sys.exit(
            f"error: pip failed with exit status {running.returncode}; its last words are above, all of them are in "
            f"{log}. It needs a package index: mend the network or pip's configuration (`pip config list`) and run "
            "the same command again"
        )


def _wait(running: subprocess.Popen[bytes]) -> None:
    """Wait for a program, and show on a terminal that it is not dead."""
    started = time.monotonic()
    shown = sys.stderr.isatty()
    while True:
        try:
            running.wait(1 if shown else None)
        except subprocess.TimeoutExpired:
            print(f"\r  installing ... {time.monotonic() - started:.0f} s ", end="", file=sys.stderr, flush=True)
        else:
            break
    if shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
