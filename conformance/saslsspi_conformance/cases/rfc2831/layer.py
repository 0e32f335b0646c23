"""RFC 2831 sections 2.3 and 2.4, and RFC 4422 section 3.7: the security layer of a server."""

from __future__ import annotations

from saslsspi_conformance.case import (
    CaseFunction,
    NotApplicable,
    Observation,
    Reaction,
    against_server,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.client import Protected, ScriptedDigestClient

_DELIVERED = frozenset({Reaction.DELIVERED})
_CLOSED = frozenset({Reaction.CLOSED})


def _integrity(run: CaseRun, setting: Setting | None = None) -> Protected:
    return ScriptedDigestClient(run, setting or Setting(), qop="auth-int").layer()


def _sealed(run: CaseRun, cipher: str = "3des") -> Protected:
    client = ScriptedDigestClient(run, qop="auth-conf", cipher=cipher)
    if (seen := client.log_on()).outcome is not Reaction.SUCCESS:
        raise NotApplicable(f"the server refuses {cipher}, which is a case of its own: {seen.detail}")
    return Protected(client)


@against_server("RFC2831-2.3-01", "RFC2831-2.3-02", "RFC2831-2.3-04", "RFC2831-2.3-06", "RFC2831-1.1-03",
                "RFC4422-3.7-02", "RFC4422-3.7-03", accept=_DELIVERED)  # fmt: skip
def integrity(run: CaseRun) -> Observation:
    """Under auth-int a buffer with the RFC's MAC is taken, and the answer has the RFC's MAC."""
    layer = _integrity(run)
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("RFC2831-2.3-03", "RFC2831-2.3-05", "RFC2831-2.3-13", "RFC2831-2.3-15", "RFC4422-3.7-01",
                "RFC4422-3.7-08")  # fmt: skip
def integrity_of_the_answer(run: CaseRun) -> Observation:
    """An answer is length, plain text, 10 octets of MAC, 00 01 and the sequence number."""
    layer = _integrity(run)
    seen = layer.ask(layer.out.wrap(layer.probe))
    trailer = layer.buffers[0][-6:] if layer.buffers else b""
    return holds(seen.outcome is Reaction.DELIVERED and trailer == b"\0\1\0\0\0\0", f"{seen}, ends in {trailer.hex()}")


@against_server("RFC2831-2.3-07", "RFC4422-3.7-04", accept=_DELIVERED)
def three_messages(run: CaseRun) -> Observation:
    """Sequence numbers grow by one, each way on its own."""
    layer = _integrity(run)
    for _ in range(2):
        layer.ask(layer.out.wrap(layer.probe))
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("RFC4422-3.7-12", accept=_DELIVERED)
def octet_by_octet(run: CaseRun) -> Observation:
    """A buffer may arrive one octet at a time."""
    layer = _integrity(run)
    wire = layer.out.wrap(layer.probe)
    for at in range(len(wire) - 1):
        layer.send(wire[at : at + 1])
    return layer.ask(wire[-1:])


@against_server("RFC4422-3.7-12", accept=_DELIVERED)
def several_at_once(run: CaseRun) -> Observation:
    """Three buffers may arrive in one piece."""
    layer = _integrity(run)
    layer.send(b"".join(layer.out.wrap(layer.probe) for _ in range(3)))
    layer.answered()
    layer.answered()
    return layer.answered()


def _deviation(name: str, title: str, *requirements: str, sealed: str = "", **wrong: object) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        layer = _sealed(run, sealed) if sealed else _integrity(run)
        return layer.ask(layer.out.wrap(layer.probe, **wrong))  # type: ignore[arg-type]

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=_CLOSED)(case)


_ZEROS = bytes(10)
_deviation("wrong_mac", "A wrong MAC is not taken; the connection ends.", "RFC2831-2.3-09", "RFC4422-3.7-06",
           "RFC4422-6.1.1-01", mac=_ZEROS)  # fmt: skip
_deviation("wrong_type", "A message type other than 1 is not taken.", "RFC2831-2.3-10", kind=2)
_deviation("number_too_early", "A sequence number that is not due is not taken.", "RFC2831-2.3-08", number=1)
_deviation("sealed_wrong_mac", "Under auth-conf a wrong MAC is not taken.", "RFC2831-2.4-15", sealed="3des", mac=_ZEROS)
_deviation("sealed_wrong_type", "Under auth-conf the type is checked.", "RFC2831-2.4-17", sealed="3des", kind=2)
_deviation("sealed_wrong_number", "Under auth-conf the sequence number is checked.", "RFC2831-2.4-17", sealed="rc4",
           number=1)  # fmt: skip


