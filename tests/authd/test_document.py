"""What docs/authd.md and the units show can be used as it stands, and so can everything that is commented out there."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from saslsspi.authd.service import PROTOCOLS
from saslsspi.services.settings import ServiceSettings, read_settings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "authd.md").read_text()
EXAMPLE = ROOT / "examples" / "postfix" / "authd.toml"


def shown() -> str:
    found = re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def read(text: str, folder: Path) -> ServiceSettings:
    path, secret = folder / "authd.toml", folder / "secret"
    secret.write_bytes(b"the servers' own secret")
    for file in (path, secret):
        file.touch()
        file.chmod(0o600)
    path.write_text(text.replace("/etc/saslsspi/secret", str(secret)).replace('"..."', f'"{"00" * 16}"'))
    return read_settings(path, tuple(PROTOCOLS))


def test_the_configuration_of_the_page(tmp_path: Path) -> None:
    settings = read(shown(), tmp_path)
    assert (settings.workers, settings.user, settings.verifiers) == (2, "saslsspi", ())
    assert settings.limits.failure_delay == 2.0


def test_and_all_that_is_commented_out_there(tmp_path: Path) -> None:
    whole = re.sub(r"^# (?=\[|[a-z_.]+ = )", "", shown(), flags=re.MULTILINE)
    settings = read(whole, tmp_path)
    assert settings.decoy_key == bytes(16)
    assert settings.shared.redis
    assert [bool(one.ldap) for one in settings.verifiers] == [True, False]
    assert settings.limits.failures_by_account == 5


def test_the_example_for_postfix(tmp_path: Path) -> None:
    assert read(EXAMPLE.read_text(), tmp_path).listeners[0].group == "postfix"


@pytest.mark.parametrize("unit", ["saslsspi-authd.service", "saslsspi-authd.socket"])
def test_units_are_in_the_distribution_and_name_what_there_is(unit: str) -> None:
    text = (files("saslsspi.authd") / "units" / unit).read_text()
    assert "[Unit]" in text
    if unit.endswith(".service"):
        assert re.search(r"^ExecStart=\S*saslsspi authd /etc/saslsspi/authd\.toml$", text, re.MULTILINE)
        assert "Type=notify\n" in text, "systemd before 253 has no notify-reload"
