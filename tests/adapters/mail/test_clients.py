"""The users' clients against the embedded servers: every protocol, mechanism and layer; then TLS, then errors."""

import ssl

import pytest

import saslsspi
from adapters.mail_world import (
    ALICE,
    IMAP,
    MESSAGE,
    POP3,
    PROTOCOLS,
    MailProtocol,
    certificate,
    is_closed,
    leave,
    move_message,
    serving,
)
from saslsspi.accounts.account import Account, Question
from saslsspi.errors import (
    AlgorithmMismatch,
    ContextMisuse,
    InvalidParameter,
    LogonDenied,
    NoAuthenticatingAuthority,
    PackageNotFound,
    SaslError,
)

LAYERS = [(0, 0, "auth"), (1, 1, "auth-int"), (128, 128, "auth-conf")]
SECURE = saslsspi.Policy(allow_anonymous=True)


@pytest.mark.requirement(
    "IMAP3501-6.2.2-03", "SMTP4954-4-19", "POP5034-4-13", "IMAP3501-6.2.2-13", "POP5034-4-31", "IMAP3501-6.2.2-10"
)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize(("least", "most", "qop"), LAYERS, ids=[layer[2] for layer in LAYERS])
def test_a_message_moves_under_each_layer_of_digest_md5(
    protocol: MailProtocol, least: int, most: int, qop: str
) -> None:
    with serving(protocol) as (server, reports):
        client = protocol.connect("127.0.0.1", server.port)
        policy = saslsspi.Policy(min_ssf=least, max_ssf=most)
        security = client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=policy)
        assert (security.qop, security.ssf, security.authcid) == (qop, most, "alice")
        assert client.security == security
        move_message(client, server, MESSAGE)
        leave(client)
    assert [(report.security.qop, report.security.authcid) for report in reports] == [(qop, "alice")]


@pytest.mark.parametrize("protocol", [IMAP, POP3], ids=str)
@pytest.mark.parametrize("most", [1, 128])
def test_a_message_of_some_megabytes_moves_under_a_layer(protocol: MailProtocol, most: int) -> None:
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef0123456789abcdef0123456789abcdef012345678\r\n" * 60_000
    with serving(protocol, messages=[large] if protocol is POP3 else []) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=saslsspi.Policy(min_ssf=most, max_ssf=most))
        move_message(client, server, large)
        leave(client)
        assert server.traffic.protected > len(large)
        assert server.traffic.clear < 5000


@pytest.mark.requirement("IMAP9051-6.2.2-10", "IMAP9051-6.2.2-01", "IMAP9051-6.2.2-08")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("initial_response", [True, False], ids=["initial response", "empty challenge"])
def test_scram_works_with_and_without_an_initial_response(
    protocol: MailProtocol, mechanism: str, initial_response: bool
) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        security = client.authenticate_sasl(mechanism, credentials=ALICE, initial_response=initial_response)
        assert (security.mechanism, security.ssf) == (mechanism, 0)
        move_message(client, server, MESSAGE)
        leave(client)


@pytest.mark.requirement("SMTP4954-9-01", "POP5034-4-17")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("name", ["alice", "jörg"])
def test_plain_works_after_starttls(protocol: MailProtocol, name: str) -> None:
    tls = certificate()
    password = {"alice": "wonderland", "jörg": "grüße"}[name]
    with serving(protocol, certificate=tls.server) as (server, reports):
        client = protocol.connect("localhost", server.port)
        protocol.start_tls(client, tls.client)
        security = client.authenticate_sasl("PLAIN", credentials=saslsspi.Password(name, password))
        assert security.authcid == name
        move_message(client, server, MESSAGE)
        leave(client)
        assert reports[0].ssf >= 128


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_tls_port_takes_the_strongest_mechanism_with_channel_bindings(protocol: MailProtocol) -> None:
    tls = certificate()
    with serving(protocol, certificate=tls.server, bindings=tls.bindings) as (server, _):
        client = protocol.connect_tls("localhost", server.tls_port, tls.client)
        security = client.authenticate_sasl(credentials=ALICE)
        assert security.mechanism == "SCRAM-SHA-512-PLUS"
        assert security.channel_binding == "tls-server-end-point"
        move_message(client, server, MESSAGE)
        leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_tls_unique_is_the_binding_under_tls_12(protocol: MailProtocol) -> None:
    tls = certificate()
    older = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    older.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, tls.client.get_ca_certs(True))))
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with serving(protocol, certificate=tls.server, bindings=tls.bindings) as (server, _):
        client = protocol.connect("localhost", server.port)
        protocol.start_tls(client, older)
        security = client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)
        assert (security.mechanism, security.channel_binding) == ("SCRAM-SHA-1-PLUS", "tls-unique")
        leave(client)


