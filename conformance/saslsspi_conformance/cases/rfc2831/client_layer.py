"""RFC 2831 sections 2.3 and 2.4, and RFC 4422 section 3.7: the security layer of a client."""

from __future__ import annotations

from saslsspi_conformance.case import CaseFunction, Observation, Reaction, against_client, holds
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers.digest.server import ScriptedDigestServer

_DELIVERED = frozenset({Reaction.DELIVERED})
_CLOSED = frozenset({Reaction.CLOSED})
_TEXT = b"text of the server"


@against_client("RFC2831-2.3-01", "RFC2831-2.3-02", "RFC2831-2.3-04", "RFC2831-2.3-05", "RFC2831-2.3-06",
                "RFC2831-2.3-13", "RFC2831-2.3-15", "RFC2831-1.1-03", "RFC4422-3.7-02", "RFC4422-3.7-03",
                "RFC4422-3.7-08")  # fmt: skip
def integrity(run: CaseRun) -> Observation:
    """Under auth-int the client's buffers have the RFC's MAC, type 1 and the numbers from 0."""
    buffer, text, wrong = ScriptedDigestServer(run).layer().request()
    return holds(text and not wrong and text in buffer, wrong)


@against_client("RFC2831-2.3-14", "RFC2831-2.1.1-24", "RFC4422-3.7-09")
def requests_within_maxbuf(run: CaseRun) -> Observation:
    """No buffer of the client is larger than the server's maxbuf."""
    layer = ScriptedDigestServer(run).layer("auth-int", "", b"maxbuf=1000")
    buffer, text, wrong = layer.request()
    return holds(text and not wrong and len(buffer) <= 1000, f"{len(buffer)} octets {wrong}")


@against_client("RFC2831-2.4-19")
def sealed_requests_within_maxbuf(run: CaseRun) -> Observation:
    """Padding and MAC count within the server's maxbuf."""
    layer = ScriptedDigestServer(run).layer("auth-conf", "3des", b"maxbuf=1000")
    buffer, text, wrong = layer.request()
    return holds(text and not wrong and len(buffer) <= 1000, f"{len(buffer)} octets {wrong}")


@against_client("RFC2831-2.1.1-25")
def default_maxbuf(run: CaseRun) -> Observation:
    """Without a maxbuf of the server a buffer of the client is at most 65,536 octets."""
    buffer, _, wrong = ScriptedDigestServer(run).layer().request()
    return holds(buffer and len(buffer) <= 65536, wrong)


@against_client("RFC2831-2.3-03", "RFC2831-2.3-07", "RFC4422-3.7-01", "RFC4422-3.7-04", accept=_DELIVERED)
def three_messages(run: CaseRun) -> Observation:
    """Buffers with the RFC's MAC and the numbers 0, 1 and 2 are taken."""
    layer = ScriptedDigestServer(run).layer()
    layer.send(layer.out.wrap(_TEXT))
    layer.send(layer.out.wrap(_TEXT))
    return layer.send(layer.out.wrap(_TEXT))


@against_client("RFC4422-3.7-12", accept=_DELIVERED)
def octet_by_octet(run: CaseRun) -> Observation:
    """A buffer may arrive one octet at a time."""
    layer = ScriptedDigestServer(run).layer()
    wire = layer.out.wrap(_TEXT)
    for at in range(len(wire) - 1):
        layer.send(wire[at : at + 1])
    return layer.send(wire[-1:])


def _deviation(name: str, title: str, *requirements: str, sealed: str = "", **wrong: object) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        layer = ScriptedDigestServer(run).layer("auth-conf" if sealed else "auth-int", sealed)
        return layer.send(layer.out.wrap(_TEXT, **wrong))  # type: ignore[arg-type]

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=_CLOSED)(case)


_ZEROS = bytes(10)
_deviation("wrong_mac", "A wrong MAC is not taken; the connection ends.", "RFC2831-2.3-09", "RFC4422-3.7-06",
           "RFC4422-6.1.1-01", mac=_ZEROS)  # fmt: skip
