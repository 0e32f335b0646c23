"""curl's NTLM over HTTP against our acceptor: neither MIC nor layer, one connection for all three messages.

curl --negotiate needs a GSS-API with something to negotiate: with a KDC beside it that is Kerberos, which is crossed
with the Kerberos package; without one it has nothing to send, and that is what is seen here.
"""

from __future__ import annotations

import subprocess
from functools import partial

import pytest

from interop.http_server import AuthenticatingServer
from interop.require import program, require_peer
from saslsspi import ChannelBindingPolicy, Context, Policy
from saslsspi.sspi import SecurityStatus
from sspi_context import DOMAIN, PASSWORD, PEOPLE, USER

pytestmark = pytest.mark.interop


def curl(*arguments: str) -> str:
    """Return what curl prints: the status, a blank, the body."""
    require_peer("curl")
    command = [program("curl"), "--silent", "--noproxy", "*", "--max-time", "20", "--write-out", " %{http_code}"]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=30, check=False).stdout


@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_curl_logs_on_with_ntlm(scheme: str) -> None:
    """Under either name: a Negotiate acceptor takes NTLM without SPNEGO as well."""
    with AuthenticatingServer("NTLM", partial(Context.accept, scheme, authority=PEOPLE)) as server:
        said = curl("--ntlm", "--user", f"{DOMAIN}\\{USER}:{PASSWORD}", server.url)
    assert said == f"{USER} 200"  # the authority knows of no domain, and the client's word for one is none
    assert server.errors == []


def test_curl_logs_on_without_a_domain_and_stays_logged_on() -> None:
    with AuthenticatingServer("NTLM", partial(Context.accept, "NTLM", authority=PEOPLE)) as server:
        said = curl("--ntlm", "--user", f"{USER.upper()}:{PASSWORD}", server.url, server.url)
    assert said == f"{USER} 200{USER} 200"


def test_curl_posts_after_the_handshake() -> None:
    with AuthenticatingServer("NTLM", partial(Context.accept, "NTLM", authority=PEOPLE)) as server:
        said = curl("--ntlm", "--user", f"{USER}:{PASSWORD}", "--data", "x" * 3000, server.url)
    assert said == f"{USER} 200"


@pytest.mark.parametrize("user", [f"{USER}:looking-glass", f"mallory:{PASSWORD}"])
def test_curl_with_wrong_credentials_is_denied(user: str) -> None:
    with AuthenticatingServer("NTLM", partial(Context.accept, "NTLM", authority=PEOPLE)) as server:
        said = curl("--ntlm", "--user", user, server.url)
    assert said == " 401"
    assert [error.status for error in server.errors] == [SecurityStatus.SEC_E_LOGON_DENIED]


def test_curl_without_bindings_is_refused_where_they_are_required() -> None:
    policy = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    with AuthenticatingServer("NTLM", partial(Context.accept, "NTLM", authority=PEOPLE, policy=policy)) as server:
        assert curl("--ntlm", "--user", f"{USER}:{PASSWORD}", server.url) == " 401"
    assert server.errors[0].status is SecurityStatus.SEC_E_BAD_BINDINGS


def test_curl_negotiate_without_a_ticket_is_asked_to_log_on() -> None:
    with AuthenticatingServer("Negotiate", partial(Context.accept, "Negotiate", authority=PEOPLE)) as server:
        assert curl("--negotiate", "--user", ":", server.url) == " 401"
