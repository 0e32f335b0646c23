"""`saslsspi auth URL`: authenticate to a real server, do one harmless thing there, tell what was negotiated."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
from pathlib import Path
from typing import Final, cast
from urllib.parse import urlsplit

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.cli.auth.report import Report, Target
from saslsspi.cli.exit_status import ExitStatus, WrongUsage, exit_status
from saslsspi.cli.options import add_identity_options, add_name_option, credssp_from, logon_from
from saslsspi.cli.output import add_json_option, print_json, print_record, say
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.errors import SaslError
from saslsspi.host_names import in_a_labels
from saslsspi.sasl.registry import find_mechanism

__all__ = ["configure", "run"]

_SCHEMES: Final = {
    "ldap": ("ldap", "ldap", 389, False),
    "ldaps": ("ldap", "ldap", 636, True),
    **{
        scheme: ("mail", protocol.name, port, secure)
        for protocol in LINE_PROTOCOLS.values()
        for scheme, port, secure in protocol.schemes()
    },
}
"""By scheme: the module that brings `log_on`, the protocol, its usual port, and whether TLS is there at once."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.description = (
        "Authenticate to a server, do one harmless thing there (LDAP Who am I?, SMTP EHLO, IMAP NOOP, POP3 STAT), and "
        "tell what was negotiated."
    )
    parser.add_argument("url", metavar="URL", help=f"SCHEME://HOST[:PORT]; SCHEME is one of {', '.join(_SCHEMES)}")
    parser.add_argument("--mechanism", action="append", default=[], metavar="NAME",
        help="the mechanism; repeatable, in order of preference; without it the strongest on offer")  # fmt: skip
    parser.add_argument("--host", metavar="NAME", help="the server's full name, when it is not that of the URL")
    parser.add_argument("--timeout", type=int, default=10, metavar="SECONDS", help="for each answer (10)")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--starttls", action="store_true", help="begin TLS before authenticating")
    tls.add_argument("--ca", type=Path, metavar="FILE", help="the authorities to trust, in PEM; else the system's")
    tls.add_argument("--cert", type=Path, metavar="FILE", help="a client certificate in PEM")
    tls.add_argument("--key", type=Path, metavar="FILE", help="its key in PEM, where that is not in --cert too")
    add_name_option(parser)
    add_identity_options(parser)
    add_policy_options(parser, binding_types=("tls-server-end-point",))  # the one type that adapters take from TLS
    parser.add_argument("--trace", action="store_true",
        help="tell of every step, and of what the tokens hold as decode does, on standard error")  # fmt: skip
    add_json_option(parser)


def run(arguments: argparse.Namespace) -> int:
    """Log on once."""
    module, target = _target(arguments)
    _check_installed(arguments.mechanism)
    names = arguments.mechanism
    logon = logon_from(
        arguments,
        names[0] if len(names) == 1 else names or None,
        policy_from(arguments, credssp=credssp_from(arguments, arguments.cert, arguments.key, arguments.ca)),
    )
    if arguments.trace:
        from saslsspi.cli.auth.trace import traced  # it needs every decoder, which a logon does not

        logon = traced(logon)
    try:
        report = cast(Report, importlib.import_module(f"saslsspi.cli.auth.{module}").log_on(target, logon))
    except SaslError as error:
        return _fail(arguments, exit_status(error), error.status.name, f"{error}{_advice(error)}")
    except OSError as error:
        where = f"{target.host}:{target.port}"
        return _fail(arguments, ExitStatus.PROTOCOL, "connection", f"{where}: {error}{_advice(error)}")
    _print(arguments, report)
    return ExitStatus.OK


def _advice(error: Exception) -> str:
    """What to do about a certificate that is not trusted, however deep under the error that stands."""
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    return "; --ca FILE names the authorities to trust, where the system's do not know this server's"


def _check_installed(names: list[str]) -> None:
    try:
        for name in names:
            find_mechanism(name)
    except SaslError as error:
        raise WrongUsage(error.text) from error


def _target(arguments: argparse.Namespace) -> tuple[str, Target]:
    try:
        parts = urlsplit(arguments.url)
        port = parts.port
    except ValueError as error:
        raise WrongUsage(f"{arguments.url} is no URL: {error}") from error
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise WrongUsage(f"{arguments.url} is no SCHEME://HOST[:PORT] with one of {', '.join(_SCHEMES)}")
    module, protocol, usual_port, secure = _SCHEMES[parts.scheme]
    if secure and arguments.starttls:
        raise WrongUsage(f"{parts.scheme} begins with TLS; leave --starttls out")
    if not (secure or arguments.starttls):
        # CREDSSP has a TLS of its own, and trusts these authorities with the server's certificate in it.
        inner = any(name.upper() == "CREDSSP" for name in arguments.mechanism)
        for option in ("cert", "key") if inner else ("ca", "cert", "key"):
            if getattr(arguments, option) is not None:
                raise WrongUsage(f"--{option} is about TLS, and there is none: give --starttls, or TLS from the start")
    if arguments.key is not None and arguments.cert is None:
        raise WrongUsage("--key needs --cert")
    for file in (arguments.ca, arguments.cert, arguments.key):
        if file is not None and not file.is_file():
            raise WrongUsage(f"there is no file {file}")
    return module, Target(
        protocol,
        in_a_labels(parts.hostname),
        usual_port if port is None else port,
        secure,
        arguments.starttls,
        arguments.ca,
        arguments.cert,
        arguments.key,
        arguments.timeout,
    )


def _print(arguments: argparse.Namespace, report: Report) -> None:
    security = dataclasses.asdict(report.security)
    del security["account"], security["handed_over"]  # a client has neither
    record = {"tls": report.tls, **security, "identity": report.identity, "milliseconds": report.milliseconds}
    record |= {"operation": report.operation, "answer": report.answer}
    if arguments.json:
        print_json({"authenticated": True, **record})
    else:
        print_record(record)


def _fail(arguments: argparse.Namespace, status: ExitStatus, name: str, text: str) -> ExitStatus:
    if arguments.json:
        print_json({"authenticated": False, "status": name, "text": text})
    else:
        say(f"saslsspi auth: {text}", error=True)
    return status
