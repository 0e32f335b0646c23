"""RFC 4511 section 4.2 and RFC 4513 section 5.2: the binds of a client of LDAP."""

from __future__ import annotations

from saslsspi_conformance.bench import Bench, Setting
from saslsspi_conformance.case import SUCCESS, Seen, against_client, holds
from saslsspi_conformance.peers.digest.server import DigestServer
from saslsspi_conformance.peers.scram_ends import ScramServer
from saslsspi_conformance.targets.listen.ldap import LdapClientConversation, LdapRequest


def _requests(server: DigestServer | ScramServer) -> list[LdapRequest]:
    assert isinstance(server.connection, LdapClientConversation)
    return server.connection.requests


@against_client("LDAP4511-4.2-02", "LDAP4513-5.2.1.2-01", "LDAP4513-5.2.1.2-06", "RFC4422-3.3-01", carrier="ldap")
def first_bind(bench: Bench) -> Seen:
    """The bind is of version 3, without a name, with the sasl choice and the mechanism in it."""
    request = _requests(DigestServer(bench))[-1]
    return holds(request.version == 3 and not request.name and request.mechanism == "DIGEST-MD5", str(request[:3]))


@against_client("LDAP4513-5.2.1.3-01", carrier="ldap")
def no_credentials(bench: Bench) -> Seen:
    """Without an initial response the credentials are left out, and not empty."""
    return holds(_requests(DigestServer(bench))[-1].credentials is None, "there are credentials")


@against_client("LDAP4513-5.2.1.2-02", accept=SUCCESS, carrier="ldap")
def initial_response(bench: Bench) -> Seen:
    """The credentials of the first bind may be an initial response."""
    server = ScramServer(bench)
    server.first()
    return server.finish(server.signature())


@against_client("LDAP4513-5.2.1.2-04", accept=SUCCESS, carrier="ldap")
def same_mechanism(bench: Bench) -> Seen:
    """The next bind names the same mechanism, and success with data is taken."""
    server = DigestServer(bench)
    seen = server.log_on()
    names = {request.mechanism for request in _requests(server) if request.mechanism}
    return seen if names == {"DIGEST-MD5"} else holds(False, ", ".join(names))


@against_client("LDAP4513-5.2.3-03", carrier="ldap")
def external_without_identity(bench: Bench) -> Seen:
    """EXTERNAL for one's own identity has empty credentials or none."""
    bench.need("EXTERNAL")
    return holds(not bench.meet("EXTERNAL").start().data)


@against_client("LDAP4513-5.2.3-04", "LDAP4513-5.2.1.8-01", carrier="ldap")
def external_with_identity(bench: Bench) -> Seen:
    """EXTERNAL for another's identity has an authzid of LDAP's form."""
    bench.need("EXTERNAL")
    data = bench.meet("EXTERNAL", Setting(authzid="u:dana")).start().data
    return holds(data == b"u:dana", repr(data))


@against_client("LDAP4513-5.2.1.4-01", "LDAP4513-5.2.1.6-01", carrier="ldap")
def layer_begins(bench: Bench) -> Seen:
    """What follows success is under the layer."""
    buffer, text, wrong = DigestServer(bench).layer("auth-int").request()
    return holds(buffer and not wrong and text[:1] == b"\x30", wrong or "no LDAP message")
