"""Whether a certificate would be trusted, where nothing depends on the answer yet (MANUAL_CRED_VALIDATION)."""

from __future__ import annotations

import datetime
import ipaddress
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["trust_problem"]


def trust_problem(chain: Sequence[bytes], host: str, authorities: str, *, now: float) -> str:
    """Return why a server's certificate is not trusted for a host, "" when it is.

    Args:
        chain: What the server sent in DER, its own certificate first.
        host: The name that is meant.
        authorities: PEM file with the authorities that are trusted; "" trusts those of the system.
        now: The time, in seconds since the epoch.
    """
    from cryptography import x509
    from cryptography.x509 import verification

    if not chain or not host:
        return "there is no certificate, or no name to compare it with"
    at = datetime.datetime.fromtimestamp(now, datetime.UTC)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old roots of the system break rules of today
            trusted = x509.load_pem_x509_certificates(Path(authorities or _system_authorities()).read_bytes())
        leaf, *others = [x509.load_der_x509_certificate(certificate) for certificate in chain]
        if (
            leaf in trusted
        ):  # as OpenSSL takes it; the rules of the public web refuse a server that is its own authority
            return _own_problem(leaf, host, at)
        builder = verification.PolicyBuilder().store(verification.Store(trusted)).time(at.replace(tzinfo=None))
        builder.build_server_verifier(_subject(host)).verify(leaf, others)
    except (verification.VerificationError, x509.ExtensionNotFound, ValueError, OSError) as error:
        return str(error) or type(error).__name__
    return ""


def _own_problem(certificate: x509.Certificate, host: str, now: datetime.datetime) -> str:
    """Return why a certificate that is trusted by itself is not that of a host now, "" when it is."""
    from cryptography import x509

    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        return "the certificate is not valid at this time"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    wanted = host.lower().rstrip(".")
    # RFC 9525 section 6.3: a wildcard is the whole left-most label, and stands for one label.
    of_any = f"*.{wanted.partition('.')[2]}"
    listed = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    return "" if wanted in {*listed, *addresses} or of_any in listed else f"the certificate is not that of {host}"


def _system_authorities() -> str:
    import ssl

    return ssl.get_default_verify_paths().cafile or ""


def _subject(host: str) -> x509.DNSName | x509.IPAddress:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
