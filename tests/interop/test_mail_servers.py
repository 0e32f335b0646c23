"""Our clients against real servers: Cyrus IMAP with its layers, Dovecot in three protocols, Postfix."""

import asyncio
import ssl
from collections.abc import Iterator

import pytest

import saslsspi
from adapters.mail_world import IMAP, MESSAGE, POP3, SMTP, MailProtocol, close_opened, leave, serving
from interop.cyrus_imap import CyrusImap, expect_a_layer_in_time
from interop.dovecot import Dovecot
from interop.people import ALICE, PEOPLE, Person
from interop.postfix import Postfix
from saslsspi.adapters.aiosmtplib import SaslAsyncSMTP
from saslsspi.adapters.imap import IMAP as IMAP_WORDS
from saslsspi.adapters.imap import authenticate_stream
from saslsspi.adapters.stream import LayeredStream
from saslsspi.errors import AlgorithmMismatch, LogonDenied, PackageNotFound, QopNotSupported, SaslError

pytestmark = pytest.mark.interop

MEGABYTES = b"Subject: large\r\n\r\n" + b"0123456789abcdef0123456789abcdef0123456789abcdef012345678\r\n" * 88_000
LAYERS = [(0, 0), (1, 1), (128, 128)]
LAYER_NAMES = ["auth", "auth-int", "auth-conf"]
# Dovecot and Cyrus hash UTF-8 where RFC 2831 wants ISO 8859-1: a tolerance by name.
HASH_UTF8 = saslsspi.Policy(tolerances=saslsspi.Tolerances.DEFAULT | saslsspi.Tolerances.HASH_UTF8)


def password(person: Person) -> saslsspi.Password:
    return saslsspi.Password(person.name, person.password)


@pytest.fixture(scope="module")
def cyrus() -> Iterator[CyrusImap]:
    with CyrusImap() as server:
        yield server


@pytest.fixture(scope="module")
def relayed() -> Iterator[tuple[Dovecot, list[bytes]]]:
    with serving(SMTP, auth_required=False) as (relay, _), Dovecot(relay_port=relay.port) as server:
        yield server, relay.mailbox.messages


@pytest.fixture(scope="module")
def dovecot(relayed: tuple[Dovecot, list[bytes]]) -> Dovecot:
    return relayed[0]


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    with Postfix() as server:
        yield server


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_opened()


# Cyrus IMAP


@pytest.mark.requirement("IMAP3501-6.2.2-08", "IMAP3501-6.2.2-09", "IMAP3501-6.2.2-17", "IMAP3501-6.2.2-03")
@pytest.mark.parametrize(("least", "most"), LAYERS, ids=LAYER_NAMES)
def test_five_megabytes_go_to_cyrus_and_back_under_each_layer(cyrus: CyrusImap, least: int, most: int) -> None:
    if most:
        expect_a_layer_in_time()
    client = IMAP.connect(cyrus.host, cyrus.port)
    policy = saslsspi.Policy(min_ssf=least, max_ssf=most)
    assert client.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE), policy=policy).ssf == most
    assert len(MEGABYTES) > 5_000_000
    assert client.append("INBOX", "", "", MEGABYTES)[0] == "OK"
    count = client.select()[1][0].decode()
    assert client.fetch(count, "(BODY.PEEK[])")[1][0][1] == MEGABYTES
    leave(client)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram_logs_on_to_cyrus(cyrus: CyrusImap, mechanism: str) -> None:
    client = IMAP.connect(cyrus.host, cyrus.port)
    assert client.authenticate_sasl(mechanism, credentials=password(ALICE)).mechanism == mechanism
    leave(client)


@pytest.mark.parametrize("mechanism", ["PLAIN", "DIGEST-MD5", "SCRAM-SHA-256"])
def test_cyrus_is_taken_under_tls_where_it_offers_no_layer(cyrus: CyrusImap, mechanism: str) -> None:
    client = IMAP.connect(cyrus.host, cyrus.port)
    client.starttls(ssl.create_default_context(cafile=str(cyrus.ca_file)))
    assert client.authenticate_sasl(mechanism, credentials=password(ALICE)).ssf == 0
    assert client.namespace()[0] == "OK"
    leave(client)


