"""RFC 3501, 9051 and 4959, RFC 4954, RFC 5034: what IMAP, SMTP and POP3 make of SASL."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable

from saslsspi_conformance.bench import Bench
from saslsspi_conformance.case import SUCCESS, CaseError, NotApplicable, Outcome, Seen, against_server, holds
from saslsspi_conformance.players.digest_client import DigestClient
from saslsspi_conformance.targets.mail import MailConversation, Reply

_IDS = {
    "unknown_mechanism": {"imap": ("IMAP3501-6.2.2-01",), "smtp": ("SMTP4954-4-05", "SMTP4954-4-29"),
                          "pop3": ("POP5034-4-25",)},
    "challenge_line": {"imap": ("IMAP3501-6.2.2-04",), "smtp": ("SMTP4954-4-06", "SMTP4954-4-07"),
                       "pop3": ("POP5034-4-05", "POP5034-4-19")},
    "empty_challenge": {"imap": ("IMAP3501-6.2.2-02", "IMAP4959-3-07", "IMAP4959-6-01", "IMAP9051-6.2.2-08"),
                        "smtp": ("SMTP4954-4-25",), "pop3": ("POP5034-4-20",)},
    "cancel": {"imap": ("IMAP3501-6.2.2-06", "IMAP9051-6.2.2-03"), "smtp": ("SMTP4954-4-08",), "pop3": ("POP5034-4-06",)},
    "no_base64": {"imap": ("IMAP3501-6.2.2-21", "IMAP9051-6.2.2-02"), "smtp": ("SMTP4954-4-09",),
                  "pop3": ("POP5034-4-07",)},
    "bad_padding": {"imap": ("IMAP9051-6.2.2-02", "IMAP4959-3-05"), "smtp": ("SMTP4954-4-28",),
                    "pop3": ("POP5034-4-23",)},
    "bad_initial_response": {"imap": ("IMAP4959-3-04", "IMAP9051-6.2.2-06"), "smtp": ("SMTP4954-4-09", "SMTP4954-4-28"),
                             "pop3": ("POP5034-4-07", "POP5034-4-23")},
    "initial_response": {"imap": ("IMAP9051-6.2.2-01",), "smtp": ("SMTP4954-4-01", "RFC4422-3.3-02"),
                         "pop3": ("POP5034-4-01", "POP5034-4-02")},
    "empty_initial_response": {"imap": ("IMAP4959-3-03", "IMAP9051-6.2.2-05"), "smtp": ("SMTP4954-4-26", "SMTP4954-4-02"),
                               "pop3": ("POP5034-4-21", "POP5034-4-02")},
    "after_failure": {"imap": ("IMAP3501-6.2.2-07", "IMAP3501-6.2.2-18"), "smtp": ("SMTP4954-4-33", "SMTP4954-9-04"),
                      "pop3": ("POP5034-4-28",)},
    "second_auth": {"imap": ("IMAP3501-6.2.2-20", "RFC4422-3.8-01"), "smtp": ("SMTP4954-4-03", "RFC4422-3.8-01"),
                    "pop3": ("POP5034-4-03", "POP5034-4-04", "RFC4422-3.8-01")},
    "last_data_apart": {"imap": ("RFC4422-3-06",), "smtp": ("SMTP4954-4-11",), "pop3": ("POP5034-4-09",)},
    "success": {"imap": ("IMAP3501-6.2.2-10", "IMAP3501-6.2.2-03"), "smtp": ("SMTP4954-4-12", "SMTP4954-4-19"),
                "pop3": ("POP5034-4-08", "POP5034-4-13")},
    "wrong_password": {"imap": ("RFC4422-3.6-03",), "smtp": ("SMTP4954-4-13", "SMTP4954-6-07"),
                       "pop3": ("POP5034-4-24",)},
    "listed": {"imap": ("IMAP3501-6.2.2-14", "RFC4422-3.1-01"), "smtp": ("SMTP4954-3-01", "RFC4422-3.1-01"),
               "pop3": ("POP5034-3-01", "RFC4422-3.1-01")},
    "listed_afterwards": {"imap": ("RFC4422-4-03",), "smtp": ("RFC4422-4-03",), "pop3": ("POP5034-3-05",)},
    "lower_case": {"imap": ("IMAP3501-6.2.2-10",), "smtp": ("SMTP4954-8-01",), "pop3": ("POP5034-5-01",)},
    "long_line": {"imap": ("IMAP3501-6.2.2-22", "IMAP4959-6-02"), "smtp": ("SMTP4954-4-22",), "pop3": ("POP5034-4-11",)},
    "layer_begins": {"imap": ("IMAP3501-6.2.2-08", "IMAP3501-6.2.2-09"), "smtp": ("SMTP4954-4-34", "SMTP4954-4-15"),
                     "pop3": ("POP5034-4-14",)},
}  # fmt: skip

_REFUSED = {"imap": {"NO", "BAD"}, "pop3": {"-ERR"}}


def _connect(bench: Bench) -> MailConversation:
    connection = bench.connect()
    assert isinstance(connection, MailConversation)
    return connection


def _code(reply: Reply, protocol: str, *right: str) -> Seen:
    """Whether a reply is a refusal with one of some codes; IMAP's and POP3's are few."""
    if protocol == "smtp":
        return holds(reply.code in right, f"reply {reply.last.decode(errors='replace')}, right is {' or '.join(right)}")
    allowed = (
        _REFUSED[protocol] if protocol == "pop3" or not (set(right) & {"NO", "BAD"}) else set(right) & {"NO", "BAD"}
    )
    return holds(reply.code in allowed, f"reply {reply.last.decode(errors='replace')}")


MailCase = Callable[[Bench, MailConversation], Seen]


def _everywhere(function: MailCase) -> MailCase:
    """Register one case for each of the three protocols."""
    for protocol, requirements in _IDS[function.__name__].items():

        def case(bench: Bench) -> Seen:
            return function(bench, _connect(bench))

        case.__name__ = f"{protocol}_{function.__name__}"
        case.__doc__ = f"{protocol.upper()}: {function.__doc__}"
        against_server(*requirements, accept=_ACCEPTED.get(function.__name__, frozenset({Outcome.HOLDS})),
                       carrier=protocol, destructive=function.__name__ in {"wrong_password", "after_failure"})(case)  # fmt: skip
    return function


_ACCEPTED = {"success": SUCCESS, "lower_case": SUCCESS, "initial_response": SUCCESS, "empty_challenge": SUCCESS,
             "after_failure": SUCCESS, "layer_begins": frozenset({Outcome.DELIVERED})}  # fmt: skip


def _bad(connection: MailConversation) -> tuple[str, ...]:
    """What undecodable base64 may get: IMAP4rev2 wants BAD, RFC 3501 does not say."""
    if connection.protocol == "imap" and b"IMAP4REV2" not in connection.capabilities().upper():
        return ("BAD", "NO")
    return ("501", "BAD")


def _mail(connection: MailConversation, line: bytes) -> Reply:
    reply = connection.command(line)
    if reply.code == "421":
        raise CaseError(f"the server gives no mail service: {reply.last.decode(errors='replace')}")
    return reply


def _begin(connection: MailConversation, rest: bytes) -> Reply:
    return connection.command(connection.words.authenticate + b" " + rest)


def _message(bench: Bench) -> bytes:
    bench.need("PLAIN")
    account = bench.target.account
    return f"\0{account.user}\0{account.password}".encode()


@_everywhere
def unknown_mechanism(bench: Bench, connection: MailConversation) -> Seen:
    """A mechanism that nobody has is refused, and the session goes on."""
    seen = _code(_begin(connection, b"NO-SUCH-THING"), connection.protocol, "504", "NO")
    return seen if seen.outcome is not Outcome.HOLDS else holds(connection.capabilities(), "the session has ended")


@_everywhere
def challenge_line(bench: Bench, connection: MailConversation) -> Seen:
    """A challenge is the protocol's mark, a space and base64, and nothing else."""
    bench.need("DIGEST-MD5")
    line = _begin(connection, b"DIGEST-MD5").last
    mark = rb"334 " if connection.protocol == "smtp" else rb"\+ "
    return holds(re.fullmatch(mark + rb"[A-Za-z0-9+/]+={0,2}", line), line.decode(errors="replace"))


