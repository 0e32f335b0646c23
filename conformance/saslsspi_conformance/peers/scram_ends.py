"""SCRAM ends that say what a case wants them to say, with the arithmetic of RFC 5802 section 3 on hashlib and hmac."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

from saslsspi_conformance.case import CaseError, Observation, Reaction
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, ServerConversation, Setting

__all__ = ["ScriptedScramClient", "ScriptedScramServer", "fields"]

_HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256", "SCRAM-SHA-512": "sha512"}


def fields(message: bytes) -> dict[str, bytes]:
    """The attributes of a message, the first of each name."""
    found: dict[str, bytes] = {}
    for part in message.split(b","):
        found.setdefault(part[:1].decode("latin-1"), part[2:])
    return found


class _Arithmetic:
    """The keys of one password."""

    def __init__(self, mechanism: str, password: bytes, salt: bytes, count: int) -> None:
        name = self._name = _HASHES[mechanism.removesuffix("-PLUS")]
        salted = hashlib.pbkdf2_hmac(name, password, salt, count)
        self._client_key = hmac.digest(salted, b"Client Key", name)
        self._server_key = hmac.digest(salted, b"Server Key", name)

    def proof(self, auth_message: bytes) -> bytes:
        stored = hashlib.new(self._name, self._client_key).digest()
        signature = hmac.digest(stored, auth_message, self._name)
        return b64encode(bytes(a ^ b for a, b in zip(self._client_key, signature, strict=True)))

    def signature(self, auth_message: bytes) -> bytes:
        return b64encode(hmac.digest(self._server_key, auth_message, self._name))


class ScriptedScramClient:
    """The client's side.

    Args:
        run: The case: where the target is, and what crossed the wire.
        mechanism: SCRAM-SHA-1 or SCRAM-SHA-256, with -PLUS or without.
        setting: What the server should be like.
        header: The GS2 header.
        bare: What stands behind it; None is the account's name and a nonce.
        binding: The channel binding data that go into c=.
        wrong_password: Whether to prove another password.
        on: An open connection to go on with.
    """

    def __init__(
        self,
        run: CaseRun,
        mechanism: str = "SCRAM-SHA-256",
        setting: Setting = DEFAULT,
        *,
        header: bytes = b"n,,",
        bare: bytes | None = None,
        binding: bytes = b"",
        wrong_password: bool = False,
        on: ServerConversation | None = None,
    ) -> None:
        if on is None:
            run.need(mechanism)
        self.mechanism = mechanism
        self.connection = run.connect(setting) if on is None else on
        user = setting.user or run.target.account.user
        password = setting.password or run.target.account.password
        self._password = (password + "x" if wrong_password else password).encode()
        self.header = header
        name = user.encode().replace(b"=", b"=3D").replace(b",", b"=2C")
        self.bare = b"n=" + name + b",r=testernonce" if bare is None else bare
        self._binding = binding
        self.server_first = b""
        self.server_final: bytes | None = None
        self.expected = b""

    def first(self) -> Answer:
        """Send the client's first message; data is the server's."""
        answer = self.connection.begin(self.mechanism, self.header + self.bare)
        self.server_first = answer.data or b"" if answer.outcome is Reaction.CHALLENGE else b""
        return answer

    def final(
        self,
        *,
        nonce: bytes | None = None,
        c: bytes | None = None,
        extensions: bytes = b"",
        proof: bytes | None = None,
        signed_header: bytes | None = None,
    ) -> bytes:
        """Write the client's final message, right but for what is given."""
        told = fields(self.server_first)
        said_nonce = told["r"] if nonce is None else nonce
        said_c = (
            b64encode((self.header if signed_header is None else signed_header) + self._binding) if c is None else c
        )
        without = b"c=" + said_c + b",r=" + said_nonce + extensions
        keys = _Arithmetic(self.mechanism, self._password, b64decode(told["s"]), int(told["i"]))
        auth_message = b",".join((self.bare, self.server_first, without))
        self.expected = b"v=" + keys.signature(auth_message)
        return without + b",p=" + (keys.proof(auth_message) if proof is None else proof)

    def log_on(self, **given: bytes) -> Observation:
        """Run the whole exchange; the arguments are those of final."""
        answer = self.first()
        if answer.outcome is not Reaction.CHALLENGE:
            return answer.seen
        if "r" not in fields(self.server_first) or "s" not in fields(self.server_first):
            return Observation(Reaction.FAILURE, f"no server-first-message, but {self.server_first[:2]!r}")
        return self.finish(self.final(**given))

    def finish(self, final: bytes) -> Observation:
        """Send the final message and answer a server-final that comes as a challenge."""
        answer = self.connection.respond(final)
        self.server_final = answer.data
        if (answer.outcome is Reaction.CHALLENGE and (answer.data or b"").startswith(b"v=")) or (
            answer.outcome is Reaction.CHALLENGE and (answer.data or b"").startswith(b"e=")
        ):
            answer = self.connection.respond(b"")
        return answer.seen


