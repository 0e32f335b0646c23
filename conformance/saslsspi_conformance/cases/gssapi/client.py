"""RFC 4752 section 3.1: what a client of GSSAPI does."""

from __future__ import annotations

from saslsspi_conformance.case import (
    DELIVERED,
    REFUSAL,
    SUCCESS,
    CaseFunction,
    Observation,
    Reaction,
    against_client,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.gss.ends import CONFIDENTIALITY, INTEGRITY, NONE, GssServer, word


@against_client("RFC4752-3-01")
def client_first(run: CaseRun) -> Observation:
    """The client begins with its context token, where the protocol has room for it."""
    server = GssServer(run)
    token = server.initial.data if run.target.initial_response else server.connection.challenge(b"").data
    return holds(token, "no token came")


@against_client("RFC4752-3-02", accept=REFUSAL)
def corrupt_token(run: CaseRun) -> Observation:
    """A context token that does not verify makes the client give up."""
    return GssServer(run).establish(corrupt=True).seen


@against_client("RFC4752-3.1-06")
def empty_response(run: CaseRun) -> Observation:
    """When the context stands and the client has no token, its response is empty."""
    answer = GssServer(run).establish()
    return holds(answer.outcome is Reaction.RESPONSE and answer.data == b"", f"{answer.outcome}, {answer.data!r}")


@against_client("RFC4752-3.1-12", "RFC4752-3.1-13", "RFC4752-3.1-08", "RFC4752-3.3-01")
def choice(run: CaseRun) -> Observation:
    """The choice is one offered bit and a size, signed and not hidden."""
    chosen = GssServer(run).chosen(NONE | INTEGRITY | CONFIDENTIALITY)
    return holds(chosen.mask in (NONE, INTEGRITY, CONFIDENTIALITY) and not chosen.authzid, f"mask {chosen.mask:#04x}")


@against_client("RFC4752-3.1-12")
def choice_with_an_identity(run: CaseRun) -> Observation:
    """The identity to act as stands behind the size, in UTF-8 and without a NUL."""
    chosen = GssServer(run, Setting(authzid="josé")).chosen(NONE | INTEGRITY)
    return holds(chosen.authzid == "josé".encode(), f"{chosen.authzid!r}")


@against_client("RFC4752-3.1-11")
def size_without_layers(run: CaseRun) -> Observation:
    """A client without layers names the size 0."""
    chosen = GssServer(run, Setting(max_ssf=0)).chosen(NONE | INTEGRITY | CONFIDENTIALITY)
    return holds(chosen.mask == NONE and chosen.size == 0, f"mask {chosen.mask:#04x}, size {chosen.size}")


@against_client("RFC4752-3.1-13")
def offered_layers_only(run: CaseRun) -> Observation:
    """A layer that is not offered is not chosen."""
    return holds(GssServer(run).chosen(INTEGRITY).mask == INTEGRITY)


@against_client("RFC4752-3.1-07")
def no_confidentiality_without_its_flag(run: CaseRun) -> Observation:
    """A client whose context does not hide does not choose confidentiality."""
    chosen = GssServer(run, Setting(max_ssf=1)).chosen(NONE | INTEGRITY | CONFIDENTIALITY)
    return holds(chosen.mask != CONFIDENTIALITY, f"mask {chosen.mask:#04x}")


@against_client("RFC4752-3.3-02")
def unknown_bits(run: CaseRun) -> Observation:
    """Bits that nobody knows are left alone."""
    chosen = GssServer(run).chosen(0xF8 | INTEGRITY)
    return holds(chosen.mask == INTEGRITY, f"mask {chosen.mask:#04x}")


def _aborts(name: str, title: str, *requirements: str, message: bytes, encrypt: bool = False, unwrapped: bool = False,
            setting: Setting | None = None) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        return GssServer(run, setting or Setting()).offer(message, encrypt=encrypt, unwrapped=unwrapped)

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=REFUSAL)(case)


_aborts("three_octets", "An offer of three octets makes the client give up.", "RFC4752-3.1-09", message=b"\1\0\0")
_aborts("five_octets", "An offer of five octets makes the client give up.", "RFC4752-3.1-09", message=b"\1\0\0\0\0")
_aborts("size_without_offer", "No layer and a size make the client give up.", "RFC4752-3.1-10",
        message=word(NONE, 65536))  # fmt: skip
_aborts("unknown_layers_only", "An offer of nothing that is known makes the client give up.", "RFC4752-3.3-02",
        "RFC4752-3.1-13", message=word(0x80, 65536))  # fmt: skip
_aborts("nothing_offered", "An offer of nothing makes the client give up.", "RFC4752-3.1-13", message=word(0, 0))
_aborts("no_layer_where_one_is_required", "A client that wants a layer gives up where none is offered.",
        "RFC4752-3.1-13", message=word(NONE, 0), setting=Setting(min_ssf=1))  # fmt: skip
_aborts("unwrapped_offer", "An offer that is not wrapped makes the client give up.", "RFC4752-3-03", "RFC4752-3.1-08",
        message=word(NONE, 0), unwrapped=True)  # fmt: skip


@against_client("RFC4752-3.1-06", accept=SUCCESS)
def log_on(run: CaseRun) -> Observation:
    """A right exchange is success."""
    server = GssServer(run)
    server.chosen(NONE, 0)
    return server.connection.succeed().seen


@against_client("RFC4752-3.1-06", "RFC4422-3.4-02", accept=REFUSAL)
def success_before_the_choice(run: CaseRun) -> Observation:
    """Success before the layer is agreed on is no success."""
    server = GssServer(run)
    server.establish()
    return server.connection.succeed().seen


@against_client("RFC4752-3.3-01")
def integrity(run: CaseRun) -> Observation:
    """With layer 2 the client's requests are signed."""
    buffer, wrong = GssServer(run).layer(INTEGRITY).request()
    return holds(buffer and not wrong, wrong)


@against_client("RFC4752-3.3-01")
def confidentiality(run: CaseRun) -> Observation:
    """With layer 4 the client's requests are hidden."""
    buffer, wrong = GssServer(run).layer(CONFIDENTIALITY).request()
    return holds(buffer and not wrong, wrong)


@against_client("RFC4752-3.3-04")
def size_of_the_server(run: CaseRun) -> Observation:
    """No buffer, wrapped, is larger than the server takes."""
    buffer, wrong = GssServer(run).layer(INTEGRITY, 512).request()
    return holds(not wrong and 0 < len(buffer) <= 512, wrong or f"a buffer of {len(buffer)} octets")


@against_client("RFC4752-3.3-01", accept=DELIVERED)
def answer(run: CaseRun) -> Observation:
    """A buffer of the server reaches the client's user."""
    layer = GssServer(run).layer(INTEGRITY)
    return layer.send(layer.wrap(b"answer"))


@against_client("RFC4752-3.3-03", "RFC4752-3-03", accept=REFUSAL)
def corrupt_buffer(run: CaseRun) -> Observation:
    """A buffer that does not verify ends the connection."""
    layer = GssServer(run).layer(INTEGRITY)
    wire = layer.wrap(b"answer")
    return layer.send(wire[:-1] + bytes([wire[-1] ^ 1]))


@against_client("RFC4752-3-03", accept=REFUSAL)
def replayed_buffer(run: CaseRun) -> Observation:
    """A buffer that comes a second time ends the connection."""
    layer = GssServer(run).layer(INTEGRITY)
    wire = layer.wrap(b"answer")
    layer.send(wire)
    return layer.send(wire)
