"""`--policy FIELD=VALUE`: every field of a policy can be named, and what cannot be is said."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator

import pytest

from saslsspi import NtlmResponses, Policy, Property
from saslsspi.cli.exit_status import WrongUsage
from saslsspi.cli.policy import add_policy_options, policy_from
from saslsspi.engine.policy import PublicKeyLeg


def policy(*words: str) -> Policy:
    parser = argparse.ArgumentParser()
    add_policy_options(parser)
    return policy_from(parser.parse_args([word for text in words for word in ("--policy", text)]))


def fields(record: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    for field in dataclasses.fields(record):  # type: ignore[arg-type]
        value = getattr(record, field.name)
        if dataclasses.is_dataclass(value):
            yield from fields(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "name"):
        return str(value.name).replace("|", ",")
    if isinstance(value, tuple):
        return ",".join(value)
    return "00" * 16 if value is None else str(value)


@pytest.mark.parametrize(("name", "value"), list(fields(Policy())), ids=[name for name, _ in fields(Policy())])
def test_every_field_can_be_named(name: str, value: object) -> None:
    found = dict(fields(policy(f"{name}={written(value)}")))[name]
    assert found == (bytes(16) if value is None else value)


def test_values_of_each_kind_are_read() -> None:
    found = policy(
        "ntlm.responses=v2,V1",
        "credssp.allow_fresh=ldap/*, http/web",
        "credssp.public_key_leg=after-negotiate",
        "http_digest.userhash=yes",
        "kdc_timeout=2.5",
        "properties=mutual",
    )
    assert found.ntlm.responses == NtlmResponses.V2 | NtlmResponses.V1
    assert found.credssp.allow_fresh == ("ldap/*", "http/web")
    assert found.credssp.public_key_leg is PublicKeyLeg.AFTER_NEGOTIATE
    assert found.http_digest.userhash is True
    assert found.kdc_timeout == 2.5
    assert found.properties == Property.MUTUAL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ntlm.responses", "FIELD=VALUE"),
        ("ntlm=V1", "ntlm.responses"),
        ("ntlm.answers=V1", "responses"),
        ("ntlm.responses=V3", "one of V2, V1, LM"),
        ("http_digest.userhash=perhaps", "yes or no"),
        ("min_iterations=many", "a number"),
        ("min_iterations=0", "min_iterations"),
    ],
)
def test_what_cannot_be_is_said(text: str, said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        policy(text)
