"""The options that several commands share, and the values they become.

Each group is added by the commands that can use it: no command takes an option that has no effect there.
"""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from saslsspi.accounts import Chain, FileAuthority, MemoryAuthority
from saslsspi.accounts.account import Account
from saslsspi.accounts.authority import AccountLookup
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.credentials import Password
from saslsspi.engine.policy import (
    DEFAULT_POLICY,
    SSF_UNLIMITED,
    ChannelBindingPolicy,
    CredSspPolicy,
    Policy,
    Tolerances,
)
from saslsspi.errors import SaslError
from saslsspi.packages.digest.ciphers import CIPHERS

__all__ = [
    "add_account_options",
    "add_identity_options",
    "add_policy_options",
    "authority_from",
    "credentials_from",
    "password_from",
    "policy_from",
]

PASSWORD_VARIABLE: Final = "SASLSSPI_PASSWORD"
_SINGLE_TOLERANCES: Final = [name for name in Tolerances.__members__ if name not in ("NONE", "DEFAULT")]


def add_policy_options(parser: argparse.ArgumentParser, *, binding_types: Sequence[str] = ()) -> None:
    """Add what is acceptable: strength, buffer size, ciphers, channel binding, tolerances.

    Args:
        parser: Gets the options.
        binding_types: The types of channel bindings that the command can demand.
    """
    group = parser.add_argument_group("policy")
    group.add_argument("--min-ssf", type=int, default=0, metavar="N",
        help="least strength of the layer: 0 none, 1 integrity, above that the cipher's bits")  # fmt: skip
    group.add_argument("--max-ssf", type=int, default=SSF_UNLIMITED, metavar="N",
        help="greatest strength: 0 forbids a layer, 1 forbids encryption")  # fmt: skip
    group.add_argument("--max-buffer", type=int, default=DEFAULT_POLICY.max_buffer, metavar="OCTETS",
        help="largest protected buffer that this side takes")  # fmt: skip
    group.add_argument("--cipher", action="append", type=str.lower, choices=[name.decode() for name in CIPHERS],
        help="permit this cipher, a weak one too, and only those named; repeatable, the preferred first")  # fmt: skip
    group.add_argument("--allow-plaintext", action="store_true",
        help="permit a mechanism that sends the password where nothing encrypts the channel")  # fmt: skip
    group.add_argument("--strict", action="store_true",
        help="tolerate no departure of the peer from the specification")  # fmt: skip
    group.add_argument("--tolerance", action="append", default=[], metavar="NAME", type=_tolerance,
        help=f"tolerate this one too; repeatable: {', '.join(_SINGLE_TOLERANCES)}")  # fmt: skip
    group.add_argument("--credssp-min-version", type=int, choices=range(2, 7), default=5, metavar="N",
        help="least version of CredSSP; below 5 (the default) a man in the middle gets through")  # fmt: skip
    group.add_argument("--channel-binding", choices=("none", "require", *binding_types),
        help="none: use no bindings of TLS around the exchange; require, or a type: fail without")  # fmt: skip


def policy_from(arguments: argparse.Namespace) -> Policy:
    """Return the policy that the options describe."""
    tolerances = Tolerances.NONE if arguments.strict else Tolerances.DEFAULT
    for tolerance in arguments.tolerance:
        tolerances |= tolerance
    wanted = arguments.channel_binding or "allow"
    binding = ChannelBindingPolicy(wanted if wanted in ("none", "allow") else "require")
    try:
        return Policy(
            min_ssf=arguments.min_ssf,
            max_ssf=arguments.max_ssf,
            max_buffer=arguments.max_buffer,
            ciphers=tuple(arguments.cipher or DEFAULT_POLICY.ciphers),
            channel_binding=binding,
            tolerances=tolerances,
            allow_plaintext=arguments.allow_plaintext,
            allow_anonymous=getattr(arguments, "allow_anonymous", False),
            credssp=_credssp_from(arguments),
        )
    except SaslError as error:
        raise WrongUsage(error.text) from error


