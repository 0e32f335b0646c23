"""Each message of ours in ASN.1 is read and written by another implementation: pyasn1, by the modules of the text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.protocol import rfc4511
from pyasn1.type.univ import OctetString

import vector_files
from saslsspi.errors import InvalidToken
from saslsspi.packages.credssp.credentials import (
    PackageCredential,
    PasswordCredentials,
    RemoteGuardCredentials,
    SmartCardCredentials,
    decode_credentials,
)
from saslsspi.packages.credssp.messages import TSRequest
from saslsspi.packages.negotiate.messages import SPNEGO, NegState, NegTokenInit, NegTokenResp, mech_type_list
from saslsspi.testbed.ldap.messages import Extended, SaslBind, Search, SimpleBind, Unbind, read_message
from saslsspi_conformance.schemas import decoded, encoded
from saslsspi_conformance.schemas import ms_cssp as cssp
from saslsspi_conformance.schemas import rfc4178 as spnego

TEXT = st.text(st.characters(codec="utf-16-le"), max_size=12)
OCTETS = st.binary(max_size=40)
MAYBE = st.none() | OCTETS
OIDS = ("1.3.6.1.4.1.311.2.2.10", "1.2.840.113554.1.2.2", "1.2.840.48018.1.2.2", "1.3.6.1.4.1.311.2.2.30")


def field(value: Any, name: str) -> Any:
    """An OCTET STRING, INTEGER or OID of a schema's value as ours has it; None where it is not there."""
    part = value[name]
    if not part.isValue:
        return None
    return bytes(part) if isinstance(part, OctetString) else part


def utf16(text: str | None) -> bytes | None:
    return None if text is None else text.encode("utf-16-le")


@pytest.mark.requirement("MSCSSP-2.2.1-01", "MSCSSP-2.2.1.1-01", "MSCSSP-2.2-01")
@settings(max_examples=60, deadline=None)
@given(
    st.builds(
        TSRequest, st.integers(2, 6), MAYBE, MAYBE, MAYBE, st.none() | st.integers(1, 0xFFFFFFFF), st.none() | OCTETS
    )
)
def test_a_ts_request_is_the_modules(ours: TSRequest) -> None:
    theirs = decoded(ours.to_bytes(), cssp.TSRequest)
    tokens = theirs["negoTokens"]
    assert int(theirs["version"]) == ours.version
    assert (bytes(tokens[0]["negoToken"]) if tokens.isValue else None) == ours.nego_token
    assert field(theirs, "authInfo") == ours.auth_info
    assert field(theirs, "pubKeyAuth") == ours.pub_key_auth
    assert field(theirs, "clientNonce") == ours.client_nonce
    code = field(theirs, "errorCode")
    assert (None if code is None else int(code) & 0xFFFFFFFF) == ours.error_code
    assert TSRequest.from_bytes(encoded(theirs)) == ours


def of_credentials(octets: bytes) -> tuple[int, bytes]:
    theirs = decoded(octets, cssp.TSCredentials)
    return int(theirs["credType"]), bytes(theirs["credentials"])


