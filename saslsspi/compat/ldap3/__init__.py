"""ldap3's face: ordinary ldap3 calls sign and seal.

`saslsspi.compat.install("ldap3")` puts `Connection` into ldap3's place; a program of one's own may name it instead.
"""

from __future__ import annotations

from saslsspi.compat.ldap3.connection import SealingConnection as Connection
from saslsspi.compat.ldap3.place import install
from saslsspi.compat.ldap3.settings import BindSettings

__all__ = ["BindSettings", "Connection", "install"]
