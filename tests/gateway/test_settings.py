"""The configuration of a gateway: what cannot be is told, and where nothing encrypts it has to be said twice."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.world import Started
from interop.certificate import make_server_certificate
from saslsspi import InvalidParameter, SaslError
from saslsspi.gateway.service import PROTOCOLS, check, check_sockets
from saslsspi.gateway.settings import GatewaySettings, Tls, read_gateway

AUTHORITY = '[[authority]]\nname = "there"\nservers = ["dc.example.com"]\n'
LISTENER = '[[listener]]\nprotocol = "ldap"\nport = 3890\n'


def read(tmp_path: Path, text: str) -> GatewaySettings:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    return read_gateway(path, tuple(PROTOCOLS))


def test_a_configuration_as_it_is_read(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        "workers = 3\n" + AUTHORITY + 'tls = "starttls"\nmechanisms = ["GSSAPI", "NTLM"]\n' + LISTENER
        + "[policy]\nmin_ssf = 128\n[limits]\nidle_seconds = 60\nfailure_delay = 1\n",
    )  # fmt: skip
    assert (made.workers, made.policy.min_ssf, made.limits.idle_seconds) == (3, 128, 60.0)
    assert made.limits.failures().delay == 1.0
    assert made.authorities[0].tls is Tls.STARTTLS
    assert made.authorities[0].mechanisms == ("GSSAPI", "NTLM")
    assert made.authority_of(made.listeners[0]) is made.authorities[0]


def test_what_goes_out_is_sealed_unless_another_policy_is_given(tmp_path: Path) -> None:
    made = read(tmp_path, AUTHORITY + LISTENER)
    assert (made.policy.min_ssf, made.policy.negotiate.packages) == (56, "ntlm")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LISTENER, "authority"),
        (AUTHORITY, "listener"),
        ('[[authority]]\nservers = ["x"]\n' + LISTENER, "name"),
        ('[[authority]]\nname = "x"\n' + LISTENER, "servers or domain"),
        (AUTHORITY + 'domain = "example.com"\n' + LISTENER, "servers or domain"),
        (AUTHORITY + 'lookup_user = "reader"\n' + LISTENER, "lookup_password_file"),
        (AUTHORITY + 'token_command = "t"\n' + LISTENER, "accounts"),
        (AUTHORITY + 'accounts = ["toml:x"]\n' + LISTENER, "token_command"),
        (AUTHORITY + '[[listener]]\nprotocol = "ldap"\nport = 1\nauthority = "elsewhere"\n', "elsewhere"),
        (AUTHORITY + '[[listener]]\nprotocol = "nntp"\nport = 1\n', "protocol"),
        (AUTHORITY + '[[listener]]\nprotocol = "ldap"\n', "path"),
        (AUTHORITY + LISTENER + 'key = "x"\n', "key"),
        (AUTHORITY + LISTENER + 'mode = "x"\n', "mode"),
        (AUTHORITY + LISTENER + "nonsense = 1\n", "nonsense"),
        (AUTHORITY + LISTENER + "[limits]\nidle_seconds = 0\n", "more than 0"),
        (AUTHORITY + LISTENER + "[limits]\nfailure_window = 0\n", "window"),
        (AUTHORITY + LISTENER + "[policy]\nmin_ssf = -1\n", "min_ssf"),
        ("workers = 0\n" + AUTHORITY + LISTENER, "workers"),
        (AUTHORITY + 'tls = "perhaps"\n' + LISTENER, "tls"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidParameter, match=told):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("more", "possible"),
    [
        ("", False),
        ("exposed = true\n", False),
        ("passwords_in_clear = true\n", False),
        ("exposed = true\npasswords_in_clear = true\n", True),
        ('certificate = "c"\n', True),
        ('certificate = "c"\ntls = "starttls"\n', True),
        ('certificate = "c"\ntls = "none"\n', False),
    ],
)
@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.1", "localhost", "127.0.0.1"])
def test_beyond_loopback_in_clear_it_is_said_twice(tmp_path: Path, address: str, more: str, possible: bool) -> None:
    text = AUTHORITY + LISTENER + f'address = "{address}"\n' + more
    if possible or address == "127.0.0.1":
        assert read(tmp_path, text).listeners[0].takes_clear is (address == "127.0.0.1" or "exposed" in more)
    else:
        with pytest.raises(InvalidParameter, match="exposed = true and passwords_in_clear = true"):
            read(tmp_path, text)


@pytest.mark.parametrize(
    ("more", "possible"),
    [("", False), ('certificate = "c"\ntls = "starttls"\n', False), ('certificate = "c"\n', True)],
)
def test_sockets_of_systemd_do_not_reach_further_than_the_configuration(
    tmp_path: Path, more: str, possible: bool
) -> None:
    settings = read(tmp_path, AUTHORITY + LISTENER + more)
    with socket.create_server(("127.0.0.1", 0)) as near, socket.create_server(("0.0.0.0", 0)) as far:
        check_sockets(settings, [near])
        if possible:
            check_sockets(settings, [far])
        else:
            with pytest.raises(InvalidParameter, match=r"0\.0\.0\.0"):
                check_sockets(settings, [far])


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('ca = "/nowhere"\ntls = "starttls"\n', "nowhere"),
        ('mechanisms = ["NONSENSE"]\n', "NONSENSE"),
        ('lookup_user = "u"\nlookup_password_file = "/nowhere"\n', "nowhere"),
    ],
)
def test_what_a_configuration_names_is_looked_at(tmp_path: Path, more: str, told: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(AUTHORITY + more + LISTENER)
    with pytest.raises(SaslError, match=told):
        check(path)


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("wonderland\n")
    path = tmp_path / "gateway.toml"
    path.write_text(AUTHORITY + f'lookup_user = "u"\nlookup_password_file = "{secret}"\n' + LISTENER)
    secret.chmod(0o644)
    with pytest.raises(SaslError, match="others may read"):
        check(path)
    secret.chmod(0o600)
    check(path)
    secret.write_text("")
    with pytest.raises(SaslError, match="no password in its first line"):
        check(path)


def test_a_certificate_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(AUTHORITY + LISTENER + f'certificate = "{path}"\n')
    with pytest.raises(InvalidParameter, match="certificate"):
        check(path)
    made = make_server_certificate(tmp_path)
    path.write_text(AUTHORITY + LISTENER + f'certificate = "{made.certificate_file}"\nkey = "{made.key_file}"\n')
    assert Started(check(path)).settings.listeners[0].begins is Tls.IMMEDIATE


@pytest.mark.parametrize(("text", "status"), [(AUTHORITY + LISTENER, 0), (AUTHORITY, 1), ("nonsense", 1)])
def test_check_on_the_command_line(tmp_path: Path, text: str, status: int) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    command = [sys.executable, "-m", "saslsspi", "gateway", str(path), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert bool(done.returncode) is bool(status), done
    assert ("can be used" in done.stdout) is not bool(status)


def test_units_are_in_the_package() -> None:
    import saslsspi.gateway

    units = Path(saslsspi.gateway.__file__).parent / "units"
    service = (units / "saslsspi-gateway.service").read_text()
    assert "Type=notify\n" in service  # systemd before 253 knows no notify-reload
    assert "saslsspi gateway --check" in service
    assert "ListenStream=127.0.0.1:389" in (units / "saslsspi-gateway.socket").read_text()
