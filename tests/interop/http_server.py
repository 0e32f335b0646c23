"""A small HTTP server that authenticates connections with NTLM or Negotiate (RFC 4559, MS-NTHT), for curl."""

from __future__ import annotations

import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from saslsspi import Context, SaslError
from saslsspi.sspi import SecPkgContextNames

__all__ = ["AuthenticatingServer"]


class _Handler(BaseHTTPRequestHandler):
    """One connection: NTLM authenticates the connection, so the context lives as long as it does."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.context: Context | None = None
        self.user = ""

    def do_GET(self) -> None:
        scheme, _, blob = self.headers.get("Authorization", "").partition(" ")
        if self.user:
            self._answer(200, self.user)
        elif scheme.lower() != self.server.scheme.lower():
            self._answer(401, "", self.server.scheme)
        else:
            self._authenticate(b64decode(blob))

    do_POST = do_GET  # noqa: N815  # the name that http.server looks for

    def _authenticate(self, token: bytes) -> None:
        scheme = self.server.scheme
        if self.context is None:
            self.context = self.server.accept()
        try:
            answer = self.context.step(token)
        except SaslError as error:
            self.server.errors.append(error)
            self.context = None
            self._answer(401, "", scheme)
            return
        header = scheme + (f" {b64encode(answer).decode()}" if answer else "")
        if not self.context.done:
            self._answer(401, "", header)
            return
        self.user = self.context.query(SecPkgContextNames).username
        self._answer(200, self.user, header if answer else "")

    def _answer(self, code: int, text: str, challenge: str = "") -> None:
        size = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(size)
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, scheme: str, accept: Callable[[], Context]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scheme = scheme
        self.accept = accept
        self.errors: list[SaslError] = []


class AuthenticatingServer:
    """The server on a free port of the loopback interface, while the block runs.

    Args:
        scheme: Of its WWW-Authenticate.
        accept: Begins the context of a connection.

    Attributes:
        errors: Why logons were refused.
    """

    def __init__(self, scheme: str, accept: Callable[[], Context]) -> None:
        self._server = _Server(scheme, accept)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def errors(self) -> list[SaslError]:
        return self._server.errors

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
