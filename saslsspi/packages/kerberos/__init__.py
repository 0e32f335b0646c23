"""Kerberos 5 (RFC 4120, RFC 4121) over the GSS-API library of the system, reached through the `gssapi` extra.

The protocol and its network traffic are MIT's or Heimdal's, not ours: this room turns SSPI's words into GSS-API's.
It is listed without the extra too, and says then what to install.
"""

from saslsspi.packages.kerberos.exchange import KerberosDelegatedCredential
from saslsspi.packages.kerberos.package import KerberosPackage

__all__ = ["PACKAGE", "KerberosDelegatedCredential", "KerberosPackage"]

PACKAGE = KerberosPackage()
