"""Servers that lie: each ends with an error of our own, the user's object closed, and nothing waits for ever."""

import base64
import contextlib
from collections.abc import Callable

import pytest

import saslsspi
from adapters.mail_world import ALICE, PROTOCOLS, REALM, MailProtocol, Peer, is_closed, scripted
from saslsspi.errors import DowngradeDetected, InvalidToken, MutualAuthFailed, SaslError

CREDENTIALS = ALICE


class Lines:
    """What a scripted server says, in each protocol's words."""

    def __init__(self, protocol: MailProtocol, mechanisms: str, peer: Peer) -> None:
        self.name, self.mechanisms, self.peer = protocol.name, mechanisms, peer
        self.tag = b""

    def greet(self) -> None:
        """Greet, and list the mechanisms."""
        listed = self.mechanisms.split()
        if self.name == "imap":
            self.peer.say(b"* OK hello")
            self.tag = self.peer.hear().split()[0]
            self.capability()
        elif self.name == "smtp":
            self.peer.say(b"220 hello")
            self.peer.hear()
            self.peer.say(b"250-here", b"250 AUTH " + " ".join(listed).encode())
        else:
            self.peer.say(b"+OK hello")
            self.peer.hear()
            self.peer.say(b"+OK", b"SASL " + " ".join(listed).encode(), b".")

    def capability(self) -> None:
        listed = " ".join(f"AUTH={name}" for name in self.mechanisms.split())
        self.peer.say(b"* CAPABILITY IMAP4rev1 SASL-IR " + listed.encode(), self.tag + b" OK done")

    def hear_command(self) -> bytes:
        """Return the arguments of AUTH or AUTHENTICATE."""
        words = self.peer.hear().split(b" ", 2 if self.name == "imap" else 1)
        if self.name == "imap":
            self.tag = words[0]
        return words[-1]

    def challenge(self, text: bytes) -> bytes:
        return {"smtp": b"334 ", "imap": b"+ ", "pop3": b"+ "}[self.name] + text

    def success(self) -> bytes:
        return {"smtp": b"235 ok", "imap": self.tag + b" OK ok", "pop3": b"+OK ok"}[self.name]

    def refusal(self) -> bytes:
        return {"smtp": b"501 no", "imap": self.tag + b" BAD no", "pop3": b"-ERR no"}[self.name]


def attack(
    protocol: MailProtocol,
    script: Callable[[Lines], object],
    *,
    mechanism: str | None = "DIGEST-MD5",
    mechanisms: str = "DIGEST-MD5",
    policy: saslsspi.Policy | None = None,
    credentials: saslsspi.Password = CREDENTIALS,
    expected: type[SaslError] = SaslError,
) -> tuple[SaslError, Peer]:
    """Log on to a scripted server; return our error, and the server's end."""

    def play(peer: Peer) -> None:
        lines = Lines(protocol, mechanisms, peer)
        lines.greet()
        script(lines)

    with scripted(play) as (port, join):
        client = protocol.connect("127.0.0.1", port)
        with pytest.raises(expected) as caught:
            client.authenticate_sasl(mechanism, credentials=credentials, policy=policy)
        assert is_closed(client)
        assert client.security is None
        return caught.value, join()


def digest_server(policy: saslsspi.Policy | None = None, host: str = "127.0.0.1", service: str = "") -> saslsspi.Server:
    return saslsspi.Server(
        "DIGEST-MD5",
        service=service,
        host=host,
        realm=REALM,
        authority=saslsspi.MemoryAuthority({"alice": "wonderland"}),
        policy=policy,
        success_data=False,
    )


def logged_on(lines: Lines, policy: saslsspi.Policy | None = None) -> saslsspi.Server:
    """Serve DIGEST-MD5 honestly up to, but without, the success reply."""
    lines.hear_command()
    service = {"smtp": "smtp", "imap": "imap", "pop3": "pop"}[lines.name]
    server = digest_server(policy, service=service)
    challenge = server.step(None)
    while not server.done:
        lines.peer.say(lines.challenge(base64.b64encode(challenge or b"")))
        challenge = server.step(base64.b64decode(lines.peer.hear()))
    return server


def answer_capabilities(lines: Lines, server: saslsspi.Server, mechanisms: str) -> bytes:
    """Read the first command under the layer, answer it as if it asked for the capabilities, and return it."""
    layer = server.layer
    assert layer is not None
    text = layer.unwrap(lines.peer.sock.recv(10000))
    tag = text.split(b" ")[0]
    listed = mechanisms.encode()
    answer = {
        "smtp": b"250-here\r\n250 AUTH " + listed + b"\r\n",
        "imap": b"* CAPABILITY IMAP4rev1 AUTH=" + listed.replace(b" ", b" AUTH=") + b"\r\n" + tag + b" OK done\r\n",
        "pop3": b"+OK\r\nSASL " + listed + b"\r\n.\r\n",
    }[lines.name]
    lines.peer.sock.sendall(layer.wrap(answer))
    return text


