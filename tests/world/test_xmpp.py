"""XMPP's pages against Prosody: slixmpp's and aioxmpp's own clients, which log on by our mechanisms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from interop.people import ALICE, HANAKO, JOERG, Person
from interop.prosody import Prosody, prosody
from world.pages import run
from world.programs import python_with

pytestmark = pytest.mark.interop

SLIXMPP: Final = """
import asyncio, ssl, sys
import slixmpp

user, password, port, ca_file, version = sys.argv[1:]
ended = asyncio.Event()

class Program(slixmpp.ClientXMPP):
    def __init__(self):
        super().__init__(f"{user}@localhost", password)
        self.ca_certs = ca_file
        self.ssl_context.maximum_version = ssl.TLSVersion[version]
        self.add_event_handler("session_start", self.begun)
        self.add_event_handler("failed_auth", self.refused)
        self.add_event_handler("disconnected", lambda _: ended.set())

    def refused(self, _):
        print("refused")
        self.abort()  # it would go on with the next mechanism

    async def begun(self, _):
        mech = self.plugin["feature_mechanisms"].mech
        print(mech.name, type(mech).__name__, self.boundjid.bare)
        await self.disconnect()

async def main():
    program = Program()
    program.connect("127.0.0.1", int(port))
    await asyncio.wait_for(ended.wait(), 30)

asyncio.run(main())
"""
AIOXMPP: Final = """
import asyncio, sys
import aioxmpp.connector, aioxmpp.security_layer as layers, OpenSSL.SSL as SSL

user, password, port, version, which = sys.argv[1:]

def context():
    made = layers.default_ssl_context()
    if version == "TLSv1_2":
        made.set_options(SSL.OP_NO_TLSv1_3)
    return made

async def main():
    peer = ("127.0.0.1", int(port), aioxmpp.connector.STARTTLSConnector())
    verifier = Verifier if which == "page" else layers.PKIXCertificateVerifier
    layer = layers.SecurityLayer(context, verifier, True, [Logged(password)])
    client = aioxmpp.PresenceManagedClient(aioxmpp.JID.fromstr(f"{user}@localhost"), layer, override_peer=[peer])
    async with client.connected():
        print(names[-1], client.local_jid.bare())

names = []

class Logged(Saslsspi):
    async def execute(self, client_jid, features, xmlstream, tls_transport):
        initiate = SASLXMPPInterface.initiate

        async def noted(self, mechanism, payload=None):
            names.append(mechanism)
            return await initiate(self, mechanism, payload)

        SASLXMPPInterface.initiate = noted
        return await super().execute(client_jid, features, xmlstream, tls_transport)

try:
    asyncio.run(asyncio.wait_for(main(), 30))
except Exception as error:
    print(type(error).__name__, error)
"""
CHECK: Final = """
import sys
import aioxmpp.security_layer as layers
from OpenSSL import crypto

with open(sys.argv[1], "rb") as file:
    certificate = crypto.load_certificate(crypto.FILETYPE_PEM, file.read())
try:
    layers.extract_python_dict_from_x509(certificate)
except AttributeError as error:
    print(error)
"""
PEOPLE: Final = pytest.mark.parametrize("person", [ALICE, JOERG, HANAKO], ids=lambda person: person.name)
VERSIONS: Final = pytest.mark.parametrize(
    ("version", "mechanism"), [("TLSv1_2", "SCRAM-SHA-256-PLUS"), ("TLSv1_3", "SCRAM-SHA-256")]
)


@pytest.fixture(scope="module")
def server() -> Iterator[Prosody]:
    with prosody() as running:
        yield running


def with_aioxmpp() -> Path:
    return python_with("aioxmpp==0.13.3", "pytz==2025.2", "pyOpenSSL==26.4.0")


@PEOPLE
@VERSIONS
def test_slixmpp(server: Prosody, person: Person, version: str, mechanism: str) -> None:
    arguments = (server.port, server.ca_file, version)
    python = python_with("slixmpp==1.17.0")
    told = run(python, "slixmpp.md", SLIXMPP, person.name, person.password, *arguments)
    assert told == [f"{mechanism} Saslsspi {person.name}@localhost"]
    assert run(python, "slixmpp.md", SLIXMPP, person.name, "not it", *arguments) == ["refused"]


@PEOPLE
@VERSIONS
def test_aioxmpp(
    server: Prosody, person: Person, version: str, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(server.ca_file))

    def told(password: str, which: str) -> list[str]:
        arguments = (person.name, password, server.port, version, which)
        return run(with_aioxmpp(), "aioxmpp.md", AIOXMPP, *arguments, blocks=2)

    assert told(person.password, "page") == [f"{mechanism} {person.name}@localhost"]
    (refused,) = told("not it", "page")
    assert refused.startswith("AuthenticationFailure ")
    (broken,) = told(person.password, "its own")
    assert not broken.endswith("@localhost")


def test_aioxmpp_s_own_check_of_certificates_does_not_run(server: Prosody) -> None:
    """As its page says: where it runs again the page can be shorter."""
    (told,) = run(with_aioxmpp(), "aioxmpp.md", CHECK, server.ca_file, blocks=2)
    assert told == "'X509' object has no attribute 'get_extension'"
