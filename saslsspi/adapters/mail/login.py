"""The libraries' own methods of logging on, for programs that call them: by SASL, where the server has a mechanism.

What is left where it has none is the library's own method, which shows the password to the server: under TLS that has
verified who that is, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from saslsspi.errors import PackageNotFound, SaslError, UnsupportedFunction

__all__ = ["log_in"]

Answer = TypeVar("Answer")

_VERIFY: Final = (
    "what the server takes shows it the password, which is for TLS whose certificate was verified: start TLS with "
    "ssl.create_default_context(), or use the class whose name ends in _SSL"
)


def log_in(
    by_sasl: Callable[[], object], own: Callable[[], Answer], answer: Answer, *, verified: bool, base: type[Exception]
) -> Answer:
    """Log on, and return what the library's method returns.

    Args:
        by_sasl: Authenticates with the strongest mechanism.
        own: The library's method.
        answer: What that returns on success.
        verified: Whether TLS has verified the server.
        base: What the library raises, and whoever calls its method catches.

    Raises:
        base: an error of ours that is also one of the library's.
    """
    try:
        by_sasl()
    except SaslError as error:
        if not isinstance(error, PackageNotFound | UnsupportedFunction):
            raise _in_its_words(error, base) from error
        if not verified:
            raise _in_its_words(error, base, f"{error.text}; {_VERIFY}") from error
    else:
        return answer
    return own()


def _in_its_words(error: SaslError, base: type[Exception], text: str = "") -> Exception:
    """Return an error that both catch: who knows the library, and who knows us."""
    if isinstance(error, base):
        return error
    kind: Any = type("LoginFailed", (type(error), base), {"__module__": __name__, "status": error.status})
    made: Exception = kind(text or error.text)
    return made
