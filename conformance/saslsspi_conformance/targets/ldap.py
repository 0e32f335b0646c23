"""An LDAP server somewhere (RFC 4511 section 4.2, RFC 4513 section 5.2)."""

from __future__ import annotations

from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import Answer, Setting, TargetAccount, Transcript
from saslsspi_conformance.logons import LogonWatch
from saslsspi_conformance.outcome import CaseError, NotApplicable, Reaction
from saslsspi_conformance.peers import ldap_messages as ldap
from saslsspi_conformance.peers.ldap_messages import LdapAnswer
from saslsspi_conformance.targets.wire import Address, Wire, address_for

__all__ = ["LdapConversation", "LdapServerTarget"]

_SUCCESS, _IN_PROGRESS = 0, 14
_LARGEST = 1 << 20
_BIND = b"\x60"


class LdapServerTarget:
    """A server behind an ldap or ldaps URL."""

    service = "ldap"
    success_data = True
    initial_response = True

    def __init__(self, address: Address, guarded: Address | None = None) -> None:
        self.address = address
        self._guarded = guarded
        self.name = f"ldap{'s' if address.secure else ''}://{address.host}:{address.port}"
        self.host = address.name or address.host
        self.account: TargetAccount = address.account
        self.local = address.local
        self.repeats = True
        self.patience = 1.0

    def mechanisms(self) -> tuple[str, ...]:
        """Read supportedSASLMechanisms."""
        connection = self.connect(Setting(), Transcript())
        try:
            return connection.supported()
        finally:
            connection.close()

    def connect(self, setting: Setting, transcript: Transcript) -> LdapConversation:
        """Open a connection."""
        address = address_for(setting, self.address, self._guarded)
        return LdapConversation(address.with_patience(self.patience), transcript)


class LdapConversation:
    """One connection."""

    def __init__(self, address: Address, transcript: Transcript) -> None:
        self.transcript = transcript
        self.wire = Wire(address)
        self._watch = LogonWatch(transcript.logons)
        self._number = 0
        self._mechanism = ""
        self.probe = ldap.message(7000, ldap.extended(ldap.WHO_AM_I))
        self.large_probe = ldap.message(7000, ldap.root_dse("*", "+"))
        if address.starttls and not address.secure:
            self.start_tls()

    def start_tls(self) -> None:
        """Put TLS around what follows, where it is not there yet."""
        if self.wire.encrypted:
            return
        answer = self.ask(ldap.extended(ldap.START_TLS), "StartTLS")
        if answer is None or answer.code:
            raise NotApplicable("the server does not begin TLS")
        self.wire.start_tls()

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Send the first bind request of a mechanism."""
        self._mechanism = mechanism
        return self.answer(self.ask(ldap.bind(ldap.sasl(mechanism, initial)), f"bind {mechanism}", initial))

    def respond(self, response: bytes) -> Answer:
        """Send the next one."""
        request = ldap.bind(ldap.sasl(self._mechanism, response))
        return self.answer(self.ask(request, f"bind {self._mechanism}", response))

    def cancel(self) -> Answer:
        """Send the bind that RFC 4513 section 5.2.1.2 cancels with."""
        return self.answer(self.ask(ldap.bind(ldap.sasl("", None)), "bind without a mechanism"))

    def ask(self, operation: bytes, what: str, octets: bytes | None = None) -> LdapAnswer | None:
        """Send a request and return the next message; None when the server has closed or says no LDAP."""
        if operation[:1] == _BIND:
            self._watch.sending(operation)
        self.transcript.sent(what, octets)
        self._number += 1
        self.wire.send(ldap.message(self._number, operation))
        try:
            found = self.next()
        except TimeoutError:
            self._watch.came(Reaction.SILENCE)
            raise
        self._watch.came(self.answer(found).outcome)
        return found

    def next(self) -> LdapAnswer | None:
        """Return the next message in clear; None when the server has closed or what comes is no LDAP."""
        buffer = b""
        deadline = self.wire.deadline()
        while (size := ldap.whole(buffer)) is None:
            deadline.check()
            if len(buffer) > _LARGEST:
                raise CaseError(f"an LDAP message of more than {_LARGEST} octets")
            octets = self.wire.receive()
            if not octets:
                self.transcript.received("closes")
                return None
            buffer += octets
        self.wire.pending[:0] = buffer[size:]
        try:
            found = ldap.parse(buffer[:size])
        except SaslError as error:
            self.transcript.received(f"no LDAP message ({error.text})", buffer[:size])
            return None
        self.transcript.received(f"result {found.code} {found.text}".strip(), found.credentials)
        return found

    @staticmethod
    def answer(found: LdapAnswer | None) -> Answer:
        """A bind response in the terms of cases."""
        if found is None or found.id == 0:
            return Answer(Reaction.CLOSED)
        kinds = {_SUCCESS: Reaction.SUCCESS, _IN_PROGRESS: Reaction.CHALLENGE}
        data = found.credentials
        outcome = kinds.get(found.code or 0, Reaction.FAILURE)
        if outcome is Reaction.CHALLENGE and data is None:
            data = b""
        return Answer(outcome, data, f"result code {found.code} {found.text}".strip())

    def supported(self) -> tuple[str, ...]:
        """The mechanisms that the root DSE lists."""
        found: tuple[str, ...] = ()
        answer = self.ask(ldap.root_dse("supportedSASLMechanisms"), "search of the root DSE")
        while answer is not None and answer.tag == 0x64:
            found += answer.values
            answer = self.next()
        if answer is None or answer.tag != 0x65:
            raise CaseError("the search of the root DSE has no result: this is no LDAP server")
        return found

    def who_am_i(self) -> str | None:
        """Ask in clear who we are; None where the server refuses."""
        answer = self.ask(ldap.extended(ldap.WHO_AM_I), "Who am I?")
        return None if answer is None or answer.code else (answer.value or b"").decode(errors="replace")

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self.transcript.sent("octets", octets)
        self.wire.send(octets)

    def receive(self) -> bytes:
        """Return octets."""
        octets = self.wire.receive()
        self.transcript.received("octets" if octets else "closes", octets or None)
        return octets

    def answers(self, text: bytes, *, large: bool = False) -> bool:
        """Whether a whole answer to a probe is there."""
        rest = text
        while (size := ldap.whole(rest)) is not None:
            found, rest = ldap.parse(rest[:size]), rest[size:]
            if found.tag in (0x78, 0x65):
                return True
        return False

    def close(self) -> None:
        """Close."""
        self.wire.close()
