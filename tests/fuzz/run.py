"""Fuzz: `make fuzz TARGET=server-ntlm SECONDS=60`; without a target each has its turn. Or keep what was found.

    python tests/fuzz/run.py [--seconds N] [TARGET ...]
    python tests/fuzz/run.py --keep TARGET FILE      a finding becomes a test: tests/fuzz/found/TARGET/DIGEST

Under atheris, where that is installed, inputs follow the branches of the code; elsewhere good octets are changed at
random. Inputs that led somewhere new are kept in .cache/fuzz, and so are those that are findings.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random
from typing import Final

_TREE: Final = Path(__file__).resolve().parents[2]
_ROOM: Final = _TREE / ".cache" / "fuzz"
_FOUND: Final = Path(__file__).parent / "found"
sys.path.insert(0, str(_TREE / "tests"))


def main() -> int:
    """Do what the command line says; 1 where anything was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("targets", nargs="*")
    arguments = parser.parse_args()
    if arguments.keep:
        return _keep(*arguments.targets)
    if arguments.inside:
        return _fuzz(arguments.targets[0], arguments.seconds)
    from fuzz.targets import TARGETS

    unknown = set(arguments.targets) - set(TARGETS)
    if unknown:
        print(f"no target is called {', '.join(sorted(unknown))}; there are\n" + "\n".join(TARGETS))
        return 2
    failed = [name for name in arguments.targets or TARGETS if not _child(name, arguments.seconds)]
    print("found something in " + ", ".join(failed) if failed else "found nothing")
    return 1 if failed else 0


def _keep(target: str, file: str) -> int:
    octets = Path(file).read_bytes()
    kept = _FOUND / target / hashlib.sha256(octets).hexdigest()[:16]
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(octets)
    print(f"{kept.relative_to(_TREE)} is run by tests/fuzz/test_fuzz.py")
    return 0


def _child(target: str, seconds: int) -> bool:
    """Run one target in a process of its own, since a fuzzer of branches ends its process."""
    command = [sys.executable, __file__, "--inside", "--seconds", str(seconds), target]
    done = subprocess.run(command, cwd=_TREE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = done.stdout.splitlines()
    runs = next((line.split()[1] for line in reversed(said) if line.startswith("Done ")), "?")
    print(f"{target}: {runs} runs", flush=True)
    if done.returncode:
        print("\n".join(said[-60:]), flush=True)
    return done.returncode == 0


def _fuzz(name: str, seconds: int) -> int:
    if importlib.util.find_spec("atheris") is not None:
        return _followed(name, seconds)
    from fuzz.targets import TARGETS

    return _changed(name, TARGETS[name].run, _begin(name), seconds)


def _begin(name: str) -> Path:
    """Return the folder of a target's inputs, with the good ones in it."""
    from fuzz.targets import TARGETS

    room = _ROOM / name
    room.mkdir(parents=True, exist_ok=True)
    for seed in TARGETS[name].seeds():
        (room / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return room


def _followed(name: str, seconds: int) -> int:
    import atheris

    with atheris.instrument_imports(include=["saslsspi", "saslsspi_mechanisms"]):
        from fuzz.targets import TARGETS
    room = _begin(name)
    os.chdir(room.parent)
    limits = [f"-max_total_time={seconds}", "-max_len=8192", "-timeout=20", f"-artifact_prefix={name}-"]
    atheris.Setup([sys.argv[0], *limits, str(room)], TARGETS[name].run)
    atheris.Fuzz()
    return 0


def _changed(name: str, run: object, room: Path, seconds: int) -> int:
    from fuzz.changes import changed

    assert callable(run)
    choice, runs, end = Random(), 0, time.monotonic() + seconds
    pool = [file.read_bytes() for file in sorted(room.iterdir())]
    while time.monotonic() < end:
        octets, runs = changed(choice.choice(pool), choice), runs + 1
        try:
            run(octets)
        except Exception:
            file = room.parent / f"{name}-crash-{hashlib.sha256(octets).hexdigest()[:16]}"
            file.write_bytes(octets)
            traceback.print_exc()
            print(f"found by {file.relative_to(_TREE)}")
            return 1
    print(f"Done {runs} runs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
