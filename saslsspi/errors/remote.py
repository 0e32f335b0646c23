"""The peer's fault: what it sent is wrong, what it proved is not enough, or it refuses.

The connection is of no further use for this exchange. Where a peer tells its own status, the error is one of these
whatever the status: it is the peer that says so.
"""

from __future__ import annotations

from saslsspi.errors.base import RemoteError
from saslsspi.status import SecurityStatus

__all__ = [
    "ApplicationProtocolMismatch",
    "BadBindings",
    "CertificateExpired",
    "CertificateUnknown",
    "CertificateWrongUsage",
    "DecryptFailure",
    "DowngradeDetected",
    "IllegalMessage",
    "IncompleteMessage",
    "LogonDenied",
    "MessageAltered",
    "MutualAuthFailed",
    "OutOfSequence",
    "PolicyNtlmOnly",
    "TimeSkew",
    "TokenRefused",
    "UntrustedRoot",
    "WrongPrincipal",
]


class IllegalMessage(RemoteError):
    """The peer's TLS message is unexpected or badly formed.

    What to do: End the connection. Where it comes each time, a proxy may stand between, or no TLS may be spoken on
    that port.
    """

    status = SecurityStatus.SEC_E_ILLEGAL_MESSAGE


class IncompleteMessage(RemoteError):
    """More octets of this message are needed; nothing was consumed.

    What to do: Read more from the connection and call again with all of it; `missing` says how much at least.

    Attributes:
        missing: How many octets are missing at least, or 0 when that is unknown.
    """

    status = SecurityStatus.SEC_E_INCOMPLETE_MESSAGE

    def __init__(self, text: str = "", *, missing: int = 0) -> None:
        super().__init__(text)
        self.missing = missing


class MessageAltered(RemoteError):
    """A signature, padding or message type does not verify.

    What to do: End the connection: somebody changes what crosses it, or the two sides count messages differently.
    """

    status = SecurityStatus.SEC_E_MESSAGE_ALTERED


class OutOfSequence(RemoteError):
    """A protected message, or a nonce count, is not the next one.

    What to do: End the connection: a message was lost, repeated or sent by two threads at once. Give each
    connection one writer.
    """

    status = SecurityStatus.SEC_E_OUT_OF_SEQUENCE


class DecryptFailure(RemoteError):
    """Data could not be decrypted.

    What to do: End the connection; where it is the first message, compare the two sides' passwords, keys and
    ciphers.
    """

    status = SecurityStatus.SEC_E_DECRYPT_FAILURE


class LogonDenied(RemoteError):
    """The peer did not prove that it knows the secret, or the account may not log on.

    What to do: Ask for the password anew, and do not repeat the old one: accounts are locked so. The server's log
    has the reason.
    """

    status = SecurityStatus.SEC_E_LOGON_DENIED


class TokenRefused(LogonDenied):
    """A token of OAuth is refused (RFC 7628 section 3.2.2). The attributes hold what the server said, as it said it.

    What to do: Have a new token issued where `reason` is "invalid_token", one with `scope` where that is named, and
    try once more.

    Attributes:
        reason: "invalid_token", which an expired one is as well, or another code of OAuth or status of HTTP; "": none.
        scope: What a token needs; "" where it is not told.
        openid_configuration: URL of the document that says where tokens are had; "" where it is not told.
    """

    def __init__(
        self,
        text: str = "",
        *,
        token: bytes | None = None,
        requirement: str | None = None,
        reason: str = "",
        scope: str = "",
        openid_configuration: str = "",
    ) -> None:
        super().__init__(text, token=token, requirement=requirement)
        self.reason = reason
        self.scope = scope
        self.openid_configuration = openid_configuration


class MutualAuthFailed(RemoteError):
    """The server did not prove who it is.

    What to do: Send no data: who answers may not be the server. Compare the host's name, and the server's keys.
    """

    status = SecurityStatus.SEC_E_MUTUAL_AUTH_FAILED


class WrongPrincipal(RemoteError):
    """The peer meant another service or host, or is not the one we meant.

    What to do: Use the server's full host name; a server with several gives them all, as `host=[...]` or
    `NtlmPolicy.own_names`.
    """

    status = SecurityStatus.SEC_E_WRONG_PRINCIPAL


class BadBindings(RemoteError):
    """The channel bindings are missing or belong to another channel.

    What to do: Make TLS end at the server itself, or tell it the certificate of the proxy in front; see the page on
    channel bindings.
    """

    status = SecurityStatus.SEC_E_BAD_BINDINGS


class DowngradeDetected(RemoteError):
    """Less was negotiated than the policy demands or than the peer first offered.

    What to do: Do not lower the policy: who stands between may have cut the offer. Compare with `saslsspi probe`
    from elsewhere.
    """

    status = SecurityStatus.SEC_E_DOWNGRADE_DETECTED


class ApplicationProtocolMismatch(RemoteError):
    """The two sides have no application protocol in common.

    What to do: Compare what both sides list for ALPN.
    """

    status = SecurityStatus.SEC_E_APPLICATION_PROTOCOL_MISMATCH


class PolicyNtlmOnly(RemoteError):
    """The delegation policy names this target only for servers that prove who they are, and this one did not.

    What to do: Let the server prove itself, with Kerberos or a certificate in `CredSspPolicy.authorities`; else
    allow_fresh_ntlm_only.
    """

    status = SecurityStatus.SEC_E_POLICY_NLTM_ONLY


class TimeSkew(RemoteError):
    """The clocks of the two sides differ too much.

    What to do: Set both clocks by NTP; Kerberos takes five minutes, NTLM what `NtlmPolicy.max_lifetime` says.
    """

    status = SecurityStatus.SEC_E_TIME_SKEW


class UntrustedRoot(RemoteError):
    """The peer's certificate does not lead to an authority that is trusted here, or ours to one of the peer's.

    What to do: Name the authority that issued the certificate: `--ca FILE`, a context's load_verify_locations.
    """

    status = SecurityStatus.SEC_E_UNTRUSTED_ROOT


class CertificateUnknown(RemoteError):
    """The peer's certificate, or ours in the peer's eyes, is not acceptable.

    What to do: Look at the certificate (`openssl s_client`): the name, who issued it, and whether it was revoked.
    """

    status = SecurityStatus.SEC_E_CERT_UNKNOWN


class CertificateExpired(RemoteError):
    """The certificate is not valid at this time.

    What to do: Renew the certificate, or set the clock of the side that complains.
    """

    status = SecurityStatus.SEC_E_CERT_EXPIRED


class CertificateWrongUsage(RemoteError):
    """The certificate is not for this purpose.

    What to do: Have one issued for this use: serverAuth for a server, clientAuth for a client.
    """

    status = SecurityStatus.SEC_E_CERT_WRONG_USAGE
