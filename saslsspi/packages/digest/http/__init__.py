"""Digest for HTTP (RFC 2617, RFC 7616, MS-DPSP): messages, the exchange on both sides, and signed bodies."""
