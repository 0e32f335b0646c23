"""A client of CREDSSP, step by step, with each message in a case's hand (docs/credssp-sasl.md, MS-CSSP 3.1.5)."""

from __future__ import annotations

import secrets
from typing import Final

from saslsspi.errors import SaslError
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, Setting
from saslsspi_conformance.outcome import CaseError, Observation, Reaction
from saslsspi_conformance.peers.credssp.inside import Inside
from saslsspi_conformance.peers.credssp.ts_request import EMPTY, TsRequest, client_binding, read, server_binding, write
from saslsspi_conformance.peers.frames import Stream
from saslsspi_conformance.peers.tls_end import TlsEnd

__all__ = ["ScriptedCredsspClient"]

_TURNS: Final = 8


class ScriptedCredsspClient:
    """The client's side of one connection.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the server should be like.
        version: The version to speak.
        bare: Whether NTLM stands inside without Negotiate.
        wrong_password: Whether to prove another password.

    Attributes:
        text: What came last inside TLS.
        told: The TSRequests that came, in order.
    """

    def __init__(
        self,
        run: CaseRun,
        setting: Setting = DEFAULT,
        *,
        version: int = 6,
        bare: bool = False,
        wrong_password: bool = False,
    ) -> None:
        run.need("CREDSSP")
        target = run.target
        self.case_run = run
        self.connection = run.connect(setting)
        self.version = version
        self.tls = TlsEnd.client(target.host)
        password = target.account.password + ("x" if wrong_password else "")
        name = f"{target.service}/{target.host}"
        self._inside = Inside.initiating(name, target.account.user, password, bare=bare)
        self.nonce = secrets.token_bytes(32)
        self.text = b""
        self.told: list[TsRequest] = []

    def open(self) -> ScriptedCredsspClient:
        """Run the handshake of TLS; its last flight goes out with the first message."""
        self.tls.handshake()
        answer = self.connection.begin("CREDSSP", self.tls.flight())
        while answer.outcome is Reaction.CHALLENGE:
            self.tls.take(answer.data or b"")
            if self.tls.handshake():
                return self
            answer = self.connection.respond(self.tls.flight())
        raise CaseError(f"the handshake of TLS failed: {answer.outcome} {answer.text}")

    def send(self, *texts: bytes) -> Observation:
        """Send texts, a record each: CHALLENGE with what came, or how the server refused."""
        return self._follow(self.connection.respond(self.tls.seal(*texts)))

    def say(self, request: TsRequest) -> Observation:
        """Send a TSRequest."""
        self.case_run.transcript.sent(f"inside TLS: {request}")
        return self.send(write(request))

    def _follow(self, answer: Answer) -> Observation:
        for _ in range(_TURNS):
            if answer.outcome is not Reaction.CHALLENGE:
                break
            self.tls.take(answer.data or b"")
            self.text = self.tls.read()
            if self.text and not self._is_last():
                return answer.seen
            answer = self.connection.respond(b"")  # it is the server's turn, or it has said why it fails
        return answer.seen

    def _is_last(self) -> bool:
        """Note a TSRequest; whether it is an error."""
        if self.text[:1] != b"\x30":
            return False
        try:
            request = read(self.text)
        except SaslError:
            return False
        self.told.append(request)
        self.case_run.transcript.received(f"inside TLS: {request}")
        return request.error_code is not None

    @property
    def reply(self) -> TsRequest:
        """The server's last TSRequest."""
        if not self.told:
            raise CaseError("the server sent no TSRequest")
        return self.told[-1]

    @property
    def effective(self) -> int:
        """The version in force."""
        return min(self.version, self.told[0].version if self.told else self.version, 6)

    def negotiate(self) -> ScriptedCredsspClient:
        """Open, and send the first token."""
        self.open()
        seen = self.say(TsRequest(self.version, nego_token=self.token()))
        if seen.outcome is not Reaction.CHALLENGE or self.reply.nego_token is None:
            raise CaseError(f"the server did not answer the first token: {seen.outcome} {seen.detail}")
        return self

    def token(self) -> bytes:
        """The next token of the context inside."""
        return self._inside.step(self.told[-1].nego_token or b"" if self.told else b"").token or b""

    def binding(self) -> bytes:
        """The right contents of pubKeyAuth."""
        return client_binding(self.effective, self.nonce, self.tls.key)

    def proof(self, contents: bytes | None = None) -> TsRequest:
        """The right message of step 3, or one with other contents of pubKeyAuth."""
        token = self.token()
        hidden = self._inside.seal(self.binding() if contents is None else contents)
        nonce = self.nonce if self.effective >= 5 else None
        return TsRequest(self.version, nego_token=token, pub_key_auth=hidden, client_nonce=nonce)

    def prove(self, contents: bytes | None = None, **changes: object) -> Observation:
        """Negotiate, and send the message of step 3 with some fields changed."""
        if not self.told:
            self.negotiate()
        seen = self.say(self.proof(contents)._replace(**changes))  # type: ignore[arg-type]
        if seen.outcome is Reaction.CHALLENGE and self.reply.nego_token is not None and not self._inside.complete:
            self._inside.step(self.reply.nego_token)
        return seen

    def proved(self) -> ScriptedCredsspClient:
        """Come as far as the server's proof, and verify it."""
        seen = self.prove()
        if seen.outcome is not Reaction.CHALLENGE or self.reply.pub_key_auth is None:
            raise CaseError(f"the server did not answer a right proof: {seen.outcome} {seen.detail}")
        self.server_proof = self._inside.unseal(self.reply.pub_key_auth)
        return self

    @property
    def server_is_right(self) -> bool:
        """Whether the server's proof is the one of its key."""
        return self.server_proof == server_binding(self.effective, self.nonce, self.tls.key)

    def hand_over(self, credentials: bytes = EMPTY, **changes: object) -> Observation:
        """Prove, and send credentials; the answer is the offer of layers."""
        self.proved()
        request = TsRequest(self.version, auth_info=self._inside.seal(credentials))
        return self.say(request._replace(**changes))  # type: ignore[arg-type]

    def offered(self) -> tuple[int, int]:
        """Come as far as the offer of layers: mask and size."""
        seen = self.hand_over()
        if seen.outcome is not Reaction.CHALLENGE or len(self.text) != 4:
            raise CaseError(f"no offer of layers came: {seen.outcome} {seen.detail}")
        return self.text[0], int.from_bytes(self.text[1:])

    def choose(self, mask: int = 1, size: int = 0, authzid: bytes = b"") -> Observation:
        """Run the whole exchange to a choice."""
        self.offered()
        return self.send(bytes([mask]) + size.to_bytes(3) + authzid)

    def layer(self) -> CredsspLayer:
        """Log on with confidentiality."""
        mask, _ = self.offered()
        seen = self.send(b"\4" + (65536).to_bytes(3))
        if seen.outcome is not Reaction.SUCCESS:
            raise CaseError(f"the layer was not granted out of {mask:#04x}: {seen.outcome} {seen.detail}")
        return CredsspLayer(self)


class CredsspLayer:
    """Confidentiality: buffers of whole records."""

    def __init__(self, client: ScriptedCredsspClient) -> None:
        self._tls = client.tls
        self._connection = client.connection
        self._stream = Stream(client.connection.receive)
        self.probe = client.connection.probe

    def wrap(self, text: bytes) -> bytes:
        """Return one buffer with its length."""
        records = self._tls.seal(text)
        return len(records).to_bytes(4) + records

    def ask(self, wire: bytes) -> Observation:
        """Send octets and see whether the answer to a probe comes back."""
        self._connection.send(wire)
        text = b""
        while (buffer := self._stream.buffer()) is not None:
            self._tls.take(buffer)
            text += self._tls.read()
            if self._connection.answers(text):
                return Observation(Reaction.DELIVERED)
        return Observation(Reaction.CLOSED, self._stream.state)
