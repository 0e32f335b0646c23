"""A server of CREDSSP, step by step, with each message in a case's hand."""

from __future__ import annotations

from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, Setting
from saslsspi_conformance.outcome import CaseError, Observation, Reaction
from saslsspi_conformance.peers.credssp.inside import Inside
from saslsspi_conformance.peers.credssp.ts_request import TsRequest, client_binding, read, server_binding, write
from saslsspi_conformance.peers.tls_end import TlsEnd, record_count

__all__ = ["ScriptedCredsspServer"]


class ScriptedCredsspServer:
    """The server's side; the handshake is over and the client's first TSRequest is there when it is made.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the client should be like.
        version: The version to speak.
        bare: Whether NTLM is taken without Negotiate.
        self_signed: Whether the certificate is, or else of an authority that the client does not know.
        tickets: Whether to give the client tickets for another time.

    Attributes:
        text: What came last inside TLS.
        told: The TSRequests that came, in order.
        records: How many records the client's last message had.
    """

    def __init__(
        self,
        run: CaseRun,
        setting: Setting = DEFAULT,
        *,
        version: int = 6,
        self_signed: bool = False,
        tickets: bool = False,
    ) -> None:
        run.need("CREDSSP")
        account = run.target.account
        self._transcript = run.transcript
        self.version = version
        self.tls = TlsEnd.server(self_signed=self_signed, tickets=tickets)
        self.connection = run.meet("CREDSSP", setting)
        self._inside = Inside.accepting(account.user, account.password, bare=False)
        self.text = b""
        self.records = 0
        self.told: list[TsRequest] = []
        self._open()

    def _open(self) -> None:
        answer = self.connection.start()
        if answer.data is None:
            answer = self.connection.challenge(b"")
        while answer.outcome is Reaction.RESPONSE:
            self.tls.take(answer.data or b"")
            if self.tls.handshake() and self._note(answer):
                return
            answer = self.connection.challenge(self.tls.flight())
        raise CaseError(f"the client did not get through the handshake of TLS: {answer.outcome} {answer.text}")

    def _note(self, answer: Answer) -> bool:
        """Read what came inside TLS; whether anything did."""
        self.records = record_count(answer.data or b"")
        self.text = self.tls.read()
        if self.text[:1] == b"\x30":
            try:
                self.told.append(read(self.text))
                self._transcript.received(f"inside TLS: {self.request}")
            except SaslError as error:
                raise CaseError(f"the client sent no TSRequest in DER: {error.text}") from error
        return bool(self.text)

    @property
    def request(self) -> TsRequest:
        """The client's last TSRequest."""
        return self.told[-1]

    def send(self, *texts: bytes) -> Observation:
        """Send texts, a record each: RESPONSE with what came, or how the client gave up."""
        answer = self.connection.challenge(self.tls.seal(*texts))
        self.text = b""
        if answer.outcome is Reaction.RESPONSE:
            self.tls.take(answer.data or b"")
            self._note(answer)
            if self.tls.closed:
                return Observation(Reaction.CLOSED, "an alert or close_notify of TLS")
        return answer.seen

    def say(self, request: TsRequest, *more_tokens: bytes) -> Observation:
        """Send a TSRequest."""
        self._transcript.sent(f"inside TLS: {request}")
        return self.send(write(request, *more_tokens))

    @property
    def effective(self) -> int:
        """The version in force."""
        return min(self.version, self.told[0].version, 6)

    def challenged(self) -> TsRequest:
        """The right answer to the client's token."""
        token = self._inside.step(self.request.nego_token or b"").token
        return TsRequest(self.version, nego_token=token)

    def negotiate(self, **changes: object) -> Observation:
        """Answer the client's tokens until it sends its proof."""
        seen = Observation(Reaction.RESPONSE)
        while seen.outcome is Reaction.RESPONSE and self.request.pub_key_auth is None:
            count = len(self.told)
            seen = self.say(self.challenged()._replace(**changes))  # type: ignore[arg-type]
            if len(self.told) == count:
                return Observation(Reaction.CLOSED, "nothing came back") if seen.outcome is Reaction.RESPONSE else seen
        return seen

    def take_proof(self) -> bytes:
        """Negotiate, and return what the client hides in pubKeyAuth."""
        seen = self.negotiate()
        if seen.outcome is not Reaction.RESPONSE or self.request.pub_key_auth is None:
            raise CaseError(f"the client sent no proof: {seen.outcome} {seen.detail}")
        self._owed = self._inside.step(self.request.nego_token).token if self.request.nego_token else None
        self.nonce = self.request.client_nonce or b""
        return self._inside.unseal(self.request.pub_key_auth)

    def binding(self) -> bytes:
        """What a right client hides."""
        return client_binding(self.effective, self.nonce, self.tls.key)

    def proof(self, contents: bytes | None = None) -> TsRequest:
        """The right message of step 4, or one with other contents."""
        right = server_binding(self.effective, self.nonce, self.tls.key)
        hidden = self._inside.seal(right if contents is None else contents)
        return TsRequest(self.version, nego_token=self._owed, pub_key_auth=hidden)

    def prove(self, contents: bytes | None = None, **changes: object) -> Observation:
        """Take the client's proof, and send ours."""
        self.take_proof()
        return self.say(self.proof(contents)._replace(**changes))  # type: ignore[arg-type]

    def credentials(self) -> bytes:
        """Come as far as the credentials, and return TSCredentials."""
        seen = self.prove()
        if seen.outcome is not Reaction.RESPONSE or self.request.auth_info is None:
            raise CaseError(f"the client sent no credentials: {seen.outcome} {seen.detail}")
        return self._inside.unseal(self.request.auth_info)

    def offer(self, mask: int, size: int) -> Observation:
        """Come to the offer of layers; the client's choice is the text."""
        self.credentials()
        return self.send(bytes([mask]) + size.to_bytes(3))

    def log_on(self) -> Observation:
        """Run the whole exchange without a layer."""
        seen = self.offer(1, 0)
        if seen.outcome is not Reaction.RESPONSE:
            return seen
        return self.connection.succeed().seen
