"""Authentication for requests: `requests.get(url, auth=HttpAuth(Password("alice", "wonderland")))`.

NTLM, Negotiate, Kerberos and CredSSP authenticate a connection. requests gives the connection that was returned last to
the next request; where another thread has taken it in the middle of a logon, the logon begins anew.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Iterable
from typing import Any, Final

import requests
from requests.auth import AuthBase
from requests.cookies import extract_cookies_to_jar
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body
from urllib3 import HTTPResponse

from saslsspi.adapters.http.client.identity import HttpIdentity
from saslsspi.adapters.http.client.logon import HttpLogon
from saslsspi.adapters.http.client.spaces import origin
from saslsspi.adapters.http.headers import MOST_REFUSAL, with_cookies
from saslsspi.adapters.stream.tls_bindings import server_end_point
from saslsspi.errors import ContextMisuse, InvalidToken

__all__ = ["HttpAuth"]

_AUTHORIZATION: Final = "Authorization"
_PIECE: Final = 1 << 16


class HttpAuth(HttpIdentity, AuthBase):
    """Logs on with Negotiate, Kerberos, NTLM, Digest or CredSSP, whichever of these the server and you agree on.

    It takes what HttpIdentity takes, and serves any number of requests, sessions and threads at once.
    """

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Take part in a request."""
        here = origin(str(request.url))
        begun: HttpLogon | None = self._logon(request)
        assert begun is not None
        if (credentials := begun.begin()) is not None:
            request.headers[_AUTHORIZATION] = credentials

        def answered(response: requests.Response, **options: Any) -> requests.Response:
            nonlocal begun
            sent = response.request
            # A redirect takes this hook along; what is elsewhere gets no credentials.
            if origin(str(sent.url)) != here:
                return response
            logon, begun = begun if sent is request else None, None
            final = self._answered(response, logon or self._logon(sent), options)
            if final.is_redirect and _AUTHORIZATION in sent.headers:
                # The headers go along as well, and requests keeps these where the host stays the same: they are of
                # this request's URI, or of plain http.
                final.request = final.request.copy()
                del sent.headers[_AUTHORIZATION]
            return final

        request.register_hook("response", answered)
        return request

    def _logon(self, request: requests.PreparedRequest) -> HttpLogon:
        return HttpLogon(self, str(request.method), str(request.url), request.path_url, body=_octets(request.body))

    def _answered(self, response: requests.Response, logon: HttpLogon, options: dict[str, Any]) -> requests.Response:
        try:
            while response.status_code == requests.codes.unauthorized:
                connection = _socket(response)
                logon.bindings = server_end_point(connection) if isinstance(connection, ssl.SSLSocket) else None
                credentials = logon.answer(_values(response, "WWW-Authenticate"), over=connection)
                if credentials is None:
                    return response
                response = _sent_again(response, credentials, options)
            proof = response.headers.get("Authentication-Info")
            body = _held(response, self.max_answer) if logon.covers_answer and proof is not None else b""
            logon.finish(_values(response, "WWW-Authenticate"), proof, body)
        except BaseException:
            response.close()
            raise
        return response


def _sent_again(response: requests.Response, credentials: str, options: dict[str, Any]) -> requests.Response:
    """Send the request of a response once more, over the connection that the response came over."""
    request: Any = response.request.copy()
    _rewind(request)
    _held(response, MOST_REFUSAL)  # reading all of it gives the connection back
    extract_cookies_to_jar(request._cookies, response.request, response.raw)
    cookies = request.headers.pop("Cookie", "")  # where one stands, none is made
    request.prepare_cookies(request._cookies)
    if cookies or "Cookie" in request.headers:
        request.headers["Cookie"] = with_cookies(cookies, request.headers.get("Cookie", ""))
    request.headers[_AUTHORIZATION] = credentials
    adapter: Any = response.connection  # type: ignore[attr-defined,unused-ignore]
    answer: requests.Response = adapter.send(request, **options)
    answer.history = [*response.history, response]
    answer.request = request
    return answer


def _rewind(request: Any) -> None:
    """Make a body ready to be sent again.

    Raises:
        ContextMisuse: it can be read once only.
    """
    body = request.body
    if body is None or isinstance(body, str | bytes | bytearray):
        return
    if getattr(request, "_body_position", None) is not None:
        try:
            rewind_body(request)
        except UnrewindableBodyError as error:
            raise _spent() from error
    elif hasattr(body, "read") or not isinstance(body, Iterable) or iter(body) is body:
        raise _spent()  # a generator is at its end, and would go out as an empty body


def _spent() -> ContextMisuse:
    return ContextMisuse("the body has to be sent again: give it as octets, or as a file that can seek")


def _held(response: requests.Response, limit: int) -> bytes:
    """Return an answer's octets as they came, and leave it as if nobody had read them.

    Raises:
        InvalidToken: there are more than the limit.
    """
    raw = response.raw
    if raw is None or response._content is not False:  # it was read, or made without a connection
        return response.content
    pieces, size = [], 0
    while piece := raw.read(_PIECE, decode_content=False):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            response.close()
            raise InvalidToken(f"an answer of more than {limit} octets, which is more than is held")
    octets = b"".join(pieces)
    response.raw = HTTPResponse(
        io.BytesIO(octets), raw.headers, raw.status, raw.version, reason=raw.reason, preload_content=False,
        original_response=getattr(raw, "_original_response", None),
    )  # fmt: skip
    return octets


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


def _socket(response: requests.Response) -> object:
    """Return the socket that a response comes over; None where it is closed, or has been given back."""
    connection = getattr(response.raw, "connection", None) or getattr(response.raw, "_connection", None)
    return getattr(connection, "sock", None)
