"""The requesting side of HTTP authentication, without I/O: from a 401 to the Authorization of the next request.

Digest belongs to a request. NTLM, Negotiate, Kerberos and CredSSP authenticate the connection: the requests of one
logon have to go over the same one (RFC 4559 section 6, MS-NTHT section 1.3).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final

from saslsspi import sspi
from saslsspi.adapters.http.challenges import Challenge, challenges
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.headers import ORIGIN, PROXY, blob_of, written
from saslsspi.adapters.http.spaces import ProtectionSpace
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Password
from saslsspi.errors import (
    ContextMisuse,
    IncompleteMessage,
    InvalidParameter,
    InvalidToken,
    MutualAuthFailed,
    SaslError,
)
from saslsspi.packages.digest.http.messages import HttpChallenge
from saslsspi.sspi import (
    CredentialUse,
    Environment,
    IscReq,
    Policy,
    SecBuffer,
    SecBufferDesc,
    SecBufferFlags,
    SecBufferType,
    SecurityStatus,
)

__all__ = ["DEFAULT_SCHEMES", "HttpIdentity", "HttpLogon"]

DEFAULT_SCHEMES: Final = ("Negotiate", "Kerberos", "NTLM", "Digest")
"""What is used unasked, the strongest first. CredSSP hands the password over, so it has to be named."""

_PACKAGES: Final = {
    "negotiate": ("Negotiate", "Negotiate"),
    "kerberos": ("Kerberos", "Kerberos"),
    "ntlm": ("NTLM", "NTLM"),
    "credssp": ("CREDSSP", "CredSSP"),
    "digest": ("WDigest", "Digest"),
}
_TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
_PARAMETER: Final = SecBufferType.SECBUFFER_PKG_PARAMS
_MOST_LEGS: Final = 32
_MOST_SPACES: Final = 64


class HttpIdentity:
    """Who logs on over HTTP, and how. One serves any number of requests and threads.

    Args:
        credentials: None logs on with the Kerberos tickets that are there.
        schemes: Names of HTTP's schemes in order of preference: Negotiate, Kerberos, NTLM, Digest, CredSSP.
        policy: What is acceptable; for CredSSP it says where the password may go.
        mutual: Whether a server that does not prove who it is is an error.

    Raises:
        InvalidParameter: a scheme is not known.
    """

    def __init__(
        self,
        credentials: Password | None,
        *,
        schemes: Sequence[str] = DEFAULT_SCHEMES,
        policy: Policy | None = None,
        mutual: bool = False,
    ) -> None:
        unknown = [scheme for scheme in schemes if scheme.lower() not in _PACKAGES]
        if unknown or not schemes:
            raise InvalidParameter(f"schemes are some of {', '.join(name for _, name in _PACKAGES.values())}")
        self.schemes = tuple(scheme.lower() for scheme in schemes)
        self.mutual = mutual
        self._credentials = credentials
        self._environment = Environment(policy=policy or Policy())
        self._handles: dict[str, sspi.CredHandle] = {}
        self._digests: list[HttpLogon] = []  # the last one first
        self._lock = threading.Lock()

    def handle(self, scheme: str) -> sspi.CredHandle:
        """Return the credential for a scheme.

        Raises:
            SaslError: its package is not there, or cannot use the credentials.
        """
        with self._lock:
            if scheme not in self._handles:
                given = self._credentials
                identity = None
                if given is not None:
                    identity = sspi.WinNTAuthIdentity(given.username, given.realm, given.password)
                self._handles[scheme] = sspi.acquire_credentials_handle(
                    None, _PACKAGES[scheme][0], CredentialUse.SECPKG_CRED_OUTBOUND, auth_data=identity,
                    environment=self._environment,
                ).credential  # fmt: skip
            return self._handles[scheme]

    def remember(self, logon: HttpLogon) -> None:
        """Keep a Digest logon that succeeded; the last one of a space counts, and the oldest spaces go."""
        if logon.space is not None:
            with self._lock:
                others = [other for other in self._digests if other.space != logon.space]
                self._digests = [logon, *others][:_MOST_SPACES]

    def known(self, url: str) -> HttpLogon | None:
        """Return the Digest logon whose space a URL is in, if there is one."""
        with self._lock:
            return next((logon for logon in self._digests if logon.space and logon.space.covers(url)), None)


class HttpLogon:
    """The logon of one request, over as many responses as it takes.

    Args:
        identity: Who logs on.
        method: The request's.
        url: The request's, absolute.
        target: What stands in the request line: path and query, or the URL at a proxy.
        body: The request's body, where all of it is known; Digest may have to cover it.
        bindings: Of the TLS connection.
        proxy: Whether it is a proxy that asks.

    Attributes:
        space: Where Digest's credentials may be sent again unasked; None without Digest.
        scheme: What was chosen, "" before.
    """

    def __init__(
        self,
        identity: HttpIdentity,
        method: str,
        url: str,
        target: str,
        *,
        host: str,
        body: bytes | None = b"",
        bindings: ChannelBindings | None = None,
        proxy: bool = False,
    ) -> None:
        self.fields = PROXY if proxy else ORIGIN
        self.space: ProtectionSpace | None = None
        self.scheme = ""
        self.context = sspi.CtxtHandle()
        self._identity = identity
        self._method, self._url, self._target, self._host = method, url, target, host
        self._body, self._bindings, self._proxy = body, bindings, proxy
        self._rest = b""
        self._legs = 0
        self._done = False
        self._algorithm = ""
        self._covers_body = False

    def answer(self, offered: Iterable[str]) -> str | None:
        """Return the credentials for the next request, or None where the server has said its last word.

        Args:
            offered: The values of WWW-Authenticate (Proxy-Authenticate) in a response of 401 (407).

        Raises:
            SaslError: the server breaks its protocol, or no scheme can be used.
        """
        listed = challenges(offered)
        self._legs += 1
        if self._legs > _MOST_LEGS:
            raise InvalidToken(f"the server asks for more than {_MOST_LEGS} tokens")
        if self.scheme == "digest":
            stale = [challenge for challenge in listed if challenge.scheme == "digest" and _is_stale(challenge.text)]
            return self._digest(stale) if stale and self._legs <= 2 else None
        if self.scheme:
            token = next((found.text for found in listed if found.scheme == self.scheme and found.text), "")
            return self._continue(token) if token and not self._done else None
        return self._choose(listed)

    def finish(self, offered: Iterable[str], proof: str | None, body: bytes = b"") -> None:
        """Take what comes with the answer that the logon was for.

        Args:
            offered: The values of WWW-Authenticate in it: a scheme's last token.
            proof: The value of Authentication-Info, None without.
            body: The answer's body; needed where the server signs it (auth-int).

        Raises:
            MutualAuthFailed: a server that has to prove who it is did not.
            SaslError: what it proves is wrong.
        """
        if self.scheme == "digest":
            self.verify(proof, body)
        elif self.scheme and not self._done:
            token = next((found.text for found in challenges(offered) if found.scheme == self.scheme), "")
            if token:
                self._step(blob_of(token))
        if self.scheme and not self._done and self._identity.mutual:
            raise MutualAuthFailed(f"the server took {_PACKAGES[self.scheme][1]} and did not prove who it is")

    def again(self, method: str, target: str, body: bytes | None = b"") -> str:
        """Return Digest's credentials for a further request of this space, unasked."""
        if self.scheme != "digest":
            raise ContextMisuse("only Digest has credentials for further requests")
        buffers = [SecBuffer(None, _TOKEN), SecBuffer(method.encode(), _PARAMETER)]
        buffers += [SecBuffer(target.encode(), _PARAMETER), SecBuffer(self._entity(body), _PARAMETER)]
        sspi.make_signature(self.context, 0, SecBufferDesc(buffers), 0)
        return "Digest " + buffers[0].data.decode("latin-1")

    def verify(self, proof: str | None, body: bytes = b"") -> None:
        """Verify Authentication-Info, where there is one."""
        self._done = False
        if proof is None:
            if self._identity.mutual:
                raise MutualAuthFailed(
                    "the server answered without Authentication-Info", requirement="RFC2617-3.2.3-06"
                )
            return
        token = SecBuffer(proof.encode("latin-1", "replace"), _TOKEN)
        sspi.verify_signature(self.context, SecBufferDesc([token, SecBuffer(self._entity(body), _PARAMETER)]), 0)
        self._done = True

    def _choose(self, listed: list[Challenge]) -> str | None:
        """Begin with the first of our schemes that is offered and works; why the others do not is told at the end."""
        problems: list[SaslError] = []
        for scheme in self._identity.schemes:
            fitting = [challenge for challenge in listed if challenge.scheme == scheme]
            if not fitting:
                continue
            self.scheme = scheme
            try:
                return self._digest(fitting) if scheme == "digest" else self._continue("")
            except SaslError as error:
                problems.append(error)
                self.scheme, self.context, self._rest = "", sspi.CtxtHandle(), b""
        if problems:
            raise problems[0]
        return None

    def _continue(self, text: str) -> str:
        return written(_PACKAGES[self.scheme][1], self._step(blob_of(text)))

    def _step(self, token: bytes) -> bytes:
        inputs = SecBufferDesc([SecBuffer(bytearray(self._rest + token), _TOKEN), SecBuffer(None, 0), *self._bound()])
        output = SecBuffer(None, _TOKEN)
        flags = IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_INTEGRITY if self.scheme != "credssp" else 0
        flags |= IscReq.ISC_REQ_MUTUAL_AUTH if self._identity.mutual else 0
        flags |= IscReq.ISC_REQ_DELEGATE if self.scheme == "credssp" else 0
        first = not token and not self._rest
        try:
            result = sspi.initialize_security_context(
                self._identity.handle(self.scheme), self.context, f"HTTP/{self._host}", flags, 0,
                SecBufferDesc(self._bound()) if first else inputs, SecBufferDesc([output]),
            )  # fmt: skip
        except IncompleteMessage:
            self._rest += token
            return b""
        self._rest = inputs[1].data if inputs[1].buffer_type == SecBufferType.SECBUFFER_EXTRA else b""
        self._done = result.status == SecurityStatus.SEC_E_OK
        return output.data

    def _digest(self, fitting: list[Challenge]) -> str:
        first = HttpChallenge.from_bytes(fitting[0].text.encode("latin-1", "replace"), int(sspi.Tolerances.DEFAULT))
        self._algorithm = first.algorithm.name.decode()
        self._covers_body = bool(first.qop) and b"auth" not in first.qop
        self.space = ProtectionSpace.of(fitting[0].text, self._url, proxy=self._proxy)
        token = "\n".join(challenge.text for challenge in fitting).encode("latin-1", "replace")
        buffers = [SecBuffer(token, _TOKEN), SecBuffer(self._method.encode(), _PARAMETER)]
        buffers += [SecBuffer(self._entity(self._body), _PARAMETER), *self._bound()]
        output = SecBuffer(None, _TOKEN)
        self.context = sspi.CtxtHandle()
        sspi.initialize_security_context(
            self._identity.handle("digest"), self.context, self._target,
            IscReq.ISC_REQ_HTTP | (IscReq.ISC_REQ_INTEGRITY if self._covers_body else 0), 0,
            SecBufferDesc(buffers), SecBufferDesc([output]),
        )  # fmt: skip
        return "Digest " + output.data.decode("latin-1")

    def _entity(self, body: bytes | None) -> bytes:
        if not self._covers_body:
            return b""
        if body is None:
            raise ContextMisuse("the server wants the body covered (auth-int): give it as octets")
        digest = EntityHash(self._algorithm)
        digest.update(body)
        return digest.hexdigest()

    def _bound(self) -> list[SecBuffer]:
        if self._bindings is None:
            return []
        kind = SecBufferType.SECBUFFER_CHANNEL_BINDINGS
        return [SecBuffer(self._bindings.to_bytes(), kind, SecBufferFlags.SECBUFFER_READONLY)]


def _is_stale(text: str) -> bool:
    try:
        return HttpChallenge.from_bytes(text.encode("latin-1", "replace"), int(sspi.Tolerances.DEFAULT)).stale
    except InvalidToken:
        return False
