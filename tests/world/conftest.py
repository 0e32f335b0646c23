"""Tests that are long or big: other people's programs, loads, all servers.

`make test-world` runs them, `make test` does not.
"""

from interop.conftest import slapd as slapd
from interop.kdc import kdc as kdc
