"""Whoever is refused leaves a record, and whoever gets in: one for each attempt, whatever mechanism, package or face.

Mechanisms and packages are found by entry point, so that one that is added without a way to be tried here fails.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator

import pytest

from saslsspi import (
    Account,
    Anonymous,
    ChannelBindings,
    Client,
    Context,
    MemoryAuthority,
    MemoryNonceStore,
    NegotiatePolicy,
    Password,
    Policy,
    SaslError,
    Secret,
    Server,
    Token,
    sspi,
)
from saslsspi.accounts.account import Account as AccountRecord
from saslsspi.accounts.account import Question
from saslsspi.engine.environment import Environment
from saslsspi.engine.hooks.audit import AuditRecord, audited_from, part_of_another
from saslsspi.engine.registry import PACKAGES
from saslsspi.errors import LogonDenied
from saslsspi.sasl.registry import MECHANISMS

NTLM_ONLY = NegotiatePolicy(packages="NTLM")
TOKENS = ("OAUTHBEARER", "XOAUTH2")
WEAK = ("LOGIN", "CRAM-MD5")
POLICY = Policy(negotiate=NTLM_ONLY, allow_anonymous=True, allow_plaintext=True, weak_mechanisms=WEAK)
ALICE = Account(
    username="alice", password="wonderland", may_act_as=frozenset({"bob"}), other={Secret.TOKEN: "wonderland"}
)
PEOPLE = MemoryAuthority([ALICE])
NEED_A_KDC = {"GSSAPI", "GS2-KRB5", "GS2-KRB5-PLUS", "Kerberos"}
WITHOUT_USERS = {"Schannel"}
INSTALLED = sorted(plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None)
USABLE = [name for name in INSTALLED if name not in NEED_A_KDC]
CONTEXTS = sorted(
    plugin.name
    for plugin in PACKAGES.plugins()
    if plugin.value is not None and plugin.name not in NEED_A_KDC | WITHOUT_USERS
)
WITHOUT_NAMES = ("NTLM", "GSS-SPNEGO", *WEAK, *TOKENS)
PASSWORDS = [name for name in USABLE if name not in ("ANONYMOUS", "EXTERNAL")]

NAMING = [name for name in PASSWORDS if name not in WITHOUT_NAMES]

Records = Callable[[], list[AuditRecord]]


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Iterator[Records]:
    with caplog.at_level(logging.INFO, "saslsspi.audit"):
        yield lambda: [getattr(record, "audit") for record in caplog.records if record.name == "saslsspi.audit"]  # noqa: B009


def exchange(mechanism: str, password: str = "wonderland", authzid: str = "", **more: object) -> Server:
    credentials: object = Password("alice", password)
    external = None
    if mechanism == "ANONYMOUS":
        credentials = Anonymous("guest")
    if mechanism in TOKENS:
        credentials = Token("alice", password)
    if mechanism == "EXTERNAL":
        credentials, external = None, "alice"
    options: dict[str, object] = {"service": "ldap", "host": "h", "policy": POLICY, "external_ssf": 256}
    if mechanism.endswith("-PLUS"):
        options["bindings"] = ChannelBindings.tls_exporter(b"exported keying material of TLS.")
    client = Client(mechanism, credentials=credentials, authzid=authzid, **options)  # type: ignore[arg-type]
    theirs = {"authority": PEOPLE, "external_identity": external, "success_data": False} | options | more
    server = Server(mechanism, **theirs)  # type: ignore[arg-type]
    run(client, server)
    return server


def run(client: Client, server: Server) -> None:
    token = client.start()
    for _ in range(40):
        if server.done:
            return
        answer = server.step(token)
        if server.done:
            return
        token = client.step(answer)
        if token is None:
            token = b""
    raise AssertionError("the exchange does not end")


@pytest.mark.parametrize("mechanism", USABLE)
def test_a_logon_is_one_record(mechanism: str, records: Records) -> None:
    exchange(mechanism)
    (record,) = records()
    assert record.accepted
    assert record.how == mechanism
    assert record.username == ("anonymous" if mechanism == "ANONYMOUS" else "alice")
    assert record.reason == ""


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_a_wrong_password_is_one_record(mechanism: str, records: Records) -> None:
    with pytest.raises(SaslError):
        exchange(mechanism, "looking-glass")
    (record,) = records()
    assert not record.accepted
    assert (record.how, record.username) == (mechanism, "alice")
    assert "LOGON" in record.reason
    assert "looking-glass" not in record.text()


@pytest.mark.parametrize("mechanism", INSTALLED)
def test_rubbish_is_one_record(mechanism: str, records: Records) -> None:
    if mechanism in NEED_A_KDC:
        pytest.skip("its server needs a keytab")
    server = Server(mechanism, service="ldap", host="h", authority=PEOPLE, policy=POLICY, external_ssf=256)

    def sending() -> None:
        for _ in range(3):
            server.step(b"\xff\0 rubbish" * 60)

    with pytest.raises(SaslError):
        sending()
    (record,) = records()
    assert not record.accepted
    assert record.how == mechanism


@pytest.mark.parametrize(
    "mechanism", [name for name in PASSWORDS if name not in ("NTLM", "GSS-SPNEGO", *WEAK, *TOKENS)]
)
def test_as_whom_somebody_acts_is_in_the_record(mechanism: str, records: Records) -> None:
    exchange(mechanism, authzid="bob")
    with pytest.raises(SaslError):
        exchange(mechanism, authzid="mallory")
    good, bad = records()
    assert (good.accepted, good.username, good.authzid) == (True, "alice", "bob")
    assert not bad.accepted
    assert bad.username == "alice"


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_an_authority_that_fails_is_a_record_without_what_it_said(mechanism: str, records: Records) -> None:
    class Broken:
        def lookup(self, question: Question) -> AccountRecord | None:
            raise RuntimeError("database password is hunter2")

    with pytest.raises(SaslError):
        exchange(mechanism, authority=Broken())
    (record,) = records()
    assert not record.accepted
    assert "hunter2" not in record.text()


@pytest.mark.parametrize("password", ["wonderland", "wrong"])
def test_a_part_of_another_attempt_leaves_no_record(password: str, records: Records) -> None:
    with part_of_another():
        with contextlib.suppress(SaslError):
            exchange("SCRAM-SHA-256", password)
        with part_of_another():
            pass
        with contextlib.suppress(SaslError):
            exchange("PLAIN", password)
    assert records() == []
    with contextlib.suppress(SaslError):
        exchange("PLAIN", password)
    assert len(records()) == 1


def pair(package: str, password: str, policy: Policy = POLICY) -> tuple[Context, Context]:
    credentials = Password("alice", password)
    client = Context.initiate(package, target="HTTP/h", credentials=credentials, policy=POLICY)
    return client, Context.accept(package, principal="HTTP/h", authority=PEOPLE, policy=policy)


def talk(client: Context, server: Context, server_first: bool) -> None:
    token = b"" if server_first else client.step()
    while not (client.done and server.done):
        token = server.step(token)
        if not client.done:
            token = client.step(token)


@pytest.mark.parametrize("package", CONTEXTS)
def test_a_context_leaves_a_record_as_well(package: str, records: Records) -> None:
    talk(*pair(package, "wonderland"), package == "WDigest")
    with pytest.raises(SaslError):
        talk(*pair(package, "looking-glass"), package == "WDigest")
    good, bad = records()
    assert (good.accepted, good.how, good.username) == (True, package, "alice")
    assert (bad.accepted, bad.how, bad.username) == (False, package, "alice")
    assert good.negotiated == ("NTLM" if package in ("Negotiate", "CREDSSP") else "")


@pytest.mark.parametrize("package", sorted({*CONTEXTS, *WITHOUT_USERS}))
def test_rubbish_given_to_a_context_is_one_record(package: str, records: Records) -> None:
    server = Context.accept(package, principal="HTTP/h", authority=PEOPLE, policy=POLICY)

    def sending() -> None:
        for _ in range(3):
            server.step(b"\xff\0 rubbish" * 60)

    with pytest.raises(SaslError):
        sending()
    (record,) = records()
    assert (record.accepted, record.how, record.username) == (False, package, "")


def test_a_logon_that_the_policy_does_not_take_is_a_refusal(records: Records) -> None:
    client, server = pair("NTLM", "wonderland", Policy(min_ssf=1, max_ssf=1))
    plain = Context.initiate(
        "NTLM", target="HTTP/h", credentials=Password("alice", "wonderland"), policy=Policy(max_ssf=0)
    )
    with pytest.raises(SaslError):
        talk(plain, server, False)
    (record,) = records()
    assert not record.accepted
    assert client is not plain


@pytest.mark.parametrize("package", ["NTLM", "Negotiate"])
@pytest.mark.parametrize("password", ["wonderland", "looking-glass"])
def test_the_functions_of_sspi_leave_one(package: str, password: str, records: Records) -> None:
    from sspi_context import Context as Handle

    environment = Environment(authority=PEOPLE, policy=POLICY)
    use = sspi.CredentialUse
    inbound = sspi.acquire_credentials_handle(None, package, use.SECPKG_CRED_INBOUND, environment=environment)
    identity = sspi.WinNTAuthIdentity("alice", None, password)
    outbound = sspi.acquire_credentials_handle(
        None, package, use.SECPKG_CRED_OUTBOUND, auth_data=identity, environment=environment
    )
    client, server = Handle(outbound.credential, 0, "HTTP/h"), Handle(inbound.credential, 0)
    token = client.step()
    try:
        while token:
            token = server.step(token)
            token = client.step(token) if token and not client.complete else None
    except LogonDenied:
        pass
    (record,) = records()
    assert (record.accepted, record.how, record.username) == (password == "wonderland", package, "alice")


def test_an_attempt_with_an_old_nonce_says_so(records: Records) -> None:
    store = MemoryNonceStore()
    policy = Policy(max_ssf=0)
    client = Client("DIGEST-MD5", service="ldap", host="h", credentials=Password("alice", "wonderland"), policy=policy)
    server = Server("DIGEST-MD5", service="ldap", host="h", authority=PEOPLE, nonce_store=store, policy=policy)
    client.step(server.step(client.step(server.step(None))))
    again = client.again()
    token = again.start()
    server.again().step(token)
    server.again().step(token)  # replayed: nc is not next, and a new challenge is the answer
    first, resumed, refused = records()
    assert (first.resumed, resumed.resumed) == (False, True)
    assert (refused.accepted, refused.username) == (False, "alice")
    assert "nc" in refused.reason


def test_from_where_is_the_carriers_to_say(records: Records) -> None:
    with audited_from("192.0.2.7:4711"):
        exchange("PLAIN")
    exchange("PLAIN")
    assert [record.peer for record in records()] == ["192.0.2.7:4711", ""]


def test_what_peers_say_moves_no_cursor_and_begins_no_line(caplog: pytest.LogCaptureFixture) -> None:
    name = "eve\r\nalice logged on with PLAIN\x1b[2J"
    server = Server("PLAIN", service="ldap", host="h", authority=PEOPLE, policy=POLICY)
    with caplog.at_level(logging.INFO, "saslsspi.audit"), pytest.raises(SaslError):
        server.step(b"\0" + name.encode() + b"\0guess")
    (record,) = caplog.records
    assert record.getMessage().isprintable()
    assert "guess" not in record.getMessage()


def test_a_text_reads_well() -> None:
    good = AuditRecord(True, "GSS-SPNEGO", "alice", "EXAMPLE", "bob", "NTLM", "192.0.2.7")
    assert good.text() == "'alice@EXAMPLE' logged on with GSS-SPNEGO (NTLM) as 'bob' from '192.0.2.7'"
    bad = AuditRecord(False, "PLAIN", "eve", reason="SEC_E_LOGON_DENIED")
    assert bad.text() == "'eve' was refused with PLAIN: SEC_E_LOGON_DENIED"
    assert AuditRecord(True, "ANONYMOUS").text() == "nobody logged on with ANONYMOUS"
    assert AuditRecord(False, "NTLM").text() == "somebody was refused with NTLM"


def test_a_refusal_that_is_said_first_is_recorded_once(records: Records) -> None:
    """CREDSSP tells its client before it raises: the record is made then, and not again."""
    client = Client("CREDSSP", service="ldap", host="h", credentials=Password("alice", "guess"), policy=POLICY)
    server = Server("CREDSSP", service="ldap", host="h", authority=PEOPLE, policy=POLICY)
    with pytest.raises(SaslError):
        run(client, server)
    assert len(records()) == 1
    with pytest.raises(SaslError):
        server.step(b"")
    assert len(records()) == 1
