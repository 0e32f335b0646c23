"""The dialogues by themselves: a client's generator and a server's steps, octet for octet, without a socket."""

import base64

import pytest

import saslsspi
from adapters.mail_world import ALICE, PEOPLE
from saslsspi.adapters.mail.dialogue import MAX_LINE, Refused, Turn, check_argument, converse, decode_line
from saslsspi.adapters.mail.line_protocol import LineProtocol, Reply, ReplyKind, Verdict
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.adapters.mail.protocols.imap import IMAP
from saslsspi.adapters.mail.protocols.pop3 import POP3
from saslsspi.adapters.mail.protocols.smtp import SMTP
from saslsspi.adapters.mail.server import SaslService
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import ContextMisuse, InvalidParameter, InvalidToken
from saslsspi.sasl.mechanism import ClientExchange, ClientParameters, First, Mechanism

PROTOCOLS = [SMTP, IMAP, POP3]
NAMED = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)


class Scripted(ClientExchange):
    """A client-first mechanism that says what it is told to."""

    def __init__(self, initial: bytes, parameters: ClientParameters) -> None:
        self.outcome: Outcome | None = None
        self._messages = [initial]

    def step(self, challenge: bytes | None) -> bytes | None:
        if not self._messages:
            raise InvalidToken("nothing more was expected")
        message = self._messages.pop()
        self.outcome = Outcome(username="alice", ssf=0)
        return message


def mechanism(initial: bytes, name: str = "SCRIPTED") -> Mechanism:
    return Mechanism(
        name=name,
        first=First.CLIENT,
        properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
        client=lambda parameters: Scripted(initial, parameters),
    )


def client(initial: bytes, name: str = "SCRIPTED") -> saslsspi.Client:
    return saslsspi.Client(mechanism(initial, name), service="smtp", host="h", credentials=ALICE)


def begin(
    initial: bytes, protocol: LineProtocol = SMTP, *, name: str = "SCRIPTED", invited: bool = True, **policy: object
):
    return converse(
        client(initial, name),
        protocol,
        policy=saslsspi.Policy(**policy),  # type: ignore[arg-type]
        initial_response=invited,
        tag=b"t" if protocol.tagged else b"",
    )


def said(turn: Turn, protocol: LineProtocol = SMTP) -> bytes:
    """What a turn sends, without the command's name, its tag and its CRLF."""
    assert turn.line.endswith(b"\r\n")
    assert turn.tag == (b"t" if protocol.tagged else b"")
    prefix = (b"t " if protocol.tagged else b"") + protocol.authenticate + b" "
    return turn.line.removeprefix(prefix).removesuffix(b"\r\n")


CHALLENGE = ReplyKind.CHALLENGE


@pytest.mark.requirement("RFC4422-3.3-01")
@pytest.mark.requirement(
    "SMTP4954-4-01", "SMTP4954-4-02", "POP5034-4-01", "POP5034-4-02", "IMAP4959-3-01", "IMAP4959-3-02",
    "IMAP9051-6.2.2-04",
)  # fmt: skip
@NAMED
def test_an_initial_response_is_bare_base64_behind_the_mechanism(protocol: LineProtocol) -> None:
    assert said(next(begin(b"\0alice\0pw", protocol)), protocol) == b"SCRIPTED AGFsaWNlAHB3"


@pytest.mark.requirement(
    "SMTP4954-4-26", "POP5034-4-21", "IMAP9051-6.2.2-05", "IMAP4959-3-03", "SMTP4954-4-02", "POP5034-4-02"
)
@NAMED
def test_an_empty_initial_response_is_one_equals_sign(protocol: LineProtocol) -> None:
    assert said(next(begin(b"", protocol)), protocol) == b"SCRIPTED ="


@pytest.mark.requirement("IMAP3501-6.2.2-02", "IMAP3501-6.2.2-05", "IMAP4959-3-09")
@pytest.mark.parametrize("initial", [b"", b"\0alice\0pw", b"x" * 10000])
def test_without_an_invitation_the_response_waits_for_an_empty_challenge(initial: bytes) -> None:
    dialogue = begin(initial, invited=False)
    assert said(next(dialogue)) == b"SCRIPTED"
    line = said(dialogue.send(Reply(CHALLENGE, b"")))
    assert line == base64.b64encode(initial)
    assert b"\n" not in line


@pytest.mark.requirement("SMTP4954-4-23", "POP5034-4-12")
@pytest.mark.parametrize(("protocol", "limit"), [(SMTP, 512), (POP3, 255)], ids=["smtp", "pop"])
def test_an_initial_response_that_makes_the_command_too_long_waits(protocol: LineProtocol, limit: int) -> None:
    room = (limit - len("AUTH SCRIPTED ") - 2) // 4 * 3
    fitting = next(begin(b"x" * room, protocol))
    assert limit - 4 < len(fitting.line) <= limit
    dialogue = begin(b"x" * (room + 1), protocol)
    assert said(next(dialogue)) == b"SCRIPTED"
    assert base64.b64decode(said(dialogue.send(Reply(CHALLENGE, b"")))) == b"x" * (room + 1)


