"""The service that a client means (MsvAvTargetName, MS-NLMP section 3.2.5.1.2), and an acceptor's own names.

Clients write what their programs were told: SMTPSVC/host or SMTP/host, host/..., a short name, an alias, an address. So
the class says little of who is meant, and the host is what a relay cannot give: it stands in the client's proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final, NamedTuple

from saslsspi.engine.policy import NtlmPolicy, NtlmTarget
from saslsspi.host_names import in_a_labels

__all__ = ["NETBIOS_SIZE", "OwnNames", "ServiceName"]

NETBIOS_SIZE: Final = 15
"""Characters of a NetBIOS name."""


_DNS_SIZE: Final = 253  # characters of a name in DNS


class ServiceName(NamedTuple):
    """A target name in parts, in lower case.

    Attributes:
        service: Its class, "" for a bare host.
        host: Without port, brackets and what follows the second slash.
    """

    service: str
    host: str

    @classmethod
    def of(cls, target: str) -> ServiceName:
        """Read service/host, service/host:port/instance, or a host alone."""
        service, slash, rest = target.lower().partition("/")
        return cls(service, _host(rest.partition("/")[0])) if slash else cls("", _host(service))

    def __str__(self) -> str:
        return f"{self.service}/{self.host}" if self.service else self.host


class OwnNames(NamedTuple):
    """What an acceptor is known by.

    Attributes:
        classes: The classes of its principals; empty where it has none.
        exact: Its principals.
        hosts: The hosts of those, their short names, and the names of the policy.
        more: The hosts that have no class of their own.
    """

    classes: frozenset[str]
    exact: frozenset[ServiceName]
    hosts: frozenset[str]
    more: frozenset[str]

    @classmethod
    def of(cls, principals: Iterable[ServiceName], policy: NtlmPolicy) -> OwnNames:
        """Collect the names of an acceptor with these principals; empty where nobody said who it is."""
        exact = frozenset(principals)
        more = {_host(name.lower()) for name in policy.own_names} | {name.host for name in exact if not name.service}
        if exact and policy.computer_name:
            more.add(policy.computer_name.lower())
        more |= {short for name in (*(name.host for name in exact), *more) for short in _short(name)}
        classes = frozenset(name.service for name in exact if name.service)
        return cls(classes, exact, frozenset(name.host for name in exact) | more, frozenset(more))

    def include(self, target: str, rule: NtlmTarget) -> bool:
        """Whether a client that means `target` means this acceptor, by what the policy compares."""
        if rule is NtlmTarget.REPORT or not self.hosts or not target:
            return True
        meant = ServiceName.of(target)
        if rule is NtlmTarget.HOST:
            return meant.host in self.hosts
        return meant in self.exact or (meant.host in self.more and (meant.service in self.classes or not self.classes))


def _host(text: str) -> str:
    """Return a host in lower case without port, brackets and the dot of the root."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    text = text.removesuffix(".")
    return in_a_labels(text) if len(text) <= _DNS_SIZE else text


def _short(host: str) -> tuple[str, ...]:
    """Return the first label of a host's name, and as much of it as fits NetBIOS; none of an address."""
    try:
        ip_address(host)
    except ValueError:
        label = host.partition(".")[0]
        return label, label[:NETBIOS_SIZE]
    return ()
