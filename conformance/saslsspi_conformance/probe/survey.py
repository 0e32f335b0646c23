"""Asks a server what it offers, before and after TLS, and judges it; it never logs on.

Exchanges of DIGEST-MD5 are begun for the sake of the challenge and left by closing the connection: servers count a
cancelled exchange as a failed logon.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.sasl.messages import DigestChallenge
from saslsspi_conformance.case_run import Setting, Transcript
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction
from saslsspi_conformance.probe.digest_parameters import judge_challenge, judge_nonces
from saslsspi_conformance.probe.findings import Finding, Severity
from saslsspi_conformance.probe.initial_response import judge_initial_response, trial_for
from saslsspi_conformance.probe.strengths import judge_mechanism
from saslsspi_conformance.targets.ldap import LdapConversation
from saslsspi_conformance.targets.mail import MailConversation, MailServerTarget
from saslsspi_conformance.targets.wire import Address, ClearTextBehindTls

__all__ = ["Survey", "survey"]

_CHALLENGES: Final = 3


@dataclass
class Survey:
    """What was found at one server.

    Attributes:
        clear: The mechanisms without TLS; None where TLS is there from the start.
        inside: The mechanisms inside TLS; None where there is no TLS.
        digest: The parameters of DIGEST-MD5.
    """

    clear: tuple[str, ...] | None = None
    inside: tuple[str, ...] | None = None
    digest: dict[str, object] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def find(self, level: Severity, name: str, text: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(level, name, text))


class _Unverified(Address):
    """An address whose certificate is taken as it is: nothing is sent there that is secret."""

    __slots__ = ()

    def tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context


def survey(address: Address, *, may_name_user: bool = False) -> Survey:
    """Ask one server.

    Args:
        address: Where it is.
        may_name_user: Whether the name of a user may be sent, one that is not there, where nothing else tells.

    Raises:
        OSError: it cannot be reached, or answers nothing.
        CaseError: it does not speak the protocol.
        SaslError: likewise.
    """
    found = Survey()
    address = _with_tls_checked(address, found)
    if not address.secure:
        with _connected(address) as conversation:
            found.clear = _sorted(conversation.supported())
            capabilities = _capabilities(conversation)
        found.findings += [judge_mechanism(name, encrypted=False) for name in found.clear]
        _judge_clear_commands(found, address.protocol, capabilities)
    if address.secure or found.inside is not None:
        with _connected(address) as conversation:
            conversation.start_tls()
            found.inside = _sorted(conversation.supported())
            capabilities = _capabilities(conversation)
        found.findings += [judge_mechanism(name, encrypted=True) for name in found.inside]
    _judge_binding(found)
    if address.protocol == "ldap":
        found.find(Severity.INFO, "signing-unseen", "whether a bind has to be signed shows with a logon only")
    else:
        _judge_initial_response(found, address, capabilities, may_name_user)
    _judge_digest(found, address)
    return found


def _judge_initial_response(found: Survey, address: Address, capabilities: bytes, may_name_user: bool) -> None:
    if address.protocol == "imap":
        announced = b"SASL-IR" in capabilities.upper().split()
        found.find(Severity.INFO, "sasl-ir", f"SASL-IR is {'announced' if announced else 'not announced'}")
        if not announced:
            return
    inside = found.inside is not None
    trial = trial_for(found.inside or found.clear or (), may_name_user=may_name_user)
    if trial is None:
        return
    with _connected(address) as conversation:
        assert isinstance(conversation, MailConversation)
        if inside:
            conversation.start_tls()
        found.findings.append(judge_initial_response(conversation, trial))


def _with_tls_checked(address: Address, found: Survey) -> Address:
    """Find out whether there is TLS, and whether its certificate can be trusted."""
    try:
        with _connected(address) as conversation:
            conversation.start_tls()
            version = conversation.wire.tls_version
        found.inside = ()
        found.find(Severity.GOOD, "tls", f"{version} is there, and its certificate is trusted")
        return address
    except NotApplicable as error:
        reason = str(error)
    except ClearTextBehindTls as error:
        found.find(Severity.FAIL, "starttls-injection", str(error))
        return address
    except (ssl.SSLError, CaseError) as error:
        reason = str(error)
        if address.secure:
            raise
    given = {name: getattr(address, name) for name in Address.__dataclass_fields__}
    unverified = _Unverified(**given)
    with contextlib.suppress(NotApplicable, ssl.SSLError), _connected(unverified) as conversation:
        conversation.start_tls()
        found.inside = ()
        found.find(Severity.FAIL, "certificate", reason)
        return unverified
    found.find(Severity.FAIL, "no-tls", "there is no TLS: everything can be read and changed on the way")
    return address


@contextlib.contextmanager
def _connected(address: Address) -> Iterator[LdapConversation | MailConversation]:
    conversation: LdapConversation | MailConversation
    if address.protocol == "ldap":
        conversation = LdapConversation(address, Transcript())
    else:
        conversation = MailServerTarget(address).connect(Setting(), Transcript())
    try:
        yield conversation
    finally:
        conversation.close()


def _sorted(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name.upper() for name in names}))


def _capabilities(conversation: LdapConversation | MailConversation) -> bytes:
    return conversation.capabilities() if isinstance(conversation, MailConversation) else b""


def _judge_clear_commands(found: Survey, protocol: str, capabilities: bytes) -> None:
    """LOGIN of IMAP (RFC 9051 section 6.2.3) and USER of POP3 (RFC 2449 section 6.3) beside SASL."""
    words = capabilities.upper().split()
    if protocol == "imap" and b"LOGINDISABLED" not in words:
        found.find(Severity.FAIL, "login-command", "the command LOGIN takes passwords without TLS")
    if protocol == "pop3" and b"USER" in words:
        found.find(Severity.FAIL, "login-command", "the command USER takes passwords without TLS")


def _judge_binding(found: Survey) -> None:
    names = frozenset(found.inside or ())
    bound = {name for name in names if name.endswith("-PLUS")}
    if not bound:
        if found.inside is not None:
            found.find(Severity.INFO, "no-channel-binding", "no mechanism with channel binding is offered")
    elif names == bound:
        found.find(Severity.GOOD, "binding-enforced", "channel binding is enforced: nothing else is offered")
    else:
        found.find(Severity.GOOD, "binding-offered", "channel binding is offered, not enforced")


def _judge_digest(found: Survey, address: Address) -> None:
    in_clear = "DIGEST-MD5" in (found.clear or ())
    if not in_clear and "DIGEST-MD5" not in (found.inside or ()):
        return
    challenges = []
    for _ in range(_CHALLENGES):
        with _connected(address) as conversation:
            if not in_clear:
                conversation.start_tls()
            answer = conversation.begin("DIGEST-MD5")
        if answer.outcome is not Reaction.CHALLENGE or not answer.data:
            found.find(Severity.WARN, "not-available", "DIGEST-MD5 is announced, and there is no challenge")
            return
        try:
            challenges.append(DigestChallenge.from_bytes(answer.data, -1))
        except InvalidToken as error:
            found.find(Severity.FAIL, "malformed", f"the digest-challenge cannot be read: {error.text}")
            return
    first = challenges[0]
    found.digest = {
        "realms": [realm.decode("utf-8", "replace") for realm in first.realms],
        "qop": [value.decode("ascii", "replace") for value in first.qop],
        "ciphers": [value.decode("ascii", "replace") for value in first.ciphers],
        "nonce octets": len(first.nonce),
        "maxbuf": first.maxbuf,
        "charset": "utf-8" if first.utf8 else None,
    }
    found.findings += judge_challenge(first)
    found.findings += judge_nonces([challenge.nonce for challenge in challenges])
