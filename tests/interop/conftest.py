"""Real peers as fixtures. A missing peer skips the tests that need it, or fails them under CI=true."""

from collections.abc import Iterator

import pytest

from interop.kdc import kdc as kdc
from interop.slapd import Slapd

MANY_ENTRIES = 10_000


@pytest.fixture(scope="session")
def slapd() -> Iterator[Slapd]:
    """One slapd for the whole run, with every layer on offer and many entries; do not write into it."""
    with Slapd(entries=MANY_ENTRIES) as server:
        yield server
