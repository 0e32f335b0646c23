"""Binds, step by step: what each request is answered with, and who the session is afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from saslsspi import Account, MemoryAuthority, Policy
from saslsspi.der import element, integer, octet_string, sequence
from saslsspi.testbed.ldap.server import LdapServer
from testbed.ldap_fixtures import ALICE_DN, SUFFIX, ldap_server
from testbed.raw_ldap import (
    BAD_CREDENTIALS,
    BAD_DN,
    BIND_RESPONSE,
    CONFIDENTIALITY,
    CRITICAL_EXTENSION,
    DONE,
    IN_PROGRESS,
    INAPPROPRIATE,
    NO_METHOD,
    OPERATIONS_ERROR,
    PROTOCOL_ERROR,
    SUCCESS,
    UNWILLING,
    WHO_AM_I,
    RawLdap,
    digest_client,
    extended,
    request,
    sasl_bind,
    search,
    simple_bind,
)

# Simple binds


def test_simple_bind_makes_the_session_the_named_person(raw: RawLdap) -> None:
    answer = raw.ask(simple_bind(ALICE_DN, "wonderland"))
    assert (answer.code, raw.who_am_i()) == (SUCCESS, f"dn:{ALICE_DN}")


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        (ALICE_DN, "wrong", BAD_CREDENTIALS),
        (f"uid=nobody,ou=people,{SUFFIX}", "wonderland", BAD_CREDENTIALS),
        (f"uid=alice,ou=many,{SUFFIX}", "wonderland", BAD_CREDENTIALS),
        ("", "wonderland", BAD_CREDENTIALS),
        (ALICE_DN, "", UNWILLING),
        ("alice", "wonderland", BAD_DN),
        ("uid=alice\\", "wonderland", BAD_DN),
        (ALICE_DN, "won\0derland", BAD_CREDENTIALS),
    ],
)
def test_simple_bind_that_proves_nothing_is_refused(raw: RawLdap, name: str, password: str, code: int) -> None:
    assert raw.ask(simple_bind(name, password)).code == code
    assert raw.who_am_i() == ""


def test_anonymous_bind_succeeds_and_is_nobody(raw: RawLdap) -> None:
    raw.sasl()
    assert raw.ask(simple_bind()).code == SUCCESS
    assert raw.who_am_i() == ""


@pytest.mark.requirement("LDAP4513-5.2.1.5-04")
def test_password_in_clear_is_refused_unless_the_policy_permits_it() -> None:
    with ldap_server() as server, RawLdap(server.port) as raw:
        assert raw.ask(simple_bind(ALICE_DN, "wonderland")).code == CONFIDENTIALITY
        assert raw.ask(sasl_bind("PLAIN", b"\0alice\0wonderland")).code == CONFIDENTIALITY
        assert raw.sasl(policy=Policy(min_ssf=56)).code == SUCCESS
        assert raw.ask(simple_bind(ALICE_DN, "wonderland")).code == SUCCESS, "a layer encrypts it"


@pytest.mark.requirement("LDAP4511-4.2-01")
@pytest.mark.parametrize("version", [1, 2, 99, 127])
@pytest.mark.parametrize("bind", [simple_bind, lambda version: sasl_bind("DIGEST-MD5", version=version)])
def test_other_versions_of_ldap_are_a_protocol_error(raw: RawLdap, bind: Callable[..., bytes], version: int) -> None:
    assert raw.ask(bind(version=version)).code == PROTOCOL_ERROR


@pytest.mark.requirement("LDAP4511-4.2-05")
def test_unknown_method_is_not_supported(raw: RawLdap) -> None:
    bind = element(0x60, integer(3), octet_string(b""), element(0xA4, octet_string(b"?")))
    assert raw.ask(bind).code == NO_METHOD


# SASL binds


@pytest.mark.requirement("RFC4422-4-13")
@pytest.mark.requirement(
    "LDAP4511-4.2.2-01",
    "LDAP4511-4.2.2-05",
    "LDAP4513-5.2.1.2-03",
    "LDAP4513-5.2.1.2-05",
    "LDAP4513-5.2.1.2-10",
    "LDAP4513-5.2.1.2-11",
)
def test_digest_md5_goes_over_in_progress_to_success_with_data(raw: RawLdap) -> None:
    client = digest_client()
    challenge = raw.ask(sasl_bind("DIGEST-MD5"))
    assert challenge.code == IN_PROGRESS
    assert challenge.credentials is not None
    assert challenge.credentials.startswith(b'realm="example.test",nonce="'), "raw octets, no base64"
    assert element(0x87, challenge.credentials) in challenge.octets
    outcome = raw.ask(sasl_bind("DIGEST-MD5", client.step(challenge.credentials)))
    assert outcome.code == SUCCESS
    assert outcome.credentials is not None
    assert outcome.credentials.startswith(b"rspauth=")
    client.succeed(outcome.credentials)
    assert raw.who_am_i() == "u:alice"


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "wonderland")])
def test_wrong_digest_ends_the_exchange_without_data(raw: RawLdap, user: str, password: str) -> None:
    answer = raw.sasl(user=user, password=password)
    assert (answer.code, answer.credentials) == (BAD_CREDENTIALS, None)
    assert "SEC_E_LOGON_DENIED" in answer.text
    assert raw.who_am_i() == ""
    assert raw.sasl().code == SUCCESS, "the connection is as good as before"


@pytest.mark.requirement("LDAP4513-5.2.1.1-01")
def test_digest_uri_of_another_service_is_refused(raw: RawLdap) -> None:
    assert raw.sasl(service="imap").code == BAD_CREDENTIALS
    assert raw.sasl(service="ldap").code == SUCCESS


@pytest.mark.requirement("LDAP4511-4.2-03", "LDAP4513-5.2.1.2-07")
@pytest.mark.parametrize("name", ["", "cn=bogus", "no name at all"])
def test_name_beside_sasl_is_ignored(raw: RawLdap, name: str) -> None:
    client = digest_client()
    challenge = raw.ask(sasl_bind("DIGEST-MD5", name=name)).credentials
    assert challenge is not None
    assert raw.ask(sasl_bind("DIGEST-MD5", client.step(challenge), name=name)).code == SUCCESS
    assert raw.who_am_i() == "u:alice"


@pytest.mark.requirement("LDAP4513-5.2.2-01")
def test_user_name_that_looks_like_a_dn_is_a_plain_string(raw: RawLdap) -> None:
    assert raw.sasl(user="cn=a,dc=b", password="plain name").code == SUCCESS
    assert raw.who_am_i() == "u:cn=a,dc=b"


@pytest.mark.requirement("LDAP4511-4.2.1-08", "LDAP4513-5.2.1.2-09")
def test_empty_mechanism_aborts_and_a_new_bind_starts_over(raw: RawLdap) -> None:
    first = raw.ask(sasl_bind("DIGEST-MD5")).credentials
    assert raw.ask(sasl_bind("")).code == NO_METHOD
    again = raw.ask(sasl_bind("DIGEST-MD5"))
    assert again.code == IN_PROGRESS
    assert again.credentials != first


@pytest.mark.requirement("LDAP4511-4.2.1-07", "LDAP4513-5.2.1.2-08")
@pytest.mark.parametrize(
    ("other", "code"),
    [
        (sasl_bind("PLAIN", b"\0alice\0wonderland"), SUCCESS),
        (sasl_bind("NO-SUCH"), NO_METHOD),
        (simple_bind(ALICE_DN, "wonderland"), SUCCESS),
        (simple_bind(), SUCCESS),
    ],
)
def test_other_bind_in_the_middle_is_fresh_and_the_old_exchange_dead(raw: RawLdap, other: bytes, code: int) -> None:
    client = digest_client()
    challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
    assert challenge is not None
    assert raw.ask(other).code == code
    late = raw.ask(sasl_bind("DIGEST-MD5", client.step(challenge)))
    assert late.code == IN_PROGRESS, "a response to a dead challenge begins a new exchange, and proves nothing"
    assert raw.who_am_i() is None or raw.who_am_i() == ""


@pytest.mark.requirement("LDAP4511-4.2.1-06")
@pytest.mark.parametrize(
    ("operation", "tag"),
    [(search(SUFFIX), DONE), (extended(WHO_AM_I), 0x78), (element(0x4A, SUFFIX.encode()), 0x6B)],
)
def test_operation_between_the_stages_is_refused_and_aborts_the_bind(raw: RawLdap, operation: bytes, tag: int) -> None:
    client = digest_client()
    challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
    assert challenge is not None
    refused = raw.ask(operation)
    assert (refused.tag, refused.code) == (tag, OPERATIONS_ERROR)
    assert raw.ask(sasl_bind("DIGEST-MD5", client.step(challenge))).code == IN_PROGRESS, "a new exchange"


def test_abandon_between_the_stages_aborts_the_bind(raw: RawLdap) -> None:
    client = digest_client()
    challenge = raw.ask(sasl_bind("DIGEST-MD5")).credentials
    assert challenge is not None
    raw.start(element(0x50, b"\x01"))
    assert raw.ask(sasl_bind("DIGEST-MD5", client.step(challenge))).code == IN_PROGRESS, "a new exchange"


@pytest.mark.requirement("LDAP4511-4.2.1-04", "LDAP4511-4.2.1-05", "LDAP4513-5.2.1.7-01")
def test_the_last_of_several_binds_counts(raw: RawLdap) -> None:
    raw.sasl(user="alice", password="wonderland")
    raw.sasl(user="bob", password="builder")
    assert raw.who_am_i() == "u:bob"
    raw.sasl(user="alice", password="wrong")
    assert raw.who_am_i() == ""


@pytest.mark.requirement("RFC4422-4-09")
@pytest.mark.requirement("LDAP4511-4.2.2-04", "LDAP4513-5.2.1.3-04")
def test_mechanism_without_data_leaves_server_credentials_out(raw: RawLdap) -> None:
    answer = raw.ask(sasl_bind("PLAIN", b"\0alice\0wonderland"))
    assert (answer.code, answer.credentials) == (SUCCESS, None)
    assert raw.ask(simple_bind(ALICE_DN, "wonderland")).credentials is None


@pytest.mark.requirement("RFC4422-4-05", "RFC4422-4-06")
@pytest.mark.requirement("LDAP4513-5.2.1.3-02")
def test_empty_initial_response_is_not_an_absent_one(raw: RawLdap) -> None:
    absent = raw.ask(sasl_bind("PLAIN"))
    assert (absent.code, absent.credentials) == (IN_PROGRESS, b"")
    raw.ask(sasl_bind(""))
    assert raw.ask(sasl_bind("PLAIN", b"")).code == BAD_CREDENTIALS, "taken as PLAIN's message, and it is none"


@pytest.mark.requirement("LDAP4513-5.2.1.3-03")
def test_empty_credentials_for_a_server_first_mechanism_begin_it(raw: RawLdap) -> None:
    assert raw.ask(sasl_bind("DIGEST-MD5", b"")).code == IN_PROGRESS


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "DIGEST-MD5"])
def test_other_mechanisms_bind_too(raw: RawLdap, mechanism: str) -> None:
    assert raw.sasl(mechanism=mechanism).code == SUCCESS
    assert raw.who_am_i() == "u:alice"


@pytest.mark.requirement("RFC4422-3.8-05", "RFC4422-EXT-A.3-01")
@pytest.mark.requirement("LDAP4513-5.2.3-01", "LDAP4513-5.2.3-02")
def test_external_without_tls_is_inappropriate_and_leaves_nobody_and_the_layer(raw: RawLdap) -> None:
    raw.sasl(policy=Policy(min_ssf=1, max_ssf=1))
    assert raw.ask(sasl_bind("EXTERNAL", b"")).code == INAPPROPRIATE
    assert raw.who_am_i() == "", "answered under the layer"


def test_critical_control_is_refused(raw: RawLdap) -> None:
    control = element(0xA0, sequence(octet_string(b"1.2.3"), element(0x01, b"\xff")))
    assert raw.ask(simple_bind(), control).code == CRITICAL_EXTENSION
    assert raw.ask(extended(WHO_AM_I), control).code == CRITICAL_EXTENSION
    harmless = element(0xA0, sequence(octet_string(b"1.2.3"), octet_string(b"value")))
    assert raw.ask(simple_bind(), harmless).code == SUCCESS


# Whom the session acts as


@pytest.mark.requirement("RFC4422-3.4.1-04")
@pytest.mark.requirement("LDAP4513-5.2.1.8-02", "LDAP4513-5.2.1.8-04", "LDAP4513-5.2.3-04")
@pytest.mark.parametrize(
    ("user", "authzid"),
    [
        ("alice", "u:alice"),
        ("alice", "u:bob"),
        ("alice", "u:b\N{SOFT HYPHEN}ob"),  # SASLprep maps it to nothing
        ("alice", f"dn:{ALICE_DN}"),
        ("alice", "dn:UID = Alice, OU=People,  dc=EXAMPLE,DC=test"),
        ("alice", f"dn:CN=ad\\6din,{SUFFIX}"),
        ("bob", "u:alice"),  # listed without a prefix: both forms
        ("bob", f"dn:{ALICE_DN}"),
    ],
)
def test_authorization_identity_is_compared_as_ldap_says(raw: RawLdap, user: str, authzid: str) -> None:
    password = {"alice": "wonderland", "bob": "builder"}[user]
    assert raw.sasl(user=user, password=password, authzid=authzid).code == SUCCESS
    assert raw.who_am_i() == authzid


@pytest.mark.requirement("RFC4422-3.6-05", "RFC4422-EXT-A.1-10")
@pytest.mark.requirement("LDAP4513-5.2.1.8-05")
@pytest.mark.parametrize(
    "authzid", ["x:abc", "alice", "bob", "u:carol", "u:Alice", "dn:cn=bob", "dn:", "dn:bob", "u:", "U:bob", "u:\x07"]
)
def test_other_authorization_identities_are_invalid_credentials(raw: RawLdap, authzid: str) -> None:
    assert raw.sasl(authzid=authzid).code == BAD_CREDENTIALS
    assert raw.who_am_i() == ""


@pytest.mark.requirement("LDAP4513-5.2.1.8-05")
def test_an_identity_of_an_unknown_form_is_refused_even_where_the_authority_lists_it() -> None:
    people = MemoryAuthority([Account(username="alice", password="wonderland", may_act_as=frozenset({"x:abc"}))])
    with ldap_server(authority=people) as server, RawLdap(server.port) as raw:
        assert raw.sasl(authzid="x:abc").code == BAD_CREDENTIALS


@pytest.mark.parametrize("name", ["u:bob", f"dn:{ALICE_DN}", "u:bob@example.test"])
def test_a_user_whose_name_looks_like_an_identity_is_nobody_else(name: str) -> None:
    """Mechanisms take a user's own name for itself; what it means in LDAP is somebody else's."""
    people = MemoryAuthority([Account(username="bob", password="builder"), Account(username=name, password="mine")])
    with ldap_server(authority=people) as server, RawLdap(server.port) as raw:
        assert raw.sasl(user=name, password="mine").code == SUCCESS
        assert raw.who_am_i() == f"u:{name}"
        assert raw.sasl(user=name, password="mine", authzid=f"u:{name}").code == SUCCESS
        assert raw.sasl(user=name, password="mine", authzid=name).code == BAD_CREDENTIALS
        assert raw.who_am_i() == ""


def test_binds_of_many_clients_stay_apart(ldap: LdapServer) -> None:
    with RawLdap(ldap.port) as alice, RawLdap(ldap.port) as bob, RawLdap(ldap.port) as nobody:
        alice.sasl()
        bob.sasl(user="bob", password="builder")
        assert (alice.who_am_i(), bob.who_am_i(), nobody.who_am_i()) == ("u:alice", "u:bob", "")


@pytest.mark.requirement("LDAP4511-4.2.1-01")
def test_searches_are_completed_before_a_bind(raw: RawLdap) -> None:
    raw.sasl()
    raw.send(request(10, search(SUFFIX)) + request(11, search(SUFFIX)) + request(12, simple_bind()))
    tags = []
    while (answer := raw.receive()) is not None and answer.tag != BIND_RESPONSE:
        tags.append(answer.tag)
    assert answer is not None
    assert answer.id == 12
    assert tags.count(DONE) == 2
    assert raw.who_am_i() == "", "nothing of the searches comes behind the bind"
