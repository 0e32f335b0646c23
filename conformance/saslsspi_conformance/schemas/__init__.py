"""ASN.1 modules of the specifications as pyasn1 has them, written by their text and by nothing of the product.

Whoever encodes or decodes with these is another implementation: a tag that the product writes and reads alike, and
wrongly, is seen. LDAP's module (RFC 4511 appendix B) is the one that ldap3 brings.
"""

from saslsspi_conformance.schemas.coding import decoded, encoded

__all__ = ["decoded", "encoded"]
