"""WSGI middleware that lets authenticated users pass (PEP 3333).

Digest serves under every server. The schemes that authenticate a connection need to know which one a request came over:
the server, or a small class around it, puts an object into `environ["saslsspi.connection"]` that it makes anew for each
connection (address and port will not do: they come again, and with them the next client would be the last one's user).
Behind a proxy the connections are the proxy's, with requests of many clients on each: put nothing there then.
"""

from __future__ import annotations

import http
import io
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import quote

from saslsspi.adapters.http.acceptor import HttpDecision, HttpRequest
from saslsspi.adapters.http.digest import EntityHash
from saslsspi.adapters.http.middleware import CONNECTION, SAFE, Middleware

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CONNECTION", "WsgiAuthentication"]

_DIGITS: Final = 18

Application: TypeAlias = "WSGIApplication"
Environ: TypeAlias = "WSGIEnvironment"


class WsgiAuthentication(Middleware[Application, Environ]):
    """An application that serves authenticated users only.

    What the inner application finds: `environ["REMOTE_USER"]` the name, `environ["AUTH_TYPE"]` the scheme, and
    `environ["saslsspi.user"]` the HttpUser with realm, groups and context.

    Under auth-int a request's body is read before the application runs, and its answer is held until it is whole.
    What it takes stands with Middleware.
    """

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request."""
        credentials = environ.get("HTTP_" + self._acceptor.credentials_field.upper().replace("-", "_"), "")
        entity = b""
        if (algorithm := self._acceptor.entity_algorithm(credentials)) is not None:
            body = self._body(environ)
            if body is None:
                return _answered(413, [], start_response)
            digest = EntityHash(algorithm)
            digest.update(body)
            entity = digest.hexdigest()
        secure = environ["wsgi.url_scheme"] == "https"
        decision = self._acceptor.judge(
            HttpRequest(
                method=environ["REQUEST_METHOD"],
                targets=self._targets(_paths(environ), environ["wsgi.url_scheme"], environ.get("HTTP_HOST", "")),
                credentials=credentials,
                connection=self._connection(environ),
                bindings=self._bindings if secure else None,
                entity=entity,
                peer=":".join(filter(None, (environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT", "")))),
            )
        )
        if decision.delay:
            time.sleep(decision.delay)  # WSGI has a thread for each request, and nothing else to wait in
        if decision.user is None:
            return _answered(decision.status, decision.headers, start_response)
        environ["REMOTE_USER"] = decision.user.username
        environ["AUTH_TYPE"] = decision.user.scheme
        environ["saslsspi.user"] = decision.user
        if decision.signs is not None:
            return self._signed(environ, start_response, decision, decision.signs)

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, headers + decision.headers, *error)

        return self._application(environ, start)

    def _body(self, environ: WSGIEnvironment) -> bytes | None:
        """Read the body and put it back; None where it is too large."""
        given = environ.get("CONTENT_LENGTH") or "0"
        if len(given) > _DIGITS or not given.isdecimal() or int(given) > self._max_body:
            return None
        # PEP 3333 has no body without a length; servers that take transfer codings off say so.
        size = int(given) or (self._max_body + 1 if environ.get("wsgi.input_terminated") else 0)
        body: bytes = environ["wsgi.input"].read(size) if size else b""
        environ["wsgi.input"] = io.BytesIO(body)
        return body if len(body) <= self._max_body else None

    def _signed(
        self, environ: WSGIEnvironment, start_response: StartResponse, decision: HttpDecision, algorithm: str
    ) -> Iterable[bytes]:
        """Hold the answer until its body is known: WSGI has no trailers."""
        begun: list[Any] = []
        parts: list[bytes] = []

        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Callable[[bytes], object]:
            begun[:] = [status, headers, *error]
            return parts.append

        answer = self._application(environ, start)
        try:
            parts.extend(answer)
        finally:
            if (close := getattr(answer, "close", None)) is not None:
                close()
        digest = EntityHash(algorithm)
        for part in parts:
            digest.update(part)
        status, headers, *error = begun
        start_response(status, headers + decision.headers + decision.sign(digest.hexdigest()), *error)
        return parts


def _paths(environ: WSGIEnvironment) -> list[str]:
    """Return path and query as this server was asked for them."""
    path = quote(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), SAFE, "latin-1") or "/"
    query = environ.get("QUERY_STRING", "")
    raw = [environ[name] for name in ("REQUEST_URI", "RAW_URI") if name in environ]
    return [path + ("?" + query if query else ""), *raw]


def _answered(status: int, headers: list[tuple[str, str]], start_response: StartResponse) -> list[bytes]:
    phrase = http.HTTPStatus(status).phrase
    body = f"{status} {phrase}\n".encode()
    more = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status} {phrase}", [*headers, *more])
    return [body]
