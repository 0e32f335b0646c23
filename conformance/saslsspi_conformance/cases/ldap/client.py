"""RFC 4511 section 4.2 and RFC 4513 section 5.2: the binds of a client of LDAP."""

from __future__ import annotations

from saslsspi_conformance.case import SUCCESS, Observation, against_client, holds
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.server import ScriptedDigestServer
from saslsspi_conformance.peers.scram_ends import ScriptedScramServer
from saslsspi_conformance.targets.listen.ldap import LdapClientConversation, LdapRequest


def _requests(server: ScriptedDigestServer | ScriptedScramServer) -> list[LdapRequest]:
    assert isinstance(server.connection, LdapClientConversation)
    return server.connection.requests


@against_client("LDAP4511-4.2-02", "LDAP4513-5.2.1.2-01", "LDAP4513-5.2.1.2-06", "RFC4422-3.3-01", carrier="ldap")
def first_bind(run: CaseRun) -> Observation:
    """The bind is of version 3, without a name, with the sasl choice and the mechanism in it."""
    request = _requests(ScriptedDigestServer(run))[-1]
    return holds(request.version == 3 and not request.name and request.mechanism == "DIGEST-MD5", str(request[:3]))


@against_client("LDAP4513-5.2.1.3-01", carrier="ldap")
def no_credentials(run: CaseRun) -> Observation:
    """Without an initial response the credentials are left out, and not empty."""
    return holds(_requests(ScriptedDigestServer(run))[-1].credentials is None, "there are credentials")


@against_client("LDAP4513-5.2.1.2-02", accept=SUCCESS, carrier="ldap")
def initial_response(run: CaseRun) -> Observation:
    """The credentials of the first bind may be an initial response."""
    server = ScriptedScramServer(run)
    server.first()
    return server.finish(server.signature())


@against_client("LDAP4513-5.2.1.2-04", accept=SUCCESS, carrier="ldap")
def same_mechanism(run: CaseRun) -> Observation:
    """The next bind names the same mechanism, and success with data is taken."""
    server = ScriptedDigestServer(run)
    seen = server.log_on()
    names = {request.mechanism for request in _requests(server) if request.mechanism}
    return seen if names == {"DIGEST-MD5"} else holds(False, ", ".join(names))


@against_client("LDAP4513-5.2.3-03", carrier="ldap")
def external_without_identity(run: CaseRun) -> Observation:
    """EXTERNAL for one's own identity has empty credentials or none."""
    run.need("EXTERNAL")
    return holds(not run.meet("EXTERNAL").start().data)


@against_client("LDAP4513-5.2.3-04", "LDAP4513-5.2.1.8-01", carrier="ldap")
def external_with_identity(run: CaseRun) -> Observation:
    """EXTERNAL for another's identity has an authzid of LDAP's form."""
    run.need("EXTERNAL")
    data = run.meet("EXTERNAL", Setting(authzid="u:dana")).start().data
    return holds(data == b"u:dana", repr(data))


@against_client("LDAP4513-5.2.1.4-01", "LDAP4513-5.2.1.6-01", carrier="ldap")
def layer_begins(run: CaseRun) -> Observation:
    """What follows success is under the layer."""
    buffer, text, wrong = ScriptedDigestServer(run).layer("auth-int").request()
    return holds(buffer and not wrong and text[:1] == b"\x30", wrong or "no LDAP message")