def _credssp_from(arguments: argparse.Namespace) -> CredSspPolicy:
    delegates = bool(getattr(arguments, "delegate", False))
    # Whoever asks for it has named the one target that a command speaks to.
    allowed = ("*",) if delegates else ()
    files = {name: str(getattr(arguments, name, None) or "") for name in ("cert", "key", "ca")}
    return CredSspPolicy(
        minimum_version=arguments.credssp_min_version,
        delegate=delegates,
        allow_fresh=allowed,
        # Who says which authorities count wants the certificate to decide where the password goes.
        allow_fresh_ntlm_only=() if files["ca"] else allowed,
        certificate=files["cert"],
        private_key=files["key"],
        authorities=files["ca"],
    )


def _tolerance(name: str) -> Tolerances:
    spelled = name.upper().replace("-", "_")
    if spelled not in _SINGLE_TOLERANCES:
        raise argparse.ArgumentTypeError(f"there is no tolerance {name!r}; there are {', '.join(_SINGLE_TOLERANCES)}")
    return Tolerances[spelled]


def add_identity_options(parser: argparse.ArgumentParser) -> None:
    """Add who authenticates, and with what."""
    group = parser.add_argument_group("identity")
    group.add_argument("--user", metavar="NAME", help="who authenticates")
    group.add_argument("--password", help=f"the password; better: --password-file, {PASSWORD_VARIABLE} or the prompt")
    group.add_argument("--password-file", type=Path, metavar="FILE", help="a file whose first line is the password")
    group.add_argument("--realm", "--domain", metavar="NAME",
        help="the realm (or domain) of the user; without it the one that the server offers")  # fmt: skip
    group.add_argument("--authzid", default="", metavar="NAME", help="the identity to act as")
    group.add_argument("--delegate", action="store_true",
        help="hand the password over to the server (CREDSSP); without it empty credentials go")  # fmt: skip


def credentials_from(arguments: argparse.Namespace) -> Password | None:
    """Return user and password, or None without --user."""
    if arguments.user is None:
        unused = [option for option in ("password", "password_file", "realm") if getattr(arguments, option) is not None]
        if unused:
            raise WrongUsage(f"--{unused[0].replace('_', '-')} needs --user")
        return None
    return Password(arguments.user, password_from(arguments), realm=arguments.realm)


def password_from(arguments: argparse.Namespace) -> str:
    """Return the password from the option, the file, the environment or a prompt, whichever is first."""
    if arguments.password is not None and arguments.password_file is not None:
        raise WrongUsage("--password and --password-file exclude each other")
    if arguments.password is not None:
        return str(arguments.password)
    if arguments.password_file is not None:
        return _first_line(arguments.password_file)
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    if not sys.stderr.isatty():
        raise WrongUsage(f"there is no password: give --password-file FILE or set {PASSWORD_VARIABLE}")
    return getpass.getpass(f"Password of {arguments.user}: ", stream=sys.stderr)


def _first_line(file: Path) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"cannot read {file}: {error}") from error
    if not lines:
        raise WrongUsage(f"{file} is empty; its first line is to be the password")
    return lines[0]


def add_account_options(parser: argparse.ArgumentParser) -> None:
    """Add who may log on."""
    group = parser.add_argument_group("accounts")
    group.add_argument("--account", action="append", default=[], type=_account, metavar="USER:PASSWORD",
        help="one who may log on, in every realm; repeatable, for trying things out")  # fmt: skip
    group.add_argument("--accounts", type=Path, metavar="FILE",
        help="a TOML file: a table [accounts] of user = \"password\", or entries [[account]]")  # fmt: skip
    group.add_argument("--allow-anonymous", action="store_true", help="let in who authenticates as nobody")


def authority_from(arguments: argparse.Namespace) -> AccountLookup:
    """Return the authority over the accounts that the options name, those of the command line first."""
    authorities: list[AccountLookup] = []
    if arguments.account:
        authorities.append(MemoryAuthority(arguments.account))
    if arguments.accounts is not None:
        authorities.append(_file_authority(arguments.accounts))
    if not authorities:
        raise WrongUsage("nobody may log on: give --account USER:PASSWORD or --accounts FILE")
    return authorities[0] if len(authorities) == 1 else Chain(*authorities)


def _account(text: str) -> Account:
    user, colon, password = text.partition(":")
    if not user or not colon:
        raise argparse.ArgumentTypeError("it is to be USER:PASSWORD")
    return Account(username=user, password=password)


def _file_authority(file: Path) -> AccountLookup:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            authority = FileAuthority(file)
        except SaslError as error:
            raise WrongUsage(error.text) from error
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    return authority
