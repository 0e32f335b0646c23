"""RFC 2831 section 2.1.2: what a server makes of a digest-response, right or wrong in one place."""

from __future__ import annotations

from saslsspi_conformance.bench import Bench, Setting
from saslsspi_conformance.case import (
    REFUSAL,
    SUCCESS,
    CaseFunction,
    NotApplicable,
    Seen,
    against_server,
)
from saslsspi_conformance.peers.digest.client import DigestClient
from saslsspi_conformance.peers.digest.values import quoted


@against_server("RFC2831-2.1.2.1-03", "RFC2831-2.1.2.1-05", "RFC2831-2.1.2.1-11", "RFC2831-2.1.2.1-13",
                "RFC2831-1.1-02", "RFC2831-4-01", "RFC4422-3-01", "RFC4422-3.6-01", accept=SUCCESS)  # fmt: skip
def right_response(bench: Bench) -> Seen:
    """A response computed by the RFC's formula authenticates."""
    return DigestClient(bench).log_on()


@against_server("RFC2831-2.1.2.1-12", accept=SUCCESS)
def right_response_with_integrity(bench: Bench) -> Seen:
    """With auth-int, A2 ends in 32 zeros."""
    return DigestClient(bench, qop="auth-int").log_on()


@against_server("RFC2831-2.1.2.1-12", accept=SUCCESS)
def right_response_with_confidentiality(bench: Bench) -> Seen:
    """With auth-conf, A2 ends in 32 zeros."""
    client = DigestClient(bench, qop="auth-conf")
    offered = client.begin().options("cipher")
    client.cipher = "rc4" if "rc4" in offered else "3des"
    return client.log_on()


def _missing(directive: str, requirement: str) -> CaseFunction:
    def case(bench: Bench) -> Seen:
        return DigestClient(bench).log_on(without=directive)

    case.__name__ = f"without_{directive.replace('-', '_')}"
    case.__doc__ = f"A response without {directive} does not authenticate."
    more = ("RFC4422-3.6-02",) if directive in {"username", "nonce"} else ()
    return against_server(requirement, *more, accept=REFUSAL)(case)


for _name, _id in {
    "username": "RFC2831-2.1.2-04",
    "nonce": "RFC2831-2.1.2-13",
    "cnonce": "RFC2831-2.1.2-19",
    "nc": "RFC2831-2.1.2-25",
    "digest-uri": "RFC2831-2.1.2-44",
    "response": "RFC2831-2.1.2-46",
}.items():
    _missing(_name, _id)


def _twice(directive: str, requirement: str, qop: str = "auth") -> CaseFunction:
    def case(bench: Bench) -> Seen:
        client = DigestClient(bench, qop=qop, cipher="3des" if qop == "auth-conf" else "")
        client.begin()
        if directive == "charset" and not client.challenge.count("charset"):
            raise NotApplicable("the server does not announce a charset")
        written = client.write(changes={"maxbuf": b"4096"} if directive == "maxbuf" else None)
        directives = dict(part.split(b"=", 1) for part in written.split(b",") if b"=" in part)
        if directive == "realm" and b"realm" not in directives:
            raise NotApplicable("the server offers no realm")
        return client.answer(written + b"," + directive.encode() + b"=" + directives[directive.encode()])

    case.__name__ = f"{directive.replace('-', '_')}_twice"
    case.__doc__ = f"A response with two {directive} directives, equal ones even, does not authenticate."
    return against_server(requirement, accept=REFUSAL)(case)


for _name, _id in {
    "username": "RFC2831-2.1.2-05",
    "realm": "RFC2831-2.1.2-08",
    "nonce": "RFC2831-2.1.2-14",
    "cnonce": "RFC2831-2.1.2-20",
    "nc": "RFC2831-2.1.2-24",
    "qop": "RFC2831-2.1.2-30",
    "digest-uri": "RFC2831-2.1.2-43",
    "maxbuf": "RFC2831-2.1.2-49",
    "charset": "RFC2831-2.1.2-52",
}.items():
    _twice(_name, _id)
_twice("cipher", "RFC2831-2.1.2-57", "auth-conf")


@against_server("RFC2831-2.1.2-47", accept=REFUSAL)
def response_twice_the_first_right(bench: Bench) -> Seen:
    """A right response directive followed by a wrong one does not authenticate."""
    return DigestClient(bench).log_on(extra=[b"response=" + b"0" * 32])


@against_server("RFC2831-2.1.2-47", accept=REFUSAL)
def response_twice_the_second_right(bench: Bench) -> Seen:
    """A wrong response directive followed by the right one does not authenticate."""
    client = DigestClient(bench)
    client.begin()
    return client.answer(b"response=" + b"0" * 32 + b"," + client.write())


