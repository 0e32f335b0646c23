"""DIGEST-MD5 (RFC 2831): messages, the exchange on both sides, and its layers."""