@pytest.mark.requirement("SMTP4954-4-20", "POP5034-4-16")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("most", [1, 128])
def test_a_layer_goes_inside_tls(protocol: MailProtocol, most: int) -> None:
    tls = certificate()
    with serving(protocol, certificate=tls.server) as (server, _):
        client = protocol.connect("localhost", server.port)
        protocol.start_tls(client, tls.client)
        policy = saslsspi.Policy(min_ssf=most, max_ssf=most)
        assert client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=policy).ssf == most
        move_message(client, server, MESSAGE)
        leave(client)


@pytest.mark.requirement(
    "SMTP4954-14-01", "SMTP4954-14-02", "SMTP4954-14-03", "POP5034-4-30", "SMTP4954-9-02", "SMTP4954-9-03"
)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("flaw", ["no TLS", "unverified certificate", "unverified name"])
def test_plain_is_not_tried_unless_the_server_is_verified(protocol: MailProtocol, flaw: str) -> None:
    tls = certificate()
    careless = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    careless.check_hostname = False
    if flaw == "unverified certificate":
        careless.verify_mode = ssl.CERT_NONE
    else:
        careless.load_verify_locations(cadata="".join(map(ssl.DER_cert_to_PEM_cert, tls.client.get_ca_certs(True))))
    with serving(protocol, certificate=tls.server, policy=saslsspi.Policy(allow_plaintext=True)) as (server, reports):
        client = protocol.connect("localhost", server.port)
        if flaw != "no TLS":
            protocol.start_tls(client, careless)
        with pytest.raises(PackageNotFound, match="sends the password in clear"):
            client.authenticate_sasl("PLAIN", credentials=ALICE)
        assert not is_closed(client)
        leave(client)
    assert reports == []


@pytest.mark.requirement("SMTP4954-14-02", "SMTP4954-14-03", "SMTP4954-14-04")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_certificate_for_another_name_stops_before_authentication(protocol: MailProtocol) -> None:
    tls = certificate()
    with serving(protocol, certificate=tls.server) as (server, reports):
        # 127.0.0.2 is the same machine, and not a name in the certificate.
        client = protocol.connect("127.0.0.1", server.port)
        client.host = client._host = "another.example.test"
        with pytest.raises(ssl.SSLCertVerificationError):
            protocol.start_tls(client, tls.client)
    assert reports == []


@pytest.mark.requirement(
    "SMTP4954-4-13", "SMTP4954-4-33", "SMTP4954-6-07", "SMTP4954-6-11", "POP5034-4-24", "POP5034-4-28",
    "IMAP3501-6.2.2-07", "IMAP3501-6.2.2-18",
)  # fmt: skip
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256"])
def test_after_a_wrong_password_another_try_is_possible(protocol: MailProtocol, mechanism: str) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(LogonDenied) as ours:
            client.authenticate_sasl(mechanism, credentials=saslsspi.Password("alice", "not hers"))
        assert isinstance(ours.value, protocol.error)
        assert "not hers" not in str(ours.value)
        assert client.security is None
        assert client.authenticate_sasl(mechanism, credentials=ALICE).authcid == "alice"
        move_message(client, server, MESSAGE)
        leave(client)