@_everywhere
def empty_challenge(bench: Bench, connection: MailConversation) -> Seen:
    """A mechanism in which the client speaks first begins with an empty challenge where nothing came with it."""
    message = _message(bench)
    line = _begin(connection, b"PLAIN").last
    if line not in (b"+ ", b"334 "):
        return Seen(Outcome.BROKEN, f"the challenge is {line!r}")
    return connection.respond(message).seen


@_everywhere
def cancel(bench: Bench, connection: MailConversation) -> Seen:
    """A lone * cancels."""
    bench.need("DIGEST-MD5")
    _begin(connection, b"DIGEST-MD5")
    return _code(connection.command(b"*"), connection.protocol, "501", "BAD")


@_everywhere
def no_base64(bench: Bench, connection: MailConversation) -> Seen:
    """A response that is no base64 is refused."""
    bench.need("DIGEST-MD5")
    right = _bad(connection)
    _begin(connection, b"DIGEST-MD5")
    return _code(connection.command(b"%%%"), connection.protocol, *right)


@_everywhere
def bad_padding(bench: Bench, connection: MailConversation) -> Seen:
    """Pads anywhere but at the end are refused, not skipped."""
    bench.need("DIGEST-MD5")
    right = _bad(connection)
    for response in (b"=AAA", b"AAA=BBBB", b"A*A="):
        _begin(connection, b"DIGEST-MD5")
        seen = _code(connection.command(response), connection.protocol, *right)
        if seen.outcome is not Outcome.HOLDS:
            return Seen(seen.outcome, f"to {response.decode()}: {seen.detail}")
        connection = _connect(bench)
    return seen


