"""SASLClient: pure-sasl's client."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final, NamedTuple

from saslsspi.compat.puresasl import QOP, SASLError, SASLProtocolException, SASLWarning
from saslsspi.compat.puresasl.wrapper import set_right
from saslsspi.credentials import Anonymous, Credentials, Password, Tickets
from saslsspi.engine.policy import SSF_UNLIMITED, Policy
from saslsspi.engine.registry import package_problem
from saslsspi.errors import ContextMisuse, RemoteError, SaslError
from saslsspi.sasl.client import Client
from saslsspi.sasl.layer import Layer
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import find_mechanism

__all__ = ["QOP", "SASLClient", "SASLError", "SASLProtocolException", "SASLWarning"]


class _Traits(NamedTuple):
    """What choose_mechanism asks of a mechanism, as pure-sasl judges it."""

    anonymous: bool = False
    plaintext: bool = False
    active_safe: bool = False
    dictionary_safe: bool = False
    at_once: bool = False  # complete with the client's first message


_MECHANISMS: Final = {  # the preferred first
    "GSSAPI": _Traits(active_safe=True),
    "SCRAM-SHA-512": _Traits(),
    "SCRAM-SHA-256": _Traits(),
    "SCRAM-SHA-1": _Traits(),
    "DIGEST-MD5": _Traits(),
    "CRAM-MD5": _Traits(),
    "EXTERNAL": _Traits(anonymous=True, plaintext=True, at_once=True),
    "PLAIN": _Traits(plaintext=True, at_once=True),
    "ANONYMOUS": _Traits(anonymous=True, at_once=True),
}
_LIMITS: Final = {QOP.AUTH: (0, 0), QOP.AUTH_INT: (1, 1), QOP.AUTH_CONF: (2, SSF_UNLIMITED)}
_LENGTH: Final = 4
_LAYERED: Final = frozenset({"GSSAPI", "DIGEST-MD5"})


class SASLClient:
    """A client's side of one exchange.

    Args:
        host: The server's name.
        service: The GSSAPI service name of the protocol.
        mechanism: Its name; None where choose_mechanism follows.
        authorization_id: The identity to act as.
        callback: Asked for a property that is needed and was not given, by its name.
        qops: The qualities of protection that will do. DIGEST-MD5 has a layer only where they are given: callers of
            pure-sasl, which has none there, do not wrap.
        mutual_auth: Not read: a mechanism that proves the server always does so.
        max_buffer: Largest protected message that is taken, in octets.
        mechanism_props: username, password, realm, identity, principal; others are passed over.

    Raises:
        SASLError: there is no such mechanism.
    """

    _wrapper: ClassVar[bool] = False  # whether a derived class has the names of Cyrus's wrapper, and wraps

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if set_right(cls):
            cls._wrapper = True

    def __init__(
        self,
        host: str,
        service: str | None = None,
        mechanism: str | None = None,
        authorization_id: str | None = None,
        callback: Callable[[str], Any] | None = None,
        qops: Iterable[str | bytes] = QOP.all,
        mutual_auth: bool = False,
        max_buffer: int = 65536,
        **mechanism_props: Any,
    ) -> None:
        self.host, self.service, self.mechanism = host, service, mechanism
        self.authorization_id, self.callback = authorization_id, callback
        self.qops = set(qops)
        self.mutual_auth, self.max_buffer = mutual_auth, max_buffer
        self._layers_asked = qops is not QOP.all or self._wrapper
        self._properties = mechanism_props
        self._chosen: Mechanism | None = None
        self._client: Client | None = None
        if mechanism is not None:
            self._choose(mechanism)

    def _choose(self, name: str) -> None:
        try:
            self._chosen = find_mechanism(name)
        except SaslError as error:
            raise SASLError(f"Unknown mechanism {name}") from error
        package = self._chosen.package
        if package is not None and (problem := package_problem(package)):
            raise SASLError(f"{name} unavailable: {problem}")

    def choose_mechanism(
        self,
        mechanism_choices: Iterable[str],
        allow_anonymous: bool = True,
        allow_plaintext: bool = True,
        allow_active: bool = True,
        allow_dictionary: bool = True,
    ) -> None:
        """Choose the strongest mechanism of those that a server lists.

        Args:
            mechanism_choices: Their names.
            allow_anonymous: Whether one may be taken that lets anybody in.
            allow_plaintext: Whether one may be taken that sends the password.
            allow_active: Whether one may be taken that an attacker in between can use.
            allow_dictionary: Whether one may be taken of which passwords can be guessed at home.

        Raises:
            SASLError: none is left.
        """
        listed = [name for name in _MECHANISMS if name in set(mechanism_choices)]
        for name in listed:
            traits = _MECHANISMS[name]
            if (
                (traits.anonymous and not allow_anonymous)
                or (traits.plaintext and not allow_plaintext)
                or not (traits.active_safe or allow_active)
                or not (traits.dictionary_safe or allow_dictionary)
            ):
                continue
            try:
                self._choose(name)
            except SASLError as error:
                warnings.warn(f"{error}, {name} will be ignored", SASLWarning, stacklevel=2)
                continue
            self.mechanism, self._client = name, None
            return
        raise SASLError("None of the mechanisms listed meet all required properties")

    def process(self, challenge: bytes | None = None) -> bytes | None:
        """Answer a challenge; None begins. None comes back where nothing is to be sent.

        Raises:
            SASLError: something is missing here.
            SASLProtocolException: the server is in the wrong, or refuses what is asked.
        """
        mechanism = self._need()
        try:
            if self._client is None:
                first = self._begin(mechanism, challenge)
                return b"" if first is None and self._wrapper else first
            response = None if self._client.done and not challenge else self._client.step(challenge or b"")
        except SaslError as error:
            raise _translated(error) from error
        # GSSAPI has a message for every one of the server's, as pure-sasl has it, and callers count on octets.
        counted = self._wrapper or (mechanism.name == "GSSAPI" and not self._client.done)
        return b"" if response is None and counted else response

    def _begin(self, mechanism: Mechanism, challenge: bytes | None) -> bytes | None:
        client = self._client = self._logon(mechanism).client(mechanism)
        first = client.start()
        traits = _MECHANISMS.get(mechanism.name)
        if traits is not None and traits.at_once:
            client.succeed()
        if first is None and challenge:
            return client.step(challenge)  # the server spoke first, and nobody has begun
        return first

    def _logon(self, mechanism: Mechanism) -> Logon:
        credentials = self._credentials(mechanism.name)
        acting = self.authorization_id or self._properties.get("identity") or ""
        own = isinstance(credentials, Password) and acting == credentials.username
        return Logon(
            service=self.service or "",
            host=self.host,
            credentials=credentials,
            authzid="" if own else acting,
            policy=self._policy(mechanism.name),
        )

    def _credentials(self, name: str) -> Credentials | None:
        if name == "GSSAPI":
            principal = self._properties.get("principal")
            return Tickets(str(principal)) if principal else None
        if name == "EXTERNAL":
            return None
        if name == "ANONYMOUS":
            return Anonymous()
        user, password = self._property("username"), self._property("password")
        return Password(_text(user), _text(password), realm=_maybe_text(self._properties.get("realm")))

    def _property(self, name: str) -> Any:
        value = self._properties.get(name)
        if value is None:
            if self.callback is None:
                raise SASLError(f"The following properties are required, but a callback has not been set: {name}")
            value = self._properties[name] = self.callback(name)
        return value

    def _policy(self, name: str) -> Policy:
        asked = {_octets(qop) for qop in self.qops}
        if name == "DIGEST-MD5" and not self._layers_asked:
            asked = {QOP.AUTH}
        if unknown := asked - set(QOP.all):
            raise SASLError(f"there is no quality of protection {b', '.join(sorted(unknown)).decode()}")
        limits = [_LIMITS[qop] for qop in asked] or [_LIMITS[QOP.AUTH]]
        return Policy(
            # Whoever asks for a layer of a mechanism that has none gets none, as there.
            min_ssf=min(least for least, _ in limits) if name in _LAYERED else 0,
            max_ssf=max(most for _, most in limits),
            max_buffer=min(max(self.max_buffer, 17), 0xFFFFFF),
            allow_plaintext=True,
            allow_anonymous=True,
            weak_mechanisms=("CRAM-MD5",),  # whoever names it there has it
        )

    def _need(self) -> Mechanism:
        if self._chosen is None:
            raise SASLError("call choose_mechanism first: one has not been chosen")
        return self._chosen

    @property
    def complete(self) -> bool:
        """Whether the exchange has ended well."""
        self._need()
        return self._client is not None and self._client.done

    @property
    def qop(self) -> bytes:
        """The quality of protection, QOP.AUTH before the end."""
        self._need()
        client = self._client
        return QOP.AUTH if client is None or not client.done else client.security.qop.encode()

    def wrap(self, outgoing: bytes) -> bytes:
        """Protect a message, WITHOUT the length before it, which is the caller's here.

        Raises:
            SASLError: it is longer than the server takes at once.
        """
        layer = self._layer()
        if layer is None:
            return outgoing
        if len(outgoing) > layer.max_payload:
            raise SASLError(f"{len(outgoing)} octets are more than the server takes at once ({layer.max_payload})")
        try:
            return layer.wrap(outgoing)[_LENGTH:]
        except SaslError as error:
            raise _translated(error) from error

    def unwrap(self, incoming: bytes) -> bytes:
        """Open a message, without the length before it.

        Raises:
            SASLProtocolException: it does not verify.
        """
        layer = self._layer()
        if layer is None:
            return incoming
        try:
            return layer.unwrap(len(incoming).to_bytes(_LENGTH) + incoming)
        except SaslError as error:
            raise _translated(error) from error

    def agreed_layer(self) -> Layer | None:
        """Return the layer, None where there is none.

        Raises:
            MutualAuthFailed: the server has reported success before it has proved what its mechanism proves.
        """
        self._need()
        if self._client is None:
            raise ContextMisuse("call process first")
        if not self._client.done:
            self._client.succeed()
        return self._client.layer

    def _layer(self) -> Layer | None:
        self._need()
        return self._client.layer if self._client is not None and self._client.done else None

    def dispose(self) -> None:
        """Forget the password."""
        self._need()
        self._properties.pop("password", None)


def _translated(error: SaslError) -> Exception:
    kind = SASLProtocolException if isinstance(error, RemoteError) else SASLError
    return kind(str(error))


def _octets(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _maybe_text(value: Any) -> str | None:
    return None if value is None else _text(value)
