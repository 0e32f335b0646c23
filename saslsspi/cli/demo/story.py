"""What `demo` tells a person: whom it is for, the tables, their words, and what is odd in them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.demo.rows import Row
from saslsspi.cli.demo.wire import told
from saslsspi.cli.output import print_table, say

__all__ = ["print_opening", "print_rows", "print_wire"]

_OPENING: Final = """\
For whoever logs on to LDAP or mail servers, or runs one. Each row logs on as alice by a mechanism
at a level of protection, searches LDAP or moves a message, and looks for a text of it on the wire.
The servers are small ones inside this program; nothing leaves this machine.
"""
_WORDS: Final = """
package     what makes and checks the messages, by SSPI's name; - where the mechanism does it itself
qop         what protects the work after it: auth nothing, auth-int a signature, auth-conf a cipher
SSF         how strong that is: 0 nothing, 1 a signature, above that the bits of the cipher's key
identities  who logged on, and as whom the server acts
trips, ms   how often the client waited for an answer while it logged on, and how long it all took
wire        what a listener could read: clear, sealed by the mechanism's layer, or TLS around it all
"""
_NTLM: Final = """
NTLM is sealed in LDAP and clear in {clear}. It could seal there too, but behind its
success the mail servers that we know (Exchange, Cyrus, Exim, Dovecot) go on in clear, so none is
asked for: put TLS around it. {layered} has no such custom. In LDAP even what NTLM only signs
(auth-int, SSF 1) is sealed, as Active Directory does; it counts as signed, as no more was promised.
"""
_LEVELS: Final = {0: "no layer", 1: "integrity"}
_WIDE: Final = 98  # columns that the whole table needs


def print_opening() -> None:
    """Say whom this is for, and what is done."""
    say(_OPENING)


def print_rows(rows: Sequence[Row], left_out: dict[str, str], *, succeeded: bool, more: str = "") -> None:
    """Print a table a protocol, and what its words mean; `more` is what to try next."""
    headings = ["mechanism", "package", "qop", "cipher", "SSF", "identities", "trips", "ms", "wire", ""]
    # A narrow terminal goes without the package: cut names would be worse.
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE
    hidden = headings.index("package") if narrow else len(headings)
    for number, client in enumerate(dict.fromkeys(row.client for row in rows)):
        if number:
            say()
        cells = [_cells(row) for row in rows if row.client == client]
        shown = headings[:hidden] + headings[hidden + 1 :]
        print_table(shown, [line[:hidden] + line[hidden + 1 :] for line in cells], title=client)
    if rows:
        say(_WORDS.rstrip())
    if {row.mechanism for row in rows} & {"NTLM"} and len({row.client for row in rows}) > 1:
        say(_about_ntlm())
    say()
    for row in rows:
        if row.problem:
            say(f"{row.client} {row.mechanism} {row.level}: {row.problem}")
    for name, reason in left_out.items():
        say(f"{name} is not shown: {reason}")
    if not rows:
        say("no mechanism is installed; `saslsspi mechanisms` says what failed to load")
    if succeeded:
        say(f"All {len(rows)} succeeded.{more}")


def _about_ntlm() -> str:
    clear = [protocol.title for protocol in LINE_PROTOCOLS.values() if "NTLM" in protocol.clear_after]
    layered = [protocol.title for protocol in LINE_PROTOCOLS.values() if "NTLM" not in protocol.clear_after]
    return _NTLM.format(clear=" and ".join((", ".join(clear[:-1]), clear[-1])), layered=", ".join(layered)).rstrip()


def print_wire(rows: Sequence[Row]) -> None:
    """Print what crossed the wire in each row: C the client, S the server."""
    for row in rows:
        layer = _LEVELS.get(row.ssf, f"confidentiality, {row.cipher}")
        read = "and all of it can be read" if row.clear else "and the text of the work cannot be read"
        say(f"{row.client}, {row.mechanism}: {'TLS' if row.tls else layer}, {read}")
        for line in told(row.wire, sealed=not row.clear):
            say(line)
        say()


def _cells(row: Row) -> list[object]:
    wire = "TLS" if row.tls else "clear" if row.clear else "sealed"
    identities = [row.authcid] if row.identity in (row.authcid, f"u:{row.authcid}") else [row.authcid, row.identity]
    return [
        row.mechanism,
        row.package,
        row.qop,
        row.cipher.removeprefix("TLS_").partition("_SHA")[0],  # of CREDSSP; the whole name is in --json
        row.ssf,
        " as ".join(filter(None, identities)),
        row.round_trips,
        row.milliseconds,
        "-" if row.problem else wire,
        "failed" if row.problem else "ok",
    ]
