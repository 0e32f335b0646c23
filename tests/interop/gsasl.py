"""GNU SASL as a peer, one token at a time, through its C library.

The library and not the gsasl program: the program's server offers qop="auth" whatever --quality-of-protection says
(it does not know the library's QOPS property). GNU SASL has no auth-conf.
"""

import ctypes
import enum
from base64 import b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from interop.people import ALICE, REALM, Person
from interop.require import require_peer

_LIBRARY: Final = "libgsasl.so.18"
_OK: Final = 0
_NEEDS_MORE: Final = 1
_AUTHENTICATION_ERROR: Final = 31
_NO_CALLBACK: Final = 51
_VALIDATE_SIMPLE: Final = 500
_VALIDATE_GSSAPI: Final = 503
_CALLBACK: Final = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)


class Qop(enum.StrEnum):
    """A quality of protection, in GNU SASL's spelling."""

    AUTH = "qop-auth"
    AUTH_INT = "qop-int"


class _Property(enum.IntEnum):
    """Gsasl_property of gsasl.h."""

    AUTHID = 1
    AUTHZID = 2
    PASSWORD = 3
    ANONYMOUS_TOKEN = 4
    SERVICE = 5
    HOSTNAME = 6
    GSSAPI_DISPLAY_NAME = 7
    REALM = 11
    QOPS = 13
    QOP = 14
    SCRAM_ITER = 15
    SCRAM_SALT = 16
    CB_TLS_UNIQUE = 18
    CB_TLS_EXPORTER = 25


class GsaslError(Exception):
    """GNU SASL refused; `name` is its own constant's, such as GSASL_AUTHENTICATION_ERROR."""

    def __init__(self, name: str, text: str) -> None:
        """Keep the constant's name beside the message."""
        super().__init__(f"{name}: {text}")
        self.name = name


class GsaslPeer:
    """One side of an exchange in GNU SASL; use `gsasl_client()` or `gsasl_server()` in a `with`.

    Attributes:
        done: Whether the exchange has succeeded on this side.
    """

    def __init__(
        self, mechanism: str, *, server: bool, properties: dict[_Property, str], accepts: Person | None = None
    ) -> None:
        """Start a session; skips the running test where GNU SASL is not there."""
        require_peer("gsasl")
        self.done = False
        self._library = _load()
        self._context = ctypes.c_void_p()
        self._session = ctypes.c_void_p()
        self._check(self._library.gsasl_init(ctypes.byref(self._context)))
        if accepts is not None:  # the server asks the program about name and password, or the ticket's user
            self._validate = _CALLBACK(lambda _, session, question: self._answer(session, question, accepts))
            self._library.gsasl_callback_set(self._context, self._validate)
        start = self._library.gsasl_server_start if server else self._library.gsasl_client_start
        self._check(start(self._context, mechanism.encode(), ctypes.byref(self._session)))
        for key, value in properties.items():
            self._check(self._library.gsasl_property_set(self._session, int(key), value.encode()))

    def __enter__(self) -> Self:
        """Give the peer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Free what the C library allocated."""
        self._library.gsasl_finish(self._session)
        self._library.gsasl_done(self._context)

    def step(self, token: bytes = b"") -> bytes:
        """Give the peer's message (empty at the start) and return the answer, which may be empty too.

        Raises:
            GsaslError: GNU SASL does not accept the message.
        """
        output, size = ctypes.c_void_p(), ctypes.c_size_t()
        code = self._library.gsasl_step(self._session, token, len(token), ctypes.byref(output), ctypes.byref(size))
        if code != _NEEDS_MORE:
            self._check(code)
            self.done = True
        return self._take(output, size)

    def encode(self, data: bytes) -> bytes:
        """Wrap data under the negotiated layer: one buffer, its length before it."""
        return self._convert(self._library.gsasl_encode, data)

    def decode(self, data: bytes) -> bytes:
        """Unwrap what the peer sent: one whole buffer, its length before it.

        Raises:
            GsaslError: the buffer does not verify (GSASL_INTEGRITY_ERROR).
        """
        return self._convert(self._library.gsasl_decode, data)

    def _convert(self, function: Callable[..., int], data: bytes) -> bytes:
        output, size = ctypes.c_void_p(), ctypes.c_size_t()
        self._check(function(self._session, data, len(data), ctypes.byref(output), ctypes.byref(size)))
        return self._take(output, size)

    def _take(self, output: ctypes.c_void_p, size: ctypes.c_size_t) -> bytes:
        if not output:
            return b""
        taken = ctypes.string_at(output, size.value)
        self._library.gsasl_free(output)
        return taken

    def _answer(self, session: int, question: int, accepts: Person) -> int:
        if question == _VALIDATE_GSSAPI:
            who = self._library.gsasl_property_fast(session, _Property.GSSAPI_DISPLAY_NAME)
            return _OK if who.partition(b"@")[0] == accepts.name.encode() else _AUTHENTICATION_ERROR
        if question != _VALIDATE_SIMPLE:
            return _NO_CALLBACK
        said = [self._library.gsasl_property_fast(session, key) for key in (_Property.AUTHID, _Property.PASSWORD)]
        return _OK if said == [accepts.name.encode(), accepts.password.encode()] else _AUTHENTICATION_ERROR

    def _check(self, code: int) -> None:
        if code != _OK:
            name, text = self._library.gsasl_strerror_name(code), self._library.gsasl_strerror(code)
            raise GsaslError(name.decode() if name else str(code), text.decode())