@_everywhere
def bad_initial_response(bench: Bench, connection: MailConversation) -> Seen:
    """An initial response that is no base64 is refused like any other."""
    _needs_initial_response(bench)
    bench.need("PLAIN")
    return _code(_begin(connection, b"PLAIN AAA=BBBB"), connection.protocol, *_bad(connection))


@_everywhere
def initial_response(bench: Bench, connection: MailConversation) -> Seen:
    """An initial response authenticates in one round trip."""
    _needs_initial_response(bench)
    return connection.begin("PLAIN", _message(bench)).seen


def _needs_initial_response(bench: Bench) -> None:
    if not bench.target.initial_response:
        raise NotApplicable("the server does not offer an initial response")


@_everywhere
def empty_initial_response(bench: Bench, connection: MailConversation) -> Seen:
    """A lone = is an empty initial response: processed at once, and not answered with a challenge."""
    _needs_initial_response(bench)
    bench.need("PLAIN")
    answer = connection.begin("PLAIN", b"")
    return holds(answer.outcome is Outcome.FAILURE, f"{answer.outcome} {answer.text}")


@_everywhere
def after_failure(bench: Bench, connection: MailConversation) -> Seen:
    """After a failure another exchange succeeds on the same connection."""
    DigestClient(bench, on=connection, user=("nobody-at-all", "x")).log_on()
    return DigestClient(bench, on=connection).log_on()


@_everywhere
def second_auth(bench: Bench, connection: MailConversation) -> Seen:
    """After success another authentication is refused."""
    DigestClient(bench, on=connection).logged_on()
    words = connection.words.authenticate + b" DIGEST-MD5"
    return _code(_mail(connection, words), connection.protocol, "503", "NO", "BAD")


@_everywhere
def last_data_apart(bench: Bench, connection: MailConversation) -> Seen:
    """The rspauth comes as one more challenge."""
    client = DigestClient(bench, on=connection)
    client.begin()
    answer = connection.respond(client.write())
    return holds(answer.outcome is Outcome.CHALLENGE and (answer.data or b"").startswith(b"rspauth="), answer.text)


@_everywhere
def success(bench: Bench, connection: MailConversation) -> Seen:
    """A right exchange ends in the protocol's success, under the protocol's service name."""
    return DigestClient(bench, on=connection).log_on()


@_everywhere
def wrong_password(bench: Bench, connection: MailConversation) -> Seen:
    """A wrong password gets the protocol's refusal."""
    client = DigestClient(bench, on=connection, wrong_password=True)
    seen = client.log_on()
    if connection.protocol == "smtp":
        return holds(seen.detail.startswith("535"), seen.detail)
    return holds(seen.outcome is Outcome.FAILURE, f"{seen.outcome}: {seen.detail}")


@_everywhere
def listed(bench: Bench, connection: MailConversation) -> Seen:
    """The capabilities list the mechanisms, by names of the right form."""
    names = connection.supported()
    return holds(names and all(re.fullmatch("[A-Z0-9_-]{1,20}", name) for name in names), ", ".join(names))


@_everywhere
def listed_afterwards(bench: Bench, connection: MailConversation) -> Seen:
    """The mechanisms are listed after authentication too."""
    DigestClient(bench, on=connection).logged_on()
    return holds(connection.supported())


@_everywhere
def lower_case(bench: Bench, connection: MailConversation) -> Seen:
    """Commands and mechanism names have no case."""
    message = _message(bench)
    words = connection.words.authenticate.lower() + b" plain"
    connection.command(words)
    return connection.respond(message).seen


@_everywhere
def long_line(bench: Bench, connection: MailConversation) -> Seen:
    """A response line of 5,460 characters reaches the mechanism."""
    client = DigestClient(bench, on=connection)
    client.begin()
    right = client.write()
    seen = client.answer(right + b",x=" + b"y" * (4090 - len(right) - 3))
    return holds(seen.outcome is Outcome.SUCCESS, f"{seen.outcome}: {seen.detail}")