@against_server("RFC2831-2.1.2-65", accept=REFUSAL)
def authzid_twice(bench: Bench) -> Seen:
    """Two authzid directives do not authenticate."""
    me = bench.target.account.user.encode()
    return DigestClient(bench, authzid=me).log_on(extra=[b"authzid=" + quoted(me)])


@against_server("RFC2831-2.1.2-15", "RFC2831-3-01", accept=REFUSAL)
def nonce_of_another_connection(bench: Bench) -> Seen:
    """A response over the nonce of another connection does not authenticate."""
    other = DigestClient(bench).begin().value("nonce")
    return DigestClient(bench, nonce=other).log_on()


@against_server("RFC2831-2.1.2-23", "RFC2831-3-01", accept=REFUSAL)
def replay(bench: Bench) -> Seen:
    """The response of an exchange that succeeded does not serve again."""
    first = DigestClient(bench).logged_on()
    second = DigestClient(bench)
    second.begin()
    return second.answer(first.response)


@against_server("RFC2831-2.1.2-10", accept=REFUSAL)
def realm_not_served(bench: Bench) -> Seen:
    """A response for a realm that the server does not serve does not authenticate."""
    client = DigestClient(bench, realm=b"other.example")
    if not client.begin().values("realm"):
        raise NotApplicable("the server offers no realm, so it may serve any")
    return client.log_on()


@against_server("RFC2831-2.1.2-11", accept=SUCCESS)
def no_realm_is_the_empty_realm(bench: Bench) -> Seen:
    """Without a realm in challenge and response, the hash is over the empty realm."""
    return DigestClient(bench, Setting(realms=())).log_on()


@against_server("RFC2831-2.1.2-21", "RFC2831-2.1.2.1-01", "RFC2831-7.2-06", accept=SUCCESS)
def cnonce_with_a_quoted_pair(bench: Bench) -> Seen:
    """A cnonce with an escaped quote is unescaped before it is hashed."""
    return DigestClient(bench, cnonce=b'a"b\\c').log_on()


@against_server("RFC2831-2.1.3-01", accept=REFUSAL)
def nonce_count_two(bench: Bench) -> Seen:
    """A rightly computed response with nc=00000002 does not authenticate a first time."""
    return DigestClient(bench, nc=b"00000002").log_on()


@against_server("RFC2831-2.1.2-26", accept=REFUSAL)
def nonce_count_of_seven_digits(bench: Bench) -> Seen:
    """An nc that is not eight hexadecimal digits does not authenticate."""
    return DigestClient(bench, nc=b"0000001").log_on()


@against_server("RFC2831-2.1.2-29", accept=REFUSAL)
def protection_not_offered(bench: Bench) -> Seen:
    """A qop that nobody offered does not authenticate."""
    return DigestClient(bench, hashed_qop=b"auth-more").log_on()


@against_server("RFC2831-2.1.2-29", "RFC4422-3.6-07", accept=REFUSAL)
def weaker_protection_than_offered(bench: Bench) -> Seen:
    """qop=auth does not authenticate where only layers were offered."""
    client = DigestClient(bench, Setting(min_ssf=1))
    client.begin()
    client.challenge = client.challenge._replace(listed=tuple(d for d in client.challenge.listed if d[0] != "qop"))
    return client.log_on()


@against_server("RFC2831-2.1.2-31", "RFC2831-2.1.2.1-14", accept=SUCCESS)
def no_qop_means_auth(bench: Bench) -> Seen:
    """A response without qop is one with auth, which is hashed."""
    return DigestClient(bench).log_on(without="qop")


@against_server("RFC2831-2.1.2-31", accept=REFUSAL)
def no_qop_where_integrity_is_required(bench: Bench) -> Seen:
    """A response without qop does not authenticate where auth was not offered."""
    client = DigestClient(bench, Setting(min_ssf=1))
    client.begin()
    client.challenge = client.challenge._replace(listed=tuple(d for d in client.challenge.listed if d[0] != "qop"))
    return client.log_on(without="qop")


def _uri(uri_name: str, requirement: str, uri: str, what: str) -> CaseFunction:
    def case(bench: Bench) -> Seen:
        target = bench.target
        other = "ldap" if target.service != "ldap" else "imap"
        return DigestClient(
            bench, digest_uri=uri.format(service=target.service, host=target.host, other=other).encode()
        ).log_on()

    case.__name__ = uri_name
    case.__doc__ = f"A rightly computed response whose digest-uri names {what} does not authenticate."
    return against_server(requirement, accept=REFUSAL)(case)


