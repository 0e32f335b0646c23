"""What a layer puts around a message, drawn from messages that were wrapped when the site was built."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape

from sphinx.errors import ExtensionError

from saslsspi import Client, Server

__all__ = ["drawn_layers"]

TEXT = b"attack at dawn"
PREFIX = "length 4"
# What stands before and behind the message, in octets; the sums are compared with what was wrapped.
AROUND = {
    "DIGEST-MD5": ([], ["MAC 10", "type 2", "number 4"]),
    "NTLM": (["version 4", "checksum 8", "number 4"], []),
    "GSS-SPNEGO": (["version 4", "checksum 8", "number 4"], []),
}
SCALE, HEIGHT, LEFT, GAP = 12, 34, 4, 30


def drawn_layers(ends: Callable[[str], tuple[Client, Server]]) -> Iterator[str]:
    """Yield the lines of the section: a picture a mechanism, signed, so that the message can be found in it."""
    yield f"The text `{TEXT.decode()}`, signed; the numbers are octets. Sealed, a cipher text stands in its place."
    for mechanism, (before, after) in AROUND.items():
        wrapped = wrapped_by(*ends(mechanism))
        at = wrapped.find(TEXT)
        parts = [PREFIX, *before, f"message {len(TEXT)}", *after]
        sizes = [int(part.rpartition(" ")[2]) for part in parts]
        if sum(sizes) != len(wrapped) or sum(sizes[: 1 + len(before)]) != at:
            raise ExtensionError(f"{mechanism} makes {len(wrapped)} octets, with the text at {at}: that is not {parts}")
        yield ""
        yield f"**{mechanism}**, {len(wrapped)} octets in all"
        yield ""
        yield from ("```{raw} html", bar(mechanism, parts, sizes), "```")
    yield ""


def wrapped_by(client: Client, server: Server) -> bytes:
    """Log on, and return the text under the client's layer."""
    said = client.start()
    reply = None
    while not server.done:
        reply = server.step(said)
        if not server.done:
            said = client.step(reply if isinstance(reply, bytes) else b"")
    if not client.done:
        client.succeed(reply if isinstance(reply, bytes) else None)
    assert client.layer is not None
    return client.layer.wrap(TEXT)


def bar(mechanism: str, parts: list[str], sizes: list[int]) -> str:
    """Return the picture of one message: its parts as wide as they are."""
    width = sum(sizes) * SCALE + 2 * LEFT
    words = f"{mechanism} on the wire, in octets: " + ", ".join(parts)
    drawn = [f'<div class="layer"><svg viewBox="0 0 {width} {HEIGHT + GAP}" role="img" aria-label="{escape(words)}">']
    x = LEFT
    for part, size in zip(parts, sizes, strict=True):
        name, _, count = part.rpartition(" ")
        kind = "message" if name == "message" else "around"
        middle = x + size * SCALE / 2
        drawn += [
            f'<rect class="{kind}" x="{x}" y="2" width="{size * SCALE}" height="{HEIGHT}"/>',
            f'<text x="{middle}" y="{HEIGHT / 2 + 7}" text-anchor="middle">{count}</text>',
            f'<text class="note" x="{middle}" y="{HEIGHT + 20}" text-anchor="middle">{escape(name)}</text>',
        ]
        x += size * SCALE
    return "".join([*drawn, "</svg></div>"])
