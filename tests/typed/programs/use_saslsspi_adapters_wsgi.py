"""An application of WSGI behind a logon."""

import wsgiref.simple_server
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

from saslsspi import MemoryAuthority
from saslsspi.adapters.http import HttpAcceptor
from saslsspi.adapters.wsgi import WsgiAuthentication


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say who asks."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ["REMOTE_USER"]).encode()]


acceptor = HttpAcceptor.of(MemoryAuthority({"alice": "wonderland"}), realm="tea.example")
wsgiref.simple_server.make_server("127.0.0.1", 8000, WsgiAuthentication(application, acceptor)).serve_forever()
