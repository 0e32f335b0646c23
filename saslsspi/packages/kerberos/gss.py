"""The `gssapi` library: loaded when it is first needed, called with a bound on the time a KDC may take."""

from __future__ import annotations

import functools
import importlib
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from saslsspi.errors import NoAuthenticatingAuthority, PackageNotFound

__all__ = ["LIBRARY_HINT", "bounded", "inquire", "krb5", "library", "no_ci_flags", "principal_name_type"]

LIBRARY_HINT: Final = (
    "install the extra: pip install 'saslsspi[kerberos]' (on Debian it builds with gcc and libkrb5-dev)"
)

_KRB5: Final = "1.2.840.113554.1.2.2"
_PRINCIPAL_NAME: Final = "1.2.840.113554.1.2.2.1"  # GSS_KRB5_NT_PRINCIPAL_NAME (RFC 1964 section 2.1.1)
_NO_CI_FLAGS: Final = "1.2.752.43.13.29"  # GSS_KRB5_CRED_NO_CI_FLAGS_X of MIT and Heimdal

T = TypeVar("T")


@functools.cache
def library() -> Any:
    """Return `gssapi.raw`.

    Raises:
        PackageNotFound: the extra is not installed, or the system has no GSS-API library for it.
    """
    try:
        return importlib.import_module("gssapi.raw")
    except (ImportError, OSError) as error:  # OSError: the binding is there, and the C library is not
        raise PackageNotFound(
            f"Kerberos needs the gssapi library; {LIBRARY_HINT} ({type(error).__name__}: {error})"
        ) from error


@functools.cache
def krb5() -> Any:
    """The object identifier of the Kerberos 5 mechanism (RFC 1964 section 1)."""
    return library().OID.from_int_seq(_KRB5)


@functools.cache
def principal_name_type() -> Any:
    """The name type of a principal written out, realm and all."""
    return library().OID.from_int_seq(_PRINCIPAL_NAME)


@functools.cache
def no_ci_flags() -> Any:
    """The credential option that makes an initiator promise what it was asked for, and no more."""
    return library().OID.from_int_seq(_NO_CI_FLAGS)


def inquire(context: Any, oid: str) -> list[bytes] | None:
    """Return what the mechanism tells of an established context, or None where it does not know the question."""
    gss = library()
    if not hasattr(gss, "inquire_sec_context_by_oid"):
        return None
    try:
        return list(gss.inquire_sec_context_by_oid(context, gss.OID.from_int_seq(oid)))
    except gss.GSSError:
        return None


def bounded(call: Callable[[], T], seconds: float, doing: str) -> T:
    """Make a call that may ask a KDC, and wait for it no longer than so many seconds.

    The C library has no limit of its own for the whole of a request: it tries every KDC of the realm several times.
    Beyond the limit the call goes on in its thread, and its result is dropped. A program at its end has no threads any
    more, and closes connections, which may log on once more to do so: there the call is made as it is.

    Raises:
        NoAuthenticatingAuthority: no answer within the time.
    """
    if sys.is_finalizing():
        return call()
    answers: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:  # whatever it is, it belongs to the waiting thread
            answers.put((None, error))

    threading.Thread(target=run, name="saslsspi-kerberos", daemon=True).start()
    try:
        value, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise NoAuthenticatingAuthority(
            f"{doing}: no KDC has answered within {seconds:g} s (Policy.kdc_timeout); "
            "see the realm's kdc lines in krb5.conf"
        ) from None
    if error is not None:
        raise error
    return value  # type: ignore[return-value]  # without an error there is a value
