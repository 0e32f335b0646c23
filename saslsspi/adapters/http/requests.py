"""Authentication for requests: `requests.get(url, auth=HttpAuth(Password("alice", "wonderland")))`.

NTLM, Negotiate, Kerberos and CredSSP authenticate a connection. requests gives the connection that was returned last to
the next request, so a session has to be used by one thread at a time while it logs on.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from saslsspi.adapters.http.logon import DEFAULT_SCHEMES, HttpIdentity, HttpLogon
from saslsspi.adapters.http.spaces import origin
from saslsspi.adapters.stream.tls_bindings import server_end_point
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Password
from saslsspi.errors import ContextMisuse
from saslsspi.sspi import Policy

__all__ = ["HttpAuth"]


class HttpAuth(AuthBase):
    """Logs on with Negotiate, Kerberos, NTLM, Digest or CredSSP, whichever of these the server and you agree on.

    Args:
        credentials: None logs on with the Kerberos tickets that are there.
        schemes: In order of preference; see HttpIdentity.
        policy: What is acceptable.
        mutual: Whether a server that does not prove who it is is an error.
    """

    def __init__(
        self,
        credentials: Password | None,
        *,
        schemes: Sequence[str] = DEFAULT_SCHEMES,
        policy: Policy | None = None,
        mutual: bool = False,
    ) -> None:
        self._identity = HttpIdentity(credentials, schemes=schemes, policy=policy, mutual=mutual)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Take part in a request."""
        url = str(request.url)
        known = self._identity.known(url)
        if known is not None:
            request.headers["Authorization"] = known.again(str(request.method), request.path_url, _octets(request.body))

        def answered(response: requests.Response, **options: Any) -> requests.Response:
            # A redirect elsewhere takes this hook along; what is there gets no credentials.
            here = origin(str(response.request.url)) == origin(url)
            return self._answered(response, known, options) if here else response

        request.register_hook("response", answered)
        return request

    def _answered(
        self, response: requests.Response, known: HttpLogon | None, options: dict[str, Any]
    ) -> requests.Response:
        if response.status_code != requests.codes.unauthorized:
            if known is not None:
                known.verify(response.headers.get("Authentication-Info"), response.content)
            return response
        request = response.request
        parts = urlsplit(str(request.url))
        logon = HttpLogon(
            self._identity,
            str(request.method),
            str(request.url),
            request.path_url,
            host=parts.hostname or "",
            body=_octets(request.body),
            bindings=_bindings(response),
        )
        try:
            while response.status_code == requests.codes.unauthorized:
                credentials = logon.answer(_values(response, "WWW-Authenticate"))
                if credentials is None:
                    return response
                response = _sent_again(response, credentials, options)
            body = response.content if logon.scheme == "digest" else b""
            logon.finish(_values(response, "WWW-Authenticate"), response.headers.get("Authentication-Info"), body)
        except BaseException:
            response.close()
            raise
        self._identity.remember(logon)
        return response


def _sent_again(response: requests.Response, credentials: str, options: dict[str, Any]) -> requests.Response:
    """Send the request of a response once more, over the connection that the response came over."""
    _ = response.content  # reading all of it gives the connection back
    request: Any = response.request.copy()
    extract_cookies_to_jar(request._cookies, response.request, response.raw)
    request.prepare_cookies(request._cookies)
    if hasattr(request.body, "read") or getattr(request, "_body_position", None) is not None:
        try:
            rewind_body(request)
        except UnrewindableBodyError as error:
            raise ContextMisuse(
                "the body has to be sent again: give it as octets, or as a file that can seek"
            ) from error
    request.headers["Authorization"] = credentials
    adapter: Any = response.connection  # type: ignore[attr-defined,unused-ignore]
    answer: requests.Response = adapter.send(request, **options)
    answer.history = [*response.history, response]
    answer.request = request
    return answer


def _values(response: requests.Response, name: str) -> list[str]:
    headers = getattr(response.raw, "headers", None)
    many = getattr(headers, "getlist", None)
    return list(many(name)) if many is not None else [response.headers[name]] if name in response.headers else []


def _octets(body: object) -> bytes | None:
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _bindings(response: requests.Response) -> ChannelBindings | None:
    connection = getattr(response.raw, "connection", None) or getattr(response.raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    return server_end_point(sock) if isinstance(sock, ssl.SSLSocket) else None
