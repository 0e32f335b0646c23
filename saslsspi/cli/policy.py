"""What a command accepts: the options that people use most, and `--policy FIELD=VALUE` for every field there is."""

from __future__ import annotations

import argparse
import dataclasses
import enum
from collections.abc import Sequence
from typing import Any, Final, get_type_hints

from saslsspi.cli.exit_status import WrongUsage
from saslsspi.engine.policy import (
    DEFAULT_POLICY,
    SSF_UNLIMITED,
    ChannelBindingPolicy,
    CredSspPolicy,
    Policy,
    Tolerances,
)
from saslsspi.engine.registry import find_package
from saslsspi.errors import SaslError

__all__ = ["add_policy_options", "policy_from"]

_SINGLE_TOLERANCES: Final = [name for name in Tolerances.__members__ if name not in ("NONE", "DEFAULT")]
_YES_OR_NO: Final = {"yes": True, "true": True, "no": False, "false": False}


def add_policy_options(parser: argparse.ArgumentParser, *, binding_types: Sequence[str] = ()) -> None:
    """Add what is acceptable: strength, buffer size, ciphers, channel binding, tolerances, and any other field.

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
    group.add_argument("--cipher", action="append", type=_cipher, metavar="NAME",
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
    group.add_argument("--policy", dest="fields", action="append", default=[], metavar="FIELD=VALUE",
        help="any other field of a policy, as ntlm.responses=V1 or credssp.allow_fresh=ldap/*; repeatable")  # fmt: skip


def policy_from(arguments: argparse.Namespace, *, credssp: CredSspPolicy | None = None, **fields: object) -> Policy:
    """Return the policy that the options describe.

    Args:
        arguments: Parsed by a parser with add_policy_options.
        credssp: What the command knows of CredSSP, but for the least version.
        fields: Other fields of Policy that the command decides.
    """
    tolerances = Tolerances.NONE if arguments.strict else Tolerances.DEFAULT
    for tolerance in arguments.tolerance:
        tolerances |= tolerance
    wanted = arguments.channel_binding or "allow"
    try:
        policy = Policy(
            min_ssf=arguments.min_ssf,
            max_ssf=arguments.max_ssf,
            max_buffer=arguments.max_buffer,
            ciphers=tuple(arguments.cipher or DEFAULT_POLICY.ciphers),
            channel_binding=ChannelBindingPolicy(wanted if wanted in ("none", "allow") else "require"),
            tolerances=tolerances,
            allow_plaintext=arguments.allow_plaintext,
            credssp=dataclasses.replace(credssp or CredSspPolicy(), minimum_version=arguments.credssp_min_version),
            **fields,  # type: ignore[arg-type]  # named by the command
        )
        for text in arguments.fields:
            policy = _changed(policy, text)
    except SaslError as error:
        raise WrongUsage(error.text) from error
    return policy


def _cipher(name: str) -> str:
    known = find_package("WDigest").choices("ciphers")
    if name.lower() not in known:
        raise argparse.ArgumentTypeError(f"there is no cipher {name!r}; there are {', '.join(known)}")
    return name.lower()


def _tolerance(name: str) -> Tolerances:
    spelled = name.upper().replace("-", "_")
    if spelled not in _SINGLE_TOLERANCES:
        raise argparse.ArgumentTypeError(f"there is no tolerance {name!r}; there are {', '.join(_SINGLE_TOLERANCES)}")
    return Tolerances[spelled]


def _changed(policy: Policy, text: str) -> Policy:
    path, equals, value = text.partition("=")
    if not equals:
        raise WrongUsage(f"--policy {text}: it is to be FIELD=VALUE, as ntlm.responses=V1")
    changed: Policy = _with(policy, path.split("."), value, text)
    return changed


def _with(record: Any, path: Sequence[str], value: str, text: str) -> Any:
    """Return a policy, or one inside it, with one field changed."""
    name, *rest = path
    hints = get_type_hints(type(record))
    if name not in hints:
        raise WrongUsage(f"--policy {text}: {type(record).__name__} has no {name!r}; it has {', '.join(sorted(hints))}")
    old = getattr(record, name)
    if dataclasses.is_dataclass(old):
        if not rest:
            inner = ", ".join(f"{name}.{field.name}" for field in dataclasses.fields(old))
            raise WrongUsage(f"--policy {text}: name one of {inner}")
        return dataclasses.replace(record, **{name: _with(old, rest, value, text)})
    return dataclasses.replace(record, **{name: _value(old, value, text)})


def _value(old: object, value: str, text: str) -> object:
    """Read a value of the kind that a field has now."""
    try:
        if isinstance(old, bool):
            return _YES_OR_NO[value.lower()]
        if isinstance(old, enum.Flag):
            return _flags(type(old), value)
        if isinstance(old, enum.Enum):
            return type(old)[value.upper().replace("-", "_")]
        if isinstance(old, int | float):
            return type(old)(value)
        if isinstance(old, tuple):
            return tuple(item.strip() for item in value.split(",") if item.strip())
        return bytes.fromhex(value) if old is None else value
    except (KeyError, ValueError):
        raise WrongUsage(f"--policy {text}: {_kinds(old)} is needed") from None


def _flags(kind: type[enum.Flag], value: str) -> enum.Flag:
    found = kind(0)
    for name in value.split(","):
        found |= kind[name.strip().upper().replace("-", "_")]
    return found


def _kinds(old: object) -> str:
    if isinstance(old, bool):
        return "yes or no"
    if isinstance(old, enum.Enum):
        return f"one of {', '.join(type(old).__members__)}"
    return "octets in hex" if old is None else "a number"
