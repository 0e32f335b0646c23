"""How many functions of Python a logon calls, both sides, once both have logged on before, and how many modules its
first token loads: neither grows unseen.

Counted on the one Python that the figures were written down for; others count comprehensions and properties otherwise.
"""

from __future__ import annotations

import logging
import subprocess
import sys
from types import FrameType

import pytest

from pair import authenticate
from saslsspi import Client, MemoryAuthority, NegotiatePolicy, Password, Policy, Server

PEOPLE = MemoryAuthority({"alice": "wonderland"})
# Function calls, with those of the driver of tests/pair.py; two in a hundred more are let pass. A change that needs
# more writes the new figure down, and why in its commit.
LIMITS = {
    ("DIGEST-MD5", 0): 214,
    ("DIGEST-MD5", 256): 289,
    ("SCRAM-SHA-256", 256): 210,
    ("PLAIN", 256): 80,
    ("NTLM", 256): 286,
    ("GSS-SPNEGO", 256): 783,
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the figures are Python 3.11's")
@pytest.mark.parametrize(("mechanism", "max_ssf"), LIMITS)
def test_a_logon_calls_no_more_than_it_did(mechanism: str, max_ssf: int) -> None:
    policy = Policy(max_ssf=max_ssf, negotiate=NegotiatePolicy(packages="NTLM"))
    common = {"service": "ldap", "host": "h.example", "policy": policy, "external_ssf": 256}
    client = Client(mechanism, credentials=Password("alice", "wonderland"), **common)  # type: ignore[arg-type]  # each fits
    server = Server(mechanism, authority=PEOPLE, realm="h.example", **common)  # type: ignore[arg-type]  # as above
    authenticate(client, server)
    authenticate(client.again(), server.again())
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    logging.disable()  # whoever reads the audit log pays for its records
    sys.setprofile(count)
    try:
        authenticate(client.again(), server.again())
    finally:
        sys.setprofile(None)
        logging.disable(logging.NOTSET)
    assert calls <= LIMITS[mechanism, max_ssf] * 1.02, calls


# Modules that a first token loads in a fresh process, Python's own among them; a third are those that find plugins.
MODULES = {"DIGEST-MD5": 193, "NTLM": 178, "SCRAM-SHA-256": 157}
_FIRST_TOKEN = """
import sys
before = set(sys.modules)
from saslsspi import Client, Password
client = Client(sys.argv[1], service="ldap", host="h", credentials=Password("alice", "wonderland"))
if client.start() is None:
    client.step(b'realm="h",nonce="abcdefghijkl",qop="auth",algorithm=md5-sess,charset=utf-8')
print(*sorted(set(sys.modules) - before))
"""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the figures are Python 3.11's")
@pytest.mark.parametrize("mechanism", MODULES)
def test_a_first_token_loads_no_more_than_it_did(mechanism: str) -> None:
    command = [sys.executable, "-c", _FIRST_TOKEN, mechanism]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert len(loaded) <= MODULES[mechanism] * 1.02, loaded
    others = {"saslsspi_mechanisms.credssp", "saslsspi.packages.schannel", "saslsspi.packages.kerberos"}
    assert not others & set(loaded), "a plugin is loaded when its name is asked for"
