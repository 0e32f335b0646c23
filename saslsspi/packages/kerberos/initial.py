"""A forwardable ticket from a password, which GSS-API has no word for: libkrb5 is asked itself, through ctypes.

Without this it depends on `forwardable` in krb5.conf whether a password's ticket can be delegated. The ticket lies in a
cache in memory, which goes with the object.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import itertools
import weakref
from typing import Any, Final

from saslsspi.errors import NoCredentials

__all__ = ["ForwardableTicket"]

_CREDS_SIZE: Final = 1024  # a krb5_creds is 120 octets on 64-bit machines; only libkrb5 looks inside
_NUMBERS: Final = itertools.count(1)  # caches in memory are a process's own
_HINT: Final = "set `forwardable = true` in the [libdefaults] of krb5.conf"


class ForwardableTicket:
    """A ticket-granting ticket that may be forwarded.

    Args:
        principal: Whose, written out: alice@REALM.
        password: Of the principal.

    Attributes:
        cache: The name of the cache that holds it.

    Raises:
        NoCredentials: the KDC refuses, or the library is not MIT's.
    """

    def __init__(self, principal: str, password: str) -> None:
        self.cache = f"MEMORY:saslsspi-{next(_NUMBERS)}"
        session = _Session()
        try:
            session.get(principal, password, self.cache)
        finally:
            session.close()
        weakref.finalize(self, _destroy, self.cache)


class _Session:
    """A krb5_context, and the calls that are made with it."""

    def __init__(self) -> None:
        self._library = _libkrb5()
        self._context = ctypes.c_void_p()
        if self._library.krb5_init_context(ctypes.byref(self._context)):
            raise NoCredentials("libkrb5 cannot read its configuration")

    def get(self, principal: str, password: str, cache: str) -> None:
        """Ask the KDC, and put what it gives into a cache."""
        library, context = self._library, self._context
        who, options, store = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
        creds = ctypes.create_string_buffer(_CREDS_SIZE)
        try:
            self._check(library.krb5_parse_name(context, principal.encode(), ctypes.byref(who)))
            self._check(library.krb5_cc_resolve(context, cache.encode(), ctypes.byref(store)))
            self._check(library.krb5_get_init_creds_opt_alloc(context, ctypes.byref(options)))
            library.krb5_get_init_creds_opt_set_forwardable(options, 1)
            self._check(library.krb5_get_init_creds_opt_set_out_ccache(context, options, store))
            self._check(
                library.krb5_get_init_creds_password(
                    context, creds, who, password.encode(), None, None, 0, None, options
                )
            )
            library.krb5_free_cred_contents(context, creds)
        finally:
            if store:
                library.krb5_cc_close(context, store)
            if options:
                library.krb5_get_init_creds_opt_free(context, options)
            if who:
                library.krb5_free_principal(context, who)

    def destroy(self, cache: str) -> None:
        """Remove a cache."""
        store = ctypes.c_void_p()
        self._check(self._library.krb5_cc_resolve(self._context, cache.encode(), ctypes.byref(store)))
        self._library.krb5_cc_destroy(self._context, store)

    def close(self) -> None:
        """Free the context."""
        self._library.krb5_free_context(self._context)

    def _check(self, code: int) -> None:
        if not code:
            return
        text = self._library.krb5_get_error_message(self._context, code)
        said = (ctypes.string_at(text) if text else b"").decode(errors="replace")
        self._library.krb5_free_error_message(self._context, text)
        raise NoCredentials(f"there is no ticket that could be delegated: {said or f'error {code}'}")


def _destroy(cache: str) -> None:
    session = _Session()
    try:
        session.destroy(cache)
    finally:
        session.close()


_POINTER: Final = ctypes.c_void_p
_OUT: Final = ctypes.POINTER(ctypes.c_void_p)
_TEXT: Final = ctypes.c_char_p
_CALLS: Final[dict[str, tuple[Any, ...]]] = {
    "krb5_init_context": (_OUT,),
    "krb5_free_context": (_POINTER,),
    "krb5_parse_name": (_POINTER, _TEXT, _OUT),
    "krb5_free_principal": (_POINTER, _POINTER),
    "krb5_cc_resolve": (_POINTER, _TEXT, _OUT),
    "krb5_cc_close": (_POINTER, _POINTER),
    "krb5_cc_destroy": (_POINTER, _POINTER),
    "krb5_get_init_creds_opt_alloc": (_POINTER, _OUT),
    "krb5_get_init_creds_opt_free": (_POINTER, _POINTER),
    "krb5_get_init_creds_opt_set_forwardable": (_POINTER, ctypes.c_int),
    "krb5_get_init_creds_opt_set_out_ccache": (_POINTER, _POINTER, _POINTER),
    # context, creds, client, password, prompter, its data, start time, service, options
    "krb5_get_init_creds_password": (
        _POINTER, _POINTER, _POINTER, _TEXT, _POINTER, _POINTER, ctypes.c_int32, _TEXT, _POINTER,
    ),
    "krb5_free_cred_contents": (_POINTER, _POINTER),
    "krb5_get_error_message": (_POINTER, ctypes.c_int32),
    "krb5_free_error_message": (_POINTER, _POINTER),
}  # fmt: skip
_RETURNS_POINTER: Final = "krb5_get_error_message"
_MIT_ONLY: Final = "krb5_get_init_creds_opt_set_out_ccache"


@functools.cache
def _libkrb5() -> Any:
    """Return the library with the types of its calls; the one that the gssapi binding has loaded."""
    name = ctypes.util.find_library("krb5")
    try:
        library = ctypes.CDLL(name or "libkrb5.so.3")
    except OSError as error:
        raise NoCredentials(f"there is no libkrb5 that gives forwardable tickets ({error}): {_HINT}") from error
    if not hasattr(library, _MIT_ONLY):
        raise NoCredentials(f"this libkrb5 is not MIT's and is not asked for forwardable tickets: {_HINT}")
    for call, types in _CALLS.items():
        function = getattr(library, call)
        function.argtypes = types
        function.restype = ctypes.c_void_p if call == _RETURNS_POINTER else ctypes.c_int32
    return library
