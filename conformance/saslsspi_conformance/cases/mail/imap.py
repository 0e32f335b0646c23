"""RFC 9051 and RFC 4959: what IMAP alone says of SASL."""

from __future__ import annotations

from saslsspi_conformance.case import Observation, Reaction, against_server, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.mail_lines import begin, connect


@against_server("IMAP9051-6.2.2-04", "IMAP4959-3-02", carrier="imap")
def imap_literal(run: CaseRun) -> Observation:
    """IMAP: an initial response is no literal."""
    run.need("PLAIN")
    connection = connect(run)
    return holds(begin(connection, b"PLAIN", b"{4}").code in {"BAD", "NO"})


@against_server("IMAP3501-6.2.2-15", "IMAP3501-6.2.2-16", carrier="imap")
def imap_no_capabilities_in_clear(run: CaseRun) -> Observation:
    """IMAP: where a layer was agreed on, the OK, which is in clear, has no CAPABILITY code."""
    client = ScriptedDigestClient(run, qop="auth-int")
    seen = client.log_on()
    return holds(seen.outcome is Reaction.SUCCESS and "[CAPABILITY" not in seen.detail.upper(), seen.detail)
