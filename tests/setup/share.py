"""`make share`: the manual page and the shells' completions, written from the program's own parser into share/.

The wheel puts them where man and the shells look, below the prefix it is installed in. tests/test_share.py tells when
an option is missing in them.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from argparse_manpage.manpage import Manpage

import saslsspi
from saslsspi.cli.commands import program
from saslsspi.cli.completion import completion

SHARE = Path(__file__).resolve().parents[2] / "share"
COMPLETIONS = {
    "bash": "bash-completion/completions/saslsspi",
    "zsh": "zsh/site-functions/_saslsspi",
    "fish": "fish/vendor_completions.d/saslsspi.fish",
}
SECTIONS = {
    "EXIT STATUS": r"""
.TP
.B 0
as asked
.TP
.B 1
refused, or the protection that was demanded was not reached
.TP
.B 2
wrong usage
.TP
.B 3
the peer or the connection broke the protocol
.PP
.B probe
ends with 4 where its worst finding is a warning;
.B conformance
has 1 for what is not conformant, and 3 for what could not be tested.
""",
    "ENVIRONMENT": r"""
.TP
.B SASLSSPI_PASSWORD
the password, where no option names one
.TP
.B NO_COLOR
tables are without colour
""",
    "EXAMPLES": r"""
.nf
saslsspi demo
saslsspi auth ldap://ldap.example.test \-\-user alice \-\-min\-ssf 112
saslsspi serve \-\-imap 1430 \-\-account alice:wonderland
saslsspi probe imap://imap.example.test
saslsspi conformance smtp://localhost:2525 \-\-user alice
.fi
""",
}


def main() -> None:
    """Write them."""
    os.environ["COLUMNS"] = "100"  # argparse lays out by it
    texts = {"man/man1/saslsspi.1": manual(), **{COMPLETIONS[shell]: completion(shell) for shell in COMPLETIONS}}
    for name, text in texts.items():
        (SHARE / name).parent.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(line.rstrip() for line in text.rstrip().splitlines())
        (SHARE / name).write_text(lines + "\n", encoding="utf-8")


def manual() -> str:
    """Return the manual page."""
    parser = program()
    for below in commands(parser):
        below.usage = "%(prog)s " + " ".join(["[OPTION ...]", *map(metavar, positionals(below))])
    page = Manpage(
        parser,
        {
            "description": "SASL and SSPI from the command line",
            "version": saslsspi.__version__,
            "manual_title": "saslsspi",
            "date": "-",  # of the version, and not of the day it was written
        },
        format="single-commands-section",
    )
    page.synopsis = ["saslsspi", "COMMAND", "[OPTION ...]"]
    for heading, text in SECTIONS.items():
        page.add_section(heading, "=", text.strip())
    return str(page).replace('"\\-"', '""', 1)


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of the commands, and of theirs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield below
                yield from commands(below)


def positionals(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what has no name on the command line."""
    yield from (action for action in parser._actions if not action.option_strings)


def metavar(action: argparse.Action) -> str:
    """Return what stands for a positional argument in a line of usage."""
    name = action.metavar or action.dest.upper()
    assert isinstance(name, str)
    if isinstance(action, argparse._SubParsersAction):
        return f"{name} ..."
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} ..."}.get(str(action.nargs), name)


if __name__ == "__main__":
    main()
