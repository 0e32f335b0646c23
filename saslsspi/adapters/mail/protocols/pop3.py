"""POP3: RFC 5034, with the response codes of RFC 3206 and the capabilities of RFC 2449."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

from saslsspi.adapters.mail.line_protocol import (
    Capabilities,
    LineProtocol,
    Reading,
    Reply,
    ReplyKind,
    Verdict,
)
from saslsspi.adapters.mail.protocols.words import MAX_ANSWER_LINES, code_in_brackets, listed, text_of
from saslsspi.adapters.mail.strings import LINE
from saslsspi.errors import InvalidToken

__all__ = ["POP3"]

_POP3_KINDS: Final = {
    b"AUTH": ReplyKind.DENIED,
    b"SYS/TEMP": ReplyKind.TEMPORARY,
    b"IN-USE": ReplyKind.TEMPORARY,
}


def _read_pop3(tag: bytes) -> Reading[Reply]:
    line = yield LINE
    status, _, text = line.partition(b" ")
    if status == b"+":
        return Reply(ReplyKind.CHALLENGE, text.rstrip(b" "), None, "+", (line,))
    if status == b"+OK":
        return Reply(ReplyKind.SUCCESS, text, None, "+OK", (line,))
    if status != b"-ERR":
        raise InvalidToken("the server's reply is not a POP3 reply")
    return Reply(_POP3_KINDS.get(code_in_brackets(text), ReplyKind.REFUSED), text, None, "-ERR", (line,))


def _read_pop3_capabilities(tag: bytes) -> Reading[Capabilities]:
    reply = yield from _read_pop3(tag)
    values: dict[str, str] = {}
    for _ in range(MAX_ANSWER_LINES if reply.positive else 0):
        line = yield LINE
        if line == b".":
            break
        name, _, value = text_of(line).partition(" ")
        values[name.upper()] = value
    else:
        if reply.positive:
            raise InvalidToken(f"the server lists more than {MAX_ANSWER_LINES} capabilities")
    mechanisms = listed(values, "SASL")
    # RFC 5034 section 3: on a server without the capability the client "MUST NOT" send an initial response.
    return Capabilities(mechanisms, mechanisms is not None, "STLS" in values, values)


def _write_pop3_capabilities(mechanisms: Sequence[str], invites: bool, tag: bytes) -> bytes:
    return b"+OK\r\nSASL " + " ".join(mechanisms).encode("ascii") + b"\r\n."


_POP3_REPLIES: Final = {
    Verdict.SUCCESS: b"+OK authenticated",
    Verdict.CANCELLED: b"-ERR cancelled",
    Verdict.UNDECODABLE: b"-ERR not base64",
    Verdict.TOO_LONG: b"-ERR line too long",
    Verdict.MALFORMED: b"-ERR syntax: AUTH mechanism [initial-response]",
    Verdict.UNINVITED: b"-ERR this mechanism has no initial response",
    Verdict.UNSUITABLE: b"-ERR mechanism not available",
    Verdict.TOO_WEAK: b"-ERR mechanism is too weak",
    Verdict.DENIED: b"-ERR [AUTH] credentials invalid",
    Verdict.TEMPORARY: b"-ERR [SYS/TEMP] temporary failure",
}

POP3: Final = LineProtocol(
    name="pop3",
    title="POP3",
    client="SaslPOP3",
    service="pop",  # RFC 5034 section 4
    port=110,
    tls_port=995,
    authenticate=b"AUTH",
    capability=b"CAPA",
    starttls=b"STLS",
    leave=b"QUIT",
    max_command=255,  # RFC 5034 section 4: the command keeps the limit of RFC 2449 section 4
    mark=b"+ ",
    replies=MappingProxyType(_POP3_REPLIES),
    clear_after=frozenset({"NTLM"}),  # MS-POP3 ends with success and knows no layer
    read=_read_pop3,
    read_capabilities=_read_pop3_capabilities,
    greeting=b"+OK ready",
    okay=b"+OK done",
    write_capabilities=_write_pop3_capabilities,
)