@against_server("RFC2831-2.4-16", accept=_CLOSED)
def wrong_padding(run: CaseRun) -> Observation:
    """Padding octets that do not hold the padding's length are not taken, MAC or not."""
    layer = _sealed(run)
    fill = 8 - (len(layer.probe) + 10) % 8
    right = bytes([fill]) * fill
    return layer.ask(layer.out.wrap(layer.probe, padding=bytes([right[0] ^ 1, *right[1:-1]])[: fill - 1] + bytes([9])))


@against_server("RFC2831-2.3-08", "RFC2831-3-01", accept=_CLOSED)
def replayed_buffer(run: CaseRun) -> Observation:
    """A buffer that was taken once is not taken again."""
    layer = _integrity(run)
    wire = layer.out.wrap(layer.probe)
    if layer.ask(wire).outcome is not Reaction.DELIVERED:
        return Observation(Reaction.BROKEN, "the first one was not taken")
    return layer.ask(wire)


@against_server("RFC2831-2.3-09", accept=_CLOSED)
def flipped_text(run: CaseRun) -> Observation:
    """A flipped bit of the text is noticed."""
    layer = _integrity(run)
    wire = bytearray(layer.out.wrap(layer.probe))
    wire[4] ^= 1
    return layer.ask(bytes(wire))


def _length(name: str, title: str, length: int, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        layer = _integrity(run)
        return layer.ask(length.to_bytes(4) + bytes(min(length, 64)))

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=_CLOSED)(case)


_length("short_buffer", "A buffer of three octets, shorter than its MAC block, ends the connection.", 3,
        "RFC2831-2.3-11")  # fmt: skip
_length("empty_buffer", "A buffer of no octets ends the connection.", 0, "RFC4422-3.7-13")
_length("huge_length", "A length of 0xFFFFFFFF ends the connection at once.", 0xFFFFFFFF, "RFC2831-2.3-16",
        "RFC4422-6.1.5-01", "RFC4422-6.1.5-02", "RFC4422-6.1.5-03")  # fmt: skip


@against_server("RFC2831-2.3-16", "RFC4422-3.7-10", accept=_CLOSED)
def length_above_maximum(run: CaseRun) -> Observation:
    """A length one above the announced maxbuf ends the connection."""
    client = ScriptedDigestClient(run, qop="auth-int")
    layer = client.layer()
    maximum = int(client.challenge.value("maxbuf") or b"65536")
    return layer.ask((maximum + 1).to_bytes(4) + b"x" * 64)


@against_server("RFC2831-2.3-01", "RFC4422-3.7-03", accept=_CLOSED)
def clear_text_after_success(run: CaseRun) -> Observation:
    """What comes without protection after success is not taken."""
    layer = _integrity(run)
    return layer.ask(layer.probe + b"\xff" * 64)


@against_server("RFC2831-2.3-14", "RFC2831-2.1.2-48", "RFC4422-3.7-09", "RFC4422-3.7-11")
def answers_within_maxbuf(run: CaseRun) -> Observation:
    """No buffer of the server is larger than the client's maxbuf."""
    for most in (1024, 256):
        client = ScriptedDigestClient(run, qop="auth-int")
        client.begin()
        seen = client.answer(client.write(changes={"maxbuf": b"%d" % most}))
        if seen.outcome is not Reaction.SUCCESS:
            raise NotApplicable(f"the server does not take a client with a maxbuf of {most}: {seen.detail}")
        layer = Protected(client)
        seen = layer.ask(layer.out.wrap(client.connection.large_probe), large=True)
        largest = max(map(len, layer.buffers), default=0)
        if seen.outcome is not Reaction.DELIVERED or largest > most:
            return holds(False, f"{seen.outcome}, largest {largest} octets of {most}")
        if sum(map(len, layer.buffers)) > most:
            return holds(True, f"largest {largest} octets of {most}, in {len(layer.buffers)} buffers")
    raise NotApplicable(f"no answer of the server is longer than {most} octets")


@against_server("RFC2831-2.4-19")
def sealed_answers_within_maxbuf(run: CaseRun) -> Observation:
    """Padding and MAC count within the client's maxbuf."""
    client = ScriptedDigestClient(run, qop="auth-conf", cipher="3des")
    client.begin()
    if (seen := client.answer(client.write(changes={"maxbuf": b"100"}))).outcome is not Reaction.SUCCESS:
        raise NotApplicable(f"the server refuses 3des, which is a case of its own: {seen.detail}")
    layer = Protected(client)
    seen = layer.ask(layer.out.wrap(client.connection.probe))
    largest = max(map(len, layer.buffers), default=0)
    return holds(seen.outcome is Reaction.DELIVERED and largest <= 100, f"{seen.outcome}, largest {largest} octets")