def gsasl_client(
    mechanism: str = "DIGEST-MD5",
    *,
    person: Person = ALICE,
    qop: Qop = Qop.AUTH,
    service: str = "ldap",
    host: str = "localhost",
    realm: str = REALM,
    authzid: str | None = None,
) -> GsaslPeer:
    """Start a client that asks for one quality of protection."""
    properties = _shared_properties(person, service, host, realm) | {_Property.QOP: qop.value}
    if authzid is not None:
        properties[_Property.AUTHZID] = authzid
    return GsaslPeer(mechanism, server=False, properties=properties)


def gsasl_server(
    mechanism: str = "DIGEST-MD5",
    *,
    person: Person = ALICE,
    qops: tuple[Qop, ...] = (Qop.AUTH, Qop.AUTH_INT),
    service: str = "ldap",
    host: str = "localhost",
    realm: str = REALM,
) -> GsaslPeer:
    """Start a server that knows one person's password (it would accept any name with it) and offers some qops."""
    properties = _shared_properties(person, service, host, realm) | {_Property.QOPS: ",".join(qops)}
    del properties[_Property.AUTHID]  # what the client claims comes from its message
    return GsaslPeer(mechanism, server=True, properties=properties, accepts=person)


def gsasl_simple_client(
    mechanism: str,
    *,
    person: Person = ALICE,
    authzid: str | None = None,
    trace: str = "",
    tls_unique: bytes = b"",
    tls_exporter: bytes = b"",
) -> GsaslPeer:
    """Start a client of a mechanism without layers: PLAIN, EXTERNAL, ANONYMOUS or SCRAM."""
    properties = {
        _Property.AUTHID: person.name,
        _Property.PASSWORD: person.password,
        _Property.ANONYMOUS_TOKEN: trace,
    }
    if authzid is not None:
        properties[_Property.AUTHZID] = authzid
    return GsaslPeer(mechanism, server=False, properties=properties | _bindings(tls_unique, tls_exporter))


def gsasl_simple_server(
    mechanism: str, *, person: Person = ALICE, tls_unique: bytes = b"", tls_exporter: bytes = b""
) -> GsaslPeer:
    """Start a server of PLAIN or SCRAM that knows one person's password."""
    properties = {
        _Property.PASSWORD: person.password,
        _Property.SCRAM_ITER: "4096",
        _Property.SCRAM_SALT: b64encode(bytes(range(16))).decode(),
    }
    properties |= _bindings(tls_unique, tls_exporter)
    return GsaslPeer(mechanism, server=True, properties=properties, accepts=person)


def _bindings(tls_unique: bytes, tls_exporter: bytes) -> dict[_Property, str]:
    given = {_Property.CB_TLS_UNIQUE: tls_unique, _Property.CB_TLS_EXPORTER: tls_exporter}
    return {key: b64encode(octets).decode() for key, octets in given.items() if octets}


def _shared_properties(person: Person, service: str, host: str, realm: str) -> dict[_Property, str]:
    return {
        _Property.AUTHID: person.name,
        _Property.PASSWORD: person.password,
        _Property.SERVICE: service,
        _Property.HOSTNAME: host,
        _Property.REALM: realm,
    }


def _load() -> ctypes.CDLL:
    library = ctypes.CDLL(_LIBRARY)
    pointer, out = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    sizes = (ctypes.c_char_p, ctypes.c_size_t, out, ctypes.POINTER(ctypes.c_size_t))
    library.gsasl_init.argtypes = [out]
    library.gsasl_client_start.argtypes = [pointer, ctypes.c_char_p, out]
    library.gsasl_server_start.argtypes = [pointer, ctypes.c_char_p, out]
    library.gsasl_property_set.argtypes = [pointer, ctypes.c_int, ctypes.c_char_p]
    library.gsasl_property_fast.argtypes = [pointer, ctypes.c_int]
    library.gsasl_property_fast.restype = ctypes.c_char_p
    library.gsasl_callback_set.argtypes = [pointer, _CALLBACK]
    library.gsasl_callback_set.restype = None
    for name in ("gsasl_step", "gsasl_encode", "gsasl_decode"):
        getattr(library, name).argtypes = [pointer, *sizes]
    for name in ("gsasl_finish", "gsasl_done", "gsasl_free"):
        getattr(library, name).argtypes = [pointer]
        getattr(library, name).restype = None
    for name in ("gsasl_strerror", "gsasl_strerror_name"):
        getattr(library, name).argtypes = [ctypes.c_int]
        getattr(library, name).restype = ctypes.c_char_p
    return library
