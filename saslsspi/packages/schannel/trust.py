"""Whether a certificate would be trusted, where nothing depends on the answer yet (MANUAL_CRED_VALIDATION)."""

from __future__ import annotations

import ipaddress
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["trust_problem"]


def trust_problem(chain: Sequence[bytes], host: str, authorities: str) -> str:
    """Return why a server's certificate is not trusted for a host, "" when it is.

    Args:
        chain: What the server sent in DER, its own certificate first.
        host: The name that is meant.
        authorities: PEM file with the authorities that are trusted; "" trusts those of the system.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    if not chain or not host:
        return "there is no certificate, or no name to compare it with"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old roots of the system break rules of today
            trusted = x509.load_pem_x509_certificates(Path(authorities or _system_authorities()).read_bytes())
        leaf, *others = [x509.load_der_x509_certificate(certificate) for certificate in chain]
        builder = verification.PolicyBuilder().store(verification.Store(trusted))
        builder.build_server_verifier(_subject(host)).verify(leaf, others)
    except (verification.VerificationError, ValueError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def _system_authorities() -> str:
    import ssl

    return ssl.get_default_verify_paths().cafile or ""


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
