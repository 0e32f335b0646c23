"""Every function that reads what a peer may have written, found by itself.

A reader is a function or class method whose name says so, or that stands in a module of messages, and whose first
argument is text or octets; or one that asks for lines. One that needs more arguments or asks for lines says in CALLS
how it is called; one that no peer's text reaches says in OURS why. A reader that does neither fails the suite. Private
functions that need more are part of the reader that calls them.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from growth.work import fed
from saslsspi.accounts.stores.texts import read_secret
from saslsspi.adapters.http.client.spaces import ProtectionSpace
from saslsspi.adapters.http.headers import same_target, with_cookies
from saslsspi.adapters.mail.protocols import imap, pop3, sieve, smtp
from saslsspi.adapters.mail.strings import read_line
from saslsspi.cli.decode.recognition import decode
from saslsspi.packages.digest import charset
from saslsspi.packages.digest.grammar import directives
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.digest.http.messages import (
    AuthenticationInfo,
    HttpChallenge,
    HttpResponse,
    first_challenge,
    read_response,
)
from saslsspi.packages.digest.sasl.messages import DigestChallenge, DigestResponse, ResponseAuth
from saslsspi.packages.ntlm.credential import split_name
from saslsspi.sspi import Tolerances
from saslsspi.testbed.ldap.messages import message_size
from saslsspi_conformance.schemas import decoded
from saslsspi_conformance.schemas.ms_cssp import TSRequest
from saslsspi_mechanisms.oauth.messages import BearerMessage, XOAuth2Message

__all__ = ["CALLS", "MODULES", "OURS", "Reader", "names", "readers"]

_ROOTS = ("saslsspi", "saslsspi_mechanisms", "saslsspi_conformance")
_NAMES = re.compile(
    r"_?(from_bytes|from_body|parse|decode|read|unquote|directives|challenges|fields|first_challenge|open_body|split)"
    r"(d|_[a-z0-9_]+)?"
)
_ROOMS = re.compile(
    r".*\.(\w*messages|grammar|challenges|\w*responses|av_pairs|lines|dialogue|headers|spaces|lists|strings|"
    r"protocols\.\w+)"
)
_TEXT = re.compile(r"(typing\.)?(bytes|str|Octets|memoryview|(Iterable|Sequence)\[(str|bytes)\]|bytes \| memoryview).*")

_ASKS = re.compile(r"Reading\[.*|Generator\[int, bytes, .*")


class Reader(NamedTuple):
    """One reader: where it stands, and how it is called with a text alone."""

    name: str
    call: Callable[[Any], object]
    text: type


def _modules() -> Iterator[types.ModuleType]:
    for root in _ROOTS:
        package = importlib.import_module(root)
        yield package
        for found in pkgutil.walk_packages(package.__path__, root + "."):
            if not found.name.endswith("__main__"):
                yield importlib.import_module(found.name)


MODULES = list(_modules())
_ALL = int(Tolerances.DEFAULT)
_HTTP = frozenset(ALGORITHMS.values())


def _candidates() -> Iterator[tuple[str, Callable[..., object], inspect.Signature]]:
    for module in MODULES:
        room = _ROOMS.fullmatch(module.__name__) is not None
        for name, value in list(vars(module).items()):
            if getattr(value, "__module__", None) != module.__name__:
                continue
            if isinstance(value, types.FunctionType) and ((room and name[0] != "_") or _NAMES.fullmatch(name)):
                yield f"{module.__name__}.{name}", value, inspect.signature(value)
            if isinstance(value, type):
                for inner, method in list(vars(value).items()):
                    if isinstance(method, classmethod) and (room or _NAMES.fullmatch(inner)):
                        bound = getattr(value, inner)
                        yield f"{module.__name__}.{name}.{inner}", bound, inspect.signature(bound)


def _fed(reader: Callable[..., Any], *arguments: object) -> Callable[[Any], object]:
    return lambda text: fed(reader(*arguments), text)


# How readers are called that take more than the text, or that ask for it line by line.
CALLS: Mapping[str, Callable[[Any], object]] = {
    "saslsspi.accounts.stores.texts.read_secret": lambda text: read_secret("alice", "r", text),
    "saslsspi_conformance.schemas.coding.decoded": lambda text: decoded(text, TSRequest),
    "saslsspi.adapters.http.headers.same_target": lambda text: same_target(text, ("/tea", text)),
    "saslsspi.adapters.http.headers.with_cookies": lambda text: with_cookies("a=b", text),
    "saslsspi.adapters.http.client.spaces.ProtectionSpace.of": lambda text: ProtectionSpace.of(
        text, "http://a.example/"
    ),
    "saslsspi_mechanisms.oauth.messages.BearerMessage.of": lambda text: BearerMessage.of(text, "alice", "h"),
    "saslsspi_mechanisms.oauth.messages.XOAuth2Message.of": lambda text: XOAuth2Message.of(text, "alice", "h"),
    "saslsspi.adapters.mail.protocols.imap._read_imap": _fed(imap._read_imap, b"a1"),
    "saslsspi.adapters.mail.protocols.imap._read_imap_capabilities": _fed(imap._read_imap_capabilities, b"a1"),
    "saslsspi.adapters.mail.protocols.pop3._read_pop3": _fed(pop3._read_pop3, b""),
    "saslsspi.adapters.mail.protocols.pop3._read_pop3_capabilities": _fed(pop3._read_pop3_capabilities, b""),
    "saslsspi.adapters.mail.protocols.sieve._read_sieve": _fed(sieve._read_sieve, b""),
    "saslsspi.adapters.mail.protocols.sieve._read_sieve_capabilities": _fed(sieve._read_sieve_capabilities, b""),
    "saslsspi.adapters.mail.protocols.sieve.read_strings": _fed(sieve.read_strings),
    "saslsspi.adapters.mail.protocols.smtp._read_smtp": _fed(smtp._read_smtp, b""),
    "saslsspi.adapters.mail.protocols.smtp._read_smtp_capabilities": _fed(smtp._read_smtp_capabilities, b""),
    "saslsspi.adapters.mail.strings.read_line": _fed(read_line, 1 << 24),
    "saslsspi.cli.decode.credssp.decode_credssp": lambda text: decode(text, "credssp"),
    "saslsspi.cli.decode.gss.decode_gss": lambda text: decode(text, "gss-spnego"),
    "saslsspi.packages.digest.charset.decode": lambda text: charset.decode(text, utf8=True),
    "saslsspi.packages.digest.grammar.directives": lambda text: directives(text, 1 << 20, frozenset({b"realm"})),
    "saslsspi.packages.digest.http.messages.first_challenge": lambda text: first_challenge(text, _ALL, _HTTP),
    "saslsspi.packages.digest.http.messages.read_response": lambda text: read_response(text, _ALL),
    "saslsspi.packages.ntlm.credential.split_name": lambda text: split_name(text, None),
    "saslsspi.testbed.ldap.messages.message_size": lambda text: message_size(text, 1 << 20),
    **{
        f"{kind.__module__}.{kind.__name__}.from_bytes": lambda text, kind=kind: kind.from_bytes(text, _ALL)
        for kind in (HttpChallenge, HttpResponse, AuthenticationInfo, DigestChallenge, DigestResponse, ResponseAuth)
    },
}

# Which take text that no peer has written, and whose it is.
OURS: Mapping[str, str] = {
    "saslsspi.accounts.files._read": "the path of a file of ours",
    "saslsspi.adapters.http.headers.written": "writes a header field",
    "saslsspi.adapters.mail.strings.string": "writes a string",
    "saslsspi_conformance.catalogue.parse_file": "a file of the catalogue",
    "saslsspi_conformance.peers.ldap_messages.sasl": "writes a request",
}


def names() -> set[str]:
    """Return the names of all that is or could be a reader."""
    return {name for name, _, _ in _candidates()}


def readers() -> Iterator[Reader]:
    """Return every reader; one that nobody has said how to call has no call that works and is told by name."""
    for name, function, signature in _candidates():
        parameters = list(signature.parameters.values())
        if name in OURS:
            continue
        if _ASKS.fullmatch(str(signature.return_annotation)):
            if name not in CALLS:
                raise LookupError(f"{name} asks for lines: say in CALLS with which arguments")
            yield Reader(name, CALLS[name], bytes)
            continue
        if not parameters:
            continue
        first = str(parameters[0].annotation)
        if not _TEXT.fullmatch(first):
            continue
        needed = [p for p in parameters[1:] if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        kind = str if "str" in first else bytes
        if name in CALLS:
            yield Reader(name, CALLS[name], kind)
        elif needed and name.rpartition(".")[2].startswith("_"):
            continue
        elif needed:
            raise LookupError(f"{name} reads text and needs {[p.name for p in needed]}: say in CALLS how it is called")
        elif first.startswith(("Iterable", "Sequence")):
            yield Reader(name, lambda text, function=function: function([text]), kind)
        else:
            yield Reader(name, function, kind)
