"""A WSGI server with connections that are kept (HTTP/1.1), a thread each: what wsgiref lacks for NTLM."""

from __future__ import annotations

import io
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from wsgiref.handlers import SimpleHandler

__all__ = ["WsgiServer"]


class _Origin(SimpleHandler):
    http_version = "1.1"
    server_software = None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.connection_identity = object()

    def do_GET(self) -> None:
        body = io.BytesIO(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        path, _, query = self.path.partition("?")
        environ = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_URI": self.path,
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": self.request_version,
            "HTTPS": "on" if self.server.secure else "off",
            "saslsspi.connection": self.connection_identity,
        }
        for name, value in self.headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        self.server.seen.append(environ)
        handler = _Origin(body, self.wfile, sys.stderr, environ, multithread=True)  # type: ignore[arg-type]
        handler.run(self.server.application)

    do_POST = do_PUT = do_GET  # noqa: N815  # the names that http.server looks for

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, application: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.application = application
        self.secure = False
        self.seen: list[dict[str, Any]] = []


class WsgiServer:
    """The server on a free port of the loopback interface, while the block runs.

    Args:
        tls: What to put around its connections.

    Attributes:
        seen: The environ of each request.
    """

    def __init__(self, application: Any, *, tls: ssl.SSLContext | None = None) -> None:
        self._server = _Server(application)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
            self._server.secure = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def seen(self) -> list[dict[str, Any]]:
        return self._server.seen

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
