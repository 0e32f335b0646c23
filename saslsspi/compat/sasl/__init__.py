"""The face of `sasl`, Python's wrapper of Cyrus SASL: `import sasl`, over this library's clients.

Names and behaviour are those of the wrapper, as thrift_sasl and PyHive use it. docs/compat.md tells what it has, what
it lacks and what it does better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from saslsspi.credentials import Password
from saslsspi.engine.policy import Policy
from saslsspi.errors import CallerError, ContextMisuse, NoCredentials, SaslError
from saslsspi.sasl.client import Client as EngineClient
from saslsspi.sasl.logon import Logon
from saslsspi.sasl.mechanism import Mechanism

__all__ = ["Client"]

T = TypeVar("T")
_TEXTS: Final = frozenset({"service", "username", "authname", "password", "host", "externaluser"})
_NUMBERS: Final = frozenset({"minssf", "maxssf", "externalssf", "maxbufsize"})
_AT_ONCE: Final = frozenset({"PLAIN", "EXTERNAL", "ANONYMOUS"})  # complete with the client's first message
_OWN: Final = frozenset({"GSSAPI", "EXTERNAL", "ANONYMOUS"})  # not the password's, which Cyrus does not use for it
# Cyrus's numbers of what goes wrong (sasl.h).
_FAIL, _BADPARAM, _NOMECH, _NOTINIT = -1, -7, -4, -12
_LARGEST: Final = 65535


class Client:
    """A client's side of one exchange; setAttr, init, start, then step until the carrier reports success.

    Methods answer with a pair or triple whose first says whether it went well; getError tells what did not.
    """

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._numbers: dict[str, int] = {}
        self._error = ""
        self._ready = False
        self._client: EngineClient | None = None

    def setAttr(self, key: str | bytes, value: str | bytes | int) -> bool:  # noqa: N802  # the wrapper's name
        """Set an attribute before init.

        Args:
            key: service, host, username, authname, password or externaluser, with a text; minssf, maxssf, externalssf
                or maxbufsize, with a number. Where authname is given it is who logs on, and username whom to act as.
            value: Of it.
        """
        name = key.decode() if isinstance(key, bytes) else key
        if isinstance(value, int) and name in _NUMBERS:
            self._numbers[name] = value
            return True
        if isinstance(value, str | bytes) and name in _TEXTS:
            self._texts[name] = value.decode() if isinstance(value, bytes) else value
            return True
        kind = "integer" if isinstance(value, int) else "string"
        self._say("setAttr", _FAIL, f"Unknown {kind} attribute name - {name}")
        return False

    def init(self) -> bool:
        """Say that the attributes are set."""
        self._ready = True
        return True

    def start(self, mech_list: str | bytes) -> tuple[bool, bytes | None, bytes | None]:
        """Begin with the strongest mechanism of a list, separated by blanks or commas.

        Returns:
            Whether it went well, the mechanism's name, and its first message: b"" where it has none.
        """
        names = (mech_list.decode() if isinstance(mech_list, bytes) else mech_list).replace(",", " ").split()
        begun = self._try("sasl_client_start", lambda: self._begin(names))
        if begun is None:
            return False, None, None
        self._client, first = begun
        return True, self._client.mechanism.name.encode(), first or b""

    def _begin(self, names: list[str]) -> tuple[EngineClient, bytes | None]:
        if not self._ready:
            raise ContextMisuse("call init after setAttr")
        numbers, texts = self._numbers, self._texts
        user, acting = self._names()
        password = texts.get("password")
        logon = Logon(
            service=texts.get("service", ""),
            host=texts.get("host", ""),
            credentials=None if password is None else Password(user, password),
            authzid=acting,
            policy=Policy(
                min_ssf=numbers.get("minssf", 0),
                max_ssf=max(numbers.get("maxssf", _LARGEST), numbers.get("minssf", 0)),
                max_buffer=min(max(numbers.get("maxbufsize", _LARGEST), 17), 0xFFFFFF),
                allow_plaintext=True,
                allow_anonymous=True,
            ),
            external_ssf=numbers.get("externalssf", 0),
        )

        def make(mechanism: Mechanism) -> EngineClient:
            if mechanism.name in _OWN:
                return replace(logon, credentials=None).client(mechanism)
            if password is None:
                raise NoCredentials(f"{mechanism.name} needs a password: setAttr('password', ...)")
            return logon.client(mechanism)

        client, first = logon.begin(names, make)
        if client.mechanism.name in _AT_ONCE:
            client.succeed()
        return client, first

    def _names(self) -> tuple[str, str]:
        user, other = self._texts.get("username", ""), self._texts.get("authname", "")
        return (other, user) if other and other != user else (user, "")

    def step(self, challenge: str | bytes) -> tuple[bool, bytes | None]:
        """Answer a challenge. After the end an empty one, which carriers send along with success, is no error."""
        octets = challenge.encode() if isinstance(challenge, str) else bytes(challenge)

        def answer() -> bytes:
            client = self._begun()
            return b"" if client.done and not octets else client.step(octets) or b""

        return self._told("sasl_client_step", answer)

    def encode(self, clear_text: str | bytes) -> tuple[bool, bytes | None]:
        """Protect octets, with the length of each buffer before it; where there is no layer they stay as they are."""
        octets = clear_text.encode() if isinstance(clear_text, str) else clear_text

        def wrap() -> bytes:
            layer = self._finished().layer
            return octets if layer is None else layer.wrap(octets)

        return self._told("sasl_encode", wrap)

    def decode(self, cipher_text: str | bytes) -> tuple[bool, bytes | None]:
        """Open octets as they come, cut anywhere, and return the text that is whole."""
        octets = cipher_text.encode() if isinstance(cipher_text, str) else cipher_text

        def unwrap() -> bytes:
            layer = self._finished().layer
            return octets if layer is None else layer.unwrap(octets)

        return self._told("sasl_decode", unwrap)

    def getUserId(self) -> tuple[bool, bytes | None]:  # noqa: N802
        """Return whom one acts as."""
        return self._told("sasl_getprop(SASL_USERNAME)", lambda: self._acts_as().encode())

    def _acts_as(self) -> str:
        security = self._finished().security
        return security.authzid or security.authcid

    def getSSF(self) -> tuple[bool, int | None]:  # noqa: N802
        """Return the security strength factor of the layer."""
        return self._told("sasl_getprop(SASL_SSF)", lambda: self._finished().security.ssf)

    def getError(self) -> str:  # noqa: N802
        """Return what went wrong last, once."""
        text, self._error = self._error, ""
        return text

    def _begun(self) -> EngineClient:
        if self._client is None:
            raise ContextMisuse("call start first")
        return self._client

    def _finished(self) -> EngineClient:
        """Return the client at its end. Who encodes has been told of success, which a mechanism must agree with."""
        client = self._begun()
        if not client.done:
            client.succeed()
        return client

    def _told(self, doing: str, call: Callable[[], T]) -> tuple[bool, T | None]:
        result = self._try(doing, call)
        return result is not None, result

    def _try(self, doing: str, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except ContextMisuse as error:
            self._say(doing, _NOTINIT, error.text)
        except CallerError as error:
            self._say(doing, _BADPARAM, error.text)
        except SaslError as error:
            self._say(doing, _NOMECH if doing == "sasl_client_start" else _FAIL, error.text)
        return None

    def _say(self, doing: str, code: int, text: Any) -> None:
        self._error = f"Error in {doing} ({code}) {text}"
