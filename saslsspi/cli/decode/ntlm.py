"""The three NTLM messages (MS-NLMP section 2.2.1); the responses, keys and MIC are masked."""

from __future__ import annotations

from struct import Struct
from typing import Final

from saslsspi.cli.decode.tree import Node, masked, name, text
from saslsspi.errors import InvalidToken
from saslsspi.packages.ntlm.av_pairs import AvFlag, AvId, decode_pairs
from saslsspi.packages.ntlm.messages import SIGNATURE, Authenticate, ChallengeMessage, Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_ntlm"]

_TITLES: Final = {1: "NTLM NEGOTIATE", 2: "NTLM CHALLENGE", 3: "NTLM AUTHENTICATE"}
_POINTER: Final = Struct("<HHI")
_SECRET_POINTERS: Final = (12, 20, 52)
_NAME_POINTERS: Final = (28, 36, 44)
_TEXTS: Final = frozenset({1, 2, 3, 4, 5, 9})
_V1_SIZE: Final = 24
_PAIRS_AT: Final = 44  # MS-NLMP 2.2.2.7: behind NTProofStr and the head of the client's challenge


def decode_ntlm(data: bytes) -> Node | None:
    """Read a message; None where the signature is not there."""
    if not data.startswith(SIGNATURE) or len(data) < 12:
        return None
    kind = int.from_bytes(data[8:12], "little")
    node = Node(_TITLES.get(kind, "NTLM message of unknown type"), {"size": len(data)})
    try:
        if kind == 1:
            _negotiate(node, Negotiate.from_bytes(data))
        elif kind == 2:
            _challenge(node, ChallengeMessage.from_bytes(data))
        elif kind == 3:
            _authenticate(node, data, Authenticate.from_bytes(data))
    except InvalidToken as error:
        node.find(Severity.FAIL, "malformed", error.text)
    return node


def _negotiate(node: Node, message: Negotiate) -> None:
    _flags(node, message.flags)
    node.fields |= {"domain": name(message.domain, "cp437"), "workstation": name(message.workstation, "cp437")}


def _challenge(node: Node, message: ChallengeMessage) -> None:
    _flags(node, message.flags)
    node.fields["server challenge"] = message.server_challenge.hex()
    node.fields["target"] = name(message.target_name, _encoding(message.flags))
    if message.target_info:
        _pairs(node, decode_pairs(message.target_info))
    else:
        node.find(Severity.WARN, "no-target-info", "without target information a client cannot answer with NTLMv2")


def _authenticate(node: Node, data: bytes, message: Authenticate) -> None:
    _flags(node, message.flags)
    # A damaged pointer may make a name of what is secret.
    secrets = [_span(data, at) for at in _SECRET_POINTERS]
    for label, at, octets in zip(
        ("domain", "user", "workstation"),
        _NAME_POINTERS,
        (message.domain, message.username, message.workstation),
        strict=True,
    ):
        start, stop = _span(data, at)
        overlaps = any(start < other_stop and other_start < stop for other_start, other_stop in secrets)
        node.fields[label] = masked(octets) if overlaps else name(octets, _encoding(message.flags))
    node.fields["LM response"] = masked(message.lm_response)
    node.fields["NT response"] = masked(message.nt_response)
    node.fields["session key"] = masked(message.session_key)
    if not message.nt_response:
        node.find(Severity.INFO, "anonymous", "there is no NT response: nobody logs on")
    elif len(message.nt_response) == _V1_SIZE:
        node.find(Severity.FAIL, "ntlmv1", "NTLMv1: DES under the hash, found within hours whatever the password")
    else:
        _version_2(node, message)
    if any(message.lm_response[:8]) and len(message.nt_response) == _V1_SIZE and any(message.lm_response[8:24]):
        node.find(Severity.FAIL, "lm-response", "a LAN Manager response is sent")


def _version_2(node: Node, message: Authenticate) -> None:
    node.find(Severity.INFO, "guessable", "NTLMv2: whoever sees this message can guess at the password offline")
    # Not the values: where the response is damaged, anything may stand there.
    pairs = decode_pairs(message.nt_response, _PAIRS_AT, trailing=True)
    flags = int.from_bytes(pairs.get(AvId.FLAGS, b""), "little")
    mic = bool(flags & AvFlag.MIC and message.mic_offset)
    node.fields["MIC"] = "(16 octets, masked)" if mic else "-"
    if not mic:
        node.find(Severity.WARN, "no-mic", "there is no MIC: the messages before can be changed on the way")
    if not any(pairs.get(AvId.CHANNEL_BINDINGS, b"")):
        node.find(Severity.INFO, "no-channel-binding", "the answer is not bound to a TLS channel: it can be relayed")


def _span(data: bytes, at: int) -> tuple[int, int]:
    size, _, start = _POINTER.unpack_from(data, at)
    return start, start + size


def _encoding(flags: int) -> str:
    return "utf-16-le" if flags & NtlmFlag.UNICODE else "cp437"


def _flags(node: Node, flags: int) -> None:
    node.fields["flags"] = [str(flag.name) for flag in NtlmFlag if flags & flag]
    if not flags & NtlmFlag.EXTENDED_SESSIONSECURITY:
        node.find(Severity.WARN, "no-extended-security", "without extended session security signing is a CRC")
    if flags & (NtlmFlag.SIGN | NtlmFlag.SEAL) and not flags & NtlmFlag.KEY_128:
        node.find(Severity.WARN, "weak-key", "the key has less than 128 bits")
    if flags & NtlmFlag.LM_KEY and not flags & NtlmFlag.EXTENDED_SESSIONSECURITY:
        node.find(Severity.WARN, "lm-key", "the session key may come from the LAN Manager hash")


def _pairs(node: Node, pairs: dict[int, bytes]) -> None:
    for kind, value in pairs.items():
        label = AvId(kind).name.lower().replace("_", " ") if kind <= AvId.CHANNEL_BINDINGS else f"AV_PAIR {kind}"
        node.fields[label] = text(value, "utf-16-le") if kind in _TEXTS else value[:32].hex()
