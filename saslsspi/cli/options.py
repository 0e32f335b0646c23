"""The options that several commands share, and the values they become.

Each group is added by the commands that can use it: no command takes an option that has no effect there.
"""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import Final

from saslsspi.accounts import Chain, MemoryAuthority, MemoryTokens
from saslsspi.accounts.account import Account, AccountLookup
from saslsspi.accounts.stores.places import authority_at
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.output import say
from saslsspi.credentials import Password, Token
from saslsspi.engine.policy import CredSspPolicy, Policy
from saslsspi.errors import NoCredentials, SaslError
from saslsspi.host_names import in_a_labels
from saslsspi.sasl.logon import Logon, MechanismNames
from saslsspi.services.commands import printed_token

__all__ = [
    "add_account_options",
    "add_identity_options",
    "add_name_option",
    "authority_from",
    "certified",
    "credentials_from",
    "credssp_from",
    "first_line",
    "logon_from",
    "names_of_service",
    "password_from",
]

PASSWORD_VARIABLE: Final = "SASLSSPI_PASSWORD"
_SECRETS: Final = ("password", "password_file", "token_file", "token_command")


def add_identity_options(parser: argparse.ArgumentParser) -> None:
    """Add who authenticates, and with what."""
    group = parser.add_argument_group("identity")
    group.add_argument("--user", metavar="NAME", help="who authenticates")
    group.add_argument("--password", help=f"the password; better: --password-file, {PASSWORD_VARIABLE} or the prompt")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="a file whose first line is the password")
    group.add_argument("--token-file", type=Path, metavar="FILE",
        help="a file whose first line is a token of OAuth; read again when the server says it has expired")  # fmt: skip
    group.add_argument("--token-command", metavar="COMMAND",
        help="a command that prints a token of OAuth; run again when the server says it has expired")  # fmt: skip
    group.add_argument("--realm", "--domain", metavar="NAME",
        help="the realm (or domain) of the user; without it the one that the server offers")  # fmt: skip
    group.add_argument("--authzid", default="", metavar="NAME", help="the identity to act as")
    group.add_argument("--delegate", action="store_true",
        help="hand the password over to the server (CREDSSP); without it empty credentials go")  # fmt: skip


def add_name_option(parser: argparse.ArgumentParser) -> None:
    """Add the second name of a replicated service."""
    parser.add_argument("--server-name", metavar="NAME", help="the name of a replicated service, when it is not --host")


def logon_from(arguments: argparse.Namespace, mechanism: MechanismNames, policy: Policy, service: str = "") -> Logon:
    """Return what a client logs on with."""
    return Logon(
        service=service,
        mechanism=mechanism,
        credentials=credentials_from(arguments),
        authzid=arguments.authzid,
        policy=policy,
        host=arguments.host and in_a_labels(arguments.host),
        server_name=arguments.server_name,
    )


def names_of_service(arguments: argparse.Namespace) -> list[str]:
    """Return the names under which clients know a server, as Server takes them."""
    replicated = [] if arguments.server_name is None else [f"{arguments.host}/{arguments.server_name}"]
    return [arguments.host, *replicated]


def credentials_from(arguments: argparse.Namespace) -> Password | Token | None:
    """Return user and password, or user and token, or None without --user."""
    if arguments.user is None:
        options = ("password", "password_file", "realm", "token_file", "token_command")
        unused = [option for option in options if getattr(arguments, option) is not None]
        if unused:
            raise WrongUsage(f"--{unused[0].replace('_', '-')} needs --user")
        return None
    if arguments.token_file is None and arguments.token_command is None:
        return Password(arguments.user, password_from(arguments), realm=arguments.realm)
    given = [option for option in _SECRETS if getattr(arguments, option) is not None]
    if len(given) > 1:
        raise WrongUsage(" and ".join(f"--{option.replace('_', '-')}" for option in given) + " exclude each other")
    if arguments.token_file is not None:
        file = arguments.token_file
        return Token(arguments.user, lambda: _token_in(file))
    command = shlex.split(arguments.token_command)
    if not command:
        raise WrongUsage("--token-command is empty; it is to print a token")
    return Token(arguments.user, lambda: printed_token(command, "--token-command"))


