"""SASL in LDAP (RFC 4513)."""
