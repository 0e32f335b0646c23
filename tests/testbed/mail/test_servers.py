"""The embedded servers on the wire: what a client that is not ours meets, line by line."""

import base64
import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import saslsspi
from adapters.mail_world import (
    IMAP,
    MESSAGE,
    PEOPLE,
    POP3,
    PROTOCOLS,
    REALM,
    SMTP,
    MailProtocol,
    Wire,
    certificate,
    serving,
)
from saslsspi.accounts.account import Account, Question
from saslsspi.engine.policy import Property
from saslsspi.errors import NoAuthenticatingAuthority
from saslsspi.testbed.mail.server import MailLimits

PLAIN = base64.b64encode(b"\0alice\0wonderland")
CLEAR = saslsspi.Policy(allow_plaintext=True)


class Session(Wire):
    """A raw session of any of the three protocols."""

    def __init__(self, protocol: MailProtocol, port: int) -> None:
        super().__init__(port)
        self.protocol = protocol
        self.greeting = self.line()
        self._count = 0
        if protocol is SMTP:
            self.ehlo()

    def ehlo(self) -> list[bytes]:
        self.send(b"EHLO me")
        return self.until(b"250 ")

    def mechanisms(self) -> set[str]:
        """Return what is listed now."""
        if self.protocol is SMTP:
            listed = [line[9:] for line in self.ehlo() if line[4:9] == b"AUTH "]
            return set(b" ".join(listed).decode().split())
        if self.protocol is POP3:
            self.send(b"CAPA")
            listed = [line[5:] for line in self.until(b".") if line.startswith(b"SASL ")]
            assert listed, "RFC 5034 section 3 wants the line"
            return set(listed[0].decode().split())
        self.send(b"c CAPABILITY")
        words = b" ".join(self.until(b"c ")).split()
        return {word[5:].decode() for word in words if word.startswith(b"AUTH=")}

    def auth(self, arguments: bytes) -> bytes:
        """Begin an exchange; return the answer without IMAP's tag."""
        self._count += 1
        words = b"a%d AUTHENTICATE " % self._count if self.protocol is IMAP else b"AUTH "
        return self._untagged(self.ask(words + arguments))

    def answer(self, line: bytes) -> bytes:
        return self._untagged(self.ask(line))

    def _untagged(self, line: bytes) -> bytes:
        return line.partition(b" ")[2] if self.protocol is IMAP and line.startswith(b"a") else line


@dataclass(frozen=True)
class Words:
    """How each protocol says it."""

    empty: bytes
    success: bytes
    cancelled: bytes
    undecodable: bytes
    uninvited: bytes
    unknown: bytes
    denied: bytes
    again: bytes
    temporary: bytes


WORDS = {
    "smtp": Words(
        b"334 ", b"235 2.7.0", b"501 ", b"501 5.5.2", b"501 5.7.0", b"504 5.5.4", b"535 5.7.8", b"503 ", b"454 4.7.0"
    ),
    "imap": Words(
        b"+ ", b"OK", b"BAD", b"BAD", b"BAD", b"NO", b"NO [AUTHENTICATIONFAILED]", b"BAD", b"NO [UNAVAILABLE]"
    ),
    "pop3": Words(b"+ ", b"+OK", b"-ERR", b"-ERR", b"-ERR", b"-ERR", b"-ERR [AUTH]", b"-ERR", b"-ERR [SYS/TEMP]"),
}


@contextlib.contextmanager
def session(protocol: MailProtocol, **options: object) -> Iterator[tuple[Session, Words]]:
    options.setdefault("policy", CLEAR)
    with serving(protocol, **options) as (server, _), Session(protocol, server.port) as wire:
        yield wire, WORDS[protocol.name]


@pytest.fixture(params=PROTOCOLS, ids=str)
def protocol(request: pytest.FixtureRequest) -> MailProtocol:
    found: MailProtocol = request.param
    return found


@pytest.mark.requirement(
    "SMTP4954-3-01", "POP5034-3-01", "IMAP3501-6.2.2-14", "IMAP3501-6.2.2-13", "IMAP9051-6.2.2-10", "POP5034-4-31"
)
def test_mechanisms_are_listed(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, _):
        assert wire.mechanisms() >= {"DIGEST-MD5", "SCRAM-SHA-256", "PLAIN"}


