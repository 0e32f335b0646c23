"""A server of DIGEST-MD5 that says what a case wants, and knows what a right client would answer."""

from __future__ import annotations

from collections.abc import Sequence

from saslsspi_conformance.case import CaseError, NotApplicable, Observation, Reaction
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, Setting
from saslsspi_conformance.peers.digest.lists import Directives, read
from saslsspi_conformance.peers.digest.values import Keys, Values, hashed, quoted
from saslsspi_conformance.peers.frames import Stream

__all__ = ["ScriptedDigestServer"]


class ScriptedDigestServer:
    """The server's side of one connection.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the client should be like.
    """

    nonce = b"OA6MG9tEQGm2hh"

    def __init__(self, run: CaseRun, setting: Setting = DEFAULT) -> None:
        run.need("DIGEST-MD5")
        self.case_run = run
        self.connection = run.meet("DIGEST-MD5", setting)
        self.initial = self.connection.start()
        self.user = setting.user or run.target.account.user
        self.password = setting.password or run.target.account.password
        self.sent = Directives((), "")
        self.raw = b""

    def challenge(
        self,
        *more: bytes,
        realm: Sequence[str] | None = None,
        nonce: bytes | None = None,
        algorithm: bytes | None = b"algorithm=md5-sess",
        qop: str = "auth",
        cipher: str = "",
        charset: bool = True,
    ) -> bytes:
        """Write a challenge, right but for what is given.

        Args:
            more: Raw directives to append.
            realm: The realms; None is the account's.
            nonce: The raw nonce directive; b"" leaves it out.
            algorithm: The raw algorithm directive.
            qop: The list; "" leaves it out.
            cipher: The list; "" leaves it out.
            charset: Whether UTF-8 is announced.
        """
        realms = [self.case_run.target.account.realm] if realm is None else list(realm)
        parts = [b"realm=" + quoted(name.encode("utf-8" if charset else "latin-1")) for name in realms]
        parts.append(b"nonce=" + quoted(self.nonce) if nonce is None else nonce)
        parts.append(b'qop="' + qop.encode() + b'"' if qop else b"")
        parts.append(b"charset=utf-8" if charset else b"")
        parts.append(algorithm or b"")
        parts.append(b'cipher="' + cipher.encode() + b'"' if cipher else b"")
        return b",".join([part for part in (*parts, *more) if part])

    def ask(self, challenge: bytes) -> Observation:
        """Send a challenge: RESPONSE and what came, or how the client gave up."""
        answer = self.connection.challenge(challenge)
        if answer.outcome is Reaction.RESPONSE:
            if not answer.data:
                return Observation(Reaction.FAILURE, "an empty response")
            self.raw = answer.data
            self.sent = read(answer.data)
        return answer.seen

    def responded(self, challenge: bytes) -> Directives:
        """Send a challenge that the client has to answer."""
        seen = self.ask(challenge)
        if seen.outcome is not Reaction.RESPONSE:
            if "auth" not in (read(challenge).options("qop") or ["auth"]):
                raise NotApplicable(f"the client does not answer where only layers are offered: {seen.detail}")
            raise CaseError(f"the client did not answer a challenge: {seen.outcome} {seen.detail}")
        return self.sent

    def values(self) -> Values:
        """What the client says, with the password that we know."""
        sent = self.sent
        return Values(
            username=hashed(self.user),
            realm=hashed(sent.value("realm").decode("utf-8" if sent.count("charset") else "latin-1")),
            password=hashed(self.password),
            nonce=sent.value("nonce"),
            cnonce=sent.value("cnonce"),
            nc=sent.value("nc"),
            qop=sent.value("qop") or b"auth",
            digest_uri=sent.value("digest-uri"),
            authzid=sent.value("authzid") if sent.count("authzid") else None,
        )

    def right(self) -> bool:
        """Whether the client's response is the one of this password."""
        return self.sent.value("response") == self.values().response()

    def proof(self) -> bytes:
        """The right rspauth."""
        return b"rspauth=" + self.values().rspauth()

    def finish(self, proof: bytes | None, behind: bytes = b"") -> Observation:
        """Report success with some last data (None: without any), as the carrier can; behind it goes at once."""
        if proof is None or self.case_run.target.success_data:
            return self.connection.succeed(proof, behind).seen
        return self.finish_apart(proof, behind)

    def finish_apart(self, proof: bytes, behind: bytes = b"") -> Observation:
        """Send the last data as one more challenge, which wants an empty response, and then success."""
        answer = self.connection.challenge(proof)
        if answer.outcome is not Reaction.RESPONSE:
            return answer.seen
        if answer.data:
            return Observation(Reaction.BROKEN, "the response to the last data is not empty")
        return self.connection.succeed(None, behind).seen

    def log_on(self, challenge: bytes | None = None) -> Observation:
        """Run a right exchange."""
        self.responded(self.challenge() if challenge is None else challenge)
        return self.finish(self.proof())

    def layer(self, qop: str = "auth-int", cipher: str = "", *more: bytes) -> ServerLayer:
        """Log on with a layer and return it."""
        if (seen := self.ask(self.challenge(*more, qop=qop, cipher=cipher))).outcome is not Reaction.RESPONSE:
            raise NotApplicable(f"the client does not answer {qop} {cipher}, which is a case of its own: {seen.detail}")
        if self.sent.value("qop") != qop.encode():
            raise NotApplicable(f"the client does not take {qop}")
        layer = ServerLayer(self, cipher)
        unasked = self.connection.unasked
        seen = self.finish(self.proof(), layer.out.wrap(unasked) if unasked else b"")
        if seen.outcome is not Reaction.SUCCESS:
            raise CaseError(f"the client did not accept a right proof: {seen.outcome} {seen.detail}")
        return layer


class ServerLayer:
    """The layer of a server that a client has logged on to."""

    def __init__(self, server: ScriptedDigestServer, cipher: str) -> None:
        ha1 = server.values().ha1()
        self._connection = server.connection
        self.out = Keys(ha1, to_server=False, cipher=cipher)
        self.back = Keys(ha1, to_server=True, cipher=cipher)
        self.stream = Stream(server.connection.receive)

    def request(self) -> tuple[bytes, bytes, str]:
        """Return the client's next buffer, its text, and what is wrong with it."""
        buffer = self.stream.buffer()
        if buffer is None:
            return b"", b"", self.stream.state
        return buffer, *self.back.unwrap(buffer)

    def send(self, wire: bytes) -> Observation:
        """Send octets: DELIVERED, or how the client refused them."""
        answer: Answer = self._connection.send(wire)
        return answer.seen