@_everywhere
def layer_begins(bench: Bench, connection: MailConversation) -> Seen:
    """The success is in clear, and what follows its line is protected both ways."""
    layer = DigestClient(bench, on=connection, qop="auth-int").layer()
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("SMTP4954-4-04", carrier="smtp")
def smtp_in_a_transaction(bench: Bench) -> Seen:
    """SMTP: AUTH in a mail transaction is refused with 503."""
    connection = _connect(bench)
    if connection.command(b"MAIL FROM:<tester@tester.example>").code != "250":
        raise NotApplicable("the server wants authentication before MAIL")
    return _code(_begin(connection, b"DIGEST-MD5"), "smtp", "503")


@against_server("SMTP4954-6-05", carrier="smtp")
def smtp_mail_before_authentication(bench: Bench) -> Seen:
    """SMTP: where MAIL needs authentication, the refusal is 530; AUTH, EHLO, NOOP, RSET and QUIT are not refused so."""
    connection = _connect(bench)
    reply = connection.command(b"MAIL FROM:<tester@tester.example>")
    others = [connection.command(line).code for line in (b"NOOP", b"RSET", b"EHLO tester.example")]
    return holds(reply.code in {"250", "530"} and "530" not in others, f"MAIL gets {reply.code}, then {others}")


@against_server("SMTP4954-4-16", carrier="smtp")
def smtp_state_without_layer(bench: Bench) -> Seen:
    """SMTP: without a layer MAIL follows AUTH at once."""
    connection = _connect(bench)
    DigestClient(bench, on=connection).logged_on()
    reply = _mail(connection, b"MAIL FROM:<tester@tester.example>")
    return holds(reply.code == "250", reply.last.decode(errors="replace"))


@against_server("SMTP4954-4-24", "SMTP4954-6-08", carrier="smtp")
def smtp_line_too_long(bench: Bench) -> Seen:
    """SMTP: a line longer than any buffer is refused with 500, or ends the connection."""
    connection = _connect(bench)
    _begin(connection, b"DIGEST-MD5")
    reply = connection.command(b64encode(b"x" * 150_000))
    return holds(reply.code in {"500", ""}, reply.last.decode(errors="replace"))


@against_server("SMTP4954-4-17", carrier="smtp")
def smtp_initial_response_of_a_server_first_mechanism(bench: Bench) -> Seen:
    """SMTP: an initial response for a mechanism in which only the server speaks first gets 501."""
    bench.need("CRAM-MD5")
    return _code(_begin(_connect(bench), b"CRAM-MD5 AAAA"), "smtp", "501")


@against_server("SMTP4954-5-03", carrier="smtp")
def smtp_auth_parameter(bench: Bench) -> Seen:
    """SMTP: AUTH=<> on MAIL FROM is understood."""
    connection = _connect(bench)
    DigestClient(bench, on=connection).logged_on()
    reply = _mail(connection, b"MAIL FROM:<tester@tester.example> AUTH=<>")
    return holds(reply.code == "250", reply.last.decode(errors="replace"))


@against_server("SMTP4954-3-03", carrier="smtp")
def smtp_long_auth_parameter(bench: Bench) -> Seen:
    """SMTP: an AUTH parameter of 400 characters on MAIL FROM is not too long."""
    connection = _connect(bench)
    DigestClient(bench, on=connection).logged_on()
    reply = _mail(connection, b"MAIL FROM:<tester@tester.example> AUTH=" + b"e" * 380 + b"@tester.example")
    return holds(reply.code != "500" and reply.code != "", reply.last.decode(errors="replace"))


@against_server("IMAP9051-6.2.2-07", "IMAP4959-3-06", carrier="imap")
def imap_initial_response_of_a_server_first_mechanism(bench: Bench) -> Seen:
    """IMAP: an initial response for a mechanism in which only the server speaks first gets BAD."""
    bench.need("CRAM-MD5")
    return _code(_begin(_connect(bench), b"CRAM-MD5 AAAA"), "imap", "BAD")


@against_server("POP5034-4-10", carrier="pop3")
def pop3_initial_response_of_a_server_first_mechanism(bench: Bench) -> Seen:
    """POP3: an initial response for a mechanism in which only the server speaks first gets -ERR."""
    bench.need("CRAM-MD5")
    return _code(_begin(_connect(bench), b"CRAM-MD5 AAAA"), "pop3", "-ERR")


@against_server("IMAP9051-6.2.2-04", "IMAP4959-3-02", carrier="imap")
def imap_literal(bench: Bench) -> Seen:
    """IMAP: an initial response is no literal."""
    bench.need("PLAIN")
    connection = _connect(bench)
    return holds(_begin(connection, b"PLAIN {4}").code in {"BAD", "NO"})
