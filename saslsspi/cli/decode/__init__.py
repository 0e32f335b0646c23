"""`saslsspi decode BASE64...`: any SASL or SSPI token as a tree, with findings; secrets are masked."""

from __future__ import annotations

import argparse
import base64
import binascii
import re
import sys
from pathlib import Path
from typing import Final

from saslsspi.cli.decode.recognition import LARGEST, TYPES, decode
from saslsspi.cli.decode.tree import Node
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.output import add_json_option, print_json, say

__all__ = ["configure", "print_node", "run"]

_HEX: Final = re.compile(r"(?:[0-9a-fA-F]{2})+")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = "Show SASL and SSPI tokens as trees, with what is weak about them. Secrets are masked."
    parser.add_argument("token", nargs="*", metavar="BASE64",
        help="a token in base64 (or hex, with --hex); without one, one a line of standard input")  # fmt: skip
    parser.add_argument("--hex", action="store_true", help="the tokens are in hex")
    parser.add_argument("--file", type=Path, action="append", default=[], metavar="FILE",
        help="a file that is one token as it is, octet by octet; repeatable")  # fmt: skip
    parser.add_argument("--type", choices=TYPES, help="what the tokens are, when it cannot be told from them")
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Decode each; 3 where one was not recognized or is malformed."""
    tokens = [_octets(word, arguments.hex) for word in arguments.token]
    tokens += [_contents(file) for file in arguments.file]
    if not tokens:
        lines = sys.stdin.read(4 * LARGEST).splitlines()
        tokens = [_octets(line, arguments.hex) for line in lines if line.strip()]
    nodes = [decode(token, arguments.type) for token in tokens]
    if arguments.json:
        print_json({"tokens": [node.record() for node in nodes]})
    else:
        for node in nodes:
            print_node(node)
    return ExitStatus.PROTOCOL if any(map(_is_broken, nodes)) else 0


def _octets(word: str, in_hex: bool) -> bytes:
    compact = "".join(word.split())
    if compact == "=":
        return b""
    try:
        if in_hex:
            return bytes.fromhex(compact.replace(":", ""))
        return base64.b64decode(compact, validate=True)
    except (ValueError, binascii.Error):
        # The word may be a secret that was not encoded at all, so it is not repeated.
        hint = "; it looks like hex: give --hex" if not in_hex and _HEX.fullmatch(compact) else ""
        raise WrongUsage(f"a token is not {'hex' if in_hex else 'base64'}{hint}") from None


def _contents(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(LARGEST + 1)
    except OSError as error:
        raise WrongUsage(f"cannot read {file}: {error.strerror}") from error


def _is_broken(node: Node) -> bool:
    broken = any(finding.id in {"unknown", "malformed"} for finding in node.findings)
    return broken or any(map(_is_broken, node.parts.values()))


def print_node(node: Node, indent: str = "", *, error: bool = False) -> None:
    """Print what a token holds, on standard error where that is asked."""
    say(f"{indent}{node.kind}", error=error)
    for name, value in node.fields.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        say(f"{indent}  {name}: {'-' if shown == '' else shown}", error=error)
    for finding in node.findings:
        say(f"{indent}  [{finding.level.name.lower()}] {finding.text}", error=error)
    for name, part in node.parts.items():
        say(f"{indent}  {name}:", error=error)
        print_node(part, indent + "    ", error=error)
