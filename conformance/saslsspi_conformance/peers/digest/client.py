"""A client of DIGEST-MD5 that writes a right response with whatever a case wants to be wrong in it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from saslsspi_conformance.case import CaseError, NotApplicable, Observation, Reaction
from saslsspi_conformance.case_run import DEFAULT, Answer, CaseRun, ServerConversation, Setting
from saslsspi_conformance.peers.digest.lists import Directives, read
from saslsspi_conformance.peers.digest.values import Keys, Values, hashed, quoted
from saslsspi_conformance.peers.frames import Stream

__all__ = ["Protected", "ScriptedDigestClient"]

Changes = Mapping[str, bytes | None]


class ScriptedDigestClient:
    """The client's side of one connection.

    Args:
        run: The case: where the target is, and what crossed the wire.
        setting: What the server should be like.
        qop: The protection to choose.
        cipher: The cipher of auth-conf.
        user: The account to use; the target's own without one.
        wrong_password: Whether to hash another password.
        values: What to hash in place of the right thing: nonce, cnonce, nc, digest_uri, realm, authzid, qop.
        hashed_qop: What to write and hash for qop, offered or not.
        on: An open connection to go on with.
    """

    def __init__(
        self,
        run: CaseRun,
        setting: Setting = DEFAULT,
        *,
        qop: str = "auth",
        cipher: str = "",
        user: tuple[str, str] | None = None,
        wrong_password: bool = False,
        hashed_qop: bytes | None = None,
        on: ServerConversation | None = None,
        **values: bytes | None,
    ) -> None:
        run.need("DIGEST-MD5")
        self.case_run = run
        self.connection = run.connect(setting) if on is None else on
        self.qop = qop
        self.cipher = cipher
        self.user = user or (
            setting.user or run.target.account.user,
            setting.password or run.target.account.password,
        )
        self._wrong_password = wrong_password
        self._given = dict(values)
        if hashed_qop is not None:
            self._given["qop"] = hashed_qop
        self.challenge = Directives((), "")
        self.raw_challenge = b""
        self.response = b""
        self.proof: bytes | None = None
        self.values = Values(username=b"", password=b"", digest_uri=b"")

    def begin(self, initial: bytes | None = None) -> Directives:
        """Ask for a challenge and read it."""
        answer = self.connection.begin("DIGEST-MD5", initial)
        if answer.outcome is not Reaction.CHALLENGE or answer.data is None:
            raise CaseError(f"no digest-challenge came, but {answer.outcome}: {answer.text}")
        return self.take(answer.data)

    def take(self, challenge: bytes) -> Directives:
        """Read a challenge."""
        self.raw_challenge = challenge
        self.challenge = read(challenge)
        return self.challenge

    def begin_anew(self, challenge: bytes) -> Directives:
        """Take a challenge in place of success: what was given of the session before no longer counts."""
        self._given.clear()
        return self.take(challenge)

    def right_values(self) -> Values:
        """The values of a right response, with what the case gave in place of some."""
        target, offered = self.case_run.target, self.challenge
        name, password = self.user
        realms = offered.values("realm")
        values = Values(
            username=hashed(name),
            realm=realms[0] if realms else b"",
            password=hashed(password + "x" if self._wrong_password else password),
            nonce=offered.value("nonce"),
            cnonce=secrets.token_hex(12).encode(),
            digest_uri=f"{target.service}/{target.host}".encode(),
            qop=self.qop.encode(),
        )
        for name_, value in self._given.items():
            setattr(values, name_, value)
        return values

    def write(
        self, *, without: str = "", extra: Sequence[bytes] = (), changes: Changes | None = None, utf8: bool = True
    ) -> bytes:
        """Write the response.

        Args:
            without: A directive to leave out.
            extra: Raw directives to append.
            changes: Raw values to write in place of the right ones; None leaves the directive out.
            utf8: Whether the name is written in UTF-8, announced by charset.
        """
        self._check_offered()
        values = self.values = self.right_values()
        realms = self.challenge.values("realm")
        directives: dict[str, bytes | None] = {
            "charset": b"utf-8" if utf8 and self.challenge.count("charset") else None,
            "username": quoted(self.user[0].encode("utf-8" if utf8 else "latin-1")),
            "realm": quoted(values.realm) if realms or "realm" in self._given else None,
            "nonce": quoted(values.nonce),
            "nc": values.nc,
            "cnonce": quoted(values.cnonce),
            "digest-uri": quoted(values.digest_uri),
            "response": values.response(),
            "qop": values.qop,
            "cipher": self.cipher.encode() or None,
            "authzid": None if values.authzid is None else quoted(values.authzid),
        }
        directives.update(changes or {})
        if without:
            directives[without] = None
        written = [name.encode() + b"=" + raw for name, raw in directives.items() if raw is not None]
        return b",".join([*written, *extra])

    def log_on(
        self, *, without: str = "", extra: Sequence[bytes] = (), changes: Changes | None = None, utf8: bool = True
    ) -> Observation:
        """Run the whole exchange; the arguments are those of write."""
        if not self.raw_challenge:
            self.begin()
        return self.answer(self.write(without=without, extra=extra, changes=changes, utf8=utf8))

    def answer(self, response: bytes) -> Observation:
        """Send a response and see the exchange to its end."""
        self.response = response
        return self.finish(self.connection.respond(response))

    def finish(self, answer: Answer, last: bytes = b"") -> Observation:
        """Answer a proof that came as one more challenge with an empty response, and note it."""
        self.proof = answer.data
        if answer.outcome is Reaction.CHALLENGE and (answer.data or b"").lstrip(b", \t").lower().startswith(b"rspauth"):
            answer = self.connection.respond(last)
        return answer.seen

    def logged_on(self) -> ScriptedDigestClient:
        """Run a right exchange; raises CaseError where the server refuses it."""
        seen = self.log_on()
        if seen.outcome is not Reaction.SUCCESS:
            raise CaseError(f"a right response was not accepted: {seen.outcome} {seen.detail}")
        return self

    def layer(self) -> Protected:
        """Log on with a layer and return it."""
        self.logged_on()
        return Protected(self)

    def _check_offered(self) -> None:
        offered = self.challenge.options("qop") or ["auth"]
        if self.qop.lower() not in offered and "qop" not in self._given:
            raise NotApplicable(f"the server does not offer {self.qop}, but {', '.join(offered)}")
        ciphers = self.challenge.options("cipher")
        if self.qop == "auth-conf" and self.cipher and self.cipher not in ciphers:
            raise NotApplicable(f"the server does not offer the cipher {self.cipher}")


class Protected:
    """The layer of a client that has logged on."""

    def __init__(self, client: ScriptedDigestClient) -> None:
        ha1 = client.values.ha1()
        self._connection = client.connection
        self.probe = client.connection.probe
        self.out = Keys(ha1, to_server=True, cipher=client.cipher)
        self.back = Keys(ha1, to_server=False, cipher=client.cipher)
        self.stream = Stream(client.connection.receive)
        self.buffers: list[bytes] = []

    def send(self, wire: bytes) -> None:
        """Send octets."""
        self._connection.send(wire)

    def ask(self, wire: bytes, *, large: bool = False) -> Observation:
        """Send octets and see whether the answer to a probe comes back: DELIVERED, or how it was refused."""
        self.send(wire)
        return self.answered(large=large)

    def answered(self, *, large: bool = False) -> Observation:
        """Read until the answer to a probe, or to the large one."""
        text = b""
        while True:
            buffer = self.stream.buffer()
            if buffer is None:
                return Observation(Reaction.CLOSED, self.stream.state)
            self.buffers.append(buffer)
            more, wrong = self.back.unwrap(buffer)
            if wrong:
                return Observation(Reaction.BROKEN, wrong)
            text += more
            if self._connection.answers(text, large=large):
                return Observation(Reaction.DELIVERED)
