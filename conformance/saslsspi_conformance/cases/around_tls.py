"""What TLS around the exchange changes: the order of layers, passwords, and what a channel binding binds to."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from cryptography import x509

from saslsspi_conformance.case import (
    DELIVERED,
    SUCCESS,
    NotApplicable,
    Observation,
    Reaction,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.cases.shared import on_servers
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.scram_ends import ScriptedScramClient
from saslsspi_conformance.targets.ldap import LdapConversation
from saslsspi_conformance.targets.mail import MailConversation

_GUARDED = Setting(guarded=True)
_PLUS = "SCRAM-SHA-256-PLUS"
_BOUND = "RFC5929-4-01"
_ENDS = frozenset({Reaction.FAILURE, Reaction.CLOSED})


def _connect(run: CaseRun, setting: Setting | None = None, *, tls: bool = True) -> LdapConversation | MailConversation:
    connection = run.connect(setting or Setting())
    assert isinstance(connection, LdapConversation | MailConversation)
    if tls:
        connection.start_tls()
    return connection


@on_servers(
    accept=DELIVERED,
    ldap="LDAP4513-5.2.1.6-02 RFC4422-4-17",
    imap="RFC4422-4-17",
    smtp="SMTP4954-4-20 RFC4422-4-17",
    pop3="POP5034-4-16 RFC4422-4-17",
)
def layer_inside_tls(run: CaseRun) -> Observation:
    """With both, the SASL layer is inside, and TLS outermost."""
    layer = ScriptedDigestClient(run, on=_connect(run), qop="auth-int").layer()
    return layer.ask(layer.out.wrap(layer.probe))


@on_servers(accept=SUCCESS, smtp="SMTP4954-9-01", pop3="POP5034-4-17", imap="RFC4616-2-12", ldap="RFC4616-2-12")
def plain_under_tls(run: CaseRun) -> Observation:
    """PLAIN under TLS authenticates."""
    connection = _connect(run)
    if "PLAIN" not in connection.supported():
        raise NotApplicable("the server does not offer PLAIN under TLS")
    account = run.target.account
    answer = connection.begin("PLAIN")
    message = f"\0{account.user}\0{account.password}".encode()
    return connection.respond(message).seen if answer.outcome is Reaction.CHALLENGE else answer.seen


@on_servers(
    imap="IMAP3501-6.2.2-11",
    smtp="SMTP4954-4-35 SMTP4954-6-14 SMTP4954-9-03 SMTP4954-3-02",
    pop3="POP5034-4-18 POP5034-4-29 POP5034-3-02",
    ldap="RFC4616-2-12",
)
def no_password_in_clear(run: CaseRun) -> Observation:
    """As it is usually configured, the server offers and takes PLAIN under TLS only."""
    connection = _connect(run, _GUARDED, tls=False)
    before = "PLAIN" in connection.supported()
    account = run.target.account
    refused = connection.begin("PLAIN", f"\0{account.user}\0{account.password}".encode()).outcome
    after = "PLAIN" in _connect(run, _GUARDED).supported()
    return holds(not before and refused is Reaction.FAILURE and after, f"listed {before}, then {after}; {refused}")


def _end_point(certificate: bytes) -> bytes:
    """RFC 5929 section 4.1."""
    name = x509.load_der_x509_certificate(certificate).signature_hash_algorithm
    if name is None:
        raise NotApplicable("the signature of the certificate has no hash of its own")
    weak = name.name in ("md5", "sha1")
    return hashlib.new("sha256" if weak else name.name, certificate).digest()


def _plus(run: CaseRun, binding: Callable[[bytes], bytes]) -> ScriptedScramClient:
    connection = _connect(run)
    if _PLUS not in connection.supported():
        raise NotApplicable(f"the server does not offer {_PLUS} under TLS")
    told = binding(connection.wire.certificate)
    return ScriptedScramClient(run, _PLUS, header=b"p=tls-server-end-point,,", binding=told, on=connection)


@on_servers(accept=SUCCESS, ldap="RFC5929-4-01 RFC5929-4-02 RFC5929-4-03", imap="RFC5929-4-01", smtp="RFC5929-4-01",
             pop3="RFC5929-4-01")  # fmt: skip
def bound_to_the_certificate(run: CaseRun) -> Observation:
    """The hash of the server's certificate binds SCRAM to TLS, where the server binds by it."""
    seen = _plus(run, _end_point).log_on()
    if seen.outcome is not Reaction.SUCCESS and not run.target.local:
        # RFC 5802 section 6.1 asks for tls-unique alone.
        raise NotApplicable(f"the server does not bind by tls-server-end-point: {seen.detail}")
    return seen


@on_servers(accept=_ENDS, destructive=True, ldap=_BOUND, imap=_BOUND, smtp=_BOUND, pop3=_BOUND)
def bound_to_another_certificate(run: CaseRun) -> Observation:
    """The hash of another certificate does not authenticate."""
    return _plus(run, lambda certificate: bytes(32)).log_on()


@on_servers(ldap="RFC5802-6-01 RFC5802-6-02", imap="RFC5802-6-01 RFC5802-6-02", smtp="RFC5802-6-01 RFC5802-6-02",
             pop3="RFC5802-6-01 RFC5802-6-02")  # fmt: skip
def bound_names(run: CaseRun) -> Observation:
    """The names with PLUS are listed where there is a channel to bind to, beside the plain ones, and nowhere else."""
    clear = [name for name in _connect(run, tls=False).supported() if name.startswith("SCRAM")]
    inside = [name for name in _connect(run).supported() if name.startswith("SCRAM")]
    bound = [name for name in inside if name.endswith("-PLUS")]
    if not bound:
        raise NotApplicable("the server does not bind SCRAM to TLS")
    beside = all(name.removesuffix("-PLUS") in inside for name in bound)
    already = run.target.name.partition(":")[0].endswith("s")
    return holds(beside and (already or not any(name.endswith("-PLUS") for name in clear)), f"{clear}, then {inside}")