@pytest.mark.requirement(
    "SMTP4954-4-05", "SMTP4954-4-35", "SMTP4954-6-14", "SMTP4954-6-04", "SMTP4954-9-03", "POP5034-4-18", "POP5034-4-29",
    "IMAP3501-6.2.2-11",
)  # fmt: skip
def test_by_default_plain_needs_encryption(protocol: MailProtocol) -> None:
    with session(protocol, policy=saslsspi.Policy()) as (wire, words):
        assert "PLAIN" not in wire.mechanisms()
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.unknown)
        if protocol is IMAP:
            assert b"LOGINDISABLED" in wire.greeting
            assert wire.ask(b"x LOGIN alice wonderland").startswith(b"x NO")


@pytest.mark.requirement("SMTP4954-3-02", "POP5034-3-02", "SMTP4954-9-01", "POP5034-4-17")
def test_plain_is_listed_under_tls(protocol: MailProtocol) -> None:
    tls = certificate()
    with session(protocol, policy=saslsspi.Policy(), certificate=tls.server, bindings=tls.bindings) as (wire, words):
        before = wire.mechanisms()
        start = {"smtp": b"STARTTLS", "imap": b"s STARTTLS", "pop3": b"STLS"}[protocol.name]
        assert wire.ask(start).startswith((b"220", b"s OK", b"+OK"))
        wire.sock = tls.client.wrap_socket(wire.sock, server_hostname="localhost")
        wire._file = wire.sock.makefile("rb")
        if protocol is SMTP:
            assert not any(b"STARTTLS" in line for line in wire.ehlo())
        after = wire.mechanisms()
        assert "PLAIN" in after - before
        assert "SCRAM-SHA-256-PLUS" in after - before
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement("SMTP4954-4-05", "SMTP4954-4-29", "POP5034-4-25", "IMAP3501-6.2.2-01", "SMTP4954-6-09")
def test_an_unknown_mechanism_is_refused_and_the_session_goes_on(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"FOO").startswith(words.unknown)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement(
    "SMTP4954-4-06", "SMTP4954-4-25", "POP5034-4-05", "POP5034-4-20", "POP5034-4-08", "IMAP3501-6.2.2-04",
    "IMAP9051-6.2.2-08", "IMAP4959-3-07", "SMTP4954-4-12", "SMTP4954-6-06",
)  # fmt: skip
def test_an_empty_challenge_asks_for_the_initial_response(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"PLAIN") == words.empty
        assert wire.answer(PLAIN).startswith(words.success)
        if protocol is POP3:
            assert wire.ask(b"STAT").startswith(b"+OK 1 ")


@pytest.mark.requirement("SMTP4954-4-07", "POP5034-4-19", "IMAP3501-6.2.2-04", "SMTP4954-4-06", "POP5034-4-05")
def test_a_challenge_is_base64_and_nothing_else(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        challenge = wire.auth(b"DIGEST-MD5")
        assert challenge.startswith(words.empty)
        text = challenge[len(words.empty) :]
        assert re.fullmatch(rb"[A-Za-z0-9+/]+=*", text)
        assert b"md5-sess" in base64.b64decode(text, validate=True)


@pytest.mark.requirement(
    "SMTP4954-4-08", "POP5034-4-06", "IMAP3501-6.2.2-06", "IMAP9051-6.2.2-03", "IMAP3501-6.2.2-07", "POP5034-4-28"
)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"DIGEST-MD5", b"SCRAM-SHA-1"])
def test_a_star_cancels_and_another_try_succeeds(protocol: MailProtocol, mechanism: bytes) -> None:
    with session(protocol) as (wire, words):
        wire.auth(mechanism)
        assert wire.answer(b"*").startswith(words.cancelled)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement(
    "SMTP4954-4-09", "SMTP4954-4-28", "POP5034-4-07", "POP5034-4-23", "IMAP3501-6.2.2-21", "IMAP9051-6.2.2-02",
    "IMAP9051-6.2.2-06", "IMAP4959-3-04", "IMAP4959-3-05",
)  # fmt: skip
@pytest.mark.parametrize("text", [b"%%%", b"=AAA", b"AAA=BBB", b"A*A="])
def test_what_is_not_base64_is_refused(protocol: MailProtocol, text: bytes) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"PLAIN " + text).startswith(words.undecodable)
        wire.auth(b"PLAIN")
        assert wire.answer(text).startswith(words.undecodable)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement("RFC4422-3-04")
@pytest.mark.requirement("SMTP4954-4-17", "POP5034-4-10", "IMAP9051-6.2.2-07", "IMAP4959-3-06")
@pytest.mark.parametrize("text", [b"AAAA", b"="])
def test_an_initial_response_where_the_server_speaks_first_is_refused(protocol: MailProtocol, text: bytes) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"DIGEST-MD5 " + text).startswith(words.uninvited)