@pytest.mark.requirement("SMTP4954-4-03", "POP5034-4-04", "IMAP3501-6.2.2-20", "POP5034-4-03")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_session_is_authenticated_once(protocol: MailProtocol) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)
        with pytest.raises(ContextMisuse):
            client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)
        move_message(client, server, MESSAGE)
        leave(client)


@pytest.mark.requirement("IMAP3501-6.2.2-19", "SMTP4954-4-21")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256", "PLAIN"])
def test_the_authorization_identity_is_whose_privileges_are_asked(protocol: MailProtocol, mechanism: str) -> None:
    accounts = [
        Account(username="alice", password="wonderland", may_act_as=frozenset({"bob"})),
        Account(username="bob", password="builder"),
    ]
    tls = certificate()
    with serving(protocol, authority=saslsspi.MemoryAuthority(accounts), certificate=tls.server) as (server, reports):
        client = protocol.connect_tls("localhost", server.tls_port, tls.client)
        client.authenticate_sasl(mechanism, credentials=ALICE, authzid="bob")
        leave(client)
        client = protocol.connect_tls("localhost", server.tls_port, tls.client)
        with pytest.raises(SaslError):
            client.authenticate_sasl(mechanism, credentials=saslsspi.Password("bob", "builder"), authzid="alice")
    assert [(report.security.authcid, report.security.authzid) for report in reports] == [("alice", "bob")]


@pytest.mark.requirement("SMTP4954-6-10", "SMTP4954-6-01")
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_server_that_cannot_ask_its_accounts_is_no_wrong_password(protocol: MailProtocol) -> None:
    class Down:
        def lookup(self, question: Question) -> Account | None:
            raise NoAuthenticatingAuthority("the store is down")

    with serving(protocol, authority=Down()) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(NoAuthenticatingAuthority):
            client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)
        assert not is_closed(client)
        leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_mechanism_that_nobody_offers_is_refused_with_the_reasons(protocol: MailProtocol) -> None:
    with serving(protocol, mechanisms=["DIGEST-MD5"]) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(PackageNotFound, match="SCRAM-SHA-1"):
            client.authenticate_sasl(["SCRAM-SHA-1", "PLAIN"], credentials=ALICE)
        # One that is named alone is begun, listed or not: the server says no.
        with pytest.raises((AlgorithmMismatch, LogonDenied), match="not available"):
            client.authenticate_sasl("SCRAM-SHA-1", credentials=ALICE)
        with pytest.raises(PackageNotFound, match="SSF"):
            client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=saslsspi.Policy(min_ssf=200, max_ssf=300))
        assert client.authenticate_sasl(credentials=ALICE).mechanism == "DIGEST-MD5"
        leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("text", ["x\r\nNOOP", "x\nNOOP", "x\0"])
def test_no_argument_of_a_user_begins_another_command(protocol: MailProtocol, text: str) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(PackageNotFound):
            client.authenticate_sasl(text, credentials=ALICE)
        client.authenticate_sasl("SCRAM-SHA-256", credentials=ALICE)
        command = {
            "smtp": lambda: client.docmd("NOOP", text),
            "imap": lambda: client.select(text),
            "pop3": lambda: client.uidl(text),
        }
        with pytest.raises((InvalidParameter, ValueError)):
            command[protocol.name]()
        leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_tls_does_not_start_under_a_layer(protocol: MailProtocol) -> None:
    tls = certificate()
    with serving(protocol, certificate=tls.server) as (server, _):
        client = protocol.connect("localhost", server.port)
        client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, policy=saslsspi.Policy(min_ssf=1))
        with pytest.raises(ContextMisuse):
            protocol.start_tls(client, tls.client)
        leave(client)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
def test_a_host_name_that_is_not_the_servers_is_denied(protocol: MailProtocol) -> None:
    with serving(protocol) as (server, _):
        client = protocol.connect("127.0.0.1", server.port)
        with pytest.raises(SaslError):
            client.authenticate_sasl("DIGEST-MD5", credentials=ALICE, host="elsewhere.example.test")
