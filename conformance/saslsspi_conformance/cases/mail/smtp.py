"""RFC 4954: what SMTP alone says of SASL."""

from __future__ import annotations

from base64 import b64encode

from saslsspi_conformance.case import NotApplicable, Observation, against_server, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.mail_lines import begin, code, connect, mail, offered


@against_server("SMTP4954-4-04", carrier="smtp")
def in_a_transaction(run: CaseRun) -> Observation:
    """SMTP: AUTH in a mail transaction is refused with 503."""
    connection = connect(run)
    if connection.command(b"MAIL FROM:<tester@tester.example>").code != "250":
        raise NotApplicable("the server wants authentication before MAIL")
    return code(begin(connection, offered(run)), connection.protocol, "503")


@against_server("SMTP4954-6-05", carrier="smtp")
def mail_before_authentication(run: CaseRun) -> Observation:
    """SMTP: where MAIL needs authentication, the refusal is 530; AUTH, EHLO, NOOP, RSET and QUIT are not refused so."""
    connection = connect(run)
    reply = connection.command(b"MAIL FROM:<tester@tester.example>")
    others = [connection.command(line).code for line in (b"NOOP", b"RSET", b"EHLO tester.example")]
    return holds(reply.code in {"250", "530"} and "530" not in others, f"MAIL gets {reply.code}, then {others}")


@against_server("SMTP4954-4-16", carrier="smtp")
def state_without_layer(run: CaseRun) -> Observation:
    """SMTP: without a layer MAIL follows AUTH at once."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = mail(connection, b"MAIL FROM:<tester@tester.example>")
    return holds(reply.code == "250", reply.last.decode(errors="replace"))


@against_server("SMTP4954-4-24", "SMTP4954-6-08", carrier="smtp")
def line_too_long(run: CaseRun) -> Observation:
    """SMTP: a line longer than the server's buffer is refused with 500, or ends the connection."""
    connection = connect(run)
    if begin(connection, offered(run)).code != "334":
        raise NotApplicable("the server does not begin the exchange")
    reply = connection.command(b64encode(b"x" * 150_000))
    if reply.code not in {"500", ""} and not run.target.local:
        raise NotApplicable(f"the server's buffer is larger: {reply.last.decode(errors='replace')}")
    return holds(reply.code in {"500", ""}, reply.last.decode(errors="replace"))


@against_server("SMTP4954-5-03", carrier="smtp")
def auth_parameter(run: CaseRun) -> Observation:
    """SMTP: AUTH=<> on MAIL FROM is understood."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = mail(connection, b"MAIL FROM:<tester@tester.example> AUTH=<>")
    return holds(reply.code == "250", reply.last.decode(errors="replace"))


@against_server("SMTP4954-3-03", carrier="smtp")
def long_auth_parameter(run: CaseRun) -> Observation:
    """SMTP: an AUTH parameter of 400 characters on MAIL FROM is not too long."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = mail(connection, b"MAIL FROM:<tester@tester.example> AUTH=" + b"e" * 380 + b"@tester.example")
    return holds(reply.code != "500" and reply.code != "", reply.last.decode(errors="replace"))


@against_server("SMTP4954-4-10", carrier="smtp")
def three_arguments(run: CaseRun) -> Observation:
    """SMTP: AUTH with an argument too many gets a reply of the 5xx kind."""
    reply = begin(connect(run), offered(run), b"AAAA", b"BBBB")
    return holds(reply.code.startswith("5"), reply.last.decode(errors="replace"))


@against_server("SMTP4954-5-01", carrier="smtp")
def mailbox_in_xtext(run: CaseRun) -> Observation:
    """SMTP: AUTH= on MAIL FROM takes a mailbox in xtext."""
    connection = connect(run)
    ScriptedDigestClient(run, on=connection).logged_on()
    reply = mail(connection, b"MAIL FROM:<tester@tester.example> AUTH=e+3Dmc2@tester.example")
    return holds(reply.code == "250", reply.last.decode(errors="replace"))


@against_server("SMTP4954-6-09", "SMTP4954-6-06", carrier="smtp", destructive=True, lenient=True)  # one is a SHOULD
def enhanced_status_codes(run: CaseRun) -> Observation:
    """SMTP: where enhanced status codes are announced, success has 2.7.0 and a wrong password 5.7.8."""
    connection = connect(run)
    if b"ENHANCEDSTATUSCODES" not in connection.capabilities().upper():
        raise NotApplicable("the server does not announce ENHANCEDSTATUSCODES")
    right = ScriptedDigestClient(run, on=connection).log_on().detail
    wrong = ScriptedDigestClient(run, wrong_password=True).log_on().detail
    return holds(right.startswith("235 2.7.0") and wrong.startswith("535 5.7.8"), f"{right!r} and {wrong!r}")
