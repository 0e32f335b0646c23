"""Who verifies passwords for a service, as its configuration names it: a directory, or a function of somebody's own.

[[verifier]]
ldap = "ldaps://directory.example.test"
name = "uid={},ou=people,dc=example,dc=test"

[[verifier]]
function = "shop.people:check"
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from saslsspi.accounts.verifier import PasswordVerifier
from saslsspi.adapters.ldap.verifier import LdapVerifier
from saslsspi.errors import InvalidParameter

__all__ = ["VerifierSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierSettings:
    """One who can verify a password and nothing else.

    Attributes:
        ldap: The URL of a directory, which is bound to with each password; see LdapVerifier.
        name: The name of a simple bind there, with {} for the user; "" binds with SASL.
        ca_certs_file: Who may have issued the directory's certificate; "" trusts what this machine trusts.
        function: MODULE:NAME of a function that takes a user name and a password; see PasswordVerifier.
        timeout: How long one password may take, in seconds.
        at_once: How many may be verified at once, in each worker.
    """

    ldap: str = ""
    name: str = ""
    ca_certs_file: str = ""
    function: str = ""
    timeout: float = 10.0
    at_once: int = 64

    def verifier(self) -> PasswordVerifier:
        """Return the authority; a directory is not asked yet.

        Raises:
            InvalidParameter: it cannot be.
        """
        if bool(self.ldap) == bool(self.function):
            raise InvalidParameter("[[verifier]] needs either ldap or function")
        if self.ldap:
            return LdapVerifier(
                self.ldap, name=self.name, ca_certs_file=self.ca_certs_file, timeout=self.timeout, at_once=self.at_once
            )
        module, _, name = self.function.partition(":")
        try:
            function = getattr(import_module(module), name)
        except Exception as error:  # whatever a module of somebody's own does while it is imported
            raise InvalidParameter(
                f"[[verifier]] function = {self.function!r} cannot be had: {type(error).__name__}: {error}"
            ) from error
        if not callable(function):
            raise InvalidParameter(f"[[verifier]] function = {self.function!r} is no function")
        return PasswordVerifier(function, timeout=self.timeout, at_once=self.at_once)
