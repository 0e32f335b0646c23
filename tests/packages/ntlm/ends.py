"""Both ends of an NTLM exchange through the SSPI functions, as the tests of the messages want them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from packages.ntlm.tokens import (
    Tap,
)
from saslsspi import (
    ChannelBindings,
    NtlmPolicy,
    Policy,
    SaslError,
    sspi,
)
from saslsspi.sspi import Environment, SecurityStatus
from sspi_context import (
    ACCEPT_SEAL,
    PEOPLE,
    SEAL,
    TARGET,
    Context,
    client_credential,
    run,
    server_credential,
)

__all__ = ["BOUND", "ELSEWHERE", "TIMELESS", "client", "server", "status", "tampered"]


BOUND = ChannelBindings.tls_unique(b"the channel")


TIMELESS = Policy(ntlm=NtlmPolicy(require_timestamp=False))
"""Takes answers that repeat no timestamp and have no MIC."""


ELSEWHERE = ChannelBindings.tls_unique(b"another channel")


def client(flags: int = SEAL, policy: Policy | None = None, target: str = TARGET, **more: object) -> Context:
    bindings = more.pop("bindings", None)
    environment = Environment(policy=policy or Policy())
    credential = client_credential(environment=environment, **more)  # type: ignore[arg-type]
    return Context(credential, flags, target, bindings=bindings)  # type: ignore[arg-type]


def server(
    flags: int = 0,
    policy: Policy | None = None,
    *,
    authority: object = PEOPLE,
    clock: Callable[[], float] = time.time,
    principal: str | None = None,
    bindings: ChannelBindings | None = None,
) -> Context:
    environment = Environment(authority=authority, policy=policy or Policy(), clock=clock)  # type: ignore[arg-type]
    return Context(server_credential(environment=environment, principal=principal), flags, bindings=bindings)


def status(run_it: Callable[[], object]) -> SecurityStatus | sspi.NTSTATUS:
    with pytest.raises(SaslError) as caught:
        run_it()
    return caught.value.status


def tampered(tap: Tap, ours: Context | None = None, theirs: Context | None = None) -> SecurityStatus | sspi.NTSTATUS:
    return status(lambda: run(ours or client(), theirs or server(ACCEPT_SEAL), tap))