_uri("wrong_host", "RFC2831-2.1.2-38", "{service}/wrong.example", "another host")
_uri("wrong_service", "RFC2831-2.1.2-39", "{other}/{host}", "another service")
_uri("wrong_host_name_of_ours", "RFC2831-2.1.2-40", "{service}/x{host}", "a host that is not one of the server's names")
_uri("host_by_address", "RFC2831-2.1.2-41", "{service}/192.0.2.1", "an IP address")
_uri("wrong_service_name", "RFC2831-2.1.2-42", "{service}/{host}/unknown.example", "an unknown replicated service")


@against_server("RFC2831-2.1.2.1-02", accept=SUCCESS)
def case_of_digest_uri(bench: Bench) -> Seen:
    """The octets of digest-uri are hashed as they came, in whatever case."""
    target = bench.target
    return DigestClient(bench, digest_uri=f"{target.service.upper()}/{target.host.upper()}".encode()).log_on()


@against_server("RFC2831-2.1.2.1-02", "RFC2831-7.1-01", accept=SUCCESS)
def case_of_qop(bench: Bench) -> Seen:
    """qop=AUTH is auth, and is hashed as it came."""
    return DigestClient(bench, hashed_qop=b"AUTH").log_on()


@against_server("RFC2831-2.1.2-54", accept=REFUSAL)
def response_in_upper_case(bench: Bench) -> Seen:
    """A response-value in upper-case digits does not authenticate."""
    client = DigestClient(bench)
    client.begin()
    right = client.write()
    while not client.values.response().upper().isupper():
        right = client.write()
    value = client.values.response()
    return client.answer(right.replace(value, value.upper()))


@against_server("RFC2831-2.1.2-56", accept=REFUSAL)
def confidentiality_without_cipher(bench: Bench) -> Seen:
    """auth-conf without a cipher does not authenticate."""
    return DigestClient(bench, qop="auth-conf").log_on()


@against_server("RFC2831-2.1.2-58", accept=REFUSAL)
def cipher_not_offered(bench: Bench) -> Seen:
    """A cipher that nobody offered does not authenticate."""
    client = DigestClient(bench, Setting(ciphers=("3des",)), qop="auth-conf")
    return client.log_on(changes={"cipher": b"rc4"})


@against_server("RFC2831-2.1.2-62", "RFC2831-2.1.2.1-04", accept=SUCCESS)
def authzid_permitted(bench: Bench) -> Seen:
    """An authzid that the user may assume is hashed and granted."""
    if not bench.target.local:
        raise NotApplicable("whom the account may act as is not known")
    return DigestClient(bench, authzid=b"dana").log_on()


@against_server("RFC2831-2.1.2-63", "RFC4422-2-02", "RFC4422-3.6-06", accept=REFUSAL)
def authzid_forbidden(bench: Bench) -> Seen:
    """An authzid that the user may not assume does not authenticate."""
    prefix = b"u:" if bench.target.service == "ldap" else b""
    return DigestClient(bench, authzid=prefix + b"nobody-at-all").log_on()


@against_server("RFC2831-2.1.2-64", "RFC4422-5-08", accept=REFUSAL)
def authzid_beside_the_hash(bench: Bench) -> Seen:
    """An authzid that is not in the hash does not authenticate."""
    prefix = b"u:" if bench.target.service == "ldap" else b""
    return DigestClient(bench).log_on(extra=[b"authzid=" + quoted(prefix + bench.target.account.user.encode())])


@against_server("RFC2831-2.1.2-68", "RFC4422-6.1.5-01", accept=REFUSAL | SUCCESS, destructive=True)
def response_of_4096_octets(bench: Bench) -> Seen:
    """A response of 4,096 octets may be refused, and the server lives on."""
    client = DigestClient(bench)
    client.begin()
    right = client.write()
    return client.answer(right + b",x=" + b"y" * (4096 - len(right) - 3))


@against_server("RFC2831-2.1.2-68", accept=REFUSAL, destructive=True)
def response_of_a_million_octets(bench: Bench) -> Seen:
    """A response of a million octets may be refused, and the server lives on."""
    client = DigestClient(bench)
    client.begin()
    return client.answer(client.write() + b",x=" + b"y" * 1_000_000)


@against_server("RFC2831-2.1.2-69", accept=SUCCESS)
def unknown_directives(bench: Bench) -> Seen:
    """Directives that nobody knows do no harm."""
    return DigestClient(bench).log_on(extra=[b'foo="bar"', b"baz=1"])


@against_server("RFC2831-2.1.2.1-16", accept=SUCCESS)
def http_directives(bench: Bench) -> Seen:
    """Algorithm and opaque, which are HTTP's, are ignored."""
    return DigestClient(bench).log_on(extra=[b"algorithm=md5-sess", b'opaque="x"'])
