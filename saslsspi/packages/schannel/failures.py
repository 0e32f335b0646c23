"""What OpenSSL says went wrong, in the words of SSPI."""

from __future__ import annotations

import ssl
from typing import Final

from saslsspi.errors import (
    AlgorithmMismatch,
    ApplicationProtocolMismatch,
    CertificateExpired,
    CertificateUnknown,
    CertificateWrongUsage,
    IllegalMessage,
    IncompleteCredentials,
    InvalidToken,
    MessageAltered,
    SaslError,
    UntrustedRoot,
    WrongPrincipal,
)

__all__ = ["translated"]

# X509_V_ERR_* of OpenSSL's x509_vfy.h
_CERTIFICATE: Final[dict[int, type[SaslError]]] = {
    2: UntrustedRoot,
    9: CertificateExpired,
    10: CertificateExpired,
    18: UntrustedRoot,
    19: UntrustedRoot,
    20: UntrustedRoot,
    21: UntrustedRoot,
    26: CertificateWrongUsage,
    62: WrongPrincipal,
    64: WrongPrincipal,
}
_REASONS: Final[dict[str, type[SaslError]]] = {
    "BAD_RECORD_TYPE": InvalidToken,
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": MessageAltered,
    "HTTP_REQUEST": InvalidToken,
    "NO_APPLICATION_PROTOCOL": ApplicationProtocolMismatch,
    "NO_SHARED_CIPHER": AlgorithmMismatch,
    "NO_PROTOCOLS_AVAILABLE": AlgorithmMismatch,
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": IncompleteCredentials,
    "RECORD_LAYER_FAILURE": MessageAltered,  # what OpenSSL says from 3.6 on, of a MAC too
    "SSLV3_ALERT_BAD_CERTIFICATE": CertificateUnknown,
    "SSLV3_ALERT_BAD_RECORD_MAC": MessageAltered,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": CertificateExpired,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": CertificateUnknown,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": AlgorithmMismatch,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": IncompleteCredentials,
    "TLSV1_ALERT_DECRYPT_ERROR": MessageAltered,
    "TLSV1_ALERT_NO_APPLICATION_PROTOCOL": ApplicationProtocolMismatch,
    "TLSV1_ALERT_PROTOCOL_VERSION": AlgorithmMismatch,
    "TLSV1_ALERT_UNKNOWN_CA": UntrustedRoot,
    "UNSUPPORTED_PROTOCOL": AlgorithmMismatch,
    "WRONG_VERSION_NUMBER": InvalidToken,
}


def translated(error: ssl.SSLError, alert: bytes = b"") -> SaslError:
    """Return the error of ours for one of OpenSSL's.

    Args:
        error: What OpenSSL raised.
        alert: The record that it made of it for the peer.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        kind, text = _CERTIFICATE.get(error.verify_code, CertificateUnknown), error.verify_message
    else:
        reason = error.reason or "the connection ended"
        kind, text = _REASONS.get(reason, IllegalMessage), reason.lower().replace("_", " ")
    failure = kind(f"TLS: {text}")
    failure.alert = alert or None
    return failure
