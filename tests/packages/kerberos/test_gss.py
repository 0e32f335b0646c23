"""Calls with a bound on their time, where there are no threads any more."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
from saslsspi.packages.kerberos.gss import bounded

class Connection:
    # As impyla's cursors do it: closing a session logs on once more.
    def __init__(self, call):
        self.call = call

    def __del__(self):
        print(self.call(lambda: "closed", 5, "closing"))

kept = Connection(bounded)
kept.itself = kept
print("the program has ended")
"""


def test_a_logon_while_the_program_ends() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.splitlines() == ["the program has ended", "closed"], done.stderr
