"""requests-credssp, WinRM's client library, against our acceptor behind a small HTTP server; and our client there."""

from __future__ import annotations

import http.client
from base64 import b64decode, b64encode
from functools import partial
from pathlib import Path

import pytest

from interop.http_server import AuthenticatingServer
from interop.require import require_peer
from packages.credssp.ours import DELEGATE, PASSWORD, TOLD, USER, accepting, client_side
from saslsspi.sspi import CredsspCred, SchannelProtocol, SchCredentials

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def credential(tmp_path_factory: pytest.TempPathFactory) -> CredsspCred:
    from interop.test_credssp_pyspnego import write_rsa_certificate

    file: Path = tmp_path_factory.mktemp("rsa") / "server.pem"
    write_rsa_certificate(file)
    # requests-credssp wants an answer to its last TLS flight, and with TLS 1.3 and without tickets there is none.
    old = SchannelProtocol.SP_PROT_TLS1_2
    return CredsspCred(schannel=SchCredentials(certificate=str(file), protocols=old))


def test_requests_credssp_logs_on_to_us(credential: CredsspCred) -> None:
    require_peer("requests-credssp")
    import requests
    from requests_credssp import HttpCredSSPAuth

    with AuthenticatingServer("CredSSP", partial(accepting, credential)) as server:
        auth = HttpCredSSPAuth(f"DOM\\{USER}", PASSWORD, auth_mechanism="ntlm")
        answer = requests.get(server.url, auth=auth, timeout=10)
        assert (answer.status_code, answer.text, server.errors) == (200, USER, [])


def test_our_client_logs_on_over_http(credential: CredsspCred) -> None:
    """The example of docs/credssp.md."""
    with AuthenticatingServer("CredSSP", partial(accepting, credential)) as server:
        host, port = server.url.removeprefix("http://").rstrip("/").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        client = client_side(TOLD | DELEGATE)
        token = client.step()
        while True:
            connection.request("GET", "/", headers={"Authorization": "CredSSP " + b64encode(token).decode()})
            answer = connection.getresponse()
            text = answer.read().decode()
            if client.done:
                break
            scheme, _, blob = answer.headers.get("WWW-Authenticate", "").partition(" ")
            assert scheme == "CredSSP"
            token = client.step(b64decode(blob))
        connection.close()
        assert (answer.status, text, server.errors) == (200, USER, [])