def _cipher(cipher: str, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        client = ScriptedDigestClient(run, qop="auth-conf", cipher=cipher)
        if (seen := client.log_on()).outcome is not Reaction.SUCCESS:
            return seen
        layer = Protected(client)
        first = layer.ask(layer.out.wrap(layer.probe))
        # The second message shows whether the cipher's state runs on.
        return first if first.outcome is not Reaction.DELIVERED else layer.ask(layer.out.wrap(layer.probe))

    case.__name__ = f"cipher_{cipher.replace('-', '_')}"
    case.__doc__ = f"Two messages each way under {cipher}, computed by the RFC's formulas."
    return against_server(*requirements, accept=_DELIVERED)(case)


_SEALING = ("RFC2831-2.4-01", "RFC2831-2.4-02", "RFC2831-2.4-03", "RFC2831-2.4-04", "RFC2831-2.4-14")
_cipher("rc4", *_SEALING, "RFC2831-2.1.1-48", "RFC2831-2.4-05", "RFC2831-2.4-10")
_cipher("rc4-56", *_SEALING, "RFC2831-2.1.1-48", "RFC2831-2.4-05", "RFC2831-2.4-10")
_cipher("rc4-40", *_SEALING, "RFC2831-2.1.1-48", "RFC2831-2.4-05", "RFC2831-2.4-10")
_cipher("3des", *_SEALING, "RFC2831-2.1.1-41", "RFC2831-2.1.1-47", "RFC2831-2.4-07", "RFC2831-2.4-08", "RFC2831-2.4-09")
_cipher("des", *_SEALING, "RFC2831-2.1.1-42", "RFC2831-2.1.1-46", "RFC2831-2.4-06", "RFC2831-2.4-08", "RFC2831-2.4-09")


@against_server("RFC2831-2.4-11", "RFC2831-2.4-12")
def sealed_answer_in_blocks(run: CaseRun) -> Observation:
    """The enciphered part is whole blocks; type and sequence number follow in clear."""
    layer = _sealed(run)
    layer.ask(layer.out.wrap(layer.probe))
    buffer = layer.buffers[0] if layer.buffers else b""
    return holds((len(buffer) - 6) % 8 == 0 and buffer[-6:] == b"\0\1\0\0\0\0", f"{len(buffer)} octets")


@against_server("RFC2831-2.4-13")
def stream_cipher_has_no_padding(run: CaseRun) -> Observation:
    """Under rc4 an answer is as long as its text and 16 octets."""
    if not run.target.local:
        raise NotApplicable("the length of the answer's text is not known")
    layer = _sealed(run, "rc4")
    layer.ask(layer.out.wrap(layer.probe))
    return holds(len(layer.buffers[0]) == len(layer.probe) + 16, f"{len(layer.buffers[0])} octets")


@against_server("RFC2831-2.4-12", accept=_DELIVERED)
def every_padding(run: CaseRun) -> Observation:
    """Texts of every length modulo 8 are taken."""
    if not run.target.local:
        raise NotApplicable("the protocol's requests have one length")
    layer = _sealed(run)
    for size in range(17):
        layer.send(layer.out.wrap(b"x" * size))
        text, wrong = layer.back.unwrap(layer.stream.buffer() or b"")
        if wrong or text != b"x" * size:
            return Observation(Reaction.BROKEN, f"length {size}: {wrong}")
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("RFC2831-2.4-18", accept=_CLOSED)
def no_whole_blocks(run: CaseRun) -> Observation:
    """An enciphered part that is no whole number of blocks ends the connection."""
    layer = _sealed(run)
    buffer = bytes(23) + b"\0\1\0\0\0\0"
    return layer.ask(len(buffer).to_bytes(4) + buffer)


@against_server("RFC2831-2.4-18", accept=_CLOSED)
def block_too_short(run: CaseRun) -> Observation:
    """An enciphered part of one block, too short for the MAC, ends the connection."""
    layer = _sealed(run)
    buffer = bytes(8) + b"\0\1\0\0\0\0"
    return layer.ask(len(buffer).to_bytes(4) + buffer)


@against_server("RFC4422-3-08", accept=frozenset({Reaction.HOLDS}), destructive=True)
def no_layer_after_failure(run: CaseRun) -> Observation:
    """After a failed exchange with auth-int the connection goes on in clear."""
    client = ScriptedDigestClient(run, qop="auth-int", wrong_password=True)
    client.log_on()
    second = ScriptedDigestClient(run, on=client.connection)
    try:
        return holds(second.log_on().outcome is Reaction.SUCCESS)
    except OSError as error:
        raise NotApplicable("the server closes after a failure") from error
