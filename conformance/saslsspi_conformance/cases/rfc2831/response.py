"""RFC 2831 section 2.1.2: what a server makes of a digest-response, right or wrong in one place."""

from __future__ import annotations

from saslsspi_conformance.case import (
    REFUSAL,
    SUCCESS,
    CaseFunction,
    NotApplicable,
    Observation,
    against_server,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.digest.values import quoted


@against_server("RFC2831-2.1.2.1-03", "RFC2831-2.1.2.1-05", "RFC2831-2.1.2.1-11", "RFC2831-2.1.2.1-13",
                "RFC2831-1.1-02", "RFC2831-4-01", "RFC4422-3-01", "RFC4422-3.6-01", accept=SUCCESS)  # fmt: skip
def right_response(run: CaseRun) -> Observation:
    """A response computed by the RFC's formula authenticates."""
    return ScriptedDigestClient(run).log_on()


@against_server("RFC2831-2.1.2.1-12", accept=SUCCESS)
def right_response_with_integrity(run: CaseRun) -> Observation:
    """With auth-int, A2 ends in 32 zeros."""
    return ScriptedDigestClient(run, qop="auth-int").log_on()


@against_server("RFC2831-2.1.2.1-12", accept=SUCCESS)
def right_response_with_confidentiality(run: CaseRun) -> Observation:
    """With auth-conf, A2 ends in 32 zeros."""
    client = ScriptedDigestClient(run, qop="auth-conf")
    offered = client.begin().options("cipher")
    client.cipher = "rc4" if "rc4" in offered else "3des"
    return client.log_on()


def _missing(directive: str, requirement: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        return ScriptedDigestClient(run).log_on(without=directive)

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
    def case(run: CaseRun) -> Observation:
        client = ScriptedDigestClient(run, qop=qop, cipher="3des" if qop == "auth-conf" else "")
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
def response_twice_the_first_right(run: CaseRun) -> Observation:
    """A right response directive followed by a wrong one does not authenticate."""
    return ScriptedDigestClient(run).log_on(extra=[b"response=" + b"0" * 32])


@against_server("RFC2831-2.1.2-47", accept=REFUSAL)
def response_twice_the_second_right(run: CaseRun) -> Observation:
    """A wrong response directive followed by the right one does not authenticate."""
    client = ScriptedDigestClient(run)
    client.begin()
    return client.answer(b"response=" + b"0" * 32 + b"," + client.write())


@against_server("RFC2831-2.1.2-65", accept=REFUSAL)
def authzid_twice(run: CaseRun) -> Observation:
    """Two authzid directives do not authenticate."""
    me = _identity(run, run.target.account.user)
    return ScriptedDigestClient(run, authzid=me).log_on(extra=[b"authzid=" + quoted(me)])


@against_server("RFC2831-2.1.2-15", "RFC2831-3-01", accept=REFUSAL)
def nonce_of_another_connection(run: CaseRun) -> Observation:
    """A response over the nonce of another connection does not authenticate."""
    other = ScriptedDigestClient(run).begin().value("nonce")
    return ScriptedDigestClient(run, nonce=other).log_on()


@against_server("RFC2831-2.1.2-23", "RFC2831-3-01", accept=REFUSAL)
def replay(run: CaseRun) -> Observation:
    """The response of an exchange that succeeded does not serve again."""
    first = ScriptedDigestClient(run).logged_on()
    second = ScriptedDigestClient(run)
    second.begin()
    return second.answer(first.response)


@against_server("RFC2831-2.1.2-10", accept=REFUSAL)
def realm_not_served(run: CaseRun) -> Observation:
    """A response for a realm that the server does not serve does not authenticate."""
    client = ScriptedDigestClient(run, realm=b"other.example")
    if not client.begin().values("realm"):
        raise NotApplicable("the server offers no realm, so it may serve any")
    return client.log_on()


@against_server("RFC2831-2.1.2-11", accept=SUCCESS)
def no_realm_is_the_empty_realm(run: CaseRun) -> Observation:
    """Without a realm in challenge and response, the hash is over the empty realm."""
    return ScriptedDigestClient(run, Setting(realms=())).log_on()


@against_server("RFC2831-2.1.2-21", "RFC2831-2.1.2.1-01", "RFC2831-7.2-06", accept=SUCCESS)
def cnonce_with_a_quoted_pair(run: CaseRun) -> Observation:
    """A cnonce with an escaped quote is unescaped before it is hashed."""
    return ScriptedDigestClient(run, cnonce=b'a"b\\c').log_on()


@against_server("RFC2831-2.1.3-01", accept=REFUSAL)
def nonce_count_two(run: CaseRun) -> Observation:
    """A rightly computed response with nc=00000002 does not authenticate a first time."""
    return ScriptedDigestClient(run, nc=b"00000002").log_on()


@against_server("RFC2831-2.1.2-26", accept=REFUSAL)
def nonce_count_of_seven_digits(run: CaseRun) -> Observation:
    """An nc that is not eight hexadecimal digits does not authenticate."""
    return ScriptedDigestClient(run, nc=b"0000001").log_on()


@against_server("RFC2831-2.1.2-29", accept=REFUSAL)
def protection_not_offered(run: CaseRun) -> Observation:
    """A qop that nobody offered does not authenticate."""
    return ScriptedDigestClient(run, hashed_qop=b"auth-more").log_on()


@against_server("RFC2831-2.1.2-29", "RFC4422-3.6-07", accept=REFUSAL)
def weaker_protection_than_offered(run: CaseRun) -> Observation:
    """qop=auth does not authenticate where only layers were offered."""
    client = ScriptedDigestClient(run, Setting(min_ssf=1))
    client.begin()
    client.challenge = client.challenge._replace(listed=tuple(d for d in client.challenge.listed if d[0] != "qop"))
    return client.log_on()


@against_server("RFC2831-2.1.2-31", "RFC2831-2.1.2.1-14", accept=SUCCESS)
def no_qop_means_auth(run: CaseRun) -> Observation:
    """A response without qop is one with auth, which is hashed."""
    return ScriptedDigestClient(run).log_on(without="qop")


@against_server("RFC2831-2.1.2-31", accept=REFUSAL)
def no_qop_where_integrity_is_required(run: CaseRun) -> Observation:
    """A response without qop does not authenticate where auth was not offered."""
    client = ScriptedDigestClient(run, Setting(min_ssf=1))
    client.begin()
    client.challenge = client.challenge._replace(listed=tuple(d for d in client.challenge.listed if d[0] != "qop"))
    return client.log_on(without="qop")


def _uri(uri_name: str, requirement: str, uri: str, what: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        target = run.target
        other = "ldap" if target.service != "ldap" else "imap"
        return ScriptedDigestClient(
            run, digest_uri=uri.format(service=target.service, host=target.host, other=other).encode()
        ).log_on()

    case.__name__ = uri_name
    case.__doc__ = f"A rightly computed response whose digest-uri names {what} does not authenticate."
    return against_server(requirement, accept=REFUSAL)(case)


_uri("wrong_host", "RFC2831-2.1.2-38", "{service}/wrong.example", "another host")
_uri("wrong_service", "RFC2831-2.1.2-39", "{other}/{host}", "another service")
_uri("wrong_host_name_of_ours", "RFC2831-2.1.2-40", "{service}/x{host}", "a host that is not one of the server's names")
_uri("host_by_address", "RFC2831-2.1.2-41", "{service}/192.0.2.1", "an IP address")
_uri("wrong_service_name", "RFC2831-2.1.2-42", "{service}/{host}/unknown.example", "an unknown replicated service")


@against_server("RFC2831-2.1.2.1-02", accept=SUCCESS, lenient=True)  # it may be refused for another name, SHOULD says
def case_of_digest_uri(run: CaseRun) -> Observation:
    """The octets of digest-uri are hashed as they came, the host in whatever case."""
    target = run.target
    return ScriptedDigestClient(run, digest_uri=f"{target.service}/{target.host.upper()}".encode()).log_on()


@against_server("RFC2831-2.1.2.1-02", "RFC2831-7.1-01", accept=SUCCESS)
def case_of_qop(run: CaseRun) -> Observation:
    """qop=AUTH is auth, and is hashed as it came."""
    return ScriptedDigestClient(run, hashed_qop=b"AUTH").log_on()


@against_server("RFC2831-2.1.2-54", accept=REFUSAL)
def response_in_upper_case(run: CaseRun) -> Observation:
    """A response-value in upper-case digits does not authenticate."""
    client = ScriptedDigestClient(run)
    client.begin()
    right = client.write()
    while not client.values.response().upper().isupper():
        right = client.write()
    value = client.values.response()
    return client.answer(right.replace(value, value.upper()))


@against_server("RFC2831-2.1.2-56", accept=REFUSAL)
def confidentiality_without_cipher(run: CaseRun) -> Observation:
    """auth-conf without a cipher does not authenticate."""
    return ScriptedDigestClient(run, qop="auth-conf").log_on()


@against_server("RFC2831-2.1.2-58", accept=REFUSAL)
def cipher_not_offered(run: CaseRun) -> Observation:
    """A cipher that nobody offered does not authenticate."""
    client = ScriptedDigestClient(run, Setting(ciphers=("3des",)), qop="auth-conf")
    return client.log_on(changes={"cipher": b"rc4"})


@against_server("RFC2831-2.1.2-62", "RFC2831-2.1.2.1-04", accept=SUCCESS)
def authzid_permitted(run: CaseRun) -> Observation:
    """An authzid that the user may assume is hashed and granted."""
    if not run.target.local:
        raise NotApplicable("whom the account may act as is not known")
    return ScriptedDigestClient(run, authzid=b"dana").log_on()


def _identity(run: CaseRun, name: str) -> bytes:
    return (f"u:{name}" if run.target.service == "ldap" else name).encode()


@against_server("RFC2831-2.1.2-62", accept=SUCCESS, lenient=True)  # whom a user may act as is the server's to say
def own_authzid(run: CaseRun) -> Observation:
    """One's own name is granted as the authorization identity."""
    return ScriptedDigestClient(run, authzid=_identity(run, run.target.account.user)).log_on()


@against_server("RFC2831-2.1.2-63", "RFC4422-2-02", "RFC4422-3.6-06", accept=REFUSAL, configured=True)
def authzid_forbidden(run: CaseRun) -> Observation:
    """An authzid that the user may not assume does not authenticate."""
    return ScriptedDigestClient(run, authzid=_identity(run, "nobody-at-all")).log_on()


@against_server("RFC2831-2.1.2-64", "RFC4422-5-08", accept=REFUSAL)
def authzid_beside_the_hash(run: CaseRun) -> Observation:
    """An authzid that is not in the hash does not authenticate."""
    return ScriptedDigestClient(run).log_on(extra=[b"authzid=" + quoted(_identity(run, run.target.account.user))])


@against_server("RFC2831-2.1.2-68", "RFC4422-6.1.5-01", accept=REFUSAL | SUCCESS, destructive=True)
def response_of_4096_octets(run: CaseRun) -> Observation:
    """A response of 4,096 octets may be refused, and the server lives on."""
    client = ScriptedDigestClient(run)
    client.begin()
    right = client.write()
    return client.answer(right + b",x=" + b"y" * (4096 - len(right) - 3))


@against_server("RFC2831-2.1.2-68", accept=REFUSAL, destructive=True)
def response_of_a_million_octets(run: CaseRun) -> Observation:
    """A response of a million octets may be refused, and the server lives on."""
    client = ScriptedDigestClient(run)
    client.begin()
    return client.answer(client.write() + b",x=" + b"y" * 1_000_000)


@against_server("RFC2831-2.1.2-69", accept=SUCCESS)
def unknown_directives(run: CaseRun) -> Observation:
    """Directives that nobody knows do no harm."""
    return ScriptedDigestClient(run).log_on(extra=[b'foo="bar"', b"baz=1"])


@against_server("RFC2831-2.1.2.1-16", accept=SUCCESS)
def http_directives(run: CaseRun) -> Observation:
    """Algorithm and opaque, which are HTTP's, are ignored."""
    return ScriptedDigestClient(run).log_on(extra=[b"algorithm=md5-sess", b'opaque="x"'])
