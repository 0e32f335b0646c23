"""A gateway of one's own in this process, with listeners on free ports, and what it leaves open."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from saslsspi.engine.hooks.audit import AuditRecord
from saslsspi.engine.policy import NegotiatePolicy, Policy
from saslsspi.gateway.service import Gateway
from saslsspi.gateway.settings import AuthoritySettings, GatewayLimits, GatewayListener, GatewaySettings
from saslsspi.testbed import loopback

LIMITS = GatewayLimits(failure_delay=0, longest_delay=0, connect_seconds=20, logon_seconds=20)
SEALED = Policy(min_ssf=56, negotiate=NegotiatePolicy(packages="ntlm"))


class Started:
    """What loopback.running wants."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.settings = settings
        self.sockets: list[socket.socket] = []

    async def start(self) -> None:
        self.gateway = Gateway(self.settings)
        for listener in self.settings.listeners:
            if listener.path:
                one = socket.socket(socket.AF_UNIX)
                one.bind(listener.path)
                one.listen(600)
            else:
                one = socket.create_server((listener.address, 0), backlog=600)
            self.sockets.append(one)
        self.gateway.start(self.sockets)

    async def stop(self) -> None:
        await self.gateway.stop()

    @property
    def ports(self) -> list[Any]:
        """Where each listener listens."""
        return [one.getsockname()[1] if one.family == socket.AF_INET else one.getsockname() for one in self.sockets]

    @property
    def port(self) -> int:
        """Where the first one listens."""
        return int(self.ports[0])


@contextlib.contextmanager
def gateway(
    protocol: str, *servers: str, listener: dict[str, Any] | None = None, policy: Policy = SEALED,
    limits: GatewayLimits = LIMITS, **authority: Any,
) -> Iterator[Started]:  # fmt: skip
    """Run a gateway with one listener in front of servers."""
    told = GatewayListener(protocol=protocol, authority="there", port=0, **(listener or {}))
    behind = AuthoritySettings(name="there", servers=servers, **authority)
    settings = GatewaySettings(listeners=(told,), authorities=(behind,), policy=policy, limits=limits)
    with loopback.running(Started(settings)) as started:
        yield started


def limited(**changes: Any) -> GatewayLimits:
    """The limits of the tests, with others."""
    return replace(LIMITS, **changes)


class Records(logging.Handler):
    """The audit log's records."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[AuditRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(record.audit)  # type: ignore[attr-defined]  # extra


@contextlib.contextmanager
def audited() -> Iterator[list[AuditRecord]]:
    """Collect the audit log's records."""
    log, records = logging.getLogger("saslsspi.audit"), Records()
    level = log.level
    log.addHandler(records)
    log.setLevel(logging.INFO)
    try:
        yield records.found
    finally:
        log.removeHandler(records)
        log.setLevel(level)


def open_files(process: int | str = "self") -> int:
    """How many file descriptors a process has open."""
    return len(list(Path(f"/proc/{process}/fd").iterdir())) if os.path.isdir(f"/proc/{process}/fd") else 0