@pytest.mark.requirement("SMTP4954-4-10")
def test_too_many_arguments_start_no_exchange(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"PLAIN AAAA AAAA").startswith((b"501", b"BAD", b"-ERR"))
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement("SMTP4954-8-01", "POP5034-5-01")
def test_keywords_are_taken_without_regard_to_case(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"plain =").startswith(words.denied)
        command = b"x authenticate pLain " if protocol is IMAP else b"auth pLain "
        assert wire.ask(command + PLAIN).removeprefix(b"x ").startswith(words.success)


@pytest.mark.requirement(
    "SMTP4954-4-13", "SMTP4954-6-07", "SMTP4954-9-04", "SMTP4954-4-18", "POP5034-4-24", "POP5034-6-01", "POP5034-4-28",
    "SMTP4954-4-33",
)  # fmt: skip
def test_three_failures_are_borne_and_not_endless_ones(protocol: MailProtocol) -> None:
    wrong = base64.b64encode(b"\0alice\0not hers")
    with session(protocol) as (wire, words):
        for _ in range(3):
            assert wire.auth(b"PLAIN " + wrong).startswith(words.denied)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)
    with session(protocol, limits=MailLimits(failures=4)) as (wire, words):
        for _ in range(4):
            assert wire.auth(b"PLAIN " + wrong).startswith(words.denied)
        assert wire.rest() in (b"", b"421 4.7.0 Too many failures\r\n")


@pytest.mark.requirement("RFC4422-3.8-01")
@pytest.mark.requirement("SMTP4954-4-03", "POP5034-4-03", "POP5034-4-04", "IMAP3501-6.2.2-20")
def test_a_second_success_is_impossible(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.again)


@pytest.mark.requirement("SMTP4954-6-01")
def test_an_account_store_that_is_down_is_a_temporary_failure(protocol: MailProtocol) -> None:
    class Down:
        def lookup(self, question: Question) -> Account | None:
            raise NoAuthenticatingAuthority("the store is down")

    with session(protocol, authority=Down()) as (wire, words):
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.temporary)


@pytest.mark.requirement("SMTP4954-4-22", "POP5034-4-11", "IMAP3501-6.2.2-22", "IMAP4959-6-02")
@pytest.mark.parametrize("size", [6000, 12288, 60000])
def test_long_lines_of_an_exchange_are_no_unknown_commands(protocol: MailProtocol, size: int) -> None:
    with session(protocol) as (wire, words):
        wire.auth(b"PLAIN")
        assert wire.answer(b"A" * size).startswith(words.denied)
        assert wire.auth(b"PLAIN " + b"A" * size).startswith(words.denied)
        assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)


@pytest.mark.requirement("SMTP4954-4-24", "SMTP4954-6-08")
def test_a_line_without_end_is_not_kept(protocol: MailProtocol) -> None:
    with session(protocol) as (wire, words):
        wire.auth(b"PLAIN")
        if protocol is SMTP:
            assert wire.answer(b"A" * 100_000).startswith(b"500 5.5.6")
            assert wire.auth(b"PLAIN " + PLAIN).startswith(words.success)
        else:
            with contextlib.suppress(ConnectionError):
                wire.send(b"A" * 1_000_000)
                assert b"BAD" in wire.line() or True
                wire.rest()


@pytest.mark.requirement("SMTP4954-6-03")
def test_a_mechanism_that_the_policy_forbids_is_too_weak() -> None:
    with session(SMTP, policy=saslsspi.Policy(properties=Property.NO_DICTIONARY)) as (wire, _):
        assert wire.mechanisms() == set()
        assert wire.auth(b"DIGEST-MD5").startswith(b"534 5.7.9")


@pytest.mark.requirement("IMAP3501-6.2.2-15", "IMAP3501-6.2.2-16")
def test_the_tagged_ok_carries_no_capabilities_when_a_layer_begins() -> None:
    with session(IMAP, policy=saslsspi.Policy(min_ssf=1)) as (wire, _):
        client = saslsspi.Client(
            "DIGEST-MD5",
            service="imap",
            host="localhost",
            credentials=saslsspi.Password("alice", PEOPLE["alice"], realm=REALM),
            policy=saslsspi.Policy(min_ssf=1),
        )
        challenge = wire.auth(b"DIGEST-MD5")
        while challenge.startswith(b"+ "):
            response = client.step(base64.b64decode(challenge[2:])) or b""
            challenge = wire.answer(base64.b64encode(response))
        assert challenge.startswith(b"OK")
        assert b"CAPABILITY" not in challenge
        client.succeed()
        assert client.layer is not None
        wire.sock.sendall(client.layer.wrap(b"z CAPABILITY\r\n"))
        assert b"z OK" in client.layer.unwrap(wire.sock.recv(10000))


