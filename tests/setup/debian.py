"""Install the Debian packages of the tests' peers, once.

Does nothing when all are there (a question to dpkg, no stamp file that could lie). Installs only as root on a
Debian-like system; anywhere else it says what is missing and lets the tests skip those peers. Debian starts a daemon
as soon as it is installed: a policy-rc.d forbids that for as long as the installation runs.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PACKAGES = Path(__file__).with_name("debian-packages.txt")
_POLICY = Path("/usr/sbin/policy-rc.d")
_NO_DAEMONS = "#!/bin/sh\n# Written by saslsspi's tests/setup/debian.py while it installs packages.\nexit 101\n"


def wanted_packages() -> list[str]:
    """Return the packages listed in debian-packages.txt."""
    lines = _PACKAGES.read_text(encoding="utf-8").splitlines()
    return [name for line in lines if (name := line.partition("#")[0].strip())]


def missing_packages(wanted: list[str]) -> list[str]:
    """Return those of wanted that dpkg does not count as installed."""
    query = ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Abbrev}\n", *wanted]
    found = subprocess.run(query, capture_output=True, text=True, check=False)
    installed = {line.split()[0] for line in found.stdout.splitlines() if line.split()[1:2] == ["ii"]}
    return [name for name in wanted if name not in installed]


@contextmanager
def _daemons_kept_down() -> Iterator[None]:
    if _POLICY.exists():  # a container image's own; it forbids them already
        yield
        return
    # A termination becomes SystemExit, so that the policy does not stay behind.
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    _POLICY.write_text(_NO_DAEMONS, encoding="utf-8")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink(missing_ok=True)
        signal.signal(signal.SIGTERM, before)


def _apt_get(*arguments: str) -> None:
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    finished = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if finished.returncode:
        sys.stderr.buffer.write(finished.stdout)
        sys.exit(
            f"error: `{' '.join(command)}` failed with exit status {finished.returncode}; its output is above.\n"
            "Mend the package sources or the network and run again, or leave these peers out: make test PEERS=no"
        )


def main() -> None:
    """Install what is missing, or say what is."""
    wanted = wanted_packages()
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        print(f"not a Debian system: the tests skip peers that are not there (Debian calls them {', '.join(wanted)})")
        return
    missing = missing_packages(wanted)
    if not missing:
        return
    if os.geteuid() != 0:
        print(f"not root: the tests skip these peers; to have them: sudo apt-get install {' '.join(missing)}")
        return
    print(f"installing peers with apt-get: {' '.join(missing)}", flush=True)
    with _daemons_kept_down():
        _apt_get("update", "--quiet")
        _apt_get("install", "--yes", "--quiet", "--no-install-recommends", *missing)


if __name__ == "__main__":
    main()
