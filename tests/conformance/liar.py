"""A server of SMTP that says yes to everything, for what the runner makes of one."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import threading
from collections.abc import Iterator

_CHALLENGE = b'realm="example.test",nonce="always the same",qop="auth",charset=utf-8,algorithm=md5-sess'


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say(b"220 liar.example ESMTP")
        for line in self.rfile:
            word = line.strip().upper()
            if word.startswith(b"EHLO"):
                self._say(b"250-liar.example\r\n250 AUTH DIGEST-MD5 PLAIN")
            elif word.startswith(b"AUTH DIGEST-MD5"):
                self._say(b"334 " + base64.b64encode(_CHALLENGE))
            elif word == b"QUIT":
                return
            else:
                self._say(b"235 2.7.0 of course")

    def _say(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(line + b"\r\n")


@contextlib.contextmanager
def lying() -> Iterator[str]:
    """Run one and return its URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"smtp://localhost:{server.server_address[1]}"
        finally:
            server.shutdown()
