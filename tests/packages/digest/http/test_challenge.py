"""What a server of Digest for HTTP offers: its challenge, directive by directive."""

import re

import pytest

from packages.digest.http.web import REALM, USER, Browser, Site, policy
from packages.digest.scripted import parse_strictly
from saslsspi import Policy, sspi
from saslsspi.errors import InvalidToken, SaslError, SecurityQosFailed
from saslsspi.packages.digest.http.messages import HttpChallenge
from saslsspi.sspi import AscReq, CredentialUse, Environment, SecurityStatus


def raw(challenge: bytes) -> dict[str, bytes]:
    return dict(parse_strictly(challenge.replace(b", ", b",")))


@pytest.mark.requirement(
    "RFC7616-3.3-02", "RFC7616-3.3-03", "RFC2617-3.2.1-12", "RFC7616-3.3-04", "SSPI-ASC-29", "MSDPSP-2.1-01"
)
def test_the_http_flag_makes_a_challenge_for_www_authenticate() -> None:
    made = raw(Site(policy=policy("SHA-256", domain=("/tea",), userhash=True)).challenge())
    quoted = {name for name, value in made.items() if value.startswith(b'"')}
    assert quoted == {"realm", "domain", "nonce", "opaque", "qop"}
    assert made["algorithm"] == b"SHA-256"
    assert made["charset"] == b"UTF-8"
    assert made["userhash"] == b"true"
    assert made["qop"] == b'"auth"'


@pytest.mark.requirement("RFC7616-3.3-02")
def test_stale_has_no_quotes() -> None:
    site, client = Site(), Browser()
    token = client.answer(site.challenge())
    site.now += 1000
    assert raw(site.accept(token).token)["stale"] == b"true"


def test_without_the_flag_the_challenge_is_that_of_sasl() -> None:
    site = Site()
    output = sspi.SecBufferDesc([sspi.SecBuffer(None, sspi.SecBufferType.SECBUFFER_TOKEN)])
    sspi.accept_security_context(site.credential, None, None, 0, 0, output)
    assert b"algorithm=md5-sess" in output[0].data
    assert b"opaque" not in output[0].data


@pytest.mark.requirement("RFC2617-3.2.1-05", "RFC2617-3.2.1-06")
def test_nonces_are_unique_and_hex() -> None:
    site = Site()
    nonces = {raw(site.challenge())["nonce"] for _ in range(100)}
    assert len(nonces) == 100
    assert all(re.fullmatch(rb'"[0-9a-f]+"', nonce) for nonce in nonces)


@pytest.mark.requirement("RFC7616-3.3-06")
def test_several_algorithms_are_a_challenge_each_the_preferred_first() -> None:
    lines = Site(policy=policy("SHA-256", "MD5")).challenge().split(b"\r\n")
    challenges = [HttpChallenge.from_bytes(line) for line in lines]
    assert [challenge.algorithm.name for challenge in challenges] == [b"SHA-256", b"MD5"]
    assert challenges[0].nonce == challenges[1].nonce


@pytest.mark.requirement("RFC7616-3.3-05")
def test_userhash_is_asked_for_only_by_policy() -> None:
    assert b"userhash" not in Site().challenge()
    assert HttpChallenge.from_bytes(Site(policy=policy(userhash=True)).challenge()).userhash


@pytest.mark.requirement("RFC7616-3.7-01", "RFC7616-5.10-01")
def test_sha_256_is_what_is_offered_by_default_and_md5_only_by_name() -> None:
    assert HttpChallenge.from_bytes(Site().challenge()).algorithm.name == b"SHA-256"
    assert b"algorithm=MD5," in Site(policy=policy("MD5")).challenge()


def test_the_realm_comes_from_the_fourth_buffer_in_either_encoding() -> None:
    for given in (b"other", "other".encode("utf-16-le")):
        assert HttpChallenge.from_bytes(Site(realm=given).challenge()).realm == b"other"


def test_without_a_realm_there_is_no_challenge() -> None:
    with pytest.raises(InvalidToken, match="realm"):
        Site(realm=b"").challenge()


def test_the_realm_of_auth_data_serves_where_the_buffer_is_empty() -> None:
    site = Site(realm=b"")
    identity = sspi.WinNTAuthIdentity(USER, REALM, "x")
    site.credential = sspi.acquire_credentials_handle(
        None, "WDigest", CredentialUse.SECPKG_CRED_INBOUND, auth_data=identity, environment=Environment()
    ).credential
    assert HttpChallenge.from_bytes(site.challenge()).realm == REALM.encode()


@pytest.mark.parametrize(
    ("flags", "qop"),
    [
        (0, (b"auth",)),
        (AscReq.ASC_REQ_INTEGRITY, (b"auth-int",)),
        (AscReq.ASC_REQ_REPLAY_DETECT, (b"auth-int",)),
        (AscReq.ASC_REQ_SEQUENCE_DETECT, (b"auth-int",)),
    ],
)
def test_flags_choose_the_qop(flags: int, qop: tuple[bytes, ...]) -> None:
    assert HttpChallenge.from_bytes(Site(flags=int(flags)).challenge()).qop == qop


@pytest.mark.requirement("SSPI-ASC-24")
def test_confidentiality_is_for_sasl_only() -> None:
    with pytest.raises(SecurityQosFailed):
        Site(flags=int(AscReq.ASC_REQ_CONFIDENTIALITY)).challenge()
    with pytest.raises(SaslError) as caught:
        Browser(flags=int(sspi.IscReq.ISC_REQ_CONFIDENTIALITY)).answer(Site().challenge())
    assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


def test_supplied_credentials_and_http_exclude_each_other() -> None:
    with pytest.raises(SaslError) as caught:
        Browser(flags=int(sspi.IscReq.ISC_REQ_USE_SUPPLIED_CREDS)).answer(Site().challenge())
    assert caught.value.status is SecurityStatus.SEC_E_UNSUPPORTED_FUNCTION


def test_an_algorithm_that_there_is_not_is_the_callers_mistake() -> None:
    for act in (lambda: Site(policy=policy("SHA-1")).challenge(), lambda: Browser(policy=policy("x")).answer(b"a=b")):
        with pytest.raises(SaslError) as caught:
            act()
        assert caught.value.status is SecurityStatus.SEC_E_INVALID_PARAMETER


def test_a_policy_that_leaves_no_qop_offers_nothing() -> None:
    with pytest.raises(SecurityQosFailed):
        Site(policy=Policy(min_ssf=56)).challenge()
