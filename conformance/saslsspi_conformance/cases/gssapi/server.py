"""RFC 4752: GSSAPI, which is Kerberos 5 and two messages about a layer; what a server does."""

from __future__ import annotations

from saslsspi_conformance.case import (
    DELIVERED,
    REFUSAL,
    SUCCESS,
    CaseFunction,
    Observation,
    Reaction,
    against_server,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.gss.ends import CONFIDENTIALITY, INTEGRITY, NONE, SIGNS_ONLY, GssClient, word


@against_server("RFC4752-3-01")
def client_first(run: CaseRun) -> Observation:
    """Without an initial response the server sends an empty challenge."""
    client = GssClient(run)
    answer = client.connection.begin("GSSAPI")
    return holds(answer.outcome is Reaction.CHALLENGE and not answer.data, f"{answer.outcome} {answer.text}")


@against_server("RFC4752-3-01", "RFC4752-3.2-12")
def log_on(run: CaseRun) -> Observation:
    """A context, no layer, and success without data."""
    answer = GssClient(run).choose()
    return holds(answer.outcome is Reaction.SUCCESS and not answer.data, f"{answer.outcome} {answer.text}")


@against_server("RFC4752-3-02", accept=REFUSAL)
def corrupt_token(run: CaseRun) -> Observation:
    """A context token that does not verify does not authenticate."""
    client = GssClient(run)
    token = client.token()
    return client.connection.begin("GSSAPI", token[:-8] + bytes(8)).seen


@against_server("RFC4752-3-02", accept=REFUSAL)
def no_token(run: CaseRun) -> Observation:
    """Octets that are no context token do not authenticate."""
    return GssClient(run).connection.begin("GSSAPI", b"\x60\x01\x00nonsense").seen


@against_server("RFC4752-3.2-07", accept=REFUSAL)
def words_where_none_are_due(run: CaseRun) -> Observation:
    """After the last context token of the server the response is empty; another does not authenticate."""
    return GssClient(run).begin(last=b"x").seen


@against_server("RFC4752-3.2-08", "RFC4752-3.3-01")
def offer(run: CaseRun) -> Observation:
    """The offer is four octets, signed and not hidden, with a layer among 1, 2 and 4."""
    client = GssClient(run)
    client.begin()
    return holds(len(client.offer) == 4 and client.mask & 7, f"{len(client.offer)} octets, mask {client.mask:#04x}")


@against_server("RFC4752-3.2-06")
def size_without_layers(run: CaseRun) -> Observation:
    """A server that offers no layer names the size 0."""
    client = GssClient(run, Setting(max_ssf=0))
    client.begin()
    return holds(client.mask == NONE and client.size == 0, f"mask {client.mask:#04x}, size {client.size}")


@against_server("RFC4752-3.1-07")
def no_confidentiality_without_its_flag(run: CaseRun) -> Observation:
    """Where the context does not hide, no confidentiality is offered."""
    client = GssClient(run, requested=SIGNS_ONLY)
    client.begin()
    return holds(client.mask and not client.mask & CONFIDENTIALITY, f"mask {client.mask:#04x}")


@against_server("RFC4752-3.1-07")
def no_integrity_without_its_flag(run: CaseRun) -> Observation:
    """Where the context does not sign, no layer is offered."""
    client = GssClient(run, requested=0)
    client.begin()
    return holds(client.mask == NONE, f"mask {client.mask:#04x}")


def _choice(name: str, title: str, accept: frozenset[Reaction], *requirements: str, mask: int = NONE, size: int = 0,
            authzid: bytes = b"", setting: Setting | None = None) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        identity = authzid.replace(b"%s", run.target.account.user.encode())
        return GssClient(run, setting or Setting()).choose(mask, size, identity).seen

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=accept)(case)


_choice("size_with_no_layer", "No layer and a size do not authenticate.", REFUSAL, "RFC4752-3.2-10", size=1)
_choice("no_layer_chosen", "A choice of nothing does not authenticate.", REFUSAL, "RFC4752-3.2-09", mask=0)
_choice("two_layers_chosen", "A choice of two layers does not authenticate.", REFUSAL, "RFC4752-3.2-09",
        mask=INTEGRITY | CONFIDENTIALITY, size=4096)  # fmt: skip
_choice("unknown_layer_chosen", "A choice of an unknown layer does not authenticate.", REFUSAL, "RFC4752-3.2-09",
        mask=0x80, size=4096)  # fmt: skip