def test_clear_text_pipelined_behind_the_last_response_ends_the_connection(protocol: MailProtocol) -> None:
    with session(protocol, policy=saslsspi.Policy(min_ssf=1)) as (wire, words):
        service = {"smtp": "smtp", "imap": "imap", "pop3": "pop"}[protocol.name]
        client = saslsspi.Client(
            "DIGEST-MD5",
            service=service,
            host="localhost",
            credentials=saslsspi.Password("alice", PEOPLE["alice"], realm=REALM),
            policy=saslsspi.Policy(min_ssf=1),
        )
        challenge = wire.auth(b"DIGEST-MD5")[len(words.empty) :]
        proof = wire.answer(base64.b64encode(client.step(base64.b64decode(challenge)) or b""))
        client.step(base64.b64decode(proof[len(words.empty) :]))
        wire.send(b"", {"smtp": b"EHLO me", "imap": b"z NOOP", "pop3": b"NOOP"}[protocol.name])
        with contextlib.suppress(ConnectionError):
            rest = wire.rest()
            assert b"z OK" not in rest
            assert b"250" not in rest
            assert rest.count(b"+OK") < 2


def test_octets_that_are_not_under_the_layer_end_the_connection(protocol: MailProtocol) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        client.authenticate_sasl(
            "DIGEST-MD5", credentials=saslsspi.Password("alice", "wonderland"), policy=saslsspi.Policy(min_ssf=1)
        )
        raw = client.sock.transport
        raw.sendall(b"z NOOP\r\n")
        with contextlib.suppress(ConnectionError):
            assert raw.recv(100) == b""


def test_clear_text_behind_starttls_is_not_executed(protocol: MailProtocol) -> None:
    tls = certificate()
    with session(protocol, certificate=tls.server) as (wire, _):
        start = {"smtp": b"STARTTLS", "imap": b"s STARTTLS", "pop3": b"STLS"}[protocol.name]
        wire.send(start, {"smtp": b"NOOP", "imap": b"z NOOP", "pop3": b"NOOP"}[protocol.name])
        with contextlib.suppress(OSError):
            rest = wire.rest() if protocol is not SMTP else wire.line() + b"\r\n"
            assert b"z OK" not in rest
            assert rest.count(b"\r\n") <= 1


# SMTP alone


@pytest.mark.requirement("SMTP4954-4-04")
def test_auth_is_refused_during_a_mail_transaction() -> None:
    with session(SMTP, auth_required=False) as (wire, _):
        assert wire.ask(b"MAIL FROM:<a@example.test>").startswith(b"250")
        assert wire.auth(b"PLAIN " + PLAIN).startswith(b"503")
        assert wire.ask(b"RSET").startswith(b"250")
        assert wire.auth(b"PLAIN " + PLAIN).startswith(b"235")


@pytest.mark.requirement("SMTP4954-6-05", "SMTP4954-4-16", "SMTP4954-3-04")
def test_a_submission_server_wants_authentication_for_mail_and_keeps_the_session() -> None:
    with session(SMTP) as (wire, _):
        assert wire.ask(b"MAIL FROM:<a@example.test>").startswith(b"530 5.7.0")
        for command in (b"NOOP", b"RSET"):
            assert wire.ask(command).startswith(b"250")
        assert wire.auth(b"PLAIN " + PLAIN).startswith(b"235")
        assert wire.ask(b"MAIL FROM:<a@example.test>").startswith(b"250")


@pytest.mark.requirement("SMTP4954-4-14")
def test_under_a_layer_the_session_begins_again() -> None:
    with serving(SMTP) as (server, _):
        client = SMTP.connect("127.0.0.1", server.port)
        client.ehlo = lambda *_: (250, b"")  # a client that believes it need not
        client.esmtp_features, client.does_esmtp, client.ehlo_resp = {"auth": "DIGEST-MD5"}, True, b"x"
        smtp = super(type(client), client)
        smtp.ehlo()
        client.authenticate_sasl(
            "DIGEST-MD5", credentials=saslsspi.Password("alice", "wonderland"), policy=saslsspi.Policy(min_ssf=1)
        )
        assert client.docmd("MAIL FROM:<a@example.test>")[0] == 503
        smtp.ehlo()
        assert "starttls" not in client.esmtp_features
        assert client.docmd("MAIL FROM:<a@example.test>")[0] == 250