@pytest.mark.requirement("RFC4422-4-12")
@pytest.mark.requirement("SMTP4954-4-22", "POP5034-4-11")
def test_responses_are_as_long_as_the_mechanism_needs() -> None:
    dialogue = begin(b"x" * 40_000)
    next(dialogue)
    assert len(dialogue.send(Reply(CHALLENGE, b"")).line) > 50_000
    assert MAX_LINE >= 12288


def test_a_mechanism_that_never_ends_is_ended() -> None:
    class Endless(Scripted):
        def step(self, challenge: bytes | None) -> bytes | None:
            return b"more"

    endless = Mechanism(
        name="ENDLESS",
        first=First.CLIENT,
        properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS,
        client=lambda parameters: Endless(b"", parameters),
    )
    dialogue = converse(
        saslsspi.Client(endless, service="smtp", host="h", credentials=ALICE),
        SMTP,
        policy=saslsspi.Policy(),
        initial_response=True,
    )
    next(dialogue)
    lines = [said(dialogue.send(Reply(CHALLENGE, b""))) for _ in range(65)]
    assert set(lines[:64]) == {base64.b64encode(b"more")}
    assert lines[64] == b"*"


def test_text_before_ntlm_is_tolerated_by_name_and_for_ntlm_only() -> None:
    dialogue = begin(b"NTLMSSP", name="NTLM", invited=False)
    next(dialogue)
    assert said(dialogue.send(Reply(CHALLENGE, b"NTLM supported"))) == base64.b64encode(b"NTLMSSP")
    with pytest.raises(StopIteration) as stopped:
        dialogue.send(Reply(ReplyKind.SUCCESS, b""))
    assert stopped.value.value == ("TEXT_BEFORE_NTLM",)
    strict = begin(b"NTLMSSP", name="NTLM", invited=False, tolerances=saslsspi.Tolerances.NONE)
    next(strict)
    assert said(strict.send(Reply(CHALLENGE, b"NTLM supported"))) == b"*"
    other = begin(b"x", invited=False)
    next(other)
    assert said(other.send(Reply(CHALLENGE, b"NTLM supported"))) == b"*"


def test_a_refusal_is_returned_and_not_raised() -> None:
    dialogue = begin(b"x")
    next(dialogue)
    with pytest.raises(StopIteration) as stopped:
        dialogue.send(Reply(ReplyKind.TEMPORARY, b"later"))
    assert isinstance(stopped.value.value, Refused)
    assert "later" in str(stopped.value.value.error())


def test_a_mechanism_name_that_would_be_a_command_is_not_sent() -> None:
    with pytest.raises(InvalidParameter):
        next(begin(b"x", name="PLAIN\r\nNOOP"))


@pytest.mark.requirement("SMTP4954-4-28", "POP5034-4-23", "IMAP4959-3-05")
@pytest.mark.parametrize(
    "line", [b"=AAA", b"AAA=BBB", b"A*A=", b"A A=", b"%%%", b"AAA", b"AAAA\n", b"=", b"\xff\xff=="]
)
def test_what_is_not_base64_is_not_decoded(line: bytes) -> None:
    with pytest.raises(InvalidToken):
        decode_line(line)


@pytest.mark.parametrize("argument", ["a\rb", "a\nb", "a\0b", b"a\r\nb"])
def test_arguments_with_line_ends_are_refused(argument: str | bytes) -> None:
    with pytest.raises(InvalidParameter):
        check_argument(argument)


# The server's half.


def service(**options: object) -> SaslService:
    values: dict[str, object] = {
        "service": "imap",
        "host": "h",
        "authority": saslsspi.MemoryAuthority(PEOPLE),
        "realm": "r",
        **options,
    }
    return SaslService(**values)  # type: ignore[arg-type]


PLAIN = base64.b64encode(b"\0alice\0wonderland")
PROTECTED = {"external_ssf": 256}


@pytest.mark.requirement("SMTP4954-8-01", "POP5034-5-01")
@pytest.mark.parametrize("name", [b"PLAIN", b"plain", b"Plain"])
def test_names_are_taken_without_regard_to_case(name: bytes) -> None:
    dialogue = service().dialogue(**PROTECTED)
    assert dialogue.begin(name + b" " + PLAIN).verdict is Verdict.SUCCESS
    assert dialogue.security.authcid == "alice"
    assert dialogue.layer is None


