"""A client of the HTTP acceptor that knows every scheme, and a world to try the acceptor in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Final

from saslsspi import MemoryAuthority, Policy, sspi
from saslsspi.adapters.http import HttpAcceptor, HttpDecision, HttpRequest
from saslsspi.sspi import CredentialUse, Environment, HttpDigestPolicy, IscReq, SecBuffer, SecBufferDesc, SecBufferType

USER: Final = "alice"
PASSWORD: Final = "wonderland"
REALM: Final = "example.test"
PEOPLE: Final = MemoryAuthority({USER: PASSWORD})
TOKEN: Final = SecBufferType.SECBUFFER_TOKEN
PARAMETER: Final = SecBufferType.SECBUFFER_PKG_PARAMS


def acceptor(*schemes: str, algorithms: tuple[str, ...] = (), digest: Any = None, **more: Any) -> HttpAcceptor:
    policy = Policy(http_digest=HttpDigestPolicy(algorithms=algorithms, **(digest or {})))
    return HttpAcceptor.of(PEOPLE, schemes or ("Digest",), realm=REALM, policy=policy, **more)


def request(credentials: str = "", target: str = "/tea", method: str = "GET", **more: Any) -> HttpRequest:
    return HttpRequest(method=method, targets=(target,), credentials=credentials, **more)


def offered(verdict: HttpDecision, scheme: str = "Digest") -> list[str]:
    """Return what an answer's challenges of a scheme hold."""
    values = [value for name, value in verdict.headers if name in ("WWW-Authenticate", "Proxy-Authenticate")]
    return [value.removeprefix(scheme).strip() for value in values if value.split(" ")[0] == scheme]


def body_hash(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest().encode()


@dataclass
class DigestClient:
    """Answers challenges, and goes on under their nonces."""

    user: str = USER
    password: str = PASSWORD
    flags: int = 0
    context: sspi.CtxtHandle = field(default_factory=sspi.CtxtHandle)

    def answer(self, challenges: list[str], target: str = "/tea", method: str = "GET", body: bytes = b"") -> str:
        credential = sspi.acquire_credentials_handle(
            None,
            "WDigest",
            CredentialUse.SECPKG_CRED_OUTBOUND,
            auth_data=sspi.WinNTAuthIdentity(self.user, None, self.password),
        ).credential
        entity = body_hash(body) if self.flags & IscReq.ISC_REQ_INTEGRITY else b""
        inputs = [SecBuffer("\r\n".join(challenges).encode(), TOKEN)]
        inputs += [SecBuffer(value, PARAMETER) for value in (method.encode(), entity)]
        output = SecBuffer(None, TOKEN)
        self.context = sspi.initialize_security_context(
            credential,
            None,
            target,
            IscReq.ISC_REQ_HTTP | self.flags,
            0,
            SecBufferDesc(inputs),
            SecBufferDesc([output]),
        ).context
        return "Digest " + output.data.decode()

    def again(self, target: str = "/tea", method: str = "GET") -> str:
        token = SecBuffer(None, TOKEN)
        parameters = [SecBuffer(value, PARAMETER) for value in (method.encode(), target.encode())]
        sspi.make_signature(self.context, 0, SecBufferDesc([token, *parameters]), 0)
        return "Digest " + token.data.decode()

    def verify(self, proof: str, body: bytes = b"") -> None:
        parameters = [SecBuffer(body_hash(body), PARAMETER)]
        sspi.verify_signature(self.context, SecBufferDesc([SecBuffer(proof.encode(), TOKEN), *parameters]), 0)


class TokenClient:
    """NTLM or Negotiate: one token after the other."""

    def __init__(self, package: str = "NTLM", password: str = PASSWORD) -> None:
        self._scheme, self._context = package, sspi.CtxtHandle()
        self._credential = sspi.acquire_credentials_handle(
            None,
            package,
            CredentialUse.SECPKG_CRED_OUTBOUND,
            auth_data=sspi.WinNTAuthIdentity(USER, None, password),
            environment=Environment(),
        ).credential

    def step(self, token: bytes = b"") -> str:
        from base64 import b64encode

        inputs = SecBufferDesc([SecBuffer(token, TOKEN)]) if token else None
        output = SecBuffer(None, TOKEN)
        sspi.initialize_security_context(
            self._credential, self._context, "HTTP/tea.example", 0, 0, inputs, SecBufferDesc([output])
        )
        return f"{self._scheme} {b64encode(output.data).decode()}"
