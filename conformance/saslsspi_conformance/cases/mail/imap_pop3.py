"""RFC 9051, RFC 4959 and RFC 5034: what IMAP alone and POP3 alone say of SASL."""

from __future__ import annotations

from saslsspi_conformance.case import Observation, Reaction, against_server, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.mail_lines import begin, code, connect


@against_server("IMAP9051-6.2.2-07", "IMAP4959-3-06", carrier="imap")
def imap_initial_response_of_a_server_first_mechanism(run: CaseRun) -> Observation:
    """IMAP: an initial response for a mechanism in which only the server speaks first gets BAD."""
    run.need("CRAM-MD5")
    return code(begin(connect(run), b"CRAM-MD5 AAAA"), "imap", "BAD")


@against_server("POP5034-4-10", carrier="pop3")
def pop3_initial_response_of_a_server_first_mechanism(run: CaseRun) -> Observation:
    """POP3: an initial response for a mechanism in which only the server speaks first gets -ERR."""
    run.need("CRAM-MD5")
    return code(begin(connect(run), b"CRAM-MD5 AAAA"), "pop3", "-ERR")


@against_server("IMAP9051-6.2.2-04", "IMAP4959-3-02", carrier="imap")
def imap_literal(run: CaseRun) -> Observation:
    """IMAP: an initial response is no literal."""
    run.need("PLAIN")
    connection = connect(run)
    return holds(begin(connection, b"PLAIN {4}").code in {"BAD", "NO"})


@against_server("IMAP3501-6.2.2-15", "IMAP3501-6.2.2-16", carrier="imap")
def imap_no_capabilities_in_clear(run: CaseRun) -> Observation:
    """IMAP: where a layer was agreed on, the OK, which is in clear, has no CAPABILITY code."""
    client = ScriptedDigestClient(run, qop="auth-int")
    seen = client.log_on()
    return holds(seen.outcome is Reaction.SUCCESS and "[CAPABILITY" not in seen.detail.upper(), seen.detail)
