"""The real peers among themselves: what the harness says about them holds before our code meets them."""

import os
from collections.abc import Sequence

import pytest

from interop.gsasl import GsaslError, GsaslPeer, Qop, gsasl_client, gsasl_server
from interop.ldap_tools import LdapTool
from interop.people import ALICE, BOB, PEOPLE, Person
from interop.require import PEERS, missing_parts, require_peer
from interop.slapd import Slapd

pytestmark = pytest.mark.interop

INVALID_CREDENTIALS = 49
INSUFFICIENT_ACCESS = 50


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize(
    ("min_ssf", "max_ssf", "ssf"),
    [(0, 0, 0), (1, 1, 1), (40, 40, 40), (55, 55, 55), (56, 56, 56), (128, 128, 128)],
    ids=["auth", "auth-int", "rc4-40", "des", "rc4-56", "rc4"],
)
def test_ldapwhoami_gets_each_layer_of_slapd(slapd: Slapd, name: str, min_ssf: int, max_ssf: int, ssf: int) -> None:
    user = slapd.user(name)
    answer = LdapTool(person=user, min_ssf=min_ssf, max_ssf=max_ssf).whoami(slapd.url)
    assert (answer.identity, answer.ssf) == (user.dn, ssf), answer.diagnostics


@pytest.mark.parametrize("max_ssf", [0, 1, 128], ids=["auth", "auth-int", "auth-conf"])
def test_ldapsearch_reads_every_entry_of_slapd(slapd: Slapd, max_ssf: int) -> None:
    found = LdapTool(person=ALICE, max_ssf=max_ssf).search(slapd.url, slapd.many_base, scope="one", attributes=["uid"])
    assert found.ok, found.diagnostics
    assert len(set(found.dns)) == slapd.entries


def test_slapd_takes_start_tls_and_ldaps_with_its_certificate(slapd: Slapd) -> None:
    trusting = LdapTool(person=ALICE, ca_file=slapd.ca_file)
    assert trusting.whoami(slapd.tls_url).identity == slapd.user("alice").dn
    start_tls = LdapTool(person=ALICE, ca_file=slapd.ca_file, start_tls=True)
    assert start_tls.whoami(slapd.url).identity == slapd.user("alice").dn
    assert not LdapTool(person=ALICE).whoami(slapd.tls_url).ok


def test_slapd_refuses_a_wrong_password(slapd: Slapd) -> None:
    answer = LdapTool(person=Person("alice", "not hers")).whoami(slapd.url)
    assert (answer.result_code, answer.identity, answer.ssf) == (INVALID_CREDENTIALS, None, None)


def test_slapd_lets_alice_act_as_bob_and_not_the_other_way(slapd: Slapd) -> None:
    assert LdapTool(person=ALICE, authzid="u:bob").whoami(slapd.url).identity == slapd.user("bob").dn
    assert LdapTool(person=BOB, authzid="u:alice").whoami(slapd.url).result_code == INSUFFICIENT_ACCESS


def test_slapd_of_ones_own_obeys_its_security_properties_and_leaves_nothing_behind() -> None:
    with Slapd(sasl_secprops="minssf=56,maxssf=56", debug="stats") as server:
        assert LdapTool(person=ALICE).whoami(server.url).ssf == 56
        assert not LdapTool(person=ALICE, max_ssf=1).whoami(server.url).ok
        assert "BIND" in server.log()
        slapd_pid = int((server.folder / "slapd.pid").read_text(encoding="ascii"))
    assert not server.folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(slapd_pid, 0)


def _exchange(client: GsaslPeer, server: GsaslPeer) -> None:
    token = client.step(server.step())
    assert client.step(server.step(token)) == b""
    assert client.done
    assert server.done


@pytest.mark.parametrize("name", PEOPLE)
@pytest.mark.parametrize("qop", Qop)
def test_gnu_sasl_client_and_server_exchange_messages(name: str, qop: Qop) -> None:
    with gsasl_client(person=PEOPLE[name], qop=qop) as client, gsasl_server(person=PEOPLE[name]) as server:
        _exchange(client, server)
        for data in (b"first", b"second"):
            assert server.decode(client.encode(data)) == data
            assert client.decode(server.encode(data)) == data


def test_gnu_sasl_refuses_an_altered_message() -> None:
    with gsasl_client(qop=Qop.AUTH_INT) as client, gsasl_server() as server:
        _exchange(client, server)
        wrapped = bytearray(client.encode(b"data"))
        wrapped[4] ^= 1
        with pytest.raises(GsaslError, match="GSASL_INTEGRITY_ERROR"):
            server.decode(bytes(wrapped))


def test_gnu_sasl_refuses_a_wrong_password() -> None:
    with gsasl_client(person=Person("alice", "not hers")) as client, gsasl_server() as server:
        token = client.step(server.step())
        with pytest.raises(GsaslError, match="GSASL_AUTHENTICATION_ERROR"):
            server.step(token)


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)], ids=["CI", "elsewhere"]
)
def test_missing_peer_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr("interop.require.find_program", lambda _name: None)
    with pytest.raises(outcome, match="slapd is not here"):
        require_peer("slapd")


def test_present_peer_is_neither_skipped_nor_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    present: Sequence[str] = [peer for peer in PEERS if not missing_parts(peer)]
    require_peer(*present)
