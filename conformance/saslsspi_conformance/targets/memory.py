"""Our own server and client, in memory: the target `self`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import saslsspi
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Credentials
from saslsspi.errors import SaslError
from saslsspi.sasl.registry import MECHANISMS
from saslsspi_conformance.case_run import Answer, Setting, TargetAccount, Transcript
from saslsspi_conformance.outcome import Reaction
from saslsspi_conformance.peers.gss import stand_in as gss_stand_in

__all__ = [
    "OTHER",
    "OWN",
    "UNUSUAL",
    "MemoryClientTarget",
    "MemoryServerTarget",
    "credentials_of",
    "own_accounts",
    "policy_of",
]

OWN: Final = TargetAccount("chris", "secret", "example.org")
OTHER: Final = TargetAccount("dana", "another secret", "example.org")
UNUSUAL: Final = {"josé": "grüße", "Ženja": "пароль", 'a\\b"c': 'q\\u"ote', "a,b=c": "pencil"}
"""More accounts of our own server, whose names are worth a case."""
_SERVICE: Final = "imap"
_HOST: Final = "mail.example.org"
_CIPHERS: Final = ("rc4", "3des", "rc4-56", "des", "rc4-40")
_NAMES: Final = ("DIGEST-MD5", "PLAIN", "EXTERNAL", "ANONYMOUS", "GSSAPI", "CREDSSP", "SCRAM-SHA-1", "SCRAM-SHA-256",
                 "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS")  # fmt: skip


def own_accounts() -> list[saslsspi.Account]:
    """Return the accounts of our own servers."""
    passwords = {OWN.user: OWN.password, OTHER.user: OTHER.password, **UNUSUAL}
    return [
        saslsspi.Account(
            username=user, password=password, may_act_as=frozenset({OTHER.user} if user == OWN.user else ())
        )
        for user, password in passwords.items()
    ]


def policy_of(setting: Setting) -> saslsspi.Policy:
    """Return the policy that a setting stands for."""
    return saslsspi.Policy(
        min_ssf=setting.min_ssf,
        max_ssf=setting.max_ssf,
        max_buffer=setting.max_buffer or 65536,
        min_peer_buffer=0,  # the specifications permit any, and the cases try them
        ciphers=_CIPHERS if setting.ciphers is None else setting.ciphers,
        tolerances=saslsspi.Tolerances.NONE,
        nonce_lifetime=setting.nonce_lifetime,
        negotiate=saslsspi.NegotiatePolicy(packages="ntlm"),
        credssp=saslsspi.CredSspPolicy(
            minimum_version=setting.credssp_minimum or 5,
            version=setting.credssp_version or 6,
            delegate=setting.delegates,
            allow_fresh_ntlm_only=("*",),
        ),
    )


class _Memory:
    name = "self"
    service = _SERVICE
    host = _HOST
    account = OWN
    success_data = True
    initial_response = True
    local = True
    repeats = True
    patience = 1.0

    def mechanisms(self) -> tuple[str, ...]:
        """Return what is installed of what we have cases for."""
        return tuple(
            plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None and plugin.name in _NAMES
        )


class MemoryServerTarget(_Memory):
    """Our server; what it is told under the layer it says back."""

    def __init__(self) -> None:
        self._authority = saslsspi.MemoryAuthority(own_accounts())
        self._nonces = saslsspi.MemoryNonceStore()
        self._clock = [0.0]

    def connect(self, setting: Setting, transcript: Transcript) -> MemoryServerConversation:
        """Open a connection."""

        def serve(mechanism: str) -> saslsspi.Server:
            bindings = _bindings(setting)
            return saslsspi.Server(
                gss_stand_in.mechanism() if mechanism == "GSSAPI" else mechanism,
                service=_SERVICE,
                host=_HOST,
                authority=self._authority,
                realm=(OWN.realm,) if setting.realms is None else setting.realms,
                policy=policy_of(setting),
                nonce_store=self._nonces if setting.remembers else None,
                bindings=bindings,
                external_ssf=setting.external_ssf or (256 if bindings or mechanism == "PLAIN" else 0),
                external_identity=setting.external_identity or None,
                success_data=not setting.last_data_apart,
            )

        return MemoryServerConversation(serve, transcript)


def _bindings(setting: Setting) -> ChannelBindings | None:
    return ChannelBindings(application_data=b"tls-server-end-point:" + setting.bindings) if setting.bindings else None


class MemoryServerConversation:
    """One connection to our server."""

    probe = b"ping"
    large_probe = b"pong" * 2500

    def __init__(self, serve: Callable[[str], saslsspi.Server], transcript: Transcript) -> None:
        self._serve = serve
        self._transcript = transcript
        self._server: saslsspi.Server | None = None
        self._layer: saslsspi.Layer | None = None
        self._back: deque[bytes] = deque()
        self._closed = False

    def begin(self, mechanism: str, initial: bytes | None = None) -> Answer:
        """Ask for a mechanism."""
        self._transcript.sent(f"AUTH {mechanism}", initial)
        try:
            self._server = self._serve(mechanism)
        except SaslError as error:
            return self._failed(error)
        return self._step(initial)

    def respond(self, response: bytes) -> Answer:
        """Answer a challenge."""
        self._transcript.sent("response", response)
        return self._step(response)

    def _step(self, response: bytes | None) -> Answer:
        assert self._server is not None
        try:
            reply = self._server.step(response)
        except SaslError as error:
            return self._failed(error)
        if not self._server.done:
            self._transcript.received("challenge", reply or b"")
            return Answer(Reaction.CHALLENGE, reply or b"")
        self._layer = self._server.layer or self._layer
        self._transcript.received("success", reply)
        return Answer(Reaction.SUCCESS, reply, self._server.security.authzid)

    def _failed(self, error: SaslError) -> Answer:
        self._transcript.received(f"failure: {error}")
        return Answer(Reaction.FAILURE, error.token, str(error))

    def cancel(self) -> Answer:
        """Give the exchange up."""
        assert self._server is not None
        self._transcript.sent("cancel")
        self._server.abort()
        return Answer(Reaction.FAILURE, None, "cancelled")

    def send(self, octets: bytes) -> None:
        """Give octets to the server's layer; it answers with the text it got."""
        self._transcript.sent("octets", octets)
        if self._closed:
            return
        if self._layer is None:
            self._back.append(octets)
            return
        try:
            texts = self._layer.feed(octets)
            self._back.extend(self._layer.wrap(text) for text in texts)
        except SaslError as error:
            self._transcript.received(f"closes: {error}")
            self._closed = True

    def receive(self) -> bytes:
        """Return the octets that come next."""
        if not self._back:
            if not self._closed:
                raise TimeoutError("no answer")
            return b""
        octets = self._back.popleft()
        self._transcript.received("octets", octets)
        return octets

    def answers(self, text: bytes, *, large: bool = False) -> bool:
        """Whether a text is the answer to a probe."""
        return text in (self.probe, self.large_probe)

    def close(self) -> None:
        """Close."""
        self._closed = True


