"""Tickets and keytabs by name, packages with credentials of their own, what may be forwarded, and no integrity."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest

from interop.kdc import REALM, Kdc
from interop.people import ALICE, BOB
from saslsspi import Client, MemoryAuthority, NegotiatePolicy, NtHash, Password, PerPackage, Policy, Server, Tickets
from saslsspi.context import Context
from saslsspi.errors import (
    InvalidParameter,
    NoCredentials,
    PackageNotFound,
    QopNotSupported,
    SaslError,
    UnknownCredentials,
)
from saslsspi.packages.kerberos import KerberosDelegatedCredential
from saslsspi.packages.ntlm.keys import nt_hash
from saslsspi.sspi import AscReq, IscReq, IscRet, SecPkgContextFlags, SecPkgContextNegotiationInfo, TicketsIdentity

pytestmark = pytest.mark.interop

TARGET = "ldap/localhost"


def logged_on(client: Context, server: Context) -> Context:
    token = client.step()
    while not (client.done and server.done):
        token = server.step(token)
        if token is not None and not client.done:
            token = client.step(token)
    return server


def who(credentials: Tickets | PerPackage, package: str = "Kerberos") -> str:
    client = Context.initiate(package, target=TARGET, credentials=credentials)
    server = Context.accept(package, principal=TARGET, authority=MemoryAuthority({"alice": "wonderland", "bob": ""}))
    return logged_on(client, server).security.authcid


def keytab_of(kdc: Kdc, person: str) -> str:
    name = f"FILE:{kdc.folder}/{person}.keytab"
    if not Path(name.removeprefix("FILE:")).exists():
        kdc.kadmin(f"ktadd -norandkey -k {name.removeprefix('FILE:')} {person}")
    return name


def test_a_cache_by_name_and_not_the_process_s_own(kdc: Kdc) -> None:
    with kdc.as_user(BOB):
        before = os.environ["KRB5CCNAME"]
        assert who(Tickets(cache=kdc.tickets(ALICE))) == "alice"
        assert who(Tickets("alice", cache=kdc.tickets(ALICE))) == "alice"
        assert os.environ["KRB5CCNAME"] == before
        assert who(Tickets("bob")) == "bob"
        with pytest.raises(NoCredentials):
            who(Tickets("alice"))


def test_a_cache_of_somebody_else_or_of_nobody(kdc: Kdc) -> None:
    with kdc.as_user(BOB):
        with pytest.raises(NoCredentials):
            who(Tickets("bob", cache=kdc.tickets(ALICE)))
        with pytest.raises(NoCredentials):
            who(Tickets(cache=f"FILE:{kdc.folder}/nothing-is-here"))


def test_a_keytab_by_name_leaves_the_process_s_cache_alone(kdc: Kdc) -> None:
    with kdc.inside():
        assert who(Tickets("alice", keytab=keytab_of(kdc, "alice"))) == "alice"
        cache = f"FILE:{kdc.folder}/of-its-own"
        assert who(Tickets("alice", keytab=keytab_of(kdc, "alice"), cache=cache)) == "alice"
        assert Path(cache.removeprefix("FILE:")).exists()
        assert not Path(os.environ["KRB5CCNAME"].removeprefix("FILE:")).exists()
        with pytest.raises(NoCredentials):
            who(Tickets("bob", keytab=keytab_of(kdc, "alice")))


def test_the_mechanisms_take_tickets(kdc: Kdc) -> None:
    with kdc.inside():
        for mechanism in ("GSSAPI", "GSS-SPNEGO"):
            tickets = Tickets(cache=kdc.tickets(ALICE))
            client = Client(mechanism, service="ldap", host="localhost", credentials=tickets)
            server = Server(mechanism, service="ldap", host="localhost", authority=MemoryAuthority({"alice": "-"}))
            token = client.start()
            while not server.done:
                answer = server.step(token)
                token = client.step(answer) if answer is not None and not client.done else b""
            assert server.security.authcid == "alice"
        with pytest.raises((UnknownCredentials, PackageNotFound)):
            Client("NTLM", service="ldap", host="localhost", credentials=tickets).start()


def test_a_server_s_keytab_by_name(kdc: Kdc) -> None:
    with kdc.inside(KRB5_KTNAME="FILE:/nonexistent", KRB5CCNAME=kdc.tickets(ALICE)):
        client = Context.initiate("Kerberos", target=TARGET)
        server = Context.accept("Kerberos", credentials=TicketsIdentity(keytab=f"FILE:{kdc.keytab}"))
        assert logged_on(client, server).security.authcid == "alice"


@pytest.mark.parametrize(("offered", "wanted"), [("NTLM", "alice"), ("Kerberos", "bob")])
def test_each_package_of_negotiate_has_credentials_of_its_own(kdc: Kdc, offered: str, wanted: str) -> None:
    with kdc.inside():
        own = PerPackage({"kerberos": Tickets(cache=kdc.tickets(BOB)), "NTLM": NtHash("alice", nt_hash("wonderland"))})
        assert own.username == "alice"
        client = Context.initiate("Negotiate", target=TARGET, credentials=own)
        people = MemoryAuthority({"alice": "wonderland", "bob": "-"})
        server = Context.accept("Negotiate", principal=TARGET, authority=people, policy=only(offered))
        assert logged_on(client, server).security.authcid == wanted


def only(package: str) -> Policy:
    return Policy(negotiate=NegotiatePolicy(packages=package))


def test_a_package_without_credentials_is_not_offered(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        assert who(PerPackage({"NTLM": Password("alice", "wonderland")}), "Negotiate") == "alice"
        client = Context.initiate("Negotiate", target=TARGET, credentials=PerPackage({"NTLM": Password("a", "b")}))
        server = Context.accept("Negotiate", principal=TARGET, policy=only("kerberos"))
        with pytest.raises(SaslError, match="the client offers"):
            logged_on(client, server)
        assert who(PerPackage({"Kerberos": None}), "Negotiate") == "alice"
        both = Policy(negotiate=NegotiatePolicy(packages="kerberos,ntlm"))
        mine = PerPackage({"NTLM": Password("alice", "wonderland")})
        client = Context.initiate("Negotiate", target=TARGET, credentials=mine, policy=both)
        client.step()
        assert client.query(SecPkgContextNegotiationInfo).refused == {"Kerberos": "there are no credentials for it"}
        with pytest.raises(InvalidParameter, match="knows no package Digest"):
            who(PerPackage({"Digest": None}), "Negotiate")


def test_a_password_s_ticket_can_be_delegated_whatever_krb5_conf_says(kdc: Kdc, tmp_path: Path) -> None:
    configuration = tmp_path / "krb5.conf"
    text = (kdc.folder / "krb5.conf").read_text(encoding="utf-8")
    configuration.write_text(text.replace("forwardable = true", "forwardable = false"), encoding="utf-8")
    flags = IscReq.ISC_REQ_DELEGATE | IscReq.ISC_REQ_MUTUAL_AUTH
    with kdc.inside(KRB5_CONFIG=str(configuration)):
        client = Context.initiate(
            "Kerberos", target=TARGET, credentials=Password("alice", "wonderland"), flags=int(flags)
        )
        server = Context.accept("Kerberos", principal=TARGET, flags=int(AscReq.ASC_REQ_DELEGATE))
        logged_on(client, server)
        assert client.query(SecPkgContextFlags).flags & IscRet.ISC_RET_DELEGATE
        handed = server.query(KerberosDelegatedCredential)
        assert handed.principal == f"alice@{REALM}"
        cache = f"FILE:{tmp_path}/handed"
        handed.store(cache)
        assert who(Tickets(cache=cache)) == "alice"


def test_without_delegation_the_kdc_is_asked_once(kdc: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    from saslsspi.packages.kerberos import credential

    def refuse(*_: object) -> None:
        raise AssertionError("nobody wants to delegate")

    monkeypatch.setattr(credential, "ForwardableTicket", refuse)
    with kdc.inside():
        client = Context.initiate("Kerberos", target=TARGET, credentials=Password("alice", "wonderland"))
        assert logged_on(client, Context.accept("Kerberos", principal=TARGET)).security.authcid == "alice"


@pytest.mark.parametrize("sign", ["INTEGRITY", "SEQUENCE_DETECT", "REPLAY_DETECT"])
def test_no_integrity_takes_back_what_implies_it(kdc: Kdc, sign: str) -> None:
    asked = IscReq[f"ISC_REQ_{sign}"] | IscReq.ISC_REQ_MUTUAL_AUTH
    with kdc.as_user(ALICE):
        for flags, signs in ((asked, True), (asked | IscReq.ISC_REQ_NO_INTEGRITY, False)):
            client = Context.initiate("Kerberos", target=TARGET, flags=int(flags), policy=Policy(max_ssf=1))
            logged_on(client, Context.accept("Kerberos", principal=TARGET))
            assert bool(client.query(SecPkgContextFlags).flags & IscRet.ISC_RET_INTEGRITY) is signs
            if not signs:
                with pytest.raises(QopNotSupported):
                    client.sign(b"message")


def test_sealed_messages_are_signed_whatever_no_integrity_says(kdc: Kdc) -> None:
    with kdc.as_user(ALICE):
        flags = IscReq.ISC_REQ_CONFIDENTIALITY | IscReq.ISC_REQ_NO_INTEGRITY
        client = Context.initiate("Kerberos", target=TARGET, flags=int(flags))
        server = logged_on(client, Context.accept("Kerberos", principal=TARGET))
        assert server.unwrap(client.wrap(b"message")) == b"message"


def test_the_values_are_checked_and_travel() -> None:
    with pytest.raises(InvalidParameter, match="name one of these"):
        Tickets()
    with pytest.raises(InvalidParameter, match="at least one package"):
        PerPackage({})
    with pytest.raises(InvalidParameter, match="credentials for NTLM"):
        PerPackage({"NTLM": "wonderland"})  # type: ignore[dict-item]
    own = PerPackage({"Kerberos": Tickets(cache="FILE:/x"), "NTLM": Password("alice", "wonderland")})
    for other in (copy.deepcopy(own), pickle.loads(pickle.dumps(own))):
        assert other == own
        assert hash(other) == hash(own)
    assert "wonderland" not in repr(own)