class ScriptedScramServer:
    """The server's side.

    Args:
        run: The case: where the target is, and what crossed the wire.
        mechanism: SCRAM-SHA-1 or SCRAM-SHA-256, with -PLUS or without.
        setting: What the client should be like.
    """

    def __init__(self, run: CaseRun, mechanism: str = "SCRAM-SHA-256", setting: Setting = DEFAULT) -> None:
        run.need(mechanism)
        self.case_run = run
        self.mechanism = mechanism
        self.connection = run.meet(mechanism, setting)
        self._password = (setting.password or run.target.account.password).encode()
        begun = self.connection.start()
        if begun.data is None:
            begun = self.connection.challenge(b"")
        if not begun.data:
            raise CaseError("the client does not begin with a message")
        self.client_first = begun.data
        self.server_first = b""
        self.client_final = b""

    @property
    def bare(self) -> bytes:
        """The client's first message without the GS2 header."""
        return self.client_first.split(b",", 2)[2]

    def first(
        self, *, nonce: bytes | None = None, i: bytes = b"4096", salt: bytes = b"c2FsdHNhbHQ=", more: bytes = b""
    ) -> Observation:
        """Send a server-first-message: RESPONSE, or how the client gave up."""
        mine = fields(self.bare)["r"] + b"servernonce" if nonce is None else nonce
        self.server_first = b"r=" + mine + b",s=" + salt + (b",i=" + i if i else b"") + more
        return self.say(self.server_first)

    def say(self, message: bytes) -> Observation:
        """Send any message."""
        self.server_first = message
        answer = self.connection.challenge(message)
        if answer.outcome is Reaction.RESPONSE:
            self.client_final = answer.data or b""
        return answer.seen

    def _auth_message(self) -> tuple[_Arithmetic, bytes]:
        told = fields(self.server_first)
        without = self.client_final.rpartition(b",p=")[0]
        keys = _Arithmetic(self.mechanism, self._password, b64decode(told["s"]), int(told["i"]))
        return keys, b",".join((self.bare, self.server_first, without))

    def right(self) -> bool:
        """Whether the client proves the password."""
        keys, auth_message = self._auth_message()
        return self.client_final.rpartition(b",p=")[2] == keys.proof(auth_message)

    def signature(self) -> bytes:
        """The right server-final-message."""
        keys, auth_message = self._auth_message()
        return b"v=" + keys.signature(auth_message)

    def finish(self, final: bytes | None) -> Observation:
        """Report success, with the last message where the carrier has room for it, or behind it as a challenge."""
        if final is None or self.case_run.target.success_data:
            return self.connection.succeed(final).seen
        answer = self.connection.challenge(final)
        if answer.outcome is not Reaction.RESPONSE:
            return answer.seen
        return self.connection.succeed().seen
