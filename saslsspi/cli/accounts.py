"""`saslsspi accounts`: who may log on, in TOML, htdigest or SQL; and from and to the files of other programs."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from saslsspi.accounts.account import Secret
from saslsspi.accounts.stores.files import replace_file
from saslsspi.accounts.stores.foreign import FORMS
from saslsspi.accounts.stores.places import form_of, store_at
from saslsspi.accounts.stores.stored import KEYS, StoredAccount, derived
from saslsspi.cli.exit_status import ExitStatus, WrongUsage
from saslsspi.cli.options import first_line
from saslsspi.cli.output import add_json_option, print_json, print_table, say

__all__ = ["configure", "run"]

_PLACES: Final = (
    "STORE is a file (accounts.toml, toml:PATH, htdigest:PATH) or the URL of a database (sqlite:///accounts.db,"
    " postgresql+psycopg://host/database). FILE of import and export may also be dovecot:PATH, postgresql:PATH (what"
    " pg_dumpall --roles-only writes), ldif:PATH, and to be read sasldb:PATH. What is kept are keys; passwords are"
    " asked for, or read from a file, and never stand on the command line."
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    parser.description = "Add, change, remove and list accounts, and move them from and to other programs."
    parser.epilog = _PLACES
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, (action, meaning) in _ACTIONS.items():
        command = actions.add_parser(name, help=meaning, description=meaning, epilog=_PLACES, allow_abbrev=False)
        command.add_argument("store", metavar="STORE", help="the accounts")
        command.set_defaults(run_action=action)
        if name in ("add", "passwd", "remove"):
            command.add_argument("user", metavar="USER", help="the user's name")
        if name in ("add", "passwd"):
            command.add_argument("--password-file", type=Path, metavar="FILE",
                help="its first line is the password, - for standard input; without it you are asked")  # fmt: skip
        if name in ("add", "import"):
            command.add_argument("--kind", action="append", choices=KEYS, metavar="KIND",
                help=f"what to keep of a password: {', '.join(KEYS)}; repeatable")  # fmt: skip
        if name in ("add", "import"):
            command.add_argument("--realm", action="append", default=[], help="of ha1; repeatable")
            command.add_argument("--iterations", type=int, default=10_000, metavar="N", help="of SCRAM's keys")
        if name == "add":
            command.add_argument("--domain", default="", metavar="NAME", help="the Windows domain")
            command.add_argument("--may-act-as", action="append", default=[], metavar="NAME",
                help="another identity that the user may assume; repeatable")  # fmt: skip
            command.add_argument("--group", action="append", default=[], metavar="NAME", help="repeatable")
        if name in ("import", "export"):
            command.add_argument("file", metavar="FILE", help="from where, or to where")
        if name == "list":
            add_json_option(command)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    action: Callable[[argparse.Namespace], int] = arguments.run_action
    return action(arguments)


def _find(arguments: argparse.Namespace) -> StoredAccount | None:
    return next((one for one in store_at(arguments.store).read() if one.username == arguments.user), None)


def _add(arguments: argparse.Namespace) -> int:
    if _find(arguments) is not None:
        raise WrongUsage(f"{arguments.user} is there already; `passwd` gives another password")
    kinds = _kinds(arguments)
    made = derived(
        arguments.user,
        _password(arguments),
        kinds=kinds,
        realms=arguments.realm,
        domain=arguments.domain,
        iterations=arguments.iterations,
    )
    more = StoredAccount(
        username=arguments.user, may_act_as=frozenset(arguments.may_act_as), groups=tuple(arguments.group)
    )
    return _write(arguments, made.joined(more))


def _kinds(arguments: argparse.Namespace) -> list[Secret]:
    """Return what is to be kept of a password: where nothing is said, what suits the store and the realms."""
    if arguments.kind:
        return [KEYS[name] for name in arguments.kind]
    digest = [Secret.HA1] if arguments.realm else []
    if form_of(arguments.store)[0] == "htdigest":
        if not digest:
            raise WrongUsage("htdigest keeps hashes of a realm: give --realm NAME")
        return digest
    return [Secret.SCRAM_SHA_256, *digest]


def _passwd(arguments: argparse.Namespace) -> int:
    before = _find(arguments)
    if before is None:
        raise WrongUsage(f"there is no {arguments.user}; `add` makes an account")
    kinds = [KEYS[name] for name in before.kinds if name in KEYS] or [Secret.SCRAM_SHA_256]
    made = derived(
        arguments.user,
        _password(arguments),
        kinds=kinds,
        realms=tuple(before.ha1),
        domain=before.domain,
        iterations=max((keys.iterations for keys in before.scram.values()), default=10_000),
    )
    more = StoredAccount(username=arguments.user, may_act_as=before.may_act_as, groups=before.groups)
    return _write(arguments, made.joined(more))


def _write(arguments: argparse.Namespace, account: StoredAccount) -> int:
    store_at(arguments.store).write({account.username: account})
    say(f"{account.username} may log on with {', '.join(account.kinds)}")
    return ExitStatus.OK


def _remove(arguments: argparse.Namespace) -> int:
    if _find(arguments) is None:
        raise WrongUsage(f"there is no {arguments.user}")
    store_at(arguments.store).write({arguments.user: None})
    say(f"{arguments.user} is gone")
    return ExitStatus.OK


def _list(arguments: argparse.Namespace) -> int:
    records = [
        {
            "user": one.username,
            "domain": one.domain,
            "kinds": list(one.kinds),
            "realms": sorted(one.ha1),
            "may_act_as": sorted(one.may_act_as),
            "groups": list(one.groups),
        }
        for one in store_at(arguments.store).read()
    ]
    if arguments.json:
        print_json({"accounts": records})
    else:
        headings = ("user", "domain", "kinds", "realms", "may act as", "groups")
        print_table(headings, [tuple(record.values()) for record in records])
    return ExitStatus.OK


def _import(arguments: argparse.Namespace) -> int:
    form, path = form_of(arguments.file)
    realm = arguments.realm[0] if arguments.realm else ""
    read = FORMS[form].read(Path(path), realm) if form in FORMS else store_at(arguments.file).read()
    accounts = {one.username: _without_password(arguments, one) for one in read}
    store_at(arguments.store).write(accounts)
    say(f"{len(accounts)} accounts are in {arguments.store}")
    return ExitStatus.OK


def _without_password(arguments: argparse.Namespace, account: StoredAccount) -> StoredAccount:
    """Return keys of the password in place of it; a password that was kept elsewhere is kept here as keys."""
    if account.password is None:
        return account
    made = derived(
        account.username,
        account.password,
        kinds=_kinds(arguments),
        realms=arguments.realm,
        domain=account.domain,
        iterations=arguments.iterations,
    )
    return replace(account.joined(made), password=None)


def _export(arguments: argparse.Namespace) -> int:
    form, path = form_of(arguments.file)
    accounts = list(store_at(arguments.store).read())
    if form in FORMS:
        write = FORMS[form].write
        if write is None:
            raise WrongUsage(f"accounts of {form} are read alone")
        replace_file(Path(path), "".join(write(accounts)))
    else:
        store_at(arguments.file).write({one.username: one for one in accounts})
    say(f"{len(accounts)} accounts are in {arguments.file}")
    return ExitStatus.OK


def _password(arguments: argparse.Namespace) -> str:
    if arguments.password_file is not None:
        return (
            sys.stdin.readline().rstrip("\r\n")
            if str(arguments.password_file) == "-"
            else first_line(arguments.password_file)
        )
    if not sys.stderr.isatty():
        raise WrongUsage("there is no password: give --password-file FILE, or - for standard input")
    first = getpass.getpass(f"New password of {arguments.user}: ", stream=sys.stderr)
    if getpass.getpass("Once more: ", stream=sys.stderr) != first:
        raise WrongUsage("the two passwords are not the same")
    return first


_ACTIONS: Final[Mapping[str, tuple[Callable[[argparse.Namespace], int], str]]] = {
    "add": (_add, "add an account"),
    "passwd": (_passwd, "give an account another password"),
    "remove": (_remove, "remove an account"),
    "list": (_list, "list the accounts, and what is kept of each"),
    "import": (_import, "take accounts from FILE into STORE; those of the same name are replaced"),
    "export": (_export, "write the accounts of STORE to FILE"),
}
