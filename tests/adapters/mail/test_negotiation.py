"""What clients say first: which mechanism, with or without an initial response, and to which server's certificate."""

import base64
import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import saslsspi
from adapters.mail_world import (
    ALICE,
    IMAP,
    POP3,
    PROTOCOLS,
    SMTP,
    MailProtocol,
    Peer,
    certificate,
    is_closed,
    leave,
    scripted,
    serving,
)
from saslsspi.credentials import Anonymous
from saslsspi.errors import (
    AlgorithmMismatch,
    BadBindings,
    LogonDenied,
    NoAuthenticatingAuthority,
    PackageNotFound,
    UnsupportedFunction,
)


def greet_smtp(peer: Peer, mechanisms: bytes) -> None:
    peer.say(b"220 hello")
    peer.hear()
    peer.say(b"250-here", b"250-PIPELINING", b"250 AUTH " + mechanisms)


@pytest.mark.requirement("IMAP4959-3-08", "IMAP4959-3-09", "IMAP3501-6.2.2-02")
@pytest.mark.parametrize("capabilities", [b"IMAP4rev1", b"IMAP4rev1 SASL-IR"])
def test_imap_gets_an_initial_response_only_where_it_is_invited(capabilities: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"* OK hello")
        tag = peer.hear().split()[0]
        peer.say(b"* CAPABILITY " + capabilities + b" AUTH=SCRAM-SHA-1", tag + b" OK done")
        tag, _, command = peer.hear().partition(b" ")
        if b"SASL-IR" in capabilities:
            assert command.startswith(b"AUTHENTICATE SCRAM-SHA-1 biws")
        else:
            assert command == b"AUTHENTICATE SCRAM-SHA-1"
            peer.say(b"+ ")
            assert base64.b64decode(peer.hear()).startswith(b"n,,n=alice")
        peer.say(tag + b" NO [AUTHENTICATIONFAILED] no")
        peer.rest()

    with scripted(script) as (port, _):
        client = IMAP.connect("127.0.0.1", port)
        with pytest.raises(LogonDenied):
            client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)


@pytest.mark.requirement("POP5034-3-03", "POP5034-3-04")
@pytest.mark.parametrize("capa", [[b"-ERR what"], [b"+OK", b"TOP", b"."]])
def test_pop3_tries_auth_without_the_capability_only_when_told_and_without_initial_response(capa: list[bytes]) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"+OK hello")
        for _ in range(2):
            assert peer.hear() == b"CAPA"
            peer.say(*capa)
        assert peer.hear() == b"AUTH SCRAM-SHA-1"
        peer.say(b"-ERR no")
        peer.rest()

    with scripted(script) as (port, _):
        client = POP3.connect("127.0.0.1", port)
        with pytest.raises(UnsupportedFunction):
            client.authenticate_sasl(credentials=ALICE)
        with pytest.raises(LogonDenied):
            client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)


def test_smtp_without_auth_is_an_error_before_anything_is_sent() -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 hello")
        peer.hear()
        peer.say(b"250 here")
        assert peer.rest() == b""

    with scripted(script) as (port, _):
        client = SMTP.connect("127.0.0.1", port)
        with pytest.raises(UnsupportedFunction):
            client.authenticate_sasl(credentials=ALICE)


@pytest.mark.requirement("SMTP4954-4-38")
def test_nothing_is_pipelined_behind_auth() -> None:
    def script(peer: Peer) -> None:
        greet_smtp(peer, b"SCRAM-SHA-1")
        peer.hear()
        peer.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.sock.recv(1)
        peer.sock.settimeout(10)
        peer.say(b"535 5.7.8 no")
        peer.sock.recv(1)

    with scripted(script) as (port, join):
        client = SMTP.connect("127.0.0.1", port)
        with pytest.raises(LogonDenied):
            client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)
        client.close()
        join()


@pytest.mark.requirement("SMTP4954-6-12", "IMAP3501-6.2.2-18")
@pytest.mark.parametrize("code", [b"534 5.7.9 too weak", b"504 5.5.4 what"])
def test_a_mechanism_that_the_server_finds_unsuitable_is_followed_by_the_next(code: bytes) -> None:
    def script(peer: Peer) -> None:
        greet_smtp(peer, b"SCRAM-SHA-1 SCRAM-SHA-256 DIGEST-MD5")
        for _ in range(3):
            peer.hear()
            peer.say(code)
        peer.rest()

    with scripted(script) as (port, join):
        client = SMTP.connect("127.0.0.1", port)
        with pytest.raises(AlgorithmMismatch):
            client.authenticate_sasl(credentials=ALICE)
        client.close()
        tried = [line.split()[1] for line in join().heard if line.startswith(b"AUTH ")]
        assert tried == [b"SCRAM-SHA-256", b"SCRAM-SHA-1", b"DIGEST-MD5"]


