"""`make bench`: this library beside its peers and beside the bare calls, in one run."""

from __future__ import annotations

import platform
import sys

import cryptography

import credssp
import digest_md5
import ntlm


def main() -> None:
    """Print where this runs, and every table."""
    print(f"Python {platform.python_version()}, cryptography {cryptography.__version__}, {platform.machine()}")
    print("The best of 25 interleaved rounds, in microseconds; × floor is the ratio to the bare calls.")
    digest_md5.run()
    ntlm.run()
    credssp.run()


if __name__ == "__main__":
    sys.exit(main())
