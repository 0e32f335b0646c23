"""sspilib's source archive, and its own tests made ready to run on `saslsspi.sspi` in the place of `sspilib.raw`.

The archive's pure Python (sspilib's upper classes) stays as it is. Its tests choose between Windows and sspi-rs by
os.name: they take Windows' branch here, but for who logs on, since nobody is logged on as on Windows. A password or
keytab that a repr is to show is taken out of the expectation: ours show none.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from importlib import metadata
from pathlib import Path
from typing import Final

from interop.require import give_up

__all__ = ["prepare"]

_CACHE: Final = Path(__file__).parents[2] / ".cache" / "sspilib"
_SHIM: Final = """
import sys
import types

from saslsspi import sspi


def _replace(source, target):
    vars(target).update(vars(source))


raw = types.ModuleType("sspilib.raw")
raw.__dict__.update({name: getattr(sspi, name) for name in sspi.__all__})
raw._credential = types.SimpleNamespace(_replace_cred_handle=_replace)
sys.modules["sspilib.raw"] = raw
"""


def _archive() -> Path:
    found = sorted(_CACHE.glob("sspilib-*.tar.gz"))
    if found:
        return found[-1]
    _CACHE.mkdir(parents=True, exist_ok=True)
    # pip asks an archive for its metadata before it keeps it, and this one looks for sspi-rs as it says them: the wheel
    # of the same version has it.
    files = metadata.files("sspilib") or []
    library = next((Path(str(file.locate())) for file in files if "libsspi" in file.name), None)
    libraries = _CACHE / "lib"
    libraries.mkdir(exist_ok=True)
    if library is not None and not (libraries / "libsspi.so").exists():
        (libraries / "libsspi.so").symlink_to(library)
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-binary=sspilib",
        "--no-deps", "--dest", str(_CACHE), f"sspilib=={metadata.version('sspilib')}",
    ]  # fmt: skip
    surroundings = {**os.environ, "LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=surroundings, check=False)
    if done.returncode:
        give_up(f"sspilib's source archive could not be fetched: {done.stderr.strip()[-300:]}")
    return sorted(_CACHE.glob("sspilib-*.tar.gz"))[-1]


def prepare(folder: Path) -> None:
    """Unpack the archive's tests and pure Python into a folder, ready for `python -m pytest -p shim tests`."""
    with tarfile.open(_archive()) as archive:
        for member in archive.getmembers():
            path = Path(*Path(member.name).parts[1:])
            wanted = path.parts[:1] == ("tests",) or (path.parts[:2] == ("src", "sspilib") and len(path.parts) == 3)
            if member.isfile() and wanted and path.suffix == ".py":
                file = archive.extractfile(member)
                assert file is not None
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                text = file.read().decode("utf-8")
                target.write_text(_as_on_windows(text) if path.name.startswith("test_") else text, encoding="utf-8")
    (folder / "shim.py").write_text(_SHIM, encoding="utf-8")


def _as_on_windows(text: str) -> str:
    text = re.sub(r'if os\.name != "nt":(?=\n\s+(?:# sspi-rs needs|auth_data = ))', "if True:", text)
    text = re.sub(r'if os\.name == "nt":(?=\n\s+s_cred)', "if False:", text)
    text = text.replace("os.name", '"nt"')
    return text.replace("password='pass', ", "").replace("credential=b'foo', ", "")