def _token_in(file: Path) -> str:
    try:
        return first_line(file, "the token").strip()
    except WrongUsage as error:
        raise NoCredentials(str(error)) from error


def credssp_from(
    arguments: argparse.Namespace, cert: Path | None = None, key: Path | None = None, ca: Path | None = None
) -> CredSspPolicy:
    """Return what a client of CREDSSP may do: whether the password is handed over, and who must prove what for it."""
    # Whoever asks for it has named the one target that a command speaks to.
    allowed = ("*",) if arguments.delegate else ()
    return CredSspPolicy(
        delegate=arguments.delegate,
        allow_fresh=allowed,
        # Who says which authorities count wants the certificate to decide where the password goes.
        allow_fresh_ntlm_only=() if ca else allowed,
        certificate=str(cert or ""),
        private_key=str(key or ""),
        authorities=str(ca or ""),
    )


def certified(arguments: argparse.Namespace) -> CredSspPolicy:
    """Return what a server of CREDSSP shows: the certificate of --cert and --key, or one of its own making."""
    return CredSspPolicy(certificate=str(arguments.cert or ""), private_key=str(arguments.key or ""))


def password_from(arguments: argparse.Namespace) -> str:
    """Return the password from the option, the file, the environment or a prompt, whichever is first."""
    if arguments.password is not None and arguments.password_file is not None:
        raise WrongUsage("--password and --password-file exclude each other")
    if arguments.password is not None:
        return str(arguments.password)
    if arguments.password_file is not None:
        return first_line(arguments.password_file)
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not sys.stderr.isatty():
        raise WrongUsage(f"there is no password: give --password-file FILE or set {PASSWORD_VARIABLE}")
    return getpass.getpass(f"Password of {arguments.user}: ", stream=sys.stderr)


def first_line(file: Path, what: str = "the password") -> str:
    """Return the first line of a file that holds a secret."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"cannot read {file}: {error}") from error
    if not lines:
        raise WrongUsage(f"{file} is empty; its first line is to be {what}")
    return lines[0]


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Add who may log on."""
    group = parser.add_argument_group("accounts")
    group.add_argument("--account", action="append", default=[], type=_account, metavar="USER:PASSWORD",
        help="one who may log on, in every realm; repeatable, for trying things out")  # fmt: skip
    group.add_argument("--accounts", metavar="STORE",
        help="a TOML file ([accounts] of user = \"password\", or entries [[account]]), or whatever"
        " `saslsspi accounts` takes: htdigest:FILE, dovecot:FILE, sqlite:///FILE ...")  # fmt: skip
    group.add_argument("--token", action="append", default=[], type=_token, metavar="USER:TOKEN",
        help="a valid token of OAuth; every other one has expired; repeatable, for trying things out")  # fmt: skip
    group.add_argument("--allow-anonymous", action="store_true", help="let in who authenticates as nobody")


def authority_from(arguments: argparse.Namespace) -> AccountLookup:
    """Return the authority over the accounts that the options name, those of the command line first."""
    authorities: list[AccountLookup] = []
    if arguments.account:
        authorities.append(MemoryAuthority(arguments.account))
    if arguments.token:
        authorities.append(MemoryTokens({token: user for user, token in arguments.token}))
    if arguments.accounts is not None:
        authorities.append(_authority_at(arguments.accounts))
    if not authorities:
        raise WrongUsage("nobody may log on: give --account USER:PASSWORD, --token USER:TOKEN or --accounts FILE")
    return authorities[0] if len(authorities) == 1 else Chain(*authorities)


def _account(text: str) -> Account:
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise argparse.ArgumentTypeError("it is to be USER:PASSWORD")
    return Account(username=user, password=password)


def _token(text: str) -> tuple[str, str]:
    user, colon, token = text.partition(":")
    if not user or not colon or not token:
        raise argparse.ArgumentTypeError("it is to be USER:TOKEN")
    return user, token


def _authority_at(place: str) -> AccountLookup:
    # A file without the name of a form has always been TOML here.
    named = place if ":" in place or not Path(place).exists() else f"toml:{place}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            authority = authority_at(named)
        except SaslError as error:
            raise WrongUsage(error.text) from error
    for warning in caught:
        say(f"warning: {warning.message}", error=True)
    return authority
