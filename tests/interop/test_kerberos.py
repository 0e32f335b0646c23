"""GSSAPI beside the `gssapi` library and OpenJDK: both directions, every layer, and what a peer may get wrong."""

from collections.abc import Iterator
from typing import Any

import pytest

from interop.java_gssapi import java_peer
from interop.kdc import REALM, STRANGER, Kdc
from interop.people import ALICE
from interop.require import require_peer
from saslsspi import (
    Account,
    ChannelBindingPolicy,
    ChannelBindings,
    Client,
    MemoryAuthority,
    Policy,
    SaslError,
    SecurityStatus,
    Server,
    Tolerances,
)

pytestmark = pytest.mark.interop

QOPS = {"auth": 0, "auth-int": 1, "auth-conf": 256}
BINDINGS = ChannelBindings.tls_unique(b"this channel")


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        yield


@pytest.fixture
def peer() -> Any:
    from interop import kerberos_peer

    return kerberos_peer


def server(**options: Any) -> Server:
    return Server("GSSAPI", service="ldap", host="localhost", **options)


def client(**options: Any) -> Client:
    return Client("GSSAPI", service="ldap", host="localhost", **options)


def word(mask: int, size: int) -> bytes:
    return bytes([mask]) + size.to_bytes(3)


def until_offer(own: Server, other: Any) -> bytes:
    """Take the library's client as far as the layer; return the wrapped offer."""
    token = own.step(other.step())
    assert token
    assert other.step(token) == b""
    offer = own.step(b"")
    assert offer is not None
    return offer


def until_layer(own: Client, other: Any) -> None:
    """Take the library's server as far as the layer."""
    token = own.start()
    assert token is not None
    assert own.step(other.step(token)) == b""


# The gssapi library as client


@pytest.mark.parametrize(("mask", "qop"), [(1, "auth"), (2, "auth-int"), (4, "auth-conf")])
@pytest.mark.requirement("RFC4752-3-01", "RFC4752-3.2-08", "RFC4752-3.2-12", "RFC4752-3.3-01")
def test_a_client_by_the_book_gets_each_layer_of_our_server(peer: Any, mask: int, qop: str) -> None:
    own, other = server(), peer.GssapiClient()
    assert own.step(None) == b""  # the client goes first, and had no room for it
    offer, encrypted = other.unwrap(until_offer(own, other))
    assert (offer, encrypted) == (word(7, 65536), False)
    assert own.step(other.wrap(word(mask, 0 if mask == 1 else 4096) + b"alice")) is None
    assert own.done
    assert (own.security.qop, own.security.ssf, own.security.authzid) == (qop, QOPS[qop], "alice")
    assert (own.security.authcid, own.security.realm) == ("alice", REALM)
    if mask == 1:
        assert own.layer is None
        return
    assert own.layer is not None
    assert own.security.max_send == 4096
    wire = own.layer.wrap(bytes(10_000))
    plain = b""
    while wire:
        size = int.from_bytes(wire[:4])
        assert size <= 4096
        message, encrypted = other.unwrap(wire[4 : 4 + size])
        assert encrypted == (mask == 4)
        plain, wire = plain + message, wire[4 + size :]
    assert plain == bytes(10_000)
    sent = other.wrap(b"question", mask == 4)
    assert own.layer.unwrap(len(sent).to_bytes(4) + sent) == b"question"


@pytest.mark.requirement("RFC4752-3.1-07", "RFC4752-3.2-06")
@pytest.mark.parametrize(("flags", "mask"), [(0x2, 1), (0x2 | 0x20, 3), (0x2 | 0x20 | 0x10, 7)])
def test_what_the_clients_context_lacks_is_not_offered(peer: Any, flags: int, mask: int) -> None:
    own, other = server(), peer.GssapiClient(flags=flags)
    assert other.unwrap(until_offer(own, other))[0] == word(mask, 65536 if mask > 1 else 0)


