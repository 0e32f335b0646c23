"""Which real peers this machine has; a test that needs one asks here.

On a developer's machine a missing peer skips the test. Where the environment says CI=true it fails, so that a suite
that silently lost its peers cannot pass.
"""

import ctypes
import importlib.util
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import pytest

# Servers live in sbin, which is not on the search path of an ordinary user.
_SEARCH_PATH: Final = os.pathsep.join(
    [os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/lib/cyrus/bin"]
)


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a machine must have to be said to have a peer."""

    programs: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


PEERS: Final[Mapping[str, Needs]] = {
    "slapd": Needs(programs=("slapd", "slapadd")),
    "ldap-utils": Needs(programs=("ldapwhoami", "ldapsearch")),
    "krb5-kdc": Needs(programs=("krb5kdc", "kadmin.local", "kdb5_util", "kinit")),
    "gssapi": Needs(modules=("gssapi",)),
    "cyrus-gssapi": Needs(plugins=("libgssapiv2.so",)),
    "cyrus-gs2": Needs(plugins=("libgs2.so",)),
    "gsasl": Needs(libraries=("libgsasl.so.18",)),
    "java": Needs(programs=("java", "javac")),
    "curl": Needs(programs=("curl",)),
    "gsasl-tool": Needs(programs=("gsasl",)),
    "dovecot": Needs(programs=("dovecot",)),
    "postfix": Needs(programs=("postfix",)),
    "freerdp": Needs(programs=("xfreerdp", "freerdp-shadow-cli", "Xvfb")),
    "lighttpd": Needs(programs=("lighttpd",)),
    "samba": Needs(programs=("samba", "samba-tool")),
    "zookeeper": Needs(files=("/usr/share/java/zookeeper.jar",)),
    "prosody": Needs(programs=("prosody", "prosodyctl")),
    "smbd": Needs(programs=("smbd", "smbpasswd")),
    "apt-get": Needs(programs=("apt-get", "dpkg-deb")),
    "authen-sasl": Needs(programs=("perl",), files=("/usr/share/perl5/Authen/SASL.pm",)),
    "swaks": Needs(programs=("swaks",)),
    "msmtp": Needs(programs=("msmtp",)),
    "testsaslauthd": Needs(programs=("testsaslauthd",)),
    "postgresql": Needs(programs=("pg_ctlcluster", "psql"), modules=("psycopg", "asyncpg")),
    "bash": Needs(programs=("bash",)),
    "zsh": Needs(programs=("zsh",)),
    "fish": Needs(programs=("fish",)),
    "mandoc": Needs(programs=("mandoc",)),
    "haproxy": Needs(programs=("haproxy",)),
    "redis": Needs(programs=("redis-server",), modules=("redis",)),
    "db_dump": Needs(programs=("db_dump",)),
    "saslpasswd2": Needs(programs=("saslpasswd2",)),
    "cyrus-common": Needs(programs=("master", "mbpath")),
    "cyrus-clients": Needs(programs=("imtest", "pop3test", "smtptest")),
    "systemd": Needs(programs=("systemd-analyze",)),
    "npm": Needs(programs=("npm",)),
    "php": Needs(programs=("php",)),
    "ldap3": Needs(modules=("ldap3",)),
    "pure-sasl": Needs(modules=("puresasl",)),
    "pyspnego": Needs(modules=("spnego",)),
    "requests": Needs(modules=("requests",)),
    "httpx": Needs(modules=("httpx",)),
    "openssl": Needs(programs=("openssl",)),
    "pypsrp": Needs(modules=("pypsrp",)),
    "requests-credssp": Needs(modules=("requests", "requests_credssp")),
    "sspilib": Needs(modules=("sspilib",)),
    "scramp": Needs(modules=("scramp",)),
}


def find_program(name: str) -> Path | None:
    """Return where a program is, sbin included, or None."""
    found = shutil.which(name, path=_SEARCH_PATH)
    return Path(found) if found else None


def missing_parts(peer: str) -> list[str]:
    """Return what this machine lacks of a peer; nothing when the peer is there."""
    if peer not in PEERS:
        raise KeyError(f"no peer is called {peer!r}; known are {', '.join(PEERS)}")
    needs = PEERS[peer]
    return [
        *(name for name in needs.programs if find_program(name) is None),
        *(name for name in needs.modules if importlib.util.find_spec(name) is None),
        *(name for name in needs.libraries if not _loads(name)),
        *(name for name in needs.files if not Path(name).exists()),
        *(name for name in needs.plugins if not any(Path("/usr/lib").glob(f"**/sasl2/{name}"))),
    ]


def require_peer(*peers: str) -> None:
    """Skip the running test unless all peers are there; fail it instead under CI=true."""
    lacking = {peer: missing for peer in peers if (missing := missing_parts(peer))}
    if not lacking:
        return
    give_up("; ".join(f"{peer} is not here (no {', '.join(missing)})" for peer, missing in lacking.items()))


def give_up(reason: str) -> NoReturn:
    """Skip the running test for want of a peer; fail it instead under CI=true."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and CI=true: run `make test` as root on Debian, which installs it")
    pytest.skip(reason)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def program(name: str) -> str:
    """Return the path of a program of a peer that require_peer() has found."""
    found = find_program(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; call require_peer() first")
    return str(found)
