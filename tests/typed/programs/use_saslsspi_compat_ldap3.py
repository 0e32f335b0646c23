"""ldap3's own programs, sealed; ldap3 has no types."""

# pyright: standard

from saslsspi import Password
from saslsspi.compat import ldap3 as face

face.install(clear=True, lookup=Password("reader", "secret"))
connection = face.Connection("ldap.example.test", "alice", "wonderland", session_security="ENCRYPT")
bound: bool = connection.bound