def test_a_client_without_mutual_authentication_gets_the_offer_at_once(peer: Any) -> None:
    own, other = server(), peer.GssapiClient(flags=0x20)
    offer = own.step(other.step())
    assert offer is not None
    assert other.unwrap(offer)[0] == word(3, 65536)


@pytest.mark.requirement("RFC4752-3-03", "RFC4752-3.3-03")
@pytest.mark.parametrize("how", ["replayed", "skipped", "altered"])
def test_a_message_out_of_order_or_altered_ends_the_exchange(peer: Any, how: str) -> None:
    own, other = server(), peer.GssapiClient()
    until_offer(own, other)
    choice = other.wrap(word(4, 65536))
    if how == "skipped":
        choice = other.wrap(word(4, 65536))
    if how == "altered":
        choice = choice[:-1] + bytes([choice[-1] ^ 1])
    if how == "replayed":
        assert own.step(choice) is None
        assert own.layer is not None
        # The choice itself comes once more, as the first buffer under the layer.
        with pytest.raises(SaslError) as caught:
            own.layer.unwrap(len(choice).to_bytes(4) + choice)
    else:
        with pytest.raises(SaslError) as caught:
            own.step(choice)
        assert not own.done
    wanted = SecurityStatus.SEC_E_MESSAGE_ALTERED if how == "altered" else SecurityStatus.SEC_E_OUT_OF_SEQUENCE
    assert caught.value.status is wanted


@pytest.mark.requirement("RFC4752-3.3-03")
def test_a_corrupt_buffer_ends_the_layer(peer: Any) -> None:
    own, other = server(), peer.GssapiClient()
    until_offer(own, other)
    own.step(other.wrap(word(4, 65536)))
    assert own.layer is not None
    sent = bytearray(other.wrap(b"question", True))
    sent[-1] ^= 1
    with pytest.raises(SaslError) as caught:
        own.layer.unwrap(len(sent).to_bytes(4) + bytes(sent))
    assert caught.value.status is SecurityStatus.SEC_E_MESSAGE_ALTERED
    good = other.wrap(b"question", True)
    with pytest.raises(SaslError, match="close the connection"):
        own.layer.unwrap(len(good).to_bytes(4) + good)


def test_a_clear_message_under_a_layer_with_confidentiality_is_refused(peer: Any) -> None:
    own, other = server(), peer.GssapiClient()
    until_offer(own, other)
    own.step(other.wrap(word(4, 65536)))
    assert own.layer is not None
    sent = other.wrap(b"question", False)
    with pytest.raises(SaslError) as caught:
        own.layer.unwrap(len(sent).to_bytes(4) + sent)
    assert caught.value.status is SecurityStatus.SEC_E_MESSAGE_ALTERED


@pytest.mark.parametrize(("mask", "size"), [(2, 28), (4, 60), (4, 0)])
def test_a_size_that_the_frame_alone_fills_is_refused(peer: Any, mask: int, size: int) -> None:
    strict = Policy(min_peer_buffer=0, tolerances=Tolerances.NONE)
    own, other = server(policy=strict), peer.GssapiClient()
    until_offer(own, other)
    with pytest.raises(SaslError) as caught:
        own.step(other.wrap(word(mask, size)))
    assert caught.value.status is SecurityStatus.SEC_E_QOP_NOT_SUPPORTED
    roomy, other = server(policy=strict), peer.GssapiClient()
    until_offer(roomy, other)
    roomy.step(other.wrap(word(mask, 61)))
    assert roomy.layer is not None
    assert roomy.layer.max_payload == 61 - (28 if mask == 2 else 60)


def test_a_layer_with_a_size_of_0_carries_what_we_take_ourselves(peer: Any) -> None:
    own, other = server(), peer.GssapiClient()
    other.unwrap(until_offer(own, other))
    own.step(other.wrap(word(4, 0)))
    assert own.layer is not None
    assert own.security.tolerances == ("LAYER_WITHOUT_SIZE",)
    assert other.unwrap(own.layer.wrap(b"x" * 1000)[4:]) == (b"x" * 1000, True)


