"""Pictures of exchanges, drawn from exchanges that run when the site is built, so that they are true."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from layer_pictures import drawn_layers
from sphinx.application import Sphinx

from saslsspi import Client, CredSspPolicy, MemoryAuthority, NegotiatePolicy, Password, Policy, Server
from saslsspi.cli.decode.recognition import decode
from saslsspi.cli.decode.tree import Node
from saslsspi.engine.policy import DEFAULT_POLICY

logging.getLogger("saslsspi").setLevel(logging.ERROR)  # the builder would print every logon

MECHANISMS = {
    "PLAIN": "The password crosses the wire: inside TLS, and nowhere else.",
    "SCRAM-SHA-256": "Both prove that they know the password, or keys of it. There is no layer.",
    "DIGEST-MD5": "Challenge, response, and the server's proof; then each message is under the layer that was chosen.",
    "NTLM": "Three messages. In LDAP the layer seals what follows; SMTP, IMAP and POP3 go on in clear after it.",
    "GSS-SPNEGO": "Negotiate: a list of mechanisms first, here NTLM in it, and a MIC over the list at the end.",
    "CREDSSP": "A TLS handshake, Negotiate inside it, the server's key bound to it, and at last the credentials.",
}
TEXT = b"attack at dawn"
MIDDLE, LEFT, RIGHT, STEP = 190, 28, 352, 50
ANSWERS = 2  # how many parts of a message are named
HERE = Path(__file__).parents[1]


def setup(app: Sphinx) -> dict[str, bool]:
    """Draw when the build begins."""
    app.connect("builder-inited", lambda _: write(HERE / "background" / "exchanges.md"))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def write(page: Path) -> None:
    """Write the page of all pictures; it is new in each build, as the exchanges are."""
    lines = [
        "# Exchanges, as they cross the wire",
        "",
        (
            "Each picture was drawn from an exchange that ran when this page was made. An arrow is a message, with its"
            " size in octets; a thick arrow is a message under the layer."
        ),
        "",
    ]
    for mechanism, meaning in MECHANISMS.items():
        lines += [f"## {mechanism}", "", meaning, "", "```{raw} html", drawn(mechanism), "```", ""]
    lines += ["## What a layer puts around a message", "", *drawn_layers(signing)]
    page.write_text("\n".join(lines), encoding="utf-8")


def drawn(mechanism: str) -> str:
    """Return the picture of one mechanism's exchange."""
    steps = list(exchange(mechanism))
    height = 60 + STEP * len(steps)
    words = f"{mechanism}: " + "; ".join(f"{who} {what}" for who, what, _ in steps)
    parts = [
        f'<div class="exchange"><svg viewBox="0 0 380 {height}" role="img" aria-label="{escape(words)}">',
        f'<text class="who" x="{LEFT}" y="20" text-anchor="middle">client</text>',
        f'<text class="who" x="{RIGHT}" y="20" text-anchor="middle">server</text>',
        *(f'<line x1="{x}" y1="30" x2="{x}" y2="{height - 8}"/>' for x in (LEFT, RIGHT)),
    ]
    for at, (who, what, sealed) in enumerate(steps):
        y = 62 + STEP * at
        start, end, tip = (LEFT, RIGHT, -8) if who == "client" else (RIGHT, LEFT, 8)
        kind = ' class="sealed"' if sealed else ""
        name, size = re.fullmatch(r"(.*?)(?:, ([\d,]+ octets))?", what).groups()  # type: ignore[union-attr]  # it matches
        parts += [
            f'<text class="note" x="{MIDDLE}" y="{y - 7}" text-anchor="middle">{escape(name)}</text>',
            f'<line{kind} x1="{start}" y1="{y}" x2="{end + tip}" y2="{y}"/>',
            f'<path class="arrow" d="M {end} {y} l {tip} -4 v 8 z"/>',
            f'<text class="size" x="{MIDDLE}" y="{y + 13}" text-anchor="middle">{size or ""}</text>',
        ]
    return "".join([*parts, "</svg></div>"])


def exchange(mechanism: str) -> Iterator[tuple[str, str, bool]]:
    """Yield who says what, and whether it is under the layer."""
    client, server = ends(mechanism)
    said = client.start()
    if said is None:
        yield "client", f"AUTH {mechanism}", False
    while True:
        if said is not None:
            yield "client", told(said), False
        reply = server.step(said)
        assert reply is None or isinstance(reply, bytes)
        if server.done:
            break
        yield "server", told(reply or b""), False
        said = client.step(reply or b"")
    if not client.done:
        client.succeed(reply)
    yield "server", "success" + (f": {told(reply)}" if reply else ""), False
    if client.layer is not None:
        wrapped = client.layer.wrap(TEXT)
        yield "client", f'"{TEXT.decode()}" under the layer, {len(wrapped)} octets', True


def ends(mechanism: str, service: str = "ldap", max_ssf: int = DEFAULT_POLICY.max_ssf) -> tuple[Client, Server]:
    """Return both sides."""
    policy = Policy(
        max_ssf=max_ssf,
        negotiate=NegotiatePolicy(packages="NTLM"),
        credssp=CredSspPolicy(delegate=True, allow_fresh=("*",), allow_fresh_ntlm_only=("*",)),
    )
    common = {"service": service, "host": "ldap.example.test", "policy": policy}
    outside = 256 if mechanism == "PLAIN" else 0
    client = Client(mechanism, credentials=Password("alice", "wonderland"), external_ssf=outside, **common)  # type: ignore[arg-type]  # each fits
    people = MemoryAuthority({"alice": "wonderland"})
    server = Server(mechanism, authority=people, realm="example.test", external_ssf=outside, **common)  # type: ignore[arg-type]  # as above
    return client, server


def signing(mechanism: str) -> tuple[Client, Server]:
    """Return both sides, of a protocol in which what is signed is not sealed as well."""
    return ends(mechanism, service="example", max_ssf=1)


def told(message: bytes) -> str:
    """Say what a message is, in the words of `saslsspi decode`."""
    if not message:
        return "empty"
    return f"{kinds(decode(message))}, {len(message)} octets"


def kinds(node: Node) -> str:
    """Say what a token is, and what is in it."""
    inside = [kinds(part) for part in list(node.parts.values())[:ANSWERS]]
    return node.kind + (f" ({'; '.join(inside)})" if inside else "")