@pytest.mark.requirement("IMAP3501-6.2.2-18")
@pytest.mark.parametrize(
    ("reply", "named", "tries"),
    [(b"501 no", True, 2), (b"501 no", False, 1), (b"535 5.7.8 no", True, 1), (b"454 4.7.0 later", True, 1)],
)
def test_a_refusal_is_no_invitation_to_guess_again(reply: bytes, named: bool, tries: int) -> None:
    def script(peer: Peer) -> None:
        greet_smtp(peer, b"SCRAM-SHA-1 DIGEST-MD5")
        while peer.hear().startswith(b"AUTH"):
            peer.say(reply)

    with scripted(script) as (port, join):
        client = SMTP.connect("127.0.0.1", port)
        expected = NoAuthenticatingAuthority if reply.startswith(b"4") else LogonDenied
        with pytest.raises(expected):
            client.authenticate_sasl(["DIGEST-MD5", "SCRAM-SHA-1"] if named else None, credentials=ALICE)
        client.close()
        heard = [line for line in join().heard if line.startswith(b"AUTH")]
        assert len(heard) == tries
        assert (heard[0] == b"AUTH DIGEST-MD5") == named


@pytest.mark.requirement("SMTP4954-14-05")
def test_names_in_certificates_are_compared_without_regard_to_case() -> None:
    tls = certificate()
    with serving(SMTP, certificate=tls.server) as (server, _):
        client = SMTP.connect("LocalHost", server.port)
        client.starttls(context=tls.client)
        assert client.authenticate_sasl("PLAIN", credentials=ALICE, host="localhost").authcid == "alice"
        leave(client)


@pytest.mark.requirement("SMTP4954-14-06", "SMTP4954-14-04")
@pytest.mark.parametrize(
    ("name", "fits"), [("a.example.test", True), ("example.test", False), ("a.b.example.test", False)]
)
def test_a_star_stands_for_the_leftmost_label(name: str, fits: bool, tmp_path: Path) -> None:
    server_context, client_context = wildcard_contexts(tmp_path)
    with serving(SMTP, certificate=server_context) as (server, reports):
        client = SMTP.connect("127.0.0.1", server.port)
        client._host = name  # as if opened by that name, which no DNS knows here
        if fits:
            client.starttls(context=client_context)
            client.authenticate_sasl("PLAIN", credentials=ALICE)
            leave(client)
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                client.starttls(context=client_context)
    assert len(reports) == fits


