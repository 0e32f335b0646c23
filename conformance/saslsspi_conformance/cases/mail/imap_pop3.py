"""RFC 9051, RFC 4959 and RFC 5034: what IMAP alone and POP3 alone say of SASL."""

from __future__ import annotations

from saslsspi_conformance.bench import Bench
from saslsspi_conformance.case import Outcome, Seen, against_server, holds
from saslsspi_conformance.peers.digest.client import DigestClient
from saslsspi_conformance.peers.mail_lines import begin, code, connect


@against_server("IMAP9051-6.2.2-07", "IMAP4959-3-06", carrier="imap")
def imap_initial_response_of_a_server_first_mechanism(bench: Bench) -> Seen:
    """IMAP: an initial response for a mechanism in which only the server speaks first gets BAD."""
    bench.need("CRAM-MD5")
    return code(begin(connect(bench), b"CRAM-MD5 AAAA"), "imap", "BAD")


@against_server("POP5034-4-10", carrier="pop3")
def pop3_initial_response_of_a_server_first_mechanism(bench: Bench) -> Seen:
    """POP3: an initial response for a mechanism in which only the server speaks first gets -ERR."""
    bench.need("CRAM-MD5")
    return code(begin(connect(bench), b"CRAM-MD5 AAAA"), "pop3", "-ERR")


@against_server("IMAP9051-6.2.2-04", "IMAP4959-3-02", carrier="imap")
def imap_literal(bench: Bench) -> Seen:
    """IMAP: an initial response is no literal."""
    bench.need("PLAIN")
    connection = connect(bench)
    return holds(begin(connection, b"PLAIN {4}").code in {"BAD", "NO"})


@against_server("IMAP3501-6.2.2-15", "IMAP3501-6.2.2-16", carrier="imap")
def imap_no_capabilities_in_clear(bench: Bench) -> Seen:
    """IMAP: where a layer was agreed on, the OK, which is in clear, has no CAPABILITY code."""
    client = DigestClient(bench, qop="auth-int")
    seen = client.log_on()
    return holds(seen.outcome is Outcome.SUCCESS and "[CAPABILITY" not in seen.detail.upper(), seen.detail)