@pytest.mark.requirement("SMTP4954-4-27", "SMTP4954-4-28", "POP5034-4-22", "POP5034-4-23", "IMAP9051-6.2.2-02")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("text", [b"%%%", b"=AAA", b"AAA=BBB", b"A A=", b"NTLM supported", b"QUJD\x00"])
def test_a_challenge_that_is_not_base64_is_cancelled(protocol: MailProtocol, text: bytes) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        lines.peer.say(lines.challenge(text))
        lines.peer.hear()
        lines.peer.say(lines.refusal())

    error, peer = attack(protocol, script)
    assert isinstance(error, InvalidToken)
    assert peer.heard[-1] == b"*"
    assert text.decode("latin-1") not in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_challenge_line_of_ten_megabytes_is_not_read(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        with contextlib.suppress(OSError):
            lines.peer.sock.sendall(lines.challenge(b"A" * 10_000_000))

    error, _ = attack(protocol, script, expected=InvalidToken)
    assert "longer" in str(error)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_challenges_without_end_are_cancelled(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        for _ in range(200):
            lines.peer.say(lines.challenge(b""))
            if lines.peer.hear() == b"*":
                lines.peer.say(lines.refusal())
                return

    attack(protocol, script, mechanism="SCRAM-SHA-256", mechanisms="SCRAM-SHA-256")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize("when", ["at once", "after a challenge"])
def test_success_before_the_mechanism_is_complete_is_no_success(
    protocol: MailProtocol, mechanism: str, when: str
) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        if when == "after a challenge":
            challenge = digest_server(service="imap").step(None) or b""
            lines.peer.say(lines.challenge(base64.b64encode(challenge) if mechanism == "DIGEST-MD5" else b""))
            lines.peer.hear()
        lines.peer.say(lines.success())
        assert lines.peer.rest() in (b"", b"*\r\n")

    attack(protocol, script, mechanism=mechanism, mechanisms=mechanism, expected=SaslError)


@pytest.mark.requirement("SMTP4954-4-11", "POP5034-4-09")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_success_without_the_servers_proof_is_no_success(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        challenge = digest_server(service="x").step(None) or b""
        lines.peer.say(lines.challenge(base64.b64encode(challenge)))
        lines.peer.hear()
        lines.peer.say(lines.success())

    attack(protocol, script, expected=MutualAuthFailed)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_wrong_proof_of_the_server_is_cancelled(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        challenge = digest_server(service="x").step(None) or b""
        lines.peer.say(lines.challenge(base64.b64encode(challenge)))
        lines.peer.hear()
        lines.peer.say(lines.challenge(base64.b64encode(b"rspauth=" + b"0" * 32)))
        lines.peer.hear()
        lines.peer.say(lines.refusal())

    _, peer = attack(protocol, script)
    assert peer.heard[-1] == b"*"


@pytest.mark.requirement("IMAP3501-6.2.2-08", "IMAP3501-6.2.2-09", "SMTP4954-4-34", "POP5034-4-14")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("trailing", [b"* CAPABILITY IMAP4rev1\r\n", b"250 forged\r\n", b"+OK forged\r\n", b"\0"])
def test_clear_text_behind_the_success_reply_is_not_read_as_protected(protocol: MailProtocol, trailing: bytes) -> None:
    def script(lines: Lines) -> None:
        server = logged_on(lines)
        lines.peer.sock.sendall(lines.success() + b"\r\n" + trailing)
        with contextlib.suppress(OSError, SaslError):  # but for these octets, all would be well
            answer_capabilities(lines, server, "DIGEST-MD5")
            lines.peer.rest()

    attack(protocol, script, policy=saslsspi.Policy(min_ssf=1))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_server_that_goes_on_in_clear_under_a_layer_is_refused(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        logged_on(lines)
        lines.peer.say(lines.success())
        with contextlib.suppress(OSError):
            lines.peer.sock.recv(1000)
            lines.peer.say(b"250 forged", b"* CAPABILITY IMAP4rev1", b"+OK")
            lines.peer.rest()

    attack(protocol, script, policy=saslsspi.Policy(min_ssf=1))


@pytest.mark.requirement("RFC4422-3.2-02")
@pytest.mark.requirement(
    "IMAP3501-6.2.2-17", "SMTP4954-4-14", "SMTP4954-4-15", "SMTP4954-4-32", "POP5034-4-15", "IMAP9051-6.2.2-09"
)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_better_mechanism_that_was_hidden_in_clear_shows_under_the_layer(protocol: MailProtocol) -> None:
    asked: list[bytes] = []

    def script(lines: Lines) -> None:
        server = logged_on(lines)
        lines.peer.say(lines.success())
        asked.append(answer_capabilities(lines, server, "SCRAM-SHA-256 DIGEST-MD5"))
        lines.peer.rest()

    attack(
        protocol,
        script,
        mechanism=None,
        policy=saslsspi.Policy(max_ssf=1, min_ssf=0),
        expected=DowngradeDetected,
    )
    assert asked[0].upper().split(b" ")[1 if protocol.name == "imap" else 0].strip() in (
        b"EHLO",
        b"CAPABILITY",
        b"CAPA",
    )


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_false_invitation_to_an_initial_response_is_named(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        assert b" " in lines.hear_command()
        lines.peer.say(lines.challenge(b""))
        lines.peer.hear()
        lines.peer.say(lines.refusal())

    _, peer = attack(protocol, script, mechanism="SCRAM-SHA-256", mechanisms="SCRAM-SHA-256")
    assert peer.heard[-1] == b"*"


STEPS = ["before the command", "after the command", "after a challenge", "before the success", "under the layer"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("cut", [True, False], ids=["in a line", "between lines"])
def test_a_connection_that_closes_at_any_step_is_an_error(protocol: MailProtocol, step: str, cut: bool) -> None:
    def script(lines: Lines) -> None:
        rest = b"3" if cut else b""
        if step == "before the command":
            lines.peer.sock.sendall(rest)
            return
        if step in ("before the success", "under the layer"):
            server = logged_on(lines)
            if step == "under the layer":
                lines.peer.say(lines.success())
                lines.peer.sock.recv(10000)
                assert server.layer is not None
                rest = server.layer.wrap(b"250 x")[: 9 if cut else 0]
            lines.peer.sock.sendall(rest)
            return
        lines.hear_command()
        if step == "after a challenge":
            challenge = digest_server(service="x").step(None) or b""
            lines.peer.say(lines.challenge(base64.b64encode(challenge)))
            lines.peer.hear()
        lines.peer.sock.sendall(rest)

    attack(protocol, script, policy=saslsspi.Policy(min_ssf=1))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_an_answer_that_is_not_of_the_protocol_is_an_error(protocol: MailProtocol) -> None:
    def script(lines: Lines) -> None:
        lines.hear_command()
        lines.peer.say(b"HTTP/1.1 400 Bad Request")

    attack(protocol, script)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_servers_text_reaches_errors_without_control_characters(protocol: MailProtocol) -> None:
    def script(peer: Peer) -> None:
        lines = Lines(protocol, "DIGEST-MD5", peer)
        lines.greet()
        lines.hear_command()
        words = {"smtp": b"535 ", "imap": lines.tag + b" NO ", "pop3": b"-ERR "}[protocol.name]
        peer.say(words + b"\x1b[31mred\x07" + b"x" * 1000)
        peer.rest()

    with scripted(script) as (port, _):
        client = protocol.connect("127.0.0.1", port)
        with pytest.raises(protocol.error) as caught:
            client.authenticate_sasl("DIGEST-MD5", credentials=ALICE)
        assert isinstance(caught.value, SaslError)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 400
        assert not is_closed(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_clear_text_behind_the_reply_to_starttls_is_not_read_under_tls(protocol: MailProtocol) -> None:
    from adapters.mail_world import certificate

    def script(peer: Peer) -> None:
        lines = Lines(protocol, "DIGEST-MD5", peer)
        if protocol.name == "smtp":
            peer.say(b"220 hello")
            peer.hear()
            peer.say(b"250-here", b"250 STARTTLS")
            peer.hear()
            peer.say(b"220 go", b"250-forged", b"250 AUTH PLAIN")
        elif protocol.name == "imap":
            peer.say(b"* OK hello")
            lines.tag = peer.hear().split()[0]
            peer.say(b"* CAPABILITY IMAP4rev1 STARTTLS", lines.tag + b" OK done")
            tag = peer.hear().split()[0]
            peer.say(tag + b" OK go", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN")
        else:
            peer.say(b"+OK hello")
            peer.hear()
            peer.say(b"+OK", b"STLS", b".")
            peer.hear()
            peer.say(b"+OK go", b"+OK", b"SASL PLAIN", b".")
        if protocol.name != "smtp":
            with contextlib.suppress(OSError):
                peer.sock = certificate().server.wrap_socket(peer.sock, server_side=True)
                peer.sock.recv(1000)

    with scripted(script) as (port, _):
        client = protocol.connect("localhost", port)
        with pytest.raises(SaslError, match="in clear"):
            protocol.start_tls(client, certificate().client)


def test_the_scripts_speak_the_protocols() -> None:
    """What the tests above call lies is told by a server whose honest half works."""
    for protocol in PROTOCOLS:
        done: list[bool] = []

        def play(peer: Peer, protocol: MailProtocol = protocol, done: list[bool] = done) -> None:
            lines = Lines(protocol, "DIGEST-MD5", peer)
            lines.greet()
            server = logged_on(lines, saslsspi.Policy(max_ssf=0))
            peer.say(lines.success())
            done.append(server.done)
            if protocol.name == "imap":
                lines.tag = peer.hear().split()[0]
                lines.capability()

        with scripted(play) as (port, join):
            client = protocol.connect("127.0.0.1", port)
            assert client.authenticate_sasl("DIGEST-MD5", credentials=ALICE).ssf == 0
            join()
        assert done == [True]
