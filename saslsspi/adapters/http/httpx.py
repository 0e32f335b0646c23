"""Authentication for httpx: `httpx.Client(auth=HttpxAuth(Password("alice", "wonderland")))`, and AsyncClient likewise.

NTLM, Negotiate, Kerberos and CredSSP authenticate a connection. httpx does not let anybody say which connection a
request takes; with `httpx.Limits(max_connections=1)` there is one, so that is what a client for these schemes needs.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Final

import httpx

from saslsspi.adapters.http.logon import DEFAULT_SCHEMES, HttpIdentity, HttpLogon
from saslsspi.adapters.http.spaces import origin
from saslsspi.adapters.stream.tls_bindings import server_end_point
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Password
from saslsspi.sspi import Policy

__all__ = ["HttpxAuth"]

_UNAUTHORIZED: Final = 401


class HttpxAuth(httpx.Auth):
    """Logs on with Negotiate, Kerberos, NTLM, Digest or CredSSP, whichever of these the server and you agree on.

    Args:
        credentials: None logs on with the Kerberos tickets that are there.
        schemes: In order of preference; see HttpIdentity.
        policy: What is acceptable.
        mutual: Whether a server that does not prove who it is is an error.
    """

    requires_request_body = True
    requires_response_body = True

    def __init__(
        self,
        credentials: Password | None,
        *,
        schemes: Sequence[str] = DEFAULT_SCHEMES,
        policy: Policy | None = None,
        mutual: bool = False,
    ) -> None:
        self._identity = HttpIdentity(credentials, schemes=schemes, policy=policy, mutual=mutual)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Take part in a request."""
        target = request.url.raw_path.decode("ascii")
        known = self._identity.known(str(request.url))
        if known is not None:
            request.headers["Authorization"] = known.again(request.method, target, request.content)
        response = yield request
        here = origin(str(response.request.url)) == origin(str(request.url))
        if response.status_code != _UNAUTHORIZED or not here:
            if known is not None and here:
                known.verify(response.headers.get("Authentication-Info"), response.content)
            return
        logon = HttpLogon(
            self._identity,
            request.method,
            str(request.url),
            target,
            host=request.url.host,
            body=request.content,
            bindings=_bindings(response),
        )
        while response.status_code == _UNAUTHORIZED:
            credentials = logon.answer(response.headers.get_list("WWW-Authenticate"))
            if credentials is None:
                return
            request.headers["Authorization"] = credentials
            response = yield request
        logon.finish(
            response.headers.get_list("WWW-Authenticate"), response.headers.get("Authentication-Info"), response.content
        )
        self._identity.remember(logon)


def _bindings(response: httpx.Response) -> ChannelBindings | None:
    stream: Any = response.extensions.get("network_stream")
    tls = stream.get_extra_info("ssl_object") if stream is not None else None
    return None if tls is None else server_end_point(tls)