@pytest.mark.parametrize(
    ("arguments", "verdict"),
    [
        (b"", Verdict.MALFORMED),
        (b"PLAIN a b", Verdict.MALFORMED),
        (b"PL\xc3\x84IN", Verdict.MALFORMED),
        (b"NOSUCH", Verdict.UNSUITABLE),
        (b"PLAIN %%%", Verdict.UNDECODABLE),
        (b"PLAIN ==", Verdict.UNDECODABLE),
        (b"PLAIN " + b"A" * 100_000, Verdict.TOO_LONG),
        (b"DIGEST-MD5 AAAA", Verdict.UNINVITED),
        (b"DIGEST-MD5 =", Verdict.UNINVITED),
        (b"PLAIN " + base64.b64encode(b"\0alice\0no"), Verdict.DENIED),
        (b"PLAIN =", Verdict.DENIED),
    ],
    ids=lambda value: value.name if isinstance(value, Verdict) else None,
)
def test_a_command_that_cannot_succeed_ends_with_its_verdict(arguments: bytes, verdict: Verdict) -> None:
    dialogue = service().dialogue(**PROTECTED)
    assert dialogue.begin(arguments) == (b"", verdict)
    with pytest.raises(ContextMisuse):
        dialogue.security  # noqa: B018
    with pytest.raises(ContextMisuse):
        dialogue.receive(b"")
    with pytest.raises(ContextMisuse):
        dialogue.begin(b"PLAIN")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (b"*", Verdict.CANCELLED),
        (b"%%%", Verdict.UNDECODABLE),
        (b"A" * 100_000, Verdict.TOO_LONG),
        (b"AAAA", Verdict.DENIED),
    ],
)
@pytest.mark.parametrize("mechanism", [b"PLAIN", b"DIGEST-MD5", b"SCRAM-SHA-256"])
def test_a_response_that_cannot_succeed_ends_with_its_verdict(line: bytes, verdict: Verdict, mechanism: bytes) -> None:
    dialogue = service().dialogue(**PROTECTED)
    assert dialogue.begin(mechanism).verdict is None
    step = dialogue.receive(line)
    if step.verdict is None:  # SCRAM says why in a message of its own first
        step = dialogue.receive(b"")
    assert step == (b"", verdict)


@pytest.mark.requirement("IMAP4959-6-01", "IMAP4959-3-07", "SMTP4954-4-25", "POP5034-4-20")
def test_a_client_that_omits_the_initial_response_gets_an_empty_challenge() -> None:
    dialogue = service().dialogue(**PROTECTED)
    assert dialogue.begin(b"PLAIN") == (b"", None)
    assert dialogue.receive(PLAIN).verdict is Verdict.SUCCESS


@pytest.mark.requirement("IMAP4959-6-02", "IMAP3501-6.2.2-22", "POP5034-4-11", "SMTP4954-4-22")
@pytest.mark.parametrize("size", [4096, 8192, 12288])
def test_long_responses_are_taken_to_the_mechanism(size: int) -> None:
    for arguments in ([b"PLAIN " + b"A" * size], [b"PLAIN", b"A" * size]):
        dialogue = service().dialogue(**PROTECTED)
        step = dialogue.begin(arguments[0])
        if len(arguments) > 1:
            step = dialogue.receive(arguments[1])
        assert step.verdict is Verdict.DENIED
        assert dialogue.error is not None


@pytest.mark.requirement("SMTP4954-6-03")
def test_a_mechanism_that_the_policy_does_not_permit_is_too_weak() -> None:
    strict = service(policy=saslsspi.Policy(properties=Property.NO_DICTIONARY))
    assert strict.dialogue().begin(b"DIGEST-MD5").verdict is Verdict.TOO_WEAK
    assert service().dialogue().begin(b"PLAIN").verdict is Verdict.UNSUITABLE


@pytest.mark.requirement("SMTP4954-4-31", "POP5034-4-27", "SMTP4954-4-30", "POP5034-4-26")
def test_authorization_identities_are_prepared() -> None:
    def verdict(authzid: str) -> Verdict | None:
        initial = base64.b64encode(f"{authzid}\0alice\0wonderland".encode())
        return service().dialogue(**PROTECTED).begin(b"PLAIN " + initial).verdict

    assert verdict("\N{FULLWIDTH LATIN SMALL LETTER A}lice") is Verdict.SUCCESS
    assert verdict("al\N{SOFT HYPHEN}ice") is Verdict.SUCCESS
    assert verdict("\N{SOFT HYPHEN}") is Verdict.DENIED
    assert verdict("a\N{BELL}") is Verdict.DENIED


def test_every_verdict_has_its_words_in_every_protocol() -> None:
    for protocol in LINE_PROTOCOLS.values():
        assert set(protocol.replies) == set(Verdict)
        assert not any(b"\r" in line or b"\n" in line for line in protocol.replies.values())


def test_replies_to_many_rounds_end() -> None:
    dialogue = service().dialogue()
    step = dialogue.begin(b"SCRAM-SHA-256")
    for _ in range(1000):
        if step.verdict is not None:
            break
        step = dialogue.receive(b"")
    assert step.verdict in (Verdict.TOO_LONG, Verdict.DENIED)