def wildcard_contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return a server's and a client's context for a certificate of *.example.test, whose CN is another name."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "example.test")])
    now = datetime.datetime.now(datetime.UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.example.test")]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    client = ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


@pytest.mark.requirement("IMAP3501-6.2.2-15")
def test_imap_takes_the_capabilities_of_the_tagged_ok_where_there_is_no_layer() -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.say(b"* OK hello")
        tag = peer.hear().split()[0]
        peer.say(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-1", tag + b" OK done")
        tag, _, arguments = peer.hear().partition(b" AUTHENTICATE SCRAM-SHA-1 ")
        server = saslsspi.Server(
            "SCRAM-SHA-1",
            service="imap",
            host="127.0.0.1",
            authority=saslsspi.MemoryAuthority({"alice": "wonderland"}),
            success_data=False,
        )
        reply = server.step(base64.b64decode(arguments))
        while not server.done:
            peer.say(b"+ " + base64.b64encode(reply or b""))
            reply = server.step(base64.b64decode(peer.hear()))
        peer.say(tag + b" OK [CAPABILITY IMAP4rev1 IDLE] in")
        heard.append(peer.hear())

    with scripted(script) as (port, join):
        client = IMAP.connect("127.0.0.1", port)
        client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)
        assert client.capabilities == ("IMAP4REV1", "IDLE")
        client.shutdown()
        join()
    assert heard == [b""]


@pytest.mark.requirement("SMTP4954-4-26", "POP5034-4-21", "IMAP9051-6.2.2-05", "IMAP4959-3-03")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("initial_response", [True, False], ids=["equals sign", "empty challenge"])
def test_external_takes_the_clients_certificate(protocol: MailProtocol, initial_response: bool, tmp_path: Path) -> None:
    server_context, client_context = wildcard_contexts(tmp_path)
    server_context.verify_mode = ssl.CERT_OPTIONAL
    server_context.load_verify_locations(tmp_path / "both.pem")
    client_context.load_cert_chain(tmp_path / "both.pem")
    client_context.check_hostname = False  # the certificate is another name's; it is the client's that counts here
    people = saslsspi.MemoryAuthority({"example.test": "unused"})
    with serving(protocol, certificate=server_context, authority=people) as (server, reports):
        client = protocol.connect_tls("localhost", server.tls_port, client_context)
        security = client.authenticate_sasl("EXTERNAL", initial_response=initial_response)
        assert security.mechanism == "EXTERNAL"
        leave(client)
    assert [report.security.authcid for report in reports] == ["example.test"]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_anonymous_is_let_in_only_where_the_policy_says_so(protocol: MailProtocol) -> None:
    nobody = Anonymous("guest@example.test")
    with serving(protocol, policy=saslsspi.Policy(allow_anonymous=True)) as (server, reports):
        client = protocol.connect("localhost", server.port)
        assert client.authenticate_sasl("ANONYMOUS", credentials=nobody).mechanism == "ANONYMOUS"
        leave(client)
        assert reports[0].security.trace == "guest@example.test"
    with serving(protocol) as (server, reports):
        client = protocol.connect("localhost", server.port)
        with pytest.raises(PackageNotFound):
            client.authenticate_sasl(["ANONYMOUS"], credentials=nobody)
        with pytest.raises((AlgorithmMismatch, LogonDenied), match="too weak"):
            client.authenticate_sasl("ANONYMOUS", credentials=nobody)
        leave(client)
        assert reports == []


@pytest.mark.parametrize(
    ("options", "second"),
    [
        ({}, b"AUTH SCRAM-SHA-1 "),
        ({"mechanism": "SCRAM-SHA-1"}, b"AUTH SCRAM-SHA-1 "),
        ({"mechanism": "SCRAM-SHA-1-PLUS"}, b""),
        ({"bindings": certificate().bindings}, b""),
        ({"policy": saslsspi.Policy(channel_binding=saslsspi.ChannelBindingPolicy.REQUIRE)}, b""),
    ],
    ids=["nothing asked", "named without", "named with", "bindings given", "bindings required"],
)
def test_channel_bindings_that_nobody_asked_for_may_be_given_up(options: dict[str, object], second: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.sock = certificate().server.wrap_socket(peer.sock, server_side=True)
        peer._file = peer.sock.makefile("rb")
        greet_smtp(peer, b"SCRAM-SHA-1-PLUS SCRAM-SHA-1")
        assert peer.hear().startswith(b"AUTH SCRAM-SHA-1-PLUS ")
        peer.say(b"501 5.7.0 bad protocol / cancel")
        line = peer.hear()
        assert line.startswith(second)
        assert bool(line) == bool(second)
        peer.say(b"535 5.7.8 no")
        peer.hear()

    with scripted(script) as (port, join):
        client = SMTP.connect_tls("localhost", port, certificate().client)
        with pytest.raises(LogonDenied):
            client.authenticate_sasl(credentials=ALICE, **options)
        client.close()
        sent = [line for line in join().heard if line.startswith(b"AUTH")]
        assert len(sent) == (2 if second else 1)
        if second:  # "n": this client takes no part in channel binding, and does not say "y"
            assert base64.b64decode(sent[1].split()[2]).startswith(b"n,,")


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_another_channel_than_the_servers_is_fatal(protocol: MailProtocol) -> None:
    elsewhere = saslsspi.ChannelBindings(application_data=b"tls-server-end-point:" + bytes(32))
    with serving(protocol, certificate=certificate().server, bindings=elsewhere) as (server, reports):
        client = protocol.connect_tls("localhost", server.tls_port, certificate().client)
        with pytest.raises(BadBindings):
            client.authenticate_sasl(credentials=ALICE)
        assert is_closed(client)
    assert reports == []
