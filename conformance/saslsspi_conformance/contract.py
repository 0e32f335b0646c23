"""The contract checks of any SASL mechanism, for plugin authors.

    from saslsspi_conformance.contract import MechanismContract

    class TestMine(MechanismContract):
        mechanism = "MY-MECHANISM"
        credentials = saslsspi.Password("alice", "wonderland")
        authority = saslsspi.MemoryAuthority({"alice": "wonderland"})

pytest then finds a test for each promise that the engine and the carriers rely on. What the mechanism needs beside is
set in the same way: service, host, realm, external_ssf, external_identity, policy.
"""

from __future__ import annotations

import re
from typing import ClassVar

import pytest

import saslsspi
from saslsspi.credentials import Credentials
from saslsspi.errors import ContextMisuse, InternalError, SaslError
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import find_mechanism

__all__ = ["MechanismContract"]

_ROUNDS = 32
_NONSENSE = (b"", b"\0", b"\xff" * 7, b"=" * 64, bytes(range(256)), b"x" * 100_000)


class MechanismContract:
    """What every mechanism promises; subclass it under a name that begins with Test.

    Attributes:
        mechanism: The name, or the Mechanism itself.
        credentials: What succeeds.
        authority: Who knows them.
    """

    mechanism: ClassVar[str | Mechanism]
    credentials: ClassVar[Credentials | None] = None
    authority: ClassVar[saslsspi.AccountLookup | None] = None
    service: ClassVar[str] = "ldap"
    host: ClassVar[str] = "server.example"
    realm: ClassVar[str | None] = None
    policy: ClassVar[saslsspi.Policy] = saslsspi.Policy()
    external_ssf: ClassVar[int] = 256
    external_identity: ClassVar[str | None] = None

    def client(self) -> saslsspi.Client:
        """Make a client."""
        return saslsspi.Client(
            self.mechanism, service=self.service, host=self.host, credentials=self.credentials, policy=self.policy,
            external_ssf=self.external_ssf,
        )  # fmt: skip

    def server(self, *, success_data: bool = True) -> saslsspi.Server:
        """Make a server."""
        return saslsspi.Server(
            self.mechanism, service=self.service, host=self.host, authority=self.authority, realm=self.realm,
            policy=self.policy, external_ssf=self.external_ssf, external_identity=self.external_identity,
            success_data=success_data,
        )  # fmt: skip

    def exchanged(self, *, success_data: bool = True) -> tuple[saslsspi.Client, saslsspi.Server]:
        """Run an exchange as a carrier does, and return both sides."""
        client, server = self.client(), self.server(success_data=success_data)
        response = client.start()
        for _ in range(_ROUNDS):
            challenge = server.step(response)
            if server.done:
                client.succeed(challenge)
                return client, server
            response = client.step(challenge or b"") or b""
        raise AssertionError(f"the exchange is not over after {_ROUNDS} rounds")

    def test_its_name_is_a_mechanism_name(self) -> None:
        """RFC 4422 section 3.1: 1 to 20 of A-Z, 0-9, hyphen and underscore."""
        found = find_mechanism(self.mechanism) if isinstance(self.mechanism, str) else self.mechanism
        assert re.fullmatch("[A-Z0-9_-]{1,20}", found.name)

    def test_both_sides_succeed(self) -> None:
        """The credentials authenticate."""
        client, server = self.exchanged()
        assert client.done
        assert server.done

    def test_both_sides_agree_on_what_was_negotiated(self) -> None:
        """Strength and layer are the same on both sides."""
        client, server = self.exchanged()
        assert client.security.ssf == server.security.ssf
        assert (client.layer is None) == (server.layer is None)

    def test_it_succeeds_where_the_carrier_has_no_room_for_last_data(self) -> None:
        """RFC 4422 section 3: last data as one more challenge, answered with an empty response."""
        assert self.exchanged(success_data=False)[1].done

    def test_a_layer_carries_messages_both_ways(self) -> None:
        """RFC 4422 section 3.7, split at every octet."""
        client, server = self.exchanged()
        if client.layer is None or server.layer is None:
            pytest.skip("no layer was negotiated")
        for text in (b"x", b"hello" * 1000, b"last"):
            assert b"".join(server.layer.unwrap(bytes([octet])) for octet in client.layer.wrap(text)) == text
            assert client.layer.unwrap(server.layer.wrap(text)) == text

    def test_a_layer_refuses_a_replayed_message(self) -> None:
        """A buffer is taken once; after an error the layer is dead."""
        client, server = self.exchanged()
        if client.layer is None or server.layer is None:
            pytest.skip("no layer was negotiated")
        wire = client.layer.wrap(b"once")
        assert server.layer.unwrap(wire) == b"once"
        with pytest.raises(SaslError):
            server.layer.unwrap(wire)
        with pytest.raises(ContextMisuse):
            server.layer.wrap(b"afterwards")

    @pytest.mark.parametrize("nonsense", _NONSENSE, ids=lambda octets: f"{len(octets)} octets")
    def test_nonsense_raises_nothing_but_our_errors_at_the_server(self, nonsense: bytes) -> None:
        """No input from a peer raises anything else, nor authenticates."""
        server = self.server()
        try:
            server.step(nonsense)
            server.step(nonsense)
        except InternalError as error:  # what sessions make of an error that is none of ours
            raise AssertionError("the mechanism failed over it") from error
        except SaslError:
            assert not server.done

    @pytest.mark.parametrize("nonsense", _NONSENSE, ids=lambda octets: f"{len(octets)} octets")
    def test_nonsense_raises_nothing_but_our_errors_at_the_client(self, nonsense: bytes) -> None:
        """No input from a peer raises anything else."""
        client = self.client()
        client.start()
        try:
            client.step(nonsense)
            client.step(nonsense)
        except InternalError as error:  # what sessions make of an error that is none of ours
            raise AssertionError("the mechanism failed over it") from error
        except SaslError:
            assert not client.done

    def test_a_failed_exchange_is_dead(self) -> None:
        """After abort no message is taken."""
        server = self.server()
        server.abort()
        with pytest.raises(SaslError):
            server.step(b"")

    def test_a_message_after_the_end_is_an_error(self) -> None:
        """RFC 4422 section 3.4: nothing is due after completion."""
        _, server = self.exchanged()
        with pytest.raises(SaslError):
            server.step(b"one more")

    def test_secrets_stay_out_of_repr(self) -> None:
        """The password is in no repr."""
        if not isinstance(self.credentials, saslsspi.Password):
            pytest.skip("there is no password")
        client, server = self.exchanged()
        for thing in (client, server, client.security, server.security, self.credentials):
            assert self.credentials.password not in repr(thing)
