"""Which URLs the credentials for a challenge are good for."""

import pytest

from adapters.http.browser import acceptor, offered, request
from saslsspi.adapters.http import ProtectionSpace, origin
from saslsspi.errors import InvalidToken

URL = "http://tea.example:80/pot/one?cups=2"


def challenge(domain: str) -> str:
    return f'realm="r", nonce="n", algorithm=MD5, qop="auth", domain="{domain}"'


@pytest.mark.requirement("RFC2617-3.2.1-03")
@pytest.mark.parametrize("domain", ["", " "])
def test_without_a_domain_it_is_the_whole_server(domain: str) -> None:
    space = ProtectionSpace.of(challenge(domain), URL)
    assert space.covers("http://TEA.example/")
    assert space.covers("http://tea.example/any/where?x=1")
    for elsewhere in ("https://tea.example/", "http://tea.example:81/", "http://tea.example.org/", "http://other/"):
        assert not space.covers(elsewhere)


@pytest.mark.requirement("RFC7616-3.3-08", "RFC2617-3.2.1-03")
def test_a_domain_names_paths_of_the_server_and_other_servers_that_the_user_named() -> None:
    space = ProtectionSpace.of(challenge("/a http://other.example/b"), URL, others=["http://OTHER.example"])
    assert space.roots == ("http://tea.example:80/a", "http://other.example/b")
    assert space.covers("http://tea.example/a/cup")
    assert space.covers("http://other.example/b?x")
    for outside in ("http://tea.example/", "http://tea.example/pot/a", "http://other.example/a", "http://a.example/b"):
        assert not space.covers(outside)


@pytest.mark.parametrize(
    "domain",
    ["http://other.example/", "http://tea.example:81/", "http://tea.example.other.example/", "//other.example/"],
)
def test_a_server_speaks_for_no_other_origin(domain: str) -> None:
    assert ProtectionSpace.of(challenge(domain), URL).roots == ()
    assert ProtectionSpace.of(challenge(f"/a {domain}"), URL).roots == ("http://tea.example:80/a",)


def test_https_leads_to_no_http_and_http_to_no_https() -> None:
    assert ProtectionSpace.of(challenge("http://tea.example/"), "https://tea.example/").roots == ()
    assert ProtectionSpace.of(challenge("https://tea.example/"), "http://tea.example/").roots == ()


def test_a_host_beyond_ascii_is_the_same_in_a_labels() -> None:
    assert origin("http://b\u00fccher.example/") == origin("http://xn--bcher-kva.example:80/x")
    assert origin("http://b\u00fccher.example/") != origin("http://bucher.example/")


@pytest.mark.requirement("RFC2617-3.2.1-04")
def test_the_domain_of_a_proxys_challenge_is_ignored() -> None:
    space = ProtectionSpace.of(challenge("/a http://other.example/b"), "http://proxy.example:3128/", proxy=True)
    assert space.roots == ("http://proxy.example:3128/",)
    assert not space.covers("http://other.example/b")


def test_what_our_server_says_is_what_the_client_knows() -> None:
    site = acceptor(digest={"domain": ("/one", "http://other.example/two")})
    told = offered(site.judge(request()))[0]
    space = ProtectionSpace.of(told, "http://tea.example/one/x", others=["http://other.example/"])
    assert space.roots == ("http://tea.example/one", "http://other.example/two")


@pytest.mark.parametrize("url", ["http://tea.example:x/", "http://tea.example:99999/", ""])
def test_a_url_that_is_none_is_outside(url: str) -> None:
    assert not ProtectionSpace.of(challenge(""), URL).covers(url)


@pytest.mark.parametrize("malformed", ["realm", challenge("http://[x/ /a"), challenge("http://[::1")])
def test_a_malformed_challenge_is_an_invalid_token(malformed: str) -> None:
    with pytest.raises(InvalidToken):
        ProtectionSpace.of(malformed, URL)
