"""Channel bindings in Digest for HTTP, and the flag bit that two requirements share."""

import hashlib

import pytest

from packages.digest.http.web import OTHER_TLS, TLS, USER, Browser, Site
from saslsspi import ChannelBindingPolicy, Policy, sspi
from saslsspi.errors import BadBindings, LogonDenied, SecurityQosFailed
from saslsspi.packages.digest.http.messages import HttpResponse
from saslsspi.sspi import AscReq, ChannelBindingsResult, SecurityStatus

PROXY = int(AscReq.ASC_REQ_PROXY_BINDINGS)
HOST = b"HTTP/tea.example.test"


def result(context: sspi.CtxtHandle) -> ChannelBindingsResult:
    return sspi.query_context_attributes(context, sspi.SecPkgContextChannelBindings).result


@pytest.mark.requirement("SSPI-ISC-DIGEST-45", "SSPI-ISC-DIGEST-46", "SSPI-ASC-19", "MSDPSP-2.1-02")
def test_right_bindings_are_matched() -> None:
    site, client = Site(bindings=TLS), Browser(bindings=TLS, host=HOST)
    token = client.answer(site.challenge())
    sent = HttpResponse.from_bytes(token)
    assert sent.hashed_dirs == (b"service-name", b"channel-binding")
    assert sent.service_name == HOST
    assert sent.channel_binding == TLS.gss_hash().hex().encode()
    covered = hashlib.md5(HOST + b":" + sent.channel_binding).hexdigest().encode()
    assert sent.cnonce.startswith(b"+Upgraded+v1" + covered)
    answer = site.accept(token)
    assert result(answer.context) is ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MATCHED
    assert sspi.query_context_attributes(answer.context, sspi.SecPkgContextTarget).target_name == HOST.decode()
    assert answer.context._context.outcome.channel_binding == "tls-server-end-point"  # type: ignore[union-attr]


@pytest.mark.requirement("SSPI-ASC-19")
def test_wrong_bindings_are_refused_even_where_missing_ones_are_allowed() -> None:
    assert AscReq.ASC_REQ_ALLOW_MISSING_BINDINGS == AscReq.ASC_REQ_HTTP
    site, client = Site(bindings=TLS), Browser(bindings=OTHER_TLS, host=HOST)
    with pytest.raises(BadBindings) as caught:
        site.accept(client.answer(site.challenge()))
    assert caught.value.status is SecurityStatus.SEC_E_BAD_BINDINGS


@pytest.mark.requirement("SSPI-ASC-18")
def test_missing_bindings_are_allowed_by_the_bit_that_is_also_http() -> None:
    site, client = Site(bindings=TLS), Browser()
    answer = site.accept(client.answer(site.challenge()))
    assert answer.user == USER
    assert result(answer.context) is ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MISSING


@pytest.mark.requirement("SSPI-ASC-33")
def test_proxy_bindings_require_them_whatever_the_shared_bit_allows() -> None:
    """The two exclude each other: beside PROXY_BINDINGS the bit of ALLOW_MISSING_BINDINGS is HTTP and nothing else."""
    site, client = Site(PROXY, bindings=TLS), Browser()
    with pytest.raises(BadBindings):
        site.accept(client.answer(site.challenge()))
    client = Browser(bindings=TLS, host=HOST)
    assert site.accept(client.answer(site.challenge())).user == USER
    client = Browser(host=HOST)  # says that its channel has none
    with pytest.raises(BadBindings):
        site.accept(client.answer(site.challenge()))


def test_the_policy_requires_them_as_well() -> None:
    required = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)
    site = Site(policy=required, bindings=TLS)
    with pytest.raises(BadBindings):
        site.accept(Browser().answer(site.challenge()))
    with pytest.raises(BadBindings):
        Browser(policy=required, bindings=TLS).answer(Site().challenge())  # a server that does not know of bindings


def test_behind_a_proxy_the_service_name_decides() -> None:
    site = Site(PROXY, principal=HOST.decode())
    answer = site.accept(Browser(bindings=TLS, host=HOST).answer(site.challenge()))
    assert result(answer.context) is ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_PROXY
    with pytest.raises(BadBindings):
        site.accept(Browser(bindings=TLS, host=b"HTTP/evil.example.test").answer(site.challenge()))


@pytest.mark.parametrize("name", [b"hashed-dirs", b"service-name", b"channel-binding"])
def test_bindings_cannot_be_taken_out_on_the_way(name: bytes) -> None:
    site = Site(bindings=TLS)
    parts = Browser(bindings=TLS, host=HOST).answer(site.challenge()).split(b", ")
    with pytest.raises(BadBindings):
        site.accept(b", ".join(part for part in parts if not part.startswith(name)))


def test_bindings_cannot_be_replaced_on_the_way() -> None:
    site = Site(bindings=OTHER_TLS)
    token = Browser(bindings=TLS, host=HOST).answer(site.challenge())
    ours, theirs = (bindings.gss_hash().hex().encode() for bindings in (OTHER_TLS, TLS))
    with pytest.raises(BadBindings):
        site.accept(token.replace(theirs, ours))
    covering = hashlib.md5(HOST + b":" + ours).hexdigest().encode()
    covered = hashlib.md5(HOST + b":" + theirs).hexdigest().encode()
    with pytest.raises(LogonDenied):  # the cnonce is what the response covers
        site.accept(token.replace(theirs, ours).replace(covered, covering))


def test_a_wrong_password_is_told_before_wrong_bindings() -> None:
    site, client = Site(bindings=TLS), Browser(password="x", bindings=OTHER_TLS, host=HOST)
    with pytest.raises(LogonDenied):
        site.accept(client.answer(site.challenge()))


def test_a_server_without_bindings_gets_none() -> None:
    token = Browser(bindings=TLS, host=HOST).answer(Site().challenge())
    assert b"hashed-dirs" not in token
    assert b"+Upgraded" not in token


def test_a_policy_of_none_sends_none() -> None:
    never = Policy(channel_binding=ChannelBindingPolicy.NONE)
    site = Site(bindings=TLS)
    assert b"hashed-dirs" not in Browser(policy=never, bindings=TLS, host=HOST).answer(site.challenge())


def test_in_sasl_use_proxy_bindings_mean_nothing_and_are_refused() -> None:
    with pytest.raises(SecurityQosFailed):
        sspi.accept_security_context(Site().credential, None, None, PROXY, 0, None)
