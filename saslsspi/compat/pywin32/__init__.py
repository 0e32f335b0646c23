"""pywin32's `sspi`: ClientAuth and ServerAuth, and the modules that its programs import beside it.

    from saslsspi.compat.pywin32 import sspi, sspicon, win32security    # before: import sspi, sspicon, win32security

or unchanged, with `saslsspi.compat.install("pywin32")`. On Windows the machine knows the accounts and who is logged on;
here configure says so, or the file that NTLM_USER_FILE names, one DOMAIN:USER:PASSWORD a line.
"""

from __future__ import annotations

from saslsspi.compat.pywin32 import pywintypes, sspi, sspicon, win32api, win32security
from saslsspi.compat.pywin32.machine import configure
from saslsspi.compat.pywin32.pywintypes import error
from saslsspi.compat.pywin32.sspi import ClientAuth, ServerAuth

__all__ = [
    "ClientAuth",
    "ServerAuth",
    "configure",
    "error",
    "pywintypes",
    "sspi",
    "sspicon",
    "win32api",
    "win32security",
]