@pytest.mark.requirement("RFC4752-3.2-05")
@pytest.mark.parametrize("target", [b"imap@localhost", f"{STRANGER.replace('/', '@')}".encode()])
def test_a_ticket_for_another_service_or_host_is_refused(peer: Any, target: bytes) -> None:
    with pytest.raises(SaslError) as caught:
        server().step(peer.GssapiClient(target=target).step())
    assert caught.value.status is SecurityStatus.SEC_E_WRONG_PRINCIPAL
    assert caught.value.requirement == "RFC4752-3.2-05"


@pytest.mark.requirement("RFC4752-3-02")
def test_a_corrupt_token_fails(peer: Any) -> None:
    token = bytearray(peer.GssapiClient().step())
    token[-1] ^= 1
    own = server()
    with pytest.raises(SaslError) as caught:
        own.step(bytes(token))
    assert caught.value.status is SecurityStatus.SEC_E_LOGON_DENIED
    assert not own.done


@pytest.mark.requirement("RFC4752-3.2-03", "RFC4752-3.2-04")
def test_kerberos_inside_spnego_is_not_gssapi(peer: Any) -> None:
    gss = peer.gss
    name = gss.import_name(b"ldap@localhost", gss.NameType.hostbased_service)
    spnego = gss.OID.from_int_seq("1.3.6.1.5.5.2")
    token = gss.init_sec_context(name, mech=spnego, flags=peer.FLAGS).token
    with pytest.raises(SaslError) as caught:
        server().step(token)
    assert caught.value.requirement == "RFC4752-3.2-04"


@pytest.mark.parametrize(
    ("sent", "policy", "bound"),
    [
        (None, ChannelBindingPolicy.ALLOW, ""),
        (BINDINGS, ChannelBindingPolicy.ALLOW, "tls-unique"),
        (BINDINGS, ChannelBindingPolicy.NONE, ""),
        (BINDINGS, ChannelBindingPolicy.REQUIRE, "tls-unique"),
        (None, ChannelBindingPolicy.REQUIRE, None),
        (ChannelBindings.tls_unique(b"another"), ChannelBindingPolicy.ALLOW, None),
        (ChannelBindings.tls_unique(b"another"), ChannelBindingPolicy.REQUIRE, None),
        (ChannelBindings.tls_unique(b"another"), ChannelBindingPolicy.NONE, ""),
    ],
)
@pytest.mark.requirement("SSPI-ASC-13")
def test_bindings_of_the_librarys_client_are_checked_as_the_policy_says(
    peer: Any, sent: ChannelBindings | None, policy: ChannelBindingPolicy, bound: str | None
) -> None:
    theirs = None if sent is None else peer.gss.ChannelBindings(application_data=sent.application_data)
    own = server(bindings=BINDINGS, policy=Policy(channel_binding=policy))
    other = peer.GssapiClient(bindings=theirs)
    if bound is None:
        with pytest.raises(SaslError) as caught:
            own.step(other.step())
        assert caught.value.status is SecurityStatus.SEC_E_BAD_BINDINGS
        return
    until_offer(own, other)
    own.step(other.wrap(word(1, 0)))
    assert own.security.channel_binding == bound


# The gssapi library as server


@pytest.mark.parametrize(("mask", "qop"), [(1, "auth"), (2, "auth-int"), (4, "auth-conf")])
@pytest.mark.requirement("RFC4752-3.1-06", "RFC4752-3.1-08", "RFC4752-3.1-12", "RFC4752-3.3-01")
def test_our_client_takes_each_layer_of_a_server_by_the_book(peer: Any, mask: int, qop: str) -> None:
    own, other = client(authzid="bob"), peer.GssapiServer()
    until_layer(own, other)
    offer = other.wrap(word(mask, 4096 if mask > 1 else 0))
    copy = bytes(bytearray(offer))
    choice = own.step(offer)
    assert choice is not None
    assert offer == copy  # the library opens messages where they lie, and this one is the caller's
    plain, encrypted = other.unwrap(choice)
    assert (plain, encrypted) == (word(mask, 65536 if mask > 1 else 0) + b"bob", False)
    own.succeed()
    assert (own.security.qop, own.security.ssf) == (qop, QOPS[qop])
    if mask > 1:
        assert own.layer is not None
        wire = own.layer.wrap(b"question")
        assert other.unwrap(wire[4:]) == (b"question", mask == 4)
        answer = other.wrap(b"answer", mask == 4)
        assert own.layer.unwrap(len(answer).to_bytes(4) + answer) == b"answer"


