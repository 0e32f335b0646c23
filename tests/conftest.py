"""What every test may use: the claims on requirements that were collected in this run."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from requirement_coverage import ClaimCollector, Claims
from saslsspi.packages.negotiate.away import AWAY

_WORLD = Path(__file__).parent / "world"
_COLLECTOR = pytest.StashKey[ClaimCollector]()


def pytest_configure(config: pytest.Config) -> None:
    # Unless a test has a realm of its own, Kerberos finds none, and waits for nobody.
    os.environ.setdefault("KRB5_CONFIG", str(Path(__file__).with_name("krb5.conf")))
    collector = config.stash[_COLLECTOR] = ClaimCollector()
    config.pluginmanager.register(collector)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/world out of every run that does not name it: what is there is long or big."""
    if collection_path != _WORLD:
        return None
    named = (Path(config.invocation_params.dir, argument.partition("::")[0]) for argument in config.args)
    return None if any(path.resolve().is_relative_to(_WORLD) for path in named) else True


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Take away what a test has put on our logs: a level there makes a record of each logon behind it."""
    before = {log: (log.level, log.handlers[:]) for log in map(logging.getLogger, ("saslsspi", "saslsspi.audit"))}
    yield
    for log, (level, handlers) in before.items():
        log.setLevel(level)
        log.handlers[:] = handlers


@pytest.fixture(autouse=True)
def _no_realm_is_away() -> None:
    """A test may have a KDC where the one before it had none."""
    AWAY.forget()


@pytest.fixture(scope="session")
def claims(pytestconfig: pytest.Config) -> Claims:
    """The requirements claimed by the tests collected in this run, and for each the tests' node ids."""
    return pytestconfig.stash[_COLLECTOR].claims