def test_cyrus_refuses_a_wrong_password_and_takes_the_right_one_next(cyrus: CyrusImap) -> None:
    client = IMAP.connect(cyrus.host, cyrus.port)
    policy = saslsspi.Policy(max_ssf=0)
    with pytest.raises(LogonDenied):
        client.authenticate_sasl("DIGEST-MD5", credentials=saslsspi.Password("alice", "not hers"), policy=policy)
    assert client.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE), policy=policy).authcid == "alice"
    leave(client)


def test_a_stream_reads_cyrus_under_a_layer(cyrus: CyrusImap) -> None:
    expect_a_layer_in_time()

    async def run() -> bytes:
        stream = LayeredStream(*await asyncio.open_connection("127.0.0.1", cyrus.port))
        await stream.readline()
        await authenticate_stream(
            stream,
            IMAP_WORDS,
            ["DIGEST-MD5"],
            host=cyrus.host,
            credentials=password(ALICE),
            policy=saslsspi.Policy(min_ssf=1),
            initial_response_invited=False,
        )
        stream.write(b"a2 NOOP\r\n")
        line = await stream.readline()
        stream.close()
        await stream.wait_closed()
        return line

    assert asyncio.run(run()).startswith(b"a2 OK")


def test_channel_bindings_are_verified_by_cyrus_and_given_up_where_it_knows_another_type(cyrus: CyrusImap) -> None:
    context = ssl.create_default_context(cafile=str(cyrus.ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = IMAP.connect(cyrus.host, cyrus.port)
    client.starttls(context)
    security = client.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE))
    assert (security.mechanism, security.channel_binding) == ("SCRAM-SHA-256-PLUS", "tls-unique")
    leave(client)

    context.maximum_version = ssl.TLSVersion.TLSv1_3
    client = IMAP.connect(cyrus.host, cyrus.port)
    client.starttls(context)
    security = client.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE))
    assert (security.mechanism, security.channel_binding) == ("SCRAM-SHA-256", "")
    leave(client)

    client = IMAP.connect(cyrus.host, cyrus.port)
    client.starttls(context)
    required = saslsspi.Policy(channel_binding=saslsspi.ChannelBindingPolicy.REQUIRE)
    with pytest.raises(SaslError):
        client.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE), policy=required)


# Dovecot


def connect(protocol: MailProtocol, dovecot: Dovecot) -> object:
    port = {"imap": dovecot.imap_port, "pop3": dovecot.pop3_port, "smtp": dovecot.submission_port}[protocol.name]
    return protocol.connect(dovecot.host, port)


@pytest.mark.parametrize("protocol", [IMAP, POP3, SMTP], ids=str)
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"])
@pytest.mark.parametrize("name", PEOPLE)
def test_everybody_logs_on_to_dovecot(dovecot: Dovecot, protocol: MailProtocol, mechanism: str, name: str) -> None:
    client = connect(protocol, dovecot)
    security = client.authenticate_sasl(mechanism, credentials=password(PEOPLE[name]), policy=HASH_UTF8)
    assert (security.mechanism, security.authcid) == (mechanism, name)
    assert ("QUOTED_CHARSET" in security.tolerances) == (mechanism == "DIGEST-MD5")
    leave(client)


@pytest.mark.parametrize("protocol", [IMAP, POP3, SMTP], ids=str)
def test_plain_logs_on_to_dovecot_after_starttls(dovecot: Dovecot, protocol: MailProtocol) -> None:
    client = connect(protocol, dovecot)
    protocol.start_tls(client, ssl.create_default_context(cafile=str(dovecot.ca_file)))
    assert client.authenticate_sasl("PLAIN", credentials=password(ALICE)).authcid == "alice"
    leave(client)


@pytest.mark.parametrize("protocol", [IMAP, POP3], ids=str)
def test_dovecots_tls_ports_are_taken(dovecot: Dovecot, protocol: MailProtocol) -> None:
    port = dovecot.imaps_port if protocol is IMAP else dovecot.pop3s_port
    client = protocol.connect_tls(dovecot.host, port, ssl.create_default_context(cafile=str(dovecot.ca_file)))
    assert client.authenticate_sasl(credentials=password(ALICE)).mechanism == "SCRAM-SHA-256"
    leave(client)


