"""NTLM in negoTokens without SPNEGO, as FreeRDP has it, and its server's habit of repeating itself."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from packages.credssp.ours import TOLD, USER, Hand, client_side, logged_on, server_side, watch
from saslsspi import Context, CredSspPolicy, NegotiatePolicy, Password, Policy, errors, sspi
from saslsspi.engine.policy import PublicKeyLeg
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.packages.credssp.server import CredsspServer
from saslsspi.sspi import Environment, WinNTAuthIdentity

LEGS = pytest.mark.parametrize("leg", PublicKeyLeg)
BARE = pytest.mark.parametrize("bare", [True, False], ids=["NTLM", "SPNEGO"])


def policy(leg: PublicKeyLeg = PublicKeyLeg.WITH_LAST_TOKEN, *, bare: bool = True) -> CredSspPolicy:
    return CredSspPolicy(bare_ntlm=bare, public_key_leg=leg, allow_fresh_ntlm_only=("HTTP/*",))


def fields(message: TSRequest) -> list[str]:
    return [name for name, value in message._asdict().items() if value is not None and name not in ("version",)]


@pytest.mark.requirement("MSCSSP-2.2.1-06", "MSCSSP-3.1.5-24")
@LEGS
def test_ntlm_goes_without_spnego_and_is_taken(leg: PublicKeyLeg, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, received = watch(monkeypatch)
    client, server = logged_on(client_side(policy=policy(leg)))
    tokens = [message.nego_token for message in (*sent, *received) if message.nego_token is not None]
    assert [token[:9] for token in tokens if token] == [b"NTLMSSP\0" + number for number in (b"\1", b"\3", b"\2")]
    assert fields(received[-1]) == ["pub_key_auth"]
    assert server.query(sspi.SecPkgContextNames).username == USER
    for side in (client, server):
        assert side.query(sspi.SecPkgContextNegotiationPackage).package_info.name == "NTLM"


def test_ntlm_goes_without_spnego_whatever_else_there_is() -> None:
    everything = Policy(credssp=policy(), negotiate=NegotiatePolicy(packages="kerberos,ntlm"))
    context = Context.initiate("CREDSSP", target="HTTP/host.example", credentials=Password("a", "b"), policy=everything)
    assert context.step()
    kerberos_only = Policy(negotiate=NegotiatePolicy(packages="ntlm", bare_ntlm=True))
    bare = Context.initiate("Negotiate", target="x/y", credentials=Password("a", "b"), policy=kerberos_only)
    assert bare.step().startswith(b"NTLMSSP\0\x01")


def test_negotiate_speaks_bare_ntlm_to_the_end() -> None:
    from saslsspi import MemoryAuthority

    bare = Policy(negotiate=NegotiatePolicy(bare_ntlm=True))
    client = Context.initiate("Negotiate", target="x/y", credentials=Password("alice", "wonderland"), policy=bare)
    server = Context.accept("Negotiate", authority=MemoryAuthority({"alice": "wonderland"}))
    server.step(client.step(server.step(client.step())))
    assert (client.security.negotiated, server.security.negotiated) == ("NTLM", "NTLM")
    assert server.unwrap(client.wrap(b"attack at dawn")) == b"attack at dawn"


class Repeating:
    """FreeRDP 3's server: beside pubKeyAuth stands what its negoTokens said last."""

    def __init__(self) -> None:
        self.last: bytes | None = None
        self.repeated = 0

    def __call__(self, message: TSRequest) -> Iterable[TSRequest]:
        if message.pub_key_auth is not None and message.nego_token is None:
            self.repeated += 1
            return [message._replace(nego_token=self.last)]
        self.last = message.nego_token
        return [message]


@LEGS
@BARE
def test_a_server_that_repeats_its_last_token_beside_the_proof_is_taken(
    bare: bool, leg: PublicKeyLeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeating = Repeating()
    Hand(monkeypatch, CredsspServer, repeating)
    client, server = logged_on(client_side(policy=policy(leg, bare=bare)))
    assert client.done
    assert server.query(sspi.SecPkgContextNames).username == USER
    assert repeating.repeated == (0 if not bare and leg is PublicKeyLeg.WITH_LAST_TOKEN else 1)


def test_another_token_in_the_place_of_the_proof_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Hand(
        monkeypatch,
        CredsspServer,
        lambda m: [m._replace(pub_key_auth=None, nego_token=b"x") if m.pub_key_auth is not None else m],
    )
    with pytest.raises(errors.InvalidToken, match="after Negotiate"):
        logged_on(client_side(policy=policy()))


def test_a_credential_for_both_sides_sends_bare_ntlm_and_takes_either() -> None:
    from packages.credssp.ours import PEOPLE

    both = sspi.acquire_credentials_handle(
        None,
        "CREDSSP",
        sspi.CredentialUse.SECPKG_CRED_BOTH,
        auth_data=WinNTAuthIdentity(USER, "DOM", "wonderland"),
        environment=Environment(policy=Policy(credssp=policy()), authority=PEOPLE),
    ).credential
    assert both
    logged_on(client_side(TOLD, policy(bare=False)), server_side(policy=policy()))