@pytest.mark.requirement("MSCSSP-2.2.1.2.1-01", "MSCSSP-2.2.1.2-02")
@settings(max_examples=30, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_a_password_is_the_modules(domain: str, user: str, password: str) -> None:
    ours = PasswordCredentials(domain, user, password)
    kind, body = of_credentials(ours.to_bytes())
    theirs = decoded(body, cssp.TSPasswordCreds)
    assert kind == 1
    assert [field(theirs, name) for name in ("domainName", "userName", "password")] == [
        utf16(text) for text in (domain, user, password)
    ]
    assert decode_credentials(ours.to_bytes()) == ours


@pytest.mark.requirement("MSCSSP-2.2.1.2.2-01", "MSCSSP-2.2.1.2.2.1-01", "MSCSSP-2.2.1.2-02")
@settings(max_examples=60, deadline=None)
@given(st.builds(SmartCardCredentials, TEXT, st.integers(0, 2), *[st.none() | TEXT] * 6))
def test_a_smart_card_is_the_modules(ours: SmartCardCredentials) -> None:
    kind, body = of_credentials(ours.to_bytes())
    theirs = decoded(body, cssp.TSSmartCardCreds)
    detail = theirs["cspData"]
    assert kind == 2
    assert (field(theirs, "pin"), int(detail["keySpec"])) == (utf16(ours.pin), ours.key_spec)
    assert [field(detail, name) for name in ("cardName", "readerName", "containerName", "cspName")] == [
        utf16(text) for text in (ours.card_name, ours.reader_name, ours.container_name, ours.csp_name)
    ]
    assert [field(theirs, name) for name in ("userHint", "domainHint")] == [
        utf16(text) for text in (ours.user_hint, ours.domain_hint)
    ]
    assert decode_credentials(ours.to_bytes()) == ours


PACKAGE = st.builds(PackageCredential, TEXT, OCTETS)


@pytest.mark.requirement("MSCSSP-2.2.1.2.3-01", "MSCSSP-2.2.1.2.3.1-01", "MSCSSP-2.2.1.2-02")
@settings(max_examples=60, deadline=None)
@given(st.builds(RemoteGuardCredentials, PACKAGE, st.lists(PACKAGE, max_size=3).map(tuple)))
def test_remote_guard_is_the_modules(ours: RemoteGuardCredentials) -> None:
    kind, body = of_credentials(ours.to_bytes())
    theirs = decoded(body, cssp.TSRemoteGuardCreds)
    listed = list(theirs["supplementalCreds"]) if theirs["supplementalCreds"].isValue else []
    assert kind == 6
    for part, credential in zip([theirs["logonCred"], *listed], [ours.logon, *ours.supplemental], strict=True):
        assert field(part, "packageName") == utf16(credential.package)
        assert field(part, "credBuffer") == credential.buffer
    assert decode_credentials(ours.to_bytes()) == ours


MECHANISMS = st.lists(st.sampled_from(OIDS), min_size=1, max_size=4).map(tuple)


@pytest.mark.requirement("RFC4178-4-01", "RFC4178-4.2-01", "RFC4178-4.2.1-05")
@settings(max_examples=60, deadline=None)
@given(MECHANISMS, MAYBE, MAYBE)
def test_an_offer_is_the_modules(offered: tuple[str, ...], token: bytes | None, mic: bytes | None) -> None:
    ours = NegTokenInit(offered, mech_type_list(offered), token, mic)
    frame = decoded(ours.to_bytes(), spnego.InitialContextToken)
    theirs = frame["innerContextToken"]["negTokenInit"]
    assert str(frame["thisMech"]) == SPNEGO
    assert tuple(map(str, theirs["mechTypes"])) == offered
    assert not theirs["reqFlags"].isValue
    assert (field(theirs, "mechToken"), field(theirs, "mechListMIC")) == (token, mic)
    assert NegTokenInit.from_bytes(encoded(frame)) == ours


@pytest.mark.requirement("MSSPNG-2.2.1-01", "MSSPNG-2.2.1-04")
@settings(max_examples=60, deadline=None)
@given(MECHANISMS, MAYBE, MAYBE, st.binary(max_size=20).map(lambda octets: octets.hex().encode()))
def test_hints_are_the_modules(offered: tuple[str, ...], token: bytes | None, mic: bytes | None, hint: bytes) -> None:
    ours = NegTokenInit(offered, mech_type_list(offered), token, mic, hint)
    theirs = decoded(ours.to_bytes(), spnego.InitialContextToken2)["innerContextToken"]["negTokenInit2"]
    assert tuple(map(str, theirs["mechTypes"])) == offered
    assert (field(theirs, "mechToken"), field(theirs, "mechListMIC")) == (token, mic)
    assert str(theirs["negHints"]["hintName"]).encode() == hint
    assert not theirs["negHints"]["hintAddress"].isValue
    assert NegTokenInit.from_bytes(ours.to_bytes()) == ours


@pytest.mark.requirement("RFC4178-4-01", "RFC4178-4.2-02")
@settings(max_examples=60, deadline=None)
@given(st.none() | st.sampled_from(NegState), st.none() | st.sampled_from(OIDS), MAYBE, MAYBE)
def test_a_reply_is_the_modules(
    state: NegState | None, mech: str | None, token: bytes | None, mic: bytes | None
) -> None:
    ours = NegTokenResp(state, mech, token, None if mic == token else mic)
    whole = decoded(ours.to_bytes(), spnego.NegotiationToken)
    theirs = whole["negTokenResp"]
    given_state, given_mech = field(theirs, "negState"), field(theirs, "supportedMech")
    assert (None if given_state is None else int(given_state)) == state
    assert (None if given_mech is None else str(given_mech)) == mech
    assert (field(theirs, "responseToken"), field(theirs, "mechListMIC")) == (ours.token, ours.mic)
    assert NegTokenResp.from_bytes(encoded(whole)) == ours


def octet_strings(value: Any, name: str = "") -> list[tuple[str, bytes]]:
    """Every octet string in a vector, by its path."""
    if isinstance(value, dict):
        return [found for key, part in value.items() for found in octet_strings(part, f"{name}.{key}")]
    if isinstance(value, list):
        return [found for at, part in enumerate(value) for found in octet_strings(part, f"{name}.{at}")]
    try:
        return [(name, bytes.fromhex(value))] if isinstance(value, str) else []
    except ValueError:
        return []


VECTORS = [
    pytest.param(octets, id=name.lstrip("."))
    for name, octets in octet_strings({str(vector["id"]): vector for vector in vector_files.load("credssp")})
    if octets[:1] == b"\x30" and len(octets) > 4 and "key" not in name
]


def test_there_are_vectors() -> None:
    assert len(VECTORS) > 5


@pytest.mark.parametrize("octets", VECTORS)
def test_every_message_of_the_vectors_goes_through_both(octets: bytes) -> None:
    for ours, theirs in ((TSRequest.from_bytes, cssp.TSRequest), (decode_credentials, cssp.TSCredentials)):
        try:
            made = ours(octets)  # type: ignore[operator]
        except InvalidToken:
            with pytest.raises(InvalidToken):
                decoded(octets, theirs)
        else:
            assert encoded(decoded(octets, theirs)) == octets
            assert encoded(decoded(made.to_bytes(), theirs)) == made.to_bytes()
            assert ours(made.to_bytes()) == made  # type: ignore[operator]
            return
    pytest.fail("neither a TSRequest nor TSCredentials")


def ldap(operation: str, value: Any) -> bytes:
    message = rfc4511.LDAPMessage()
    message["messageID"] = rfc4511.MessageID(7)
    message["protocolOp"] = rfc4511.ProtocolOp().setComponentByName(operation, value)
    return encoded(message)


def bind_request(choice: str, value: Any) -> bytes:
    bind = rfc4511.BindRequest()
    bind["version"] = rfc4511.Version(3)
    bind["name"] = rfc4511.LDAPDN("cn=a")
    bind["authentication"] = rfc4511.AuthenticationChoice().setComponentByName(choice, value)
    return ldap("bindRequest", bind)


@pytest.mark.requirement("LDAP4511-4.2-01")
def test_ldaps_requests_are_read_as_another_schema_writes_them() -> None:
    assert read_message(bind_request("simple", rfc4511.Simple(b"secret"))).operation == SimpleBind(3, "cn=a", b"secret")
    sasl = rfc4511.SaslCredentials()
    sasl["mechanism"] = "DIGEST-MD5"
    assert read_message(bind_request("sasl", sasl)).operation == SaslBind(3, "DIGEST-MD5", None)
    sasl["credentials"] = b"token"
    assert read_message(bind_request("sasl", sasl)).operation == SaslBind(3, "DIGEST-MD5", b"token")
    assert isinstance(read_message(ldap("unbindRequest", rfc4511.UnbindRequest())).operation, Unbind)
    extended = rfc4511.ExtendedRequest()
    extended["requestName"] = rfc4511.RequestName("1.3.6.1.4.1.4203.1.11.3")
    assert isinstance(read_message(ldap("extendedReq", extended)).operation, Extended)
    search = rfc4511.SearchRequest()
    search["baseObject"] = rfc4511.LDAPDN("dc=example")
    search["scope"] = rfc4511.Scope(2)
    search["derefAliases"] = rfc4511.DerefAliases(0)
    search["sizeLimit"] = rfc4511.Integer0ToMax(0)
    search["timeLimit"] = rfc4511.Integer0ToMax(0)
    search["typesOnly"] = rfc4511.TypesOnly(False)
    search["filter"] = rfc4511.Filter().setComponentByName("present", rfc4511.Present("objectClass"))
    search["attributes"] = rfc4511.AttributeSelection()
    assert isinstance(read_message(ldap("searchRequest", search)).operation, Search)