_choice("layer_not_offered", "A layer that was not offered does not authenticate.", REFUSAL, "RFC4752-3.2-09",
        mask=CONFIDENTIALITY, size=4096, setting=Setting(max_ssf=0))  # fmt: skip
_choice("none_where_a_layer_is_required", "No layer does not authenticate where only layers were offered.", REFUSAL,
        "RFC4752-3.2-09", setting=Setting(min_ssf=1))  # fmt: skip
_choice("authzid_permitted", "An identity that the user may assume is granted.", SUCCESS, "RFC4752-3.2-11",
        authzid=b"dana", setting=Setting(realms=("example.org",)))  # fmt: skip
_choice("authzid_forbidden", "An identity that the user may not assume does not authenticate.", REFUSAL,
        "RFC4752-3.2-11", "RFC4422-2-02", authzid=b"nobody-at-all")  # fmt: skip
_choice("authzid_not_utf8", "An identity that is not UTF-8 does not authenticate.", REFUSAL, "RFC4752-3.1-12",
        authzid=b"\xff")  # fmt: skip
_choice("authzid_with_nul", "An identity with a NUL does not authenticate.", REFUSAL, "RFC4752-3.1-12",
        authzid=b"%s\0")  # fmt: skip


@against_server("RFC4752-3.2-09", "RFC4752-3.1-07", accept=REFUSAL)
def layer_that_the_context_has_not(run: CaseRun) -> Observation:
    """Confidentiality, chosen where the context does not hide, does not authenticate."""
    return GssClient(run, requested=SIGNS_ONLY).choose(CONFIDENTIALITY, 4096).seen


@against_server("RFC4752-3.1-12", accept=REFUSAL)
def short_choice(run: CaseRun) -> Observation:
    """A choice of three octets does not authenticate."""
    client = GssClient(run)
    client.begin()
    return client.connection.respond(client.wrapped(b"\1\0\0")).seen


@against_server("RFC4752-3-03", accept=REFUSAL)
def corrupt_choice(run: CaseRun) -> Observation:
    """A choice whose signature does not verify does not authenticate."""
    client = GssClient(run)
    client.begin()
    wire = client.wrapped(word(NONE, 0))
    return client.connection.respond(wire[:-1] + bytes([wire[-1] ^ 1])).seen


@against_server("RFC4752-3-03", accept=REFUSAL)
def unwrapped_choice(run: CaseRun) -> Observation:
    """A choice that is not wrapped does not authenticate."""
    client = GssClient(run)
    client.begin()
    return client.connection.respond(word(NONE, 0)).seen


@against_server("RFC4752-3.3-01", accept=DELIVERED)
def integrity(run: CaseRun) -> Observation:
    """With layer 2 signed requests are answered with signed ones."""
    layer = GssClient(run).layer(INTEGRITY)
    return layer.ask(layer.wrap(layer.probe))


@against_server("RFC4752-3.3-01", accept=DELIVERED)
def confidentiality(run: CaseRun) -> Observation:
    """With layer 4 hidden requests are answered with hidden ones."""
    layer = GssClient(run).layer(CONFIDENTIALITY)
    return layer.ask(layer.wrap(layer.probe))


@against_server("RFC4752-3.3-03", "RFC4752-3-03", accept=REFUSAL)
def corrupt_buffer(run: CaseRun) -> Observation:
    """A buffer that does not verify ends the connection."""
    layer = GssClient(run).layer(INTEGRITY)
    wire = layer.wrap(layer.probe)
    return layer.ask(wire[:-1] + bytes([wire[-1] ^ 1]))


@against_server("RFC4752-3-03", accept=REFUSAL)
def replayed_buffer(run: CaseRun) -> Observation:
    """A buffer that comes a second time ends the connection."""
    layer = GssClient(run).layer(INTEGRITY)
    wire = layer.wrap(layer.probe)
    layer.ask(wire)
    return layer.ask(wire)


@against_server("RFC4752-3.3-04")
def size_of_the_client(run: CaseRun) -> Observation:
    """No buffer, wrapped, is larger than the client takes."""
    layer = GssClient(run).layer(INTEGRITY, 512)
    seen = layer.ask(layer.wrap(layer.large_probe))
    largest = max(map(len, layer.buffers), default=0)
    return holds(seen.outcome is Reaction.DELIVERED and largest <= 512, f"{seen.outcome}, {largest} octets in a buffer")
