"""`make release-check`: the archives are built twice and are the same, and work where nothing else is installed.

Prints what is left for a person to do. The components of the plain installation are written to build/sbom.json.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

from front_page import settle

TREE = Path(__file__).resolve().parents[2]
BUILD = TREE / "build" / "release"
LEFT = """
left for a person:
  1. towncrier build --version X.Y.Z, and read the changelog as a user
  2. make test-all, make test-world, make mutants; write results and dates into docs/interop.md
  3. git tag -s vX.Y.Z; upload build/release/*
"""


def main() -> int:
    """Check, step by step; the first that fails ends it."""
    first, second = (_built(BUILD / name) for name in ("one", "two"))
    if [_digest(file) for file in first] != [_digest(file) for file in second]:
        print("two builds of one tree differ")
        return 1
    _run(sys.executable, "-m", "twine", "check", "--strict", *map(str, first))
    wheel = next(file for file in first if file.suffix == ".whl")
    _run(sys.executable, "-m", "check_wheel_contents", "--ignore", "W009", str(wheel))  # three packages on purpose
    for archive in first:
        with tempfile.TemporaryDirectory(prefix="saslsspi-release-") as folder:
            _installed(archive, Path(folder))
    print("\n".join(f"{_digest(file)}  {file.name}" for file in first) + LEFT)
    return 0


def _built(folder: Path) -> list[Path]:
    """Return the source archive and the wheel of this tree, built with the time of the last commit."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="saslsspi-tree-") as copy:
        tree = Path(copy) / "tree"
        _copied(tree)
        settle(tree)
        return _built_of(tree, folder)


def _copied(tree: Path) -> None:
    """Copy what is kept of this tree, and nothing that was made in it."""
    listed = subprocess.run(["git", "ls-files"], cwd=TREE, capture_output=True, text=True, check=False)
    if listed.returncode:  # a source archive that was unpacked
        shutil.copytree(
            TREE, tree, ignore=shutil.ignore_patterns(".venv*", "build", "dist", "*.egg-info", "__pycache__")
        )
        return
    for name in listed.stdout.splitlines():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TREE / name, tree / name)


def _built_of(tree: Path, folder: Path) -> list[Path]:
    stamp = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TREE, capture_output=True, text=True, check=False)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": stamp.stdout.strip() or "1700000000"}
    command = [sys.executable, "-m", "build", "--outdir", str(folder), str(tree)]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    for archive in folder.glob("*.tar.gz"):
        _settle(archive, int(environment["SOURCE_DATE_EPOCH"]))
    return sorted(folder.iterdir())


def _settle(archive: Path, stamp: int) -> None:
    """Give every member of a source archive the same owner and time: setuptools writes those of the machine."""
    import gzip

    with tarfile.open(archive) as old:
        members = [(member, old.extractfile(member) if member.isfile() else None) for member in old.getmembers()]
        with (
            archive.with_suffix(".new").open("wb") as raw,
            gzip.GzipFile("", "wb", 9, raw, mtime=stamp) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new,
        ):
            for member, content in sorted(members, key=lambda pair: pair[0].name):
                member.mtime, member.uid, member.gid, member.uname, member.gname = stamp, 0, 0, "", ""
                member.pax_headers = {}
                new.addfile(member, content)
    archive.with_suffix(".new").replace(archive)


def _installed(archive: Path, folder: Path) -> None:
    """Install an archive where nothing else is, and see it work."""
    venv.create(folder / "v", with_pip=True)
    python = folder / "v" / "bin" / "python"
    _run(str(python), "-m", "pip", "install", "--quiet", str(archive))
    _run(str(python), "-m", "saslsspi", "mechanisms", cwd=folder)
    _run(str(python), "-m", "pip", "install", "--quiet", f"{archive}[cli,smtp]")
    _run(str(python), "-m", "saslsspi", "demo", cwd=folder)
    if archive.suffix == ".whl":
        bill = TREE / "build" / "sbom.json"
        _run(sys.executable, "-m", "cyclonedx_py", "environment", "--output-file", str(bill), str(python))


def _run(*command: str, cwd: Path | None = None) -> None:
    print("$", " ".join(Path(word).name if os.sep in word else word for word in command), flush=True)
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
