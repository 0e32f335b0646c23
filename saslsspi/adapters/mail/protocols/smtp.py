"""SMTP: RFC 4954, and RFC 5321 section 4.2 for replies."""

from __future__ import annotations

import re
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
    ends_here,
)
from saslsspi.adapters.mail.protocols.words import MAX_ANSWER_LINES, listed, text_of
from saslsspi.adapters.mail.strings import LINE
from saslsspi.errors import InvalidToken

__all__ = ["SMTP", "smtp_kind"]

_SMTP_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.S)
_SMTP_KINDS: Final = {
    "334": ReplyKind.CHALLENGE,
    "235": ReplyKind.SUCCESS,
    "421": ReplyKind.BYE,  # RFC 5321 section 3.8: the server closes behind it
    "504": ReplyKind.UNSUITABLE,
    "534": ReplyKind.UNSUITABLE,
    "538": ReplyKind.UNSUITABLE,
    "535": ReplyKind.DENIED,
}


def smtp_kind(code: str) -> ReplyKind:
    """Sort a reply to AUTH by its code (RFC 4954 section 6)."""
    return _SMTP_KINDS.get(code, ReplyKind.TEMPORARY if code.startswith("4") else ReplyKind.REFUSED)


def _read_smtp(tag: bytes) -> Reading[Reply]:
    lines: list[bytes] = []
    texts: list[bytes] = []
    for _ in range(MAX_ANSWER_LINES):
        line = yield LINE
        match = _SMTP_LINE.match(line)
        if match is None:
            raise InvalidToken("the server's reply is not an SMTP reply")
        lines.append(line)
        texts.append(match[3] or b"")
        if match[2] != b"-":
            code = match[1].decode("ascii")
            kind = smtp_kind(code)
            text = b"\n".join(texts)
            return Reply(kind, text.rstrip(b" ") if kind is ReplyKind.CHALLENGE else text, None, code, tuple(lines))
    raise InvalidToken(f"the server's reply has more than {MAX_ANSWER_LINES} lines")


def _read_smtp_capabilities(tag: bytes) -> Reading[Capabilities]:
    reply = yield from _read_smtp(tag)
    if reply.kind is ReplyKind.BYE:
        raise ends_here(reply.text)
    said: dict[str, list[str]] = {}
    for line in reply.text.split(b"\n")[1:] if reply.positive else []:
        name, _, value = text_of(line).strip().replace("=", " ", 1).partition(" ")
        # RFC 4954's "AUTH A B", and beside it what servers said before it, "AUTH=A B".
        said.setdefault(name.upper(), []).append(value.strip())
    values = {name: " ".join(filter(None, parts)) for name, parts in said.items()}
    mechanisms = listed(values, "AUTH")
    return Capabilities(mechanisms, mechanisms is not None, "STARTTLS" in values, values)


def _write_smtp_capabilities(mechanisms: Sequence[str], invites: bool, tag: bytes) -> bytes:
    return b"250-localhost\r\n250 AUTH " + " ".join(mechanisms).encode("ascii")


# RFC 4954 section 6; "538 5.7.11" is historical.
_SMTP_REPLIES: Final = {
    Verdict.SUCCESS: b"235 2.7.0 Authentication succeeded",
    Verdict.CANCELLED: b"501 5.7.0 Authentication cancelled",
    Verdict.UNDECODABLE: b"501 5.5.2 Not base64",
    Verdict.TOO_LONG: b"500 5.5.6 Authentication exchange line is too long",
    Verdict.MALFORMED: b"501 5.5.4 Syntax: AUTH mechanism [initial-response]",
    Verdict.UNINVITED: b"501 5.7.0 This mechanism has no initial response",
    Verdict.UNSUITABLE: b"504 5.5.4 Mechanism not available",
    Verdict.TOO_WEAK: b"534 5.7.9 Mechanism is too weak",
    Verdict.DENIED: b"535 5.7.8 Authentication credentials invalid",
    Verdict.TEMPORARY: b"454 4.7.0 Temporary authentication failure",
}

SMTP: Final = LineProtocol(
    name="smtp",
    title="SMTP",
    client="SaslSMTP",
    service="smtp",
    port=587,
    tls_port=465,
    authenticate=b"AUTH",
    capability=b"EHLO [127.0.0.1]",
    starttls=b"STARTTLS",
    leave=b"QUIT",
    # RFC 4954 section 4: AUTH keeps the limit of a command line, 512 octets (RFC 5321 section 4.5.3.1.4).
    max_command=512,
    mark=b"334 ",
    replies=MappingProxyType(_SMTP_REPLIES),
    clear_after=frozenset({"NTLM"}),  # MS-SMTPNTLM ends with success and knows no layer
    read=_read_smtp,
    read_capabilities=_read_smtp_capabilities,
    greeting=b"220 localhost ESMTP",
    okay=b"250 2.0.0 done",
    write_capabilities=_write_smtp_capabilities,
)