@pytest.mark.requirement("SMTP4954-3-03", "SMTP4954-5-01", "SMTP4954-5-03", "SMTP4954-8-02")
def test_mail_takes_the_auth_parameter() -> None:
    with session(SMTP, auth_required=False) as (wire, _):
        for value in (b"<>", b"e+3Dmc2@example.com", b"a" * 400 + b"@example.com"):
            assert wire.ask(b"MAIL FROM:<a@example.test> AUTH=" + value).startswith(b"250")
            wire.ask(b"RSET")
        assert wire.ask(b"MAIL FROM:<a@example.test> AUTH=a=b").startswith(b"501")
        assert wire.ask(b"MAIL FROM:<a@example.test> AUTH=").startswith(b"501")


# POP3 and IMAP alone


@pytest.mark.requirement("POP5034-3-05")
def test_capa_lists_sasl_after_authentication() -> None:
    with session(POP3) as (wire, _):
        wire.auth(b"PLAIN " + PLAIN)
        assert "DIGEST-MD5" in wire.mechanisms()


def test_pop3_serves_messages_and_survives_nonsense() -> None:
    with session(POP3) as (wire, _):
        for command in (b"STAT", b"RETR 1", b"LIST"):
            assert wire.ask(command).startswith(b"-ERR")
        wire.auth(b"PLAIN " + PLAIN)
        assert wire.ask(b"LIST 1") == b"+OK 1 %d" % len(MESSAGE)
        assert wire.ask(b"UIDL 1") == b"+OK 1 m1"
        for command in (b"RETR 2", b"RETR x", b"RETR " + b"9" * 5000, b"TOP 1", b"TOP 1 x", b"XYZ", b"", b"\xff\xfe"):
            assert wire.ask(command).startswith(b"-ERR")
        wire.send(b"TOP 1 1")
        top = [b"+OK", b"Subject: carried", b"", b"...two dots and forty octets more of text", b"."]
        assert [wire.line() for _ in top] == top
        assert wire.ask(b"DELE 1") == b"+OK"
        assert wire.ask(b"STAT") == b"+OK 0 0"
        assert wire.ask(b"RSET") == b"+OK"
        assert wire.ask(b"QUIT").startswith(b"+OK")
        assert wire.rest() == b""


def test_imap_bounds_what_a_stranger_may_send() -> None:
    with session(IMAP) as (wire, _):
        assert wire.ask(b"a APPEND INBOX {10}").startswith(b"a BAD")
        assert wire.ask(b"a AUTHENTICATE PLAIN {10}").startswith(b"a BAD")
        assert wire.ask(b"a SELECT INBOX").startswith(b"a BAD")
        assert wire.ask(b"").startswith(b"* BAD")
        assert wire.ask(b"\xff\xfe \x00").startswith(b"* BAD")
        wire.send(b"a APPEND INBOX {9999999999+}")
        assert wire.line().startswith(b"a BAD")
        assert wire.rest() == b""


@pytest.mark.requirement("IMAP9051-6.2.2-04")
def test_imap_fetches_what_was_appended() -> None:
    with session(IMAP) as (wire, _):
        wire.auth(b"PLAIN " + PLAIN)
        wire.send(b"b APPEND INBOX (\\Seen) {5+}", b"hello")
        assert wire.line().startswith(b"b OK")
        assert wire.ask(b"b APPEND {5+}\r\nINBOX {3+}\r\nabc").startswith((b"b BAD", b"b OK"))
        assert wire.ask(b"b FETCH 1 RFC822").startswith(b"b BAD")
        wire.send(b'b SELECT "INBOX"')
        assert b"* 1 EXISTS" in wire.until(b"b ")
        assert wire.ask(b"b FETCH 2 RFC822").startswith(b"b BAD")
        assert wire.ask(b"b FETCH 1:99999999 RFC822").startswith(b"b BAD")
        wire.send(b"b UID FETCH 1:* (FLAGS RFC822.SIZE BODY.PEEK[])")
        assert wire.until(b"b ")[:2] == [b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 5 BODY[] {5}", b"hello)"]
        assert wire.ask(b"b SELECT Other").startswith(b"b NO")
