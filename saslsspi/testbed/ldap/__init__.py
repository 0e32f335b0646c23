"""A small LDAP server on loopback."""