@pytest.mark.parametrize("protocol", [IMAP, POP3, SMTP], ids=str)
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-256"])
def test_dovecot_refuses_a_wrong_password(dovecot: Dovecot, protocol: MailProtocol, mechanism: str) -> None:
    client = connect(protocol, dovecot)
    with pytest.raises(LogonDenied) as caught:
        client.authenticate_sasl(mechanism, credentials=saslsspi.Password("alice", "not hers"))
    assert isinstance(caught.value, protocol.error)
    assert client.authenticate_sasl(mechanism, credentials=password(ALICE)).authcid == "alice"
    leave(client)


def test_a_layer_that_dovecot_does_not_have_is_an_error(dovecot: Dovecot) -> None:
    client = connect(IMAP, dovecot)
    with pytest.raises(SaslError) as caught:
        client.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE), policy=saslsspi.Policy(min_ssf=1))
    assert isinstance(caught.value, QopNotSupported | AlgorithmMismatch)


def test_a_message_goes_through_dovecots_submission_and_back_by_imap_and_pop3(
    relayed: tuple[Dovecot, list[bytes]],
) -> None:
    dovecot, messages = relayed
    submission = connect(SMTP, dovecot)
    submission.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE))
    submission.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
    leave(submission)
    assert messages[-1].endswith(MESSAGE)

    client = connect(IMAP, dovecot)
    client.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE))
    assert client.append("INBOX", "", "", MESSAGE)[0] == "OK"
    leave(client)
    reader = connect(POP3, dovecot)
    reader.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE))
    assert b"\r\n".join(reader.retr(reader.stat()[0])[1]) + b"\r\n" == MESSAGE
    leave(reader)


def test_aiosmtplib_submits_to_dovecot(relayed: tuple[Dovecot, list[bytes]]) -> None:
    dovecot, messages = relayed

    async def run() -> None:
        client = SaslAsyncSMTP(hostname=dovecot.host, port=dovecot.submission_port, start_tls=False)
        await client.connect()
        await client.authenticate_sasl("SCRAM-SHA-256", credentials=password(ALICE))
        await client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE)
        await client.quit()

    before = len(messages)
    asyncio.run(run())
    assert len(messages) == before + 1


# Postfix


@pytest.mark.requirement("SMTP4954-3-04")
@pytest.mark.parametrize("mechanism", ["DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_mail_goes_to_postfix(postfix: Postfix, mechanism: str) -> None:
    client = SMTP.connect(postfix.host, postfix.port)
    assert client.authenticate_sasl(mechanism, credentials=password(ALICE)).ssf == 0
    assert client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE) == {}
    leave(client)


@pytest.mark.requirement("SMTP4954-9-01", "SMTP4954-3-02")
def test_postfix_lists_plain_under_tls_only_and_takes_it_there(postfix: Postfix) -> None:
    client = SMTP.connect(postfix.host, postfix.port)
    with pytest.raises(PackageNotFound, match="in clear"):
        client.authenticate_sasl("PLAIN", credentials=password(ALICE))
    client.starttls(context=ssl.create_default_context(cafile=str(postfix.ca_file)))
    client.authenticate_sasl("PLAIN", credentials=password(ALICE))
    assert client.sendmail("alice@example.test", ["bob@example.test"], MESSAGE) == {}
    leave(client)


def test_postfix_refuses_a_wrong_password_and_takes_the_right_one_next(postfix: Postfix) -> None:
    client = SMTP.connect(postfix.host, postfix.port)
    with pytest.raises(LogonDenied) as caught:
        client.authenticate_sasl("DIGEST-MD5", credentials=saslsspi.Password("alice", "not hers"))
    assert isinstance(caught.value, SMTP.error)
    client.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE))
    leave(client)


def test_a_layer_that_postfix_does_not_have_is_an_error(postfix: Postfix) -> None:
    client = SMTP.connect(postfix.host, postfix.port)
    with pytest.raises(SaslError):
        client.authenticate_sasl("DIGEST-MD5", credentials=password(ALICE), policy=saslsspi.Policy(min_ssf=1))
