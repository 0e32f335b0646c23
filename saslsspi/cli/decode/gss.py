"""GSS-API framing (RFC 2743 section 3.1): SPNEGO with what is inside, Kerberos, and Kerberos' per-message tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saslsspi.cli.decode.tree import Node, masked, name
from saslsspi.der import Lengths, Reader, Tag, application, context, decode_oid
from saslsspi.errors import InvalidToken
from saslsspi.packages.negotiate.messages import NegTokenInit, NegTokenResp
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_gss"]

_MECHANISMS: Final = {
    "1.3.6.1.5.5.2": "SPNEGO",
    "1.2.840.113554.1.2.2": "Kerberos",
    "1.2.840.48018.1.2.2": "Kerberos (old number of Microsoft)",
    "1.3.6.1.4.1.311.2.2.10": "NTLM",
    "1.3.6.1.4.1.311.2.2.30": "NegoEx",
}
_KERBEROS: Final = {b"\x01\x00": "AP-REQ", b"\x02\x00": "AP-REP", b"\x03\x00": "KRB-ERROR"}
_MESSAGES: Final = {b"\x04\x04": "MIC", b"\x05\x04": "Wrap", b"\x01\x01": "MIC (old)", b"\x02\x01": "Wrap (old)"}
_ENCTYPES: Final = {1: "des-cbc-crc", 3: "des-cbc-md5", 16: "des3-cbc-sha1", 17: "aes128-cts-hmac-sha1-96",
                    18: "aes256-cts-hmac-sha1-96", 19: "aes128-cts-hmac-sha256-128",
                    20: "aes256-cts-hmac-sha384-192", 23: "arcfour-hmac", 24: "arcfour-hmac-exp"}  # fmt: skip
_WEAK: Final = frozenset({1, 2, 3, 16, 23, 24})
_AP_REQ: Final = 14

Inner = Callable[[bytes], Node]


def decode_gss(data: bytes, inner: Inner) -> Node | None:
    """Read a token; None where it is not framed so. What is inside is read by inner."""
    try:
        if data[:1] in (b"\x60", b"\xa1"):
            return _framed(data, inner)
        if data[:1] == b"\x6e":
            return _ap_req(Node("Kerberos AP-REQ"), data)
    except InvalidToken as error:
        node = Node("GSS-API token", {"size": len(data)})
        node.find(Severity.FAIL, "malformed", error.text)
        return node
    if data[:2] in _MESSAGES and len(data) >= 16:
        return Node(f"Kerberos {_MESSAGES[data[:2]]} token", {"size": len(data)})
    return None


def _framed(data: bytes, inner: Inner) -> Node:
    if data[0] == 0xA1:
        return _response(NegTokenResp.from_bytes(data), inner)
    outer = Reader(data, lengths=Lengths.ANY_DEFINITE)
    contents = outer.contents(application(0))
    outer.end()
    # What follows the identifier need not be DER.
    size = 2 + (contents[1] if len(contents) > 1 else 0)
    if contents[:1] != b"\x06" or size > len(contents):
        raise InvalidToken("there is no object identifier behind the frame")
    mechanism = decode_oid(contents[2:size])
    label = _MECHANISMS.get(mechanism, mechanism)
    if label == "SPNEGO":
        return _offer(NegTokenInit.from_bytes(data), inner)
    if not label.startswith("Kerberos"):
        return Node(f"GSS-API token of {label}", {"size": len(data)})
    kind = _KERBEROS.get(contents[size : size + 2], "message of unknown type")
    node = Node(f"Kerberos {kind}", {"mechanism": label, "size": len(data)})
    return _ap_req(node, contents[size + 2 :]) if kind == "AP-REQ" else node


def _offer(token: NegTokenInit, inner: Inner) -> Node:
    node = Node("SPNEGO NegTokenInit", {"mechanisms": [_MECHANISMS.get(oid, oid) for oid in token.mech_types]})
    if node.fields["mechanisms"] == ["NTLM"]:
        node.find(Severity.WARN, "ntlm-only", "NTLM is all that is offered")
    _common(node, token.token, token.mic, inner)
    return node


def _response(token: NegTokenResp, inner: Inner) -> Node:
    node = Node("SPNEGO NegTokenResp", {"state": "-" if token.state is None else token.state.name})
    if token.supported_mech is not None:
        node.fields["mechanism"] = _MECHANISMS.get(token.supported_mech, token.supported_mech)
    _common(node, token.token, token.mic, inner)
    return node


def _common(node: Node, token: bytes | None, mic: bytes | None, inner: Inner) -> None:
    node.fields["mechListMIC"] = masked(mic) if mic else "-"
    if not mic:
        node.find(Severity.INFO, "no-mic", "there is no mechListMIC in this token: the list is not protected by it")
    if token:
        node.parts["token"] = inner(token)


def _ap_req(node: Node, data: bytes) -> Node:
    """RFC 4120 section 5.5.1; the ticket and the authenticator are not shown."""
    fields = Reader(data, lengths=Lengths.ANY_DEFINITE).enter(application(_AP_REQ)).enter()
    for number in range(3):
        fields.contents(context(number))
    ticket = fields.enter(context(3)).enter(application(1)).enter()
    ticket.contents(context(0))
    node.fields["realm"] = name(ticket.enter(context(1)).general_string())
    names = ticket.enter(context(2)).enter()
    names.contents(context(0))
    parts = names.enter(context(1)).enter()
    shown = []
    while parts.peek() == Tag.GENERAL_STRING:
        shown.append(name(parts.general_string()))
    node.fields["service"] = "/".join(shown)
    for label, part in (("ticket", ticket.enter(context(3))), ("authenticator", fields.enter(context(4)))):
        enctype = part.enter().enter(context(0)).integer()
        node.fields[label] = _ENCTYPES.get(enctype, f"encryption type {enctype}")
        if enctype in _WEAK:
            node.find(Severity.WARN, "weak-cipher", f"the {label} is encrypted with {node.fields[label]}")
    return node
