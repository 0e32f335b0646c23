"""Searches: scopes, filters, selections, limits, and what the root DSE says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from saslsspi.der import context, element, octet_string, sequence
from saslsspi.testbed.ldap.server import LdapServer, Limits
from testbed.ldap_fixtures import ENTRIES, SUFFIX, ldap_server
from testbed.raw_ldap import (
    BAD_DN,
    DONE,
    NO_OBJECT,
    PROTOCOL_ERROR,
    SIZE_LIMIT,
    STRONGER_AUTH,
    SUCCESS,
    UNWILLING,
    WHO_AM_I,
    RawLdap,
    equals,
    extended,
    present,
    request,
    search,
)

MANY = f"ou=many,{SUFFIX}"


@pytest.fixture
def bound(ldap: LdapServer) -> Iterator[RawLdap]:
    with RawLdap(ldap.port) as raw:
        raw.sasl()
        yield raw


def names(bound: RawLdap, operation: bytes) -> list[str]:
    entries, result = bound.find(operation)
    assert result.code == SUCCESS
    return [entry.dn for entry in entries]


def test_search_needs_a_bind_unless_the_server_says_otherwise(raw: RawLdap) -> None:
    assert raw.find(search(SUFFIX))[1].code == STRONGER_AUTH
    with ldap_server(anonymous_search=True, entries=1) as server, RawLdap(server.port) as anonymous:
        assert len(names(anonymous, search(SUFFIX))) == 4


@pytest.mark.parametrize(
    ("base", "scope", "count"),
    [
        (SUFFIX, 0, 1),
        (SUFFIX, 1, 2),
        (SUFFIX, 2, ENTRIES + 3),
        (MANY, 0, 1),
        (MANY, 1, ENTRIES),
        (MANY, 2, ENTRIES + 1),
        (f"UID=ENTRY00007, ou=Many,{SUFFIX}", 2, 1),
        (f"uid=entry00007,{MANY}", 1, 0),
    ],
)
def test_scope_says_how_far_a_search_looks(bound: RawLdap, base: str, scope: int, count: int) -> None:
    assert len(names(bound, search(base, scope=scope))) == count


@pytest.mark.parametrize("base", [f"uid=nobody,{MANY}", f"cn=a,uid=nobody,{MANY}"])
def test_missing_base_names_what_there_is_above(bound: RawLdap, base: str) -> None:
    entries, result = bound.find(search(base))
    assert (entries, result.code, result.matched) == ([], NO_OBJECT, MANY)


def test_foreign_base_and_no_name_at_all_are_errors(bound: RawLdap) -> None:
    assert bound.find(search("dc=elsewhere"))[1].code == NO_OBJECT
    assert bound.find(search("no name"))[1].code == BAD_DN


def substrings(attribute: str, *pieces: tuple[int, str]) -> bytes:
    encoded = [element(tag, piece.encode()) for tag, piece in pieces]
    return element(context(4), octet_string(attribute.encode()), sequence(*encoded))


FILTERS = {
    "equality": (equals("uid", "entry00007"), 1),
    "equality, folded": (equals("CN", "  ENTRY   7 "), 1),
    "approximate": (equals("uid", "entry00007", 8), 1),
    "no such value": (equals("uid", "none"), 0),
    "no such attribute": (equals("colour", "red"), 0),
    "present": (present("employeeNumber"), ENTRIES),
    "not present": (element(context(2), present("employeeNumber")), 1),
    "not an unknown attribute": (element(context(2), equals("colour", "red")), 0),
    "at least, as numbers": (equals("employeeNumber", "290", 5), 10),
    "at most, as numbers": (equals("employeeNumber", "9", 6), 10),
    "at least, as text": (equals("uid", "entry00298", 5), 2),
    "initial": (substrings("uid", (0x80, "entry0000")), 10),
    "final": (substrings("uid", (0x82, "99")), 3),
    "any": (substrings("uid", (0x81, "0011")), 10 + 1),
    "all pieces": (substrings("uid", (0x80, "ENTRY"), (0x81, "0"), (0x81, "1"), (0x82, "7")), 10 + 3 + 1 - 2),
    "pieces that overlap": (substrings("uid", (0x80, "entry00007"), (0x82, "7")), 0),
    "and": (element(context(0), equals("sn", "entry"), equals("uid", "entry00007")), 1),
    "or": (element(context(1), equals("uid", "entry00007"), equals("uid", "entry00008")), 2),
    "and of nothing": (element(context(0)), ENTRIES + 1),
    "or of nothing": (element(context(1)), 0),
    "nested": (
        element(
            context(0),
            substrings("uid", (0x80, "entry0000")),
            element(context(2), element(context(1), equals("uid", "entry00001"), equals("uid", "entry00002"))),
        ),
        8,
    ),
    "or with an unknown part": (element(context(1), equals("colour", "red"), equals("uid", "entry00007")), 1),
    "and with an unknown part": (element(context(0), equals("colour", "red"), equals("uid", "entry00007")), 0),
    "matching rule": (element(context(9), element(0x81, b"2.5.13.2"), element(0x83, b"x")), 0),
    "operational attribute": (equals("entryDN", f"uid=entry00007,{MANY}"), 1),
    "huge number": (equals("employeeNumber", "9" * 20000, 5), 0),
}


@pytest.mark.parametrize(("filter_", "count"), FILTERS.values(), ids=FILTERS.keys())
def test_filter_selects(bound: RawLdap, filter_: bytes, count: int) -> None:
    assert len(names(bound, search(MANY, filter_=filter_))) == count


@pytest.mark.parametrize(
    "filter_",
    [
        substrings("uid", (0x82, "a"), (0x80, "b")),
        substrings("uid", (0x80, "a"), (0x80, "b")),
        substrings("uid", (0x83, "a")),
        element(context(4), octet_string(b"uid"), octet_string(b"not a sequence")),
    ],
)
def test_substrings_out_of_order_are_a_protocol_error(bound: RawLdap, filter_: bytes) -> None:
    bound.start(search(MANY, filter_=filter_))
    answer = bound.receive()
    assert answer is not None
    assert (answer.id, answer.code) == (0, PROTOCOL_ERROR)


@pytest.mark.parametrize(
    ("attributes", "returned"),
    [
        (("cn", "UID"), {"uid", "cn"}),
        (("1.1",), set()),
        (("+",), {"entryDN"}),
        (("*",), {"objectClass", "uid", "cn", "sn", "employeeNumber", "mail", "description"}),
        (("*", "entrydn"), {"objectClass", "uid", "cn", "sn", "employeeNumber", "mail", "description", "entryDN"}),
        (("colour",), set()),
    ],
)
def test_selection_says_which_attributes_come(bound: RawLdap, attributes: tuple[str, ...], returned: set[str]) -> None:
    entries, _ = bound.find(search(f"uid=entry00007,{MANY}", scope=0, attributes=attributes))
    assert entries[0].attributes.keys() == returned


def test_values_come_unless_only_types_are_wanted(bound: RawLdap) -> None:
    base = f"uid=entry00007,{MANY}"
    assert bound.find(search(base, attributes=("cn",)))[0][0].attributes == {"cn": ["Entry 7"]}
    assert bound.find(search(base, attributes=("cn",), types_only=True))[0][0].attributes == {"cn": []}


def test_size_limits_of_client_and_server_hold(bound: RawLdap) -> None:
    entries, result = bound.find(search(MANY, size_limit=10))
    assert (len(entries), result.code) == (10, SIZE_LIMIT)
    assert bound.find(search(MANY, scope=1, size_limit=ENTRIES))[1].code == SUCCESS
    with ldap_server(limits=Limits(entries=5)) as server, RawLdap(server.port) as raw:
        raw.sasl()
        assert len(raw.find(search(MANY))[0]) == 5
        assert len(raw.find(search(MANY, size_limit=3))[0]) == 3


def test_ten_thousand_entries_come_in_one_search() -> None:
    with ldap_server(entries=10_000) as server, RawLdap(server.port) as raw:
        raw.sasl()
        assert len(set(names(raw, search(MANY, scope=1, attributes=("uid",))))) == 10_000


def test_abandoned_search_stops_without_a_result() -> None:
    with ldap_server(entries=10_000) as server, RawLdap(server.port) as raw:
        raw.sasl()
        raw.send(request(50, search(SUFFIX)) + request(51, element(0x50, b"\x32")) + request(52, extended(WHO_AM_I)))
        answer, seen = raw.receive(), 0
        while answer is not None and answer.id == 50:
            assert answer.tag != DONE
            seen += 1
            answer = raw.receive()
        assert answer is not None
        assert answer.id == 52
        assert seen < 10_000
        assert raw.who_am_i() == "u:alice", "nothing of the search comes later"


def test_abandoning_what_is_not_there_has_no_effect(bound: RawLdap) -> None:
    bound.start(element(0x50, b"\x63"))
    assert bound.who_am_i() == "u:alice"


def test_unbind_ends_the_connection(bound: RawLdap) -> None:
    bound.start(element(0x42))
    assert bound.ended()


@pytest.mark.parametrize(("tag", "response"), [(0x66, 0x67), (0x68, 0x69), (0x4A, 0x6B), (0x6C, 0x6D), (0x6E, 0x6F)])
def test_what_changes_or_compares_is_refused_in_its_own_response(bound: RawLdap, tag: int, response: int) -> None:
    answer = bound.ask(element(tag))
    assert (answer.tag, answer.code) == (response, UNWILLING)


def test_unknown_extended_operation_and_a_value_too_many_are_protocol_errors(bound: RawLdap) -> None:
    for operation in (extended("1.2.3.4"), extended(WHO_AM_I, b""), extended("no oid")):
        answer = bound.ask(operation)
        assert (answer.code, answer.name) == (PROTOCOL_ERROR, None)


@pytest.mark.requirement("LDAP4513-5.2.1.5-01", "LDAP4513-5.2.1.5-02")
def test_root_dse_tells_everybody_what_the_server_is(raw: RawLdap) -> None:
    entries, result = raw.find(search("", scope=0, attributes=("+",)))
    assert result.code == SUCCESS
    (dse,) = entries
    assert dse.dn == ""
    assert dse.attributes["namingContexts"] == [SUFFIX]
    assert dse.attributes["supportedLDAPVersion"] == ["3"]
    assert dse.attributes["supportedExtension"] == [WHO_AM_I]
    assert {"DIGEST-MD5", "PLAIN"} <= set(dse.attributes["supportedSASLMechanisms"])
    assert "EXTERNAL" not in dse.attributes["supportedSASLMechanisms"]
    assert raw.find(search("", scope=0))[0][0].attributes.keys() == {"objectClass"}
    assert raw.find(search("", scope=0, filter_=equals("objectClass", "person")))[0] == []


def test_search_below_the_root_is_not_the_root_dse(bound: RawLdap) -> None:
    assert bound.find(search("", scope=2))[1].code == NO_OBJECT
