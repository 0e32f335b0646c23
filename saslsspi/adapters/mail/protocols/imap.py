"""IMAP: RFC 9051 section 6.2.2 and RFC 3501 before it, RFC 4959 for initial responses, RFC 5530 for response codes."""

from __future__ import annotations

import re
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
from saslsspi.adapters.mail.protocols.words import MAX_ANSWER_LINES, code_in_brackets, text_of
from saslsspi.adapters.mail.strings import read_line
from saslsspi.errors import InvalidToken

__all__ = ["IMAP", "imap_capabilities"]

_IMAP_KINDS: Final = {
    b"AUTHENTICATIONFAILED": ReplyKind.DENIED,
    b"AUTHORIZATIONFAILED": ReplyKind.DENIED,
    b"EXPIRED": ReplyKind.DENIED,
    b"PRIVACYREQUIRED": ReplyKind.UNSUITABLE,
    b"CANNOT": ReplyKind.UNSUITABLE,
    b"UNAVAILABLE": ReplyKind.TEMPORARY,
}
_IMAP_CODE: Final = re.compile(rb"\[CAPABILITY ([^\[\]]*+)\]", re.I)  # no name of one holds a bracket
_IMAP_STATUS: Final = re.compile(rb"(OK|NO|BAD|PREAUTH|BYE)(?: (.*))?\Z", re.I | re.S)


def _read_imap(tag: bytes) -> Reading[Reply]:
    lines: list[bytes] = []
    for _ in range(MAX_ANSWER_LINES):
        line = yield from read_line(MAX_LINE)
        lines.append(line)
        first, _, rest = line.partition(b" ")
        if first == b"+":
            return Reply(ReplyKind.CHALLENGE, rest.rstrip(b" "), None, "+", tuple(lines))
        status = _IMAP_STATUS.match(rest)
        word = status[1].decode("ascii").upper() if status else ""
        if first == b"*" and word != "BYE" and tag != b"*":
            continue
        if first not in (tag, b"*") or status is None:
            raise InvalidToken("the server's answer is not an IMAP response")
        text = status[2] or b""
        if word in ("OK", "PREAUTH"):
            kind = ReplyKind.SUCCESS
        else:
            kind = _IMAP_KINDS.get(code_in_brackets(text), ReplyKind.REFUSED) if word != "BYE" else ReplyKind.BYE
        return Reply(kind, text, None, word, tuple(lines))
    raise InvalidToken(f"the server sends more than {MAX_ANSWER_LINES} lines that are no answer")


def _read_imap_capabilities(tag: bytes) -> Reading[Capabilities]:
    reply = yield from _read_imap(tag)
    if reply.kind is ReplyKind.BYE:
        raise ends_here(reply.text)
    return imap_capabilities(reply.lines)


def imap_capabilities(lines: Sequence[bytes]) -> Capabilities:
    """Find the capabilities in responses, untagged or in a response code."""
    names: list[str] = []
    for line in lines:
        if (code := _IMAP_CODE.search(line)) is not None:
            names = text_of(code[1]).upper().split()
        elif line[:13].upper() == b"* CAPABILITY ":
            names = text_of(line[13:]).upper().split()
    mechanisms = tuple(name[5:] for name in names if name.startswith("AUTH="))
    # RFC 4959 section 3: a client "MUST NOT" send an initial response to a server that does not advertise it.
    invited = not {"SASL-IR", "IMAP4REV2"}.isdisjoint(names)
    return Capabilities(mechanisms or None, invited, "STARTTLS" in names, dict.fromkeys(names, ""))


def _write_imap_capabilities(mechanisms: Sequence[str], invites: bool, tag: bytes) -> bytes:
    names = ["IMAP4rev1", *(["SASL-IR"] if invites else []), *(f"AUTH={name}" for name in mechanisms)]
    return b"* CAPABILITY " + " ".join(names).encode("ascii") + b"\r\n" + tag + b" OK done"


# BAD and NO as RFC 9051 section 6.2.2 has them. The tag goes before.
_IMAP_REPLIES: Final = {
    Verdict.SUCCESS: b"OK authenticated",
    Verdict.CANCELLED: b"BAD cancelled",
    Verdict.UNDECODABLE: b"BAD not base64",
    Verdict.TOO_LONG: b"BAD line too long",
    Verdict.MALFORMED: b"BAD syntax: AUTHENTICATE mechanism [initial-response]",
    Verdict.UNINVITED: b"BAD this mechanism has no initial response",
    Verdict.UNSUITABLE: b"NO [CANNOT] mechanism not available",
    Verdict.TOO_WEAK: b"NO [CANNOT] mechanism is too weak",
    Verdict.DENIED: b"NO [AUTHENTICATIONFAILED] credentials invalid",
    Verdict.TEMPORARY: b"NO [UNAVAILABLE] temporary failure",
}

IMAP: Final = LineProtocol(
    name="imap",
    title="IMAP",
    client="SaslIMAP4",
    service="imap",
    port=143,
    tls_port=993,
    authenticate=b"AUTHENTICATE",
    capability=b"CAPABILITY",
    starttls=b"STARTTLS",
    leave=b"LOGOUT",
    # RFC 7162 section 4 recommends 8,192 octets as the longest command line without literals; the tag needs some.
    max_command=8000,
    mark=b"+ ",
    replies=MappingProxyType(_IMAP_REPLIES),
    tagged=True,
    speaks_unasked=True,  # RFC 3501 section 7: a client must take untagged responses at any time
    clear_after=frozenset({"NTLM"}),  # MS-OXIMAP ends with success and knows no layer
    read=_read_imap,
    read_capabilities=_read_imap_capabilities,
    greeting=b"* OK ready",
    okay=b"OK done",
    write_capabilities=_write_imap_capabilities,
)