class MemoryClientTarget(_Memory):
    """Our client."""

    def __init__(self) -> None:
        self._last: tuple[Setting, saslsspi.Client] | None = None

    def meet(self, mechanism: str, setting: Setting, transcript: Transcript) -> MemoryClientConversation:
        """Make a client."""
        if setting.remembers and self._last is not None and self._last[0] == setting:
            client = self._last[1].again()
        else:
            bindings = _bindings(setting)
            client = saslsspi.Client(
                gss_stand_in.mechanism() if mechanism == "GSSAPI" else mechanism,
                service=_SERVICE,
                host=_HOST,
                server_name=setting.serv_name or None,
                credentials=credentials_of(mechanism, setting),
                authzid=setting.authzid,
                policy=policy_of(setting),
                bindings=bindings,
                external_ssf=setting.external_ssf or (256 if bindings or mechanism == "PLAIN" else 0),
            )
        self._last = setting, client
        return MemoryClientConversation(client, transcript)


def credentials_of(mechanism: str, setting: Setting) -> Credentials | None:
    """Return what our own client authenticates with."""
    if mechanism in {"EXTERNAL"}:
        return None
    if mechanism == "ANONYMOUS":
        return saslsspi.Anonymous(setting.user)
    return saslsspi.Password(setting.user or OWN.user, setting.password or OWN.password, realm=setting.realm)


class MemoryClientConversation:
    """One connection of our client."""

    unasked = b""

    def __init__(self, client: saslsspi.Client, transcript: Transcript) -> None:
        self._client = client
        self._transcript = transcript
        self._early: Answer | None = None

    def start(self) -> Answer:
        """Return what the client begins with."""
        return self._run(self._client.start, "begins")

    def challenge(self, data: bytes) -> Answer:
        """Send a challenge."""
        self._transcript.sent("challenge", data)
        return self._run(lambda: self._client.step(data), "response")

    def _run(self, move: Callable[[], bytes | None], what: str) -> Answer:
        try:
            response = move()
        except SaslError as error:
            return self._gave_up(error)
        self._transcript.received(what, response)
        return Answer(Reaction.RESPONSE, response)

    def _gave_up(self, error: SaslError) -> Answer:
        self._transcript.received(f"gives up: {error}")
        return Answer(Reaction.FAILURE, None, str(error))

    def succeed(self, data: bytes | None = None, behind: bytes = b"") -> Answer:
        """Report success."""
        self._transcript.sent("success", data)
        try:
            self._client.succeed(data)
        except SaslError as error:
            return self._gave_up(error)
        self._transcript.received("goes on to use the connection")
        return Answer(Reaction.SUCCESS)

    def receive(self) -> bytes:
        """Return a request of the client, 10,000 octets long, under the layer where there is one."""
        text = b"request " * 1250
        wire = text if self._client.layer is None else self._client.layer.wrap(text)
        self._transcript.received("octets", wire)
        return wire

    def send(self, octets: bytes) -> Answer:
        """Give octets to the client's layer."""
        self._transcript.sent("octets", octets)
        assert self._client.layer is not None
        try:
            text = self._client.layer.unwrap(octets)
        except SaslError as error:
            self._transcript.received(f"closes: {error}")
            return Answer(Reaction.CLOSED, None, str(error))
        return Answer(Reaction.DELIVERED if text else Reaction.SILENCE, text)

    def close(self) -> None:
        """End the exchange."""
        self._client.abort()
