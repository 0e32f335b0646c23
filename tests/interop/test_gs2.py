"""GS2-KRB5 beside Cyrus SASL (OpenLDAP's tools and server), GNU SASL, and the `gssapi` library by the book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interop.gsasl import gsasl_client, gsasl_server
from interop.kdc import REALM, Kdc
from interop.ldap_tools import LdapTool
from interop.people import ALICE
from interop.require import require_peer
from interop.slapd import Slapd
from saslsspi import (
    Account,
    BadBindings,
    ChannelBindingPolicy,
    ChannelBindings,
    Client,
    DowngradeDetected,
    InvalidToken,
    LogonDenied,
    MemoryAuthority,
    MutualAuthFailed,
    Policy,
    SaslError,
    Server,
)
from saslsspi.adapters.ldap import Connection
from saslsspi.der import element, oid
from saslsspi.errors import NoImpersonation
from saslsspi.sasl.acceptance import choose, offer
from saslsspi.testbed import loopback
from saslsspi.testbed.ldap.server import Bound, LdapServer

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore:ssl.match_hostname:DeprecationWarning"),  # ldap3's, before Python 3.12
]

UNIQUE = ChannelBindings.tls_unique(b"this channel")
EXPORTER = ChannelBindings.tls_exporter(b"e" * 32)
OTHER = ChannelBindings.tls_unique(b"another channel")
KRB5 = oid("1.2.840.113554.1.2.2")
AUTHORITY = MemoryAuthority([Account(username="alice", may_act_as=frozenset({"a,b=c"})), Account(username="bob")])
Change = Callable[[bytes], bytes]


@pytest.fixture(autouse=True)
def alice(kdc: Kdc) -> Iterator[None]:
    require_peer("gssapi")
    with kdc.as_user(ALICE):
        yield


def client(plus: str = "", **options: Any) -> Client:
    return Client(f"GS2-KRB5{plus}", service="ldap", host="localhost", **options)


def server(plus: str = "", **options: Any) -> Server:
    options = {"authority": AUTHORITY, **options}
    return Server(f"GS2-KRB5{plus}", service="ldap", host="localhost", **options)


def exchange(ours: Client, theirs: Server, change: Change = bytes) -> bytes:
    """Run an exchange of two messages, and return the first as the server got it."""
    first = change(ours.start() or b"")
    ours.succeed(theirs.step(first))
    return first


# Both ends ours


@pytest.mark.requirement("RFC5801-3.4-01", "RFC5801-4-07", "RFC5801-12-01")
def test_two_messages_and_no_layer() -> None:
    ours, theirs = client(), server()
    assert ours.mechanism.name == "GS2-KRB5"
    first = exchange(ours, theirs)
    assert first.startswith(b"n,,\x01\x00\x6e")  # the AP-REQ's token identifier, and no frame before it
    for side in (ours, theirs):
        assert (side.done, side.layer, side.security.ssf, side.security.qop) == (True, None, 0, "auth")
    assert (theirs.security.authcid, theirs.security.realm) == ("alice", REALM)
    assert (theirs.security.channel_binding, ours.security.channel_binding) == ("", "")


@pytest.mark.requirement("RFC5801-5.2-01", "RFC5801-5.2-02")
@pytest.mark.parametrize("bindings", [UNIQUE, EXPORTER], ids=lambda one: one.type_name)
def test_the_client_says_by_which_bindings(bindings: ChannelBindings) -> None:
    ours = client("-PLUS", bindings=bindings)
    theirs = server("-PLUS", bindings=[UNIQUE, EXPORTER])
    assert exchange(ours, theirs).startswith(f"p={bindings.type_name},,".encode())
    assert theirs.security.channel_binding == ours.security.channel_binding == bindings.type_name


@pytest.mark.requirement("RFC5801-5.2-02")
@pytest.mark.parametrize(
    ("given", "status"),
    [([OTHER], BadBindings), ([EXPORTER], BadBindings)],
    ids=["another channel", "a type that the server has not"],
)
def test_bindings_that_do_not_match_let_nobody_in(given: list[ChannelBindings], status: type[SaslError]) -> None:
    theirs = server("-PLUS", bindings=given)
    with pytest.raises(status):
        exchange(client("-PLUS", bindings=UNIQUE), theirs)
    assert not theirs.done


def _flag(old: bytes, new: bytes) -> Change:
    def change(message: bytes) -> bytes:
        assert message.startswith(old)
        return new + message[len(old) :]

    return change


@pytest.mark.requirement("RFC5801-5.1-02")
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"n,,", b"n,a=bob,"), (b"y,,", b"n,,"), (b"n,,", b"y,,"), (b"p=tls-unique,,", b"p=tls-unique,a=bob,")],
)
def test_a_header_that_was_changed_on_the_way_lets_nobody_in(old: bytes, new: bytes) -> None:
    plus = "-PLUS" if old.startswith(b"p") else ""
    theirs = server(plus, bindings=UNIQUE if plus else None)
    with pytest.raises(BadBindings):
        exchange(client(plus, bindings=None if old == b"n,," else UNIQUE), theirs, _flag(old, new))
    assert not theirs.done


@pytest.mark.requirement("RFC5801-5-04", "RFC5801-5-07")
def test_a_client_with_bindings_says_y_and_a_server_that_has_plus_refuses() -> None:
    assert exchange(client(bindings=UNIQUE), server()).startswith(b"y,,")
    with pytest.raises(DowngradeDetected):
        exchange(client(bindings=UNIQUE), server(bindings=UNIQUE))


@pytest.mark.requirement("RFC5801-5-05")
def test_a_policy_on_bindings_is_obeyed() -> None:
    none, require = (Policy(channel_binding=one) for one in (ChannelBindingPolicy.NONE, ChannelBindingPolicy.REQUIRE))
    assert exchange(client(bindings=UNIQUE, policy=none), server()).startswith(b"n,,")
    for plus, options in (("-PLUS", {"bindings": UNIQUE, "policy": none}), ("-PLUS", {}), ("", {"policy": require})):
        with pytest.raises(BadBindings):
            client(plus, **options)
    theirs = server("-PLUS", bindings=UNIQUE, policy=require)
    exchange(client("-PLUS", bindings=UNIQUE, policy=require), theirs)
    assert theirs.security.channel_binding == "tls-unique"


@pytest.mark.requirement("RFC5801-7-03")
def test_an_authorization_identity_is_carried_with_its_escapes_and_checked() -> None:
    theirs = server()
    assert exchange(client(authzid="a,b=c"), theirs).startswith(b"n,a=a=2Cb=3Dc,")
    assert theirs.security.authzid == "a,b=c"
    with pytest.raises(NoImpersonation):
        exchange(client(authzid="bob"), server())


@pytest.mark.requirement("RFC5801-4-06")
def test_f_says_that_a_token_has_its_header_already() -> None:
    def whole(message: bytes) -> bytes:
        return b"F,n,," + element(0x60, KRB5, message.removeprefix(b"n,,"))

    theirs = server()
    exchange(client(), theirs, whole)
    assert theirs.security.authcid == "alice"
    with pytest.raises(SaslError):
        exchange(client(), server(), lambda message: b"F," + message)


@pytest.mark.requirement("RFC5801-6-01")
def test_a_client_without_an_initial_response_is_answered_by_an_empty_challenge() -> None:
    theirs, ours = server(), client()
    assert theirs.step(None) == b""
    exchange(ours, theirs)
    assert theirs.done


def test_somebody_whom_the_authority_does_not_know_is_refused() -> None:
    with pytest.raises(LogonDenied):
        exchange(client(), server(authority=MemoryAuthority({"bob": "builder"})))


def test_a_layer_that_a_policy_demands_is_not_to_be_had() -> None:
    with pytest.raises(DowngradeDetected, match="SSF 0, and 1 is required"):
        exchange(client(policy=Policy(min_ssf=1)), server())


@pytest.mark.requirement("RFC5801-5-03", "RFC5801-13.2-01")
def test_a_server_lists_both_where_it_can_bind_and_only_the_one_that_its_policy_lets_in() -> None:
    names = ("GSSAPI", "GS2-KRB5", "GS2-KRB5-PLUS")
    assert set(offer(Policy(), names, bindings=UNIQUE).names) == set(names)
    assert set(offer(Policy(), names).names) == {"GSSAPI", "GS2-KRB5"}
    require = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    assert "GS2-KRB5" not in offer(require, names, bindings=UNIQUE).names


@pytest.mark.requirement("RFC5801-13.3-02", "RFC5801-13.3-01")
def test_which_of_the_kerberos_mechanisms_a_client_takes() -> None:
    listed = ("GSSAPI", "GS2-KRB5", "GS2-KRB5-PLUS", "SPNEGO", "SPNEGO-PLUS")

    def taken(policy: Policy, bindings: ChannelBindings | None) -> str:
        return choose(listed, policy, bindings=bindings, credentials=None).mechanism.name

    assert taken(Policy(), UNIQUE) == "GS2-KRB5-PLUS"
    assert taken(Policy(min_ssf=1), UNIQUE) == "GSSAPI"
    assert taken(Policy(), None) == "GSSAPI"


# The gssapi library, by the book


def by_the_book(header: bytes, data: bytes = b"") -> Any:
    import gssapi.raw as gss

    from interop import kerberos_peer

    bindings = gss.ChannelBindings(application_data=header + data)
    return kerberos_peer.GssapiClient(flags=0x2, bindings=bindings)


def unframed(token: bytes) -> bytes:
    return token[token.index(KRB5) + len(KRB5) :]


@pytest.mark.requirement("RFC5801-5-06")
@pytest.mark.parametrize(
    ("plus", "header", "data", "policy"),
    [
        ("", b"p=tls-unique,,", UNIQUE.type_data, Policy()),
        ("-PLUS", b"n,,", b"", Policy()),
        ("-PLUS", b"p=tls-none,,", b"", Policy()),
        ("", b"n,,", b"", Policy(channel_binding=ChannelBindingPolicy.REQUIRE)),
    ],
    ids=["p without -PLUS", "n with it", "an unknown type", "n where bindings are required"],
)
def test_a_flag_that_does_not_fit_the_mechanism_is_refused_whatever_the_token_is_bound_to(
    plus: str, header: bytes, data: bytes, policy: Policy
) -> None:
    theirs = server(plus, bindings=UNIQUE, policy=policy)
    with pytest.raises(BadBindings):
        theirs.step(header + unframed(by_the_book(header, data).step()))


@pytest.mark.requirement("RFC5801-7-01", "RFC5801-7-02")
@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"N,,", b"n,,"),
        (b"x,,", b"n,,"),
        (b"", b"n,,"),
        (b"f,n,,", b"n,,"),
        (b"F,F,n,,", b"n,,"),
        (b"n,b=alice,", b"n,a=alice,"),
        (b"n,a=,", b"n,,"),
        (b"n,", b"n,,"),
        (b"n,a=al=69ce,", b"n,a=al=3D69ce,"),
        (b"n,a=alice\0,", b"n,a=alice,"),
        (b"n,a=\xff,", b"n,,"),
        (b"P=tls-unique,,", b"p=tls-unique,,"),
        (b"p=,,", b"n,,"),
    ],
)
def test_a_header_that_is_none_lets_nobody_in_whatever_the_token_is_bound_to(sent: bytes, meant: bytes) -> None:
    plus = "-PLUS" if meant.startswith(b"p") else ""
    token = unframed(by_the_book(meant, UNIQUE.type_data if plus else b"").step())
    right = server(plus, bindings=UNIQUE if plus else None)
    if b"=3D" not in meant:
        right.step(meant + token)
        assert right.done, "and with the right header it does"
        token = unframed(by_the_book(meant, UNIQUE.type_data if plus else b"").step())
    theirs = server(plus, bindings=UNIQUE if plus else None)
    with pytest.raises(InvalidToken):
        theirs.step(sent + token)
    assert not theirs.done


@pytest.mark.requirement("RFC5801-5.1-01")
def test_a_client_by_the_book_and_our_server() -> None:
    header = b"p=tls-unique,a=alice,"
    other, theirs = by_the_book(header, UNIQUE.type_data), server("-PLUS", bindings=UNIQUE)
    answer = theirs.step(header + unframed(other.step()))
    assert answer is not None
    other.step(answer)
    assert (theirs.done, theirs.security.channel_binding, theirs.security.authzid) == (True, "tls-unique", "alice")


@pytest.mark.requirement("RFC5801-5.1-01")
def test_a_token_that_is_bound_to_nothing_lets_nobody_in() -> None:
    from interop import kerberos_peer

    theirs = server()
    with pytest.raises(BadBindings):
        theirs.step(b"n,," + unframed(kerberos_peer.GssapiClient(flags=0x2).step()))


@pytest.mark.requirement("RFC5801-8-01", "RFC5801-4-05", "RFC5801-5.1-01")
def test_our_client_and_a_server_by_the_book() -> None:
    import gssapi.raw as gss

    ours = client("-PLUS", bindings=UNIQUE, authzid="alice")
    header, token = b"p=tls-unique,a=alice,", ours.start() or b""
    assert token.startswith(header)
    result = gss.accept_sec_context(
        element(0x60, KRB5, token.removeprefix(header)),
        gss.acquire_cred(None, usage="accept").creds,
        channel_bindings=gss.ChannelBindings(application_data=header + UNIQUE.type_data),
    )
    assert int(result.flags) & 0x2, "mutual authentication is asked for"
    assert not int(result.flags) & (0x4 | 0x10 | 0x20), "and no protection of messages"
    ours.step(result.token)
    ours.succeed()
    assert ours.done


@pytest.mark.requirement("RFC5801-8-03")
def test_a_server_that_proves_nothing_is_refused() -> None:
    ours = client()
    ours.start()
    with pytest.raises(MutualAuthFailed):
        ours.succeed()


def test_a_challenge_before_the_first_message_is_refused() -> None:
    with pytest.raises(InvalidToken):
        client().step(b"hello")


# GNU SASL


def test_gnu_sasls_client_and_our_server() -> None:
    theirs = server()
    with gsasl_client("GS2-KRB5", authzid="alice") as other:
        answer = theirs.step(other.step())
        assert answer is not None
        other.step(answer)
        assert (other.done, theirs.security.authcid) == (True, "alice")


def test_our_client_and_gnu_sasls_server() -> None:
    ours = client()
    with gsasl_server("GS2-KRB5") as other:
        ours.succeed(other.step(ours.start() or b""))
        assert (ours.done, other.done) == (True, True)


# Cyrus SASL


@pytest.fixture(scope="module")
def kerberos_slapd(kdc: Kdc) -> Iterator[Slapd]:
    require_peer("cyrus-gs2")
    with Slapd(environment=kdc.environment) as slapd:
        yield slapd


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "TLS"])
def test_our_connection_and_slapd(kerberos_slapd: Slapd, tls: bool) -> None:
    import ldap3

    url = kerberos_slapd.tls_url if tls else kerberos_slapd.url
    trusted = ldap3.Tls(ca_certs_file=str(kerberos_slapd.ca_file), validate=2)
    there = ldap3.Server(url, tls=trusted)
    with Connection(there, host="localhost", mechanism="GS2-KRB5") as connection:
        assert connection.extend.standard.who_am_i() == f"dn:{kerberos_slapd.user('alice').dn}"
        assert connection.security.mechanism == "GS2-KRB5"


def test_ldapwhoami_and_our_server(kdc: Kdc) -> None:
    require_peer("cyrus-gs2")
    bounds: list[Bound] = []
    environment = kdc.environment | {"KRB5CCNAME": kdc.tickets(ALICE)}
    tool = LdapTool(mechanism="GS2-KRB5", person=ALICE, environment=environment)
    with (
        kdc.inside(),
        loopback.running(LdapServer(authority=AUTHORITY, on_security=bounds.append)) as own,
    ):
        answer = tool.whoami(own.url)
    assert answer.output == "u:alice\n", answer.diagnostics
    assert bounds[0].method == "GS2-KRB5"
