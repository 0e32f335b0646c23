"""ManageSieve: RFC 5804, whose section 4 has the syntax."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from saslsspi.adapters.mail.line_protocol import (
    MAX_LINE,
    Capabilities,
    LineProtocol,
    Reading,
    Reply,
    ReplyKind,
    Verdict,
    ends_here,
)
from saslsspi.adapters.mail.protocols.words import MAX_ANSWER_LINES, listed, text_of
from saslsspi.adapters.mail.strings import Word, read_line, string, words
from saslsspi.errors import InvalidToken

__all__ = ["SIEVE", "read_strings", "sieve_response"]

_MAX_SCRIPT: Final = 1 << 24  # the longest script that is read, in octets

_SIEVE_KINDS: Final = {  # section 1.3
    "AUTH-TOO-WEAK": ReplyKind.UNSUITABLE,
    "ENCRYPT-NEEDED": ReplyKind.UNSUITABLE,
    "TRANSITION-NEEDED": ReplyKind.UNSUITABLE,
    "TRYLATER": ReplyKind.TEMPORARY,
}


def sieve_response(line: bytes) -> Reply | None:
    """Sort a line of a server: OK, NO or BYE (section 1.2), or None for one that begins with a string.

    Raises:
        InvalidToken: it is none of them.
    """
    found = words(line)
    if found and found[0].is_string:
        return None
    word = text_of(found[0].text).upper() if found else ""
    code: list[Word] = []
    if found[1:2] == [Word(b"(", False)]:
        code = found[2:]
        if Word(b")", False) in code:
            code = code[: code.index(Word(b")", False))]
    if word not in ("OK", "NO", "BYE"):
        raise InvalidToken("the server's answer is no ManageSieve response")
    name = text_of(code[0].text).upper() if code else ""
    text = found[-1].text if found[-1].is_string else name.encode()
    if word != "NO":
        data = code[1].text if word == "OK" and name == "SASL" and len(code) > 1 else None
        return Reply(ReplyKind.SUCCESS if word == "OK" else ReplyKind.BYE, text, data, word, (line,))
    # Section 1.3: "QUOTA/MAXSCRIPTS" is treated as "QUOTA" by who does not know it.
    return Reply(_SIEVE_KINDS.get(name.partition("/")[0], ReplyKind.REFUSED), text, None, word, (line,))


def _read_sieve(tag: bytes) -> Reading[Reply]:
    line = yield from read_line(MAX_LINE)
    reply = sieve_response(line)
    if reply is not None:
        return reply
    found = words(line)
    if len(found) != 1:
        raise InvalidToken("the server's challenge is not one string")
    return Reply(ReplyKind.CHALLENGE, found[0].text.rstrip(b" "), None, "+", (line,))


def _read_sieve_capabilities(tag: bytes) -> Reading[Capabilities]:
    values: dict[str, str] = {}
    for _ in range(MAX_ANSWER_LINES):
        line = yield from read_line(MAX_LINE)
        reply = sieve_response(line)
        if reply is None:
            name, *value = (text_of(word.text) for word in words(line))
            values[name.upper()] = " ".join(value)
        elif reply.kind is ReplyKind.BYE:
            raise ends_here(reply.text)
        else:
            mechanisms = listed(values, "SASL")
            return Capabilities(mechanisms, True, "STARTTLS" in values, values)
    raise InvalidToken(f"the server lists more than {MAX_ANSWER_LINES} capabilities")


def _write_sieve_capabilities(mechanisms: Sequence[str], invites: bool, tag: bytes) -> bytes:
    # Section 1.7: these three, and SASL, "MUST" be there.
    about = b'"IMPLEMENTATION" "saslsspi"\r\n"SIEVE" "fileinto"\r\n"VERSION" "1.0"\r\n"SASL" '
    return about + string(" ".join(mechanisms).encode("ascii"), from_client=False) + b"\r\nOK"


def read_strings() -> Reading[tuple[Reply, list[list[bytes]]]]:
    """Read the answer to a command that answers with strings: a line of them each, and the response behind them."""
    lines: list[list[bytes]] = []
    for _ in range(MAX_ANSWER_LINES):
        line = yield from read_line(_MAX_SCRIPT)
        reply = sieve_response(line)
        if reply is not None:
            return reply, lines
        lines.append([word.text for word in words(line)])
    raise InvalidToken(f"the server's answer has more than {MAX_ANSWER_LINES} lines")


_SIEVE_REPLIES: Final = {
    Verdict.SUCCESS: b"OK",
    Verdict.CANCELLED: b'NO "cancelled"',
    Verdict.UNDECODABLE: b'NO "not base64"',
    Verdict.TOO_LONG: b'NO "line too long"',
    Verdict.MALFORMED: b'NO "syntax: AUTHENTICATE mechanism [initial-response]"',
    Verdict.UNINVITED: b'NO "this mechanism has no initial response"',
    Verdict.UNSUITABLE: b'NO "mechanism not available"',
    Verdict.TOO_WEAK: b'NO (AUTH-TOO-WEAK) "mechanism is too weak"',
    Verdict.DENIED: b'NO "credentials invalid"',
    Verdict.TEMPORARY: b'NO (TRYLATER) "temporary failure"',
}

SIEVE: Final = LineProtocol(
    name="sieve",
    title="ManageSieve",
    client="SaslSieve",
    service="sieve",  # section 2.1
    port=4190,
    tls_port=None,  # section 1.8: one port, with STARTTLS
    authenticate=b"AUTHENTICATE",
    capability=b"CAPABILITY",
    starttls=b"STARTTLS",
    leave=b"LOGOUT",
    max_command=MAX_LINE,
    replies=MappingProxyType(_SIEVE_REPLIES),
    strings=True,
    announces=True,  # sections 1.7, 2.1 and 2.2
    speaks_unasked=True,  # section 2.1: where there is a layer it "MUST re-issue the capability results"
    success_with_data=b"OK (SASL %s)",
    read=_read_sieve,
    read_capabilities=_read_sieve_capabilities,
    okay=b"OK",
    write_capabilities=_write_sieve_capabilities,
)