@pytest.mark.requirement("RFC4752-3.1-01", "RFC4752-3.1-02", "RFC4752-3.1-03", "RFC4752-3.1-04", "RFC4752-3.1-05")
@pytest.mark.parametrize(("policy", "flags"), [(Policy(max_ssf=0), 0x22), (Policy(max_ssf=1), 0x2E), (Policy(), 0x3E)])
def test_the_server_sees_the_flags_and_the_host_based_name_that_the_rfc_asks_for(
    peer: Any, policy: Policy, flags: int
) -> None:
    own, other = client(policy=policy), peer.GssapiServer()
    until_layer(own, other)
    assert other.granted & 0x3E == flags
    assert other.user == f"alice@{REALM}"
    named = peer.gss.inquire_context(other.context).target_name
    assert peer.gss.display_name(named, False).name == f"ldap/localhost@{REALM}".encode()


@pytest.mark.requirement("RFC4752-3-03")
@pytest.mark.parametrize("how", ["altered", "skipped"])
def test_an_offer_that_is_not_the_servers_next_message_ends_the_exchange(peer: Any, how: str) -> None:
    own, other = client(), peer.GssapiServer()
    until_layer(own, other)
    offer = bytearray(other.wrap(word(7, 65536)))
    if how == "altered":
        offer[-1] ^= 1
    else:
        offer = bytearray(other.wrap(word(7, 65536)))
    with pytest.raises(SaslError) as caught:
        own.step(bytes(offer))
    assert caught.value.status in (SecurityStatus.SEC_E_MESSAGE_ALTERED, SecurityStatus.SEC_E_OUT_OF_SEQUENCE)
    with pytest.raises(SaslError):
        own.succeed()
    assert not own.done


# OpenJDK


@pytest.mark.parametrize("qop", QOPS)
def test_openjdks_client_gets_each_layer_of_our_server(kdc: Kdc, qop: str) -> None:
    own = server(policy=Policy(tolerances=Tolerances.NONE), authority=MemoryAuthority([Account(username="alice")]))
    with java_peer(kdc, "client", qop) as java:
        while True:
            reply = own.step(java.receive())
            if own.done:
                break
            assert reply is not None
            java.send(reply)
        assert java.done() == [qop]
        assert (own.security.qop, own.security.ssf) == (qop, QOPS[qop])
        if own.layer is not None:
            wire = java.wrap(b"from Java")
            assert own.layer.unwrap(len(wire).to_bytes(4) + wire) == b"from Java"
            assert java.unwrap(own.layer.wrap(b"to Java")[4:]) == b"to Java"


@pytest.mark.parametrize("qop", QOPS)
def test_our_client_takes_each_layer_of_openjdks_server(kdc: Kdc, qop: str) -> None:
    own = client()
    with java_peer(kdc, "server", qop) as java:
        message = own.start()
        while not own.done:
            java.send(message or b"")
            challenge = java.receive()
            assert challenge is not None
            message = own.step(challenge)
        java.send(message or b"")
        assert java.receive() is None
        assert java.done() == [qop, f"alice@{REALM}"]
        assert own.security.qop == qop
        # OpenJDK names a size of 65,536 where it offers no layer.
        assert own.security.tolerances == (("SIZE_WITHOUT_LAYER",) if qop == "auth" else ())
        if own.layer is not None:
            wire = java.wrap(b"from Java")
            assert own.layer.unwrap(len(wire).to_bytes(4) + wire) == b"from Java"
            assert java.unwrap(own.layer.wrap(b"to Java")[4:]) == b"to Java"
