"""What every test may use: the claims on requirements that were collected in this run."""

from __future__ import annotations

import pytest

from requirement_coverage import ClaimCollector, Claims

_COLLECTOR = pytest.StashKey[ClaimCollector]()


def pytest_configure(config: pytest.Config) -> None:
    collector = config.stash[_COLLECTOR] = ClaimCollector()
    config.pluginmanager.register(collector)


@pytest.fixture(scope="session")
def claims(pytestconfig: pytest.Config) -> Claims:
    """The requirements claimed by the tests collected in this run, and for each the tests' node ids."""
    return pytestconfig.stash[_COLLECTOR].claims
