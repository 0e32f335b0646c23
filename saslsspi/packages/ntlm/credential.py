"""Credentials of the NTLM package, and the hashes that are computed once for each of them and each account."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from saslsspi.accounts.account import Account
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.engine.exchange import Credential
from saslsspi.engine.policy import NtlmPolicy
from saslsspi.packages.ntlm.av_pairs import AvId, pair
from saslsspi.packages.ntlm.keys import nt_hash, ntowf_v2
from saslsspi.packages.ntlm.messages import VERSION, Negotiate
from saslsspi.packages.ntlm.service import NETBIOS_SIZE, OwnNames, ServiceName

__all__ = ["NtlmCredential", "ServerNames", "split_name"]

_ACCOUNTS: Final = 1024


class ServerNames(NamedTuple):
    """What an acceptor tells of itself in every challenge, in UTF-16LE.

    Attributes:
        target: The name of its domain, or its own.
        pairs: The AV_PAIRs before the timestamp.
        in_domain: Whether target is a domain.
    """

    target: bytes
    pairs: bytes
    in_domain: bool


@dataclass(slots=True, eq=False, repr=False)
class NtlmCredential(Credential):
    """An acquired NTLM credential. Its repr shows nothing.

    Attributes:
        username: Outbound: who logs on; "" logs on as nobody.
        domain: Outbound: the user's domain; inbound: the NetBIOS domain of this machine.
        password: Outbound: with what; None: not known.
        nt_hash: Outbound: its NT hash, from the start or once it is computed; None: not known yet.
        principals: Inbound: the target names that are right, in order; empty and without names in the policy, nothing
            is checked.
        greetings: Outbound: prepared NEGOTIATE_MESSAGEs by flags.
        accounts: Inbound: NT hashes of accounts by identity of the object.
    """

    username: str = ""
    domain: str = ""
    password: str | None = None
    nt_hash: bytes | None = None
    principals: tuple[ServiceName, ...] = ()
    greetings: dict[int, bytes] = field(default_factory=dict)
    accounts: dict[int, tuple[Account, bytes]] = field(default_factory=dict)
    _key: HmacMd5 | None = None
    _names: ServerNames | None = None
    _own_names: OwnNames | None = None
    _station: str = ""

    def greeting(self, flags: int) -> bytes:
        """Return the NEGOTIATE_MESSAGE with some flags."""
        made = self.greetings.get(flags)
        if made is None:
            made = self.greetings[flags] = Negotiate(flags, version=VERSION).to_bytes()
        return made

    def own_hash(self) -> bytes:
        """Return the NT hash of the password."""
        if self.nt_hash is None:
            self.nt_hash = nt_hash(self.password or "")
        return self.nt_hash

    def own_key(self) -> HmacMd5:
        """Return NTOWFv2 of the user."""
        if self._key is None:
            self._key = ntowf_v2(self.own_hash(), self.username, self.domain)
        return self._key

    def hash_of(self, account: Account | None) -> tuple[bytes | None, bool]:
        """Return the NT hash of an account, and whether it was made just now.

        None is the hash where there is no account, or where the authority gave nothing that it can be made of.
        """
        if account is None or account.nt_hash is not None or account.password is None:
            return None if account is None else account.nt_hash, False
        known = self.accounts.get(id(account))
        # The identity of an object is its own only while it lives, so the entry holds it.
        if known is not None and known[0] is account:
            return known[1], False
        made = nt_hash(account.password)
        if len(self.accounts) >= _ACCOUNTS:
            self.accounts.clear()  # one step, so that threads need no lock
        self.accounts[id(account)] = (account, made)
        return made, True

    def station(self, policy: NtlmPolicy) -> str:
        """Return the NetBIOS name of this machine."""
        if not self._station:
            self._station = _computer_name(policy)
        return self._station

    def own_domain(self, policy: NtlmPolicy) -> str:
        """Return the domain that this machine is said to be in, "" for none."""
        return policy.domain_name or self.domain

    def own_names(self, policy: NtlmPolicy) -> OwnNames:
        """Return the names by which clients may mean this acceptor."""
        if self._own_names is None:
            self._own_names = OwnNames.of(self.principals, policy)
        return self._own_names

    def challenge_names(self, policy: NtlmPolicy) -> ServerNames:
        """Return what an acceptor tells of itself."""
        if self._names is None:
            self._names = _challenge_names(self, policy)
        return self._names


def _computer_name(policy: NtlmPolicy, host: str = "") -> str:
    """Return the NetBIOS name of this machine."""
    name = policy.computer_name or host or platform.node() or "LOCALHOST"
    return name.partition(".")[0].upper()[:NETBIOS_SIZE]


def _challenge_names(credential: NtlmCredential, policy: NtlmPolicy) -> ServerNames:
    host = credential.principals[0].host if credential.principals else ""
    computer = _computer_name(policy, host)
    domain = credential.own_domain(policy)
    names = {
        # "MsvAvNbComputerName and MsvAvNbDomainName": a machine outside of domains is its own.
        AvId.NB_DOMAIN_NAME: domain or computer,
        AvId.NB_COMPUTER_NAME: computer,
        AvId.DNS_DOMAIN_NAME: host.partition(".")[2],
        AvId.DNS_COMPUTER_NAME: host,
    }
    pairs = b"".join(pair(kind, name.encode("utf-16-le")) for kind, name in names.items() if name)
    return ServerNames((domain or computer).encode("utf-16-le"), pairs, bool(domain))


def split_name(username: str, domain: str | None) -> tuple[str, str]:
    r"""Return user and domain; without a domain of its own, DOMAIN\user names both."""
    if domain is None and "\\" in username:
        prefix, _, user = username.partition("\\")
        return user, prefix
    return username, domain or ""
