"""Cryptographic parts that several security packages share."""
