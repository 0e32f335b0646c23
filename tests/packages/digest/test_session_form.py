"""Sessions as servers share them: written down and read again exactly, and read from nothing else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import Account, InvalidToken
from saslsspi.accounts.nonces import KeptSession, NonceRecord
from saslsspi.packages.digest.http.algorithms import ALGORITHMS
from saslsspi.packages.digest.http.remembered import ServerSession
from saslsspi.packages.digest.sasl.remembered import RememberedClient, VerifiedIdentity

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
ACCOUNTS = st.none() | st.builds(
    Account,
    username=TEXT,
    realm=TEXT,
    domain=TEXT,
    may_act_as=st.frozensets(TEXT, max_size=3),
    groups=st.lists(TEXT, max_size=3).map(tuple),
)
HTTP = st.builds(
    ServerSession,
    algorithm=st.sampled_from(sorted(ALGORITHMS.values())),
    ha1=st.binary(),
    username=TEXT,
    wire_name=st.binary(),
    realm=st.binary(),
    account=ACCOUNTS,
    tolerances=st.integers(0, 1 << 40),
)
MAYBE = st.none() | st.binary()
SASL = st.builds(
    RememberedClient,
    username=st.binary(),
    realm=MAYBE,
    cnonce=st.binary(),
    qop=MAYBE,
    authzid=MAYBE,
    served_realm=TEXT,
    ha1=st.binary(),
    identity=st.builds(VerifiedIdentity, TEXT, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple), ACCOUNTS),
)


@given(HTTP | SASL)
def test_what_was_written_is_read(session: ServerSession | RememberedClient) -> None:
    octets = session.to_bytes()
    assert type(session).from_bytes(octets) == session
    assert NonceRecord(1.0, octets, "alice@r").session_as(type(session)) == session


@given(HTTP, SASL)
def test_one_kind_is_not_read_as_the_other(http: ServerSession, sasl: RememberedClient) -> None:
    pairs: list[tuple[KeptSession, type[KeptSession]]] = [(http, RememberedClient), (sasl, ServerSession)]
    for session, other in pairs:
        assert NonceRecord(1.0, session.to_bytes(), "").session_as(other) is None
        assert NonceRecord(1.0, session, "").session_as(other) is None


def a_session() -> dict[str, object]:
    account = Account(username="alice", password="wonderland", groups=("tea",))
    session = ServerSession(ALGORITHMS[b"md5"], b"00" * 16, "alice", b"alice", b"r", account.shown)
    read: dict[str, object] = json.loads(session.to_bytes())
    return read


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"form": "digest-md5"},
        {"more": 1},
        {"algorithm": "SHA-3"},
        {"ha1": "zz"},
        {"ha1": 5},
        {"tolerances": True},
        {"tolerances": "1"},
        {"username": None},
        {"account": {"username": "alice"}},
        {"account": []},
        {"account": {"username": "a", "realm": "", "domain": "", "may_act_as": "bob", "groups": []}},
        {"account": {"username": "a", "realm": "", "domain": "", "may_act_as": [], "groups": [1]}},
    ],
)
def test_anything_else_is_no_session(change: dict[str, object]) -> None:
    read = a_session()
    ServerSession.from_bytes(json.dumps(read).encode())
    with pytest.raises(InvalidToken):
        ServerSession.from_bytes(json.dumps(read | change).encode())


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 60000, b" " * 70000])
def test_no_octets_do_more_than_be_refused(octets: bytes) -> None:
    with pytest.raises(InvalidToken):
        ServerSession.from_bytes(octets)


def test_no_password_is_written_down() -> None:
    assert b"wonderland" not in json.dumps(a_session()).encode()
