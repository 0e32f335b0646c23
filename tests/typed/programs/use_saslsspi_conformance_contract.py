"""The contract checks over a mechanism of one's own."""

from saslsspi_conformance.contract import MechanismContract


class TestMine(MechanismContract):
    """Every check."""

    mechanism = "DIGEST-MD5"