_deviation("wrong_type", "A message type other than 1 is not taken.", "RFC2831-2.3-10", kind=2)
_deviation("number_too_early", "A sequence number that is not due is not taken.", "RFC2831-2.3-08", number=1)
_deviation("sealed_wrong_mac", "Under auth-conf a wrong MAC is not taken.", "RFC2831-2.4-15", sealed="3des", mac=_ZEROS)
_deviation("sealed_wrong_type", "Under auth-conf the type is checked.", "RFC2831-2.4-17", sealed="3des", kind=2)
_deviation("wrong_padding", "Wrong padding is not taken.", "RFC2831-2.4-16", sealed="3des", padding=b"\x09\x09\x09\x04")


@against_client("RFC2831-2.3-08", "RFC2831-3-01", accept=_CLOSED)
def replayed_buffer(run: CaseRun) -> Observation:
    """A buffer that was taken once is not taken again."""
    layer = ScriptedDigestServer(run).layer()
    wire = layer.out.wrap(_TEXT)
    layer.send(wire)
    return layer.send(wire)


def _length(name: str, title: str, length: int, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        layer = ScriptedDigestServer(run).layer()
        return layer.send(length.to_bytes(4) + bytes(min(length, 64)))

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=_CLOSED)(case)


_length("short_buffer", "A buffer shorter than its MAC block ends the connection.", 3, "RFC2831-2.3-11")
_length("empty_buffer", "A buffer of no octets ends the connection.", 0, "RFC4422-3.7-13")
_length("huge_length", "A length of 0xFFFFFFFF ends the connection.", 0xFFFFFFFF, "RFC2831-2.3-16", "RFC4422-3.7-10",
        "RFC4422-6.1.5-01", "RFC4422-6.1.5-02", "RFC4422-6.1.5-03")  # fmt: skip


def _cipher(cipher: str, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        layer = ScriptedDigestServer(run).layer("auth-conf", cipher)
        for _ in range(2):  # the second message shows whether the cipher's state runs on
            buffer, text, wrong = layer.request()
            if wrong or text in buffer:
                return Observation(Reaction.BROKEN, wrong or "the text is readable")
            seen = layer.send(layer.out.wrap(_TEXT))
            if seen.outcome is not Reaction.DELIVERED:
                return seen
        return seen

    case.__name__ = f"cipher_{cipher.replace('-', '_')}"
    case.__doc__ = f"Two messages each way under {cipher}, computed by the RFC's formulas."
    return against_client(*requirements, accept=_DELIVERED)(case)


_SEALING = ("RFC2831-2.4-01", "RFC2831-2.4-02", "RFC2831-2.4-03", "RFC2831-2.4-04", "RFC2831-2.4-11", "RFC2831-2.4-14")
_RC4 = ("RFC2831-2.1.1-48", "RFC2831-2.4-05", "RFC2831-2.4-10", "RFC2831-2.4-13")
_BLOCK = ("RFC2831-2.4-08", "RFC2831-2.4-09", "RFC2831-2.4-12")
_cipher("rc4", *_SEALING, *_RC4)
_cipher("rc4-56", *_SEALING, *_RC4)
_cipher("rc4-40", *_SEALING, *_RC4)
_cipher("3des", *_SEALING, *_BLOCK, "RFC2831-2.1.1-41", "RFC2831-2.1.1-47", "RFC2831-2.4-07")
_cipher("des", *_SEALING, *_BLOCK, "RFC2831-2.1.1-42", "RFC2831-2.1.1-46", "RFC2831-2.4-06")


@against_client("RFC2831-2.4-18", accept=_CLOSED)
def no_whole_blocks(run: CaseRun) -> Observation:
    """An enciphered part that is no whole number of blocks ends the connection."""
    buffer = bytes(23) + b"\0\1\0\0\0\0"
    return ScriptedDigestServer(run).layer("auth-conf", "3des").send(len(buffer).to_bytes(4) + buffer)
