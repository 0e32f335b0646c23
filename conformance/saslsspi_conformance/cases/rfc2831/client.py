"""RFC 2831 sections 2.1.1 to 2.2, what a client makes of a challenge and of the proof."""

from __future__ import annotations

from saslsspi_conformance.case import (
    REFUSAL,
    CaseFunction,
    NotApplicable,
    Observation,
    Reaction,
    against_client,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.lists import Directives
from saslsspi_conformance.peers.digest.server import ScriptedDigestServer

_RESPONSE = frozenset({Reaction.RESPONSE})


def _sent(run: CaseRun, *more: bytes) -> Directives:
    server = ScriptedDigestServer(run)
    return server.responded(server.challenge(*more))


def _aborts(
    name: str, title: str, requirement: str, *more: bytes, lenient: bool = False, **given: object
) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        server = ScriptedDigestServer(run)
        return server.ask(server.challenge(*more, **given))  # type: ignore[arg-type]

    case.__name__ = name
    case.__doc__ = title
    return against_client(requirement, accept=REFUSAL, lenient=lenient)(case)


_aborts("no_nonce", "Without a nonce the client gives up.", "RFC2831-2.1.1-15", nonce=b"")
_aborts("two_nonces", "With two nonces the client gives up.", "RFC2831-2.1.1-16", b'nonce="other"')
_aborts("unknown_qop", "With no qop that it knows the client gives up.", "RFC2831-2.1.1-20", qop="foo")
_aborts("two_stales", "With two stale directives the client gives up.", "RFC2831-2.1.1-22", b"stale=true,stale=true")
_aborts("two_maxbufs", "With two maxbufs the client gives up.", "RFC2831-2.1.1-26", b"maxbuf=4096,maxbuf=8192")
_aborts("two_charsets", "With two charsets the client gives up.", "RFC2831-2.1.1-31", b"charset=utf-8")
_aborts("no_algorithm", "Without an algorithm the client gives up.", "RFC2831-2.1.1-36", algorithm=None)
_aborts("two_algorithms", "With two algorithms the client gives up.", "RFC2831-2.1.1-37", b"algorithm=md5-sess")
_aborts("other_algorithm", "With HTTP's md5 the client gives up.", "RFC2831-2.1.1-38", algorithm=b"algorithm=md5")
_aborts("no_cipher", "With auth-conf alone and no cipher the client gives up.", "RFC2831-2.1.1-40", qop="auth-conf")
_aborts("unknown_cipher", "With auth-conf alone and no cipher that it knows the client gives up.", "RFC2831-2.1.1-44",
        qop="auth-conf", cipher="foo")  # fmt: skip
_aborts("two_ciphers", "With two cipher directives the client gives up.", "RFC2831-2.1.1-45", b'cipher="des"',
        qop="auth-conf", cipher="3des")  # fmt: skip
_aborts("empty_qop", "With an empty qop list the client gives up.", "RFC2831-7.1-03", b'qop=","', qop="")
_aborts("no_delimiter", "Without a comma between directives the client gives up.", "RFC2831-7.1-05",
        lenient=True, algorithm=b"stale=true algorithm=md5-sess")  # fmt: skip
_aborts(
    "separator_in_a_token",
    "A separator in a token makes the client give up.",
    "RFC2831-7.2-03",
    b"foo@bar=1",
    lenient=True,
)
_aborts(
    "unfinished_quote", "An unfinished quote makes the client give up.", "RFC2831-7.2-08", b'x="abc\\', lenient=True
)
_aborts("large_challenge", "A challenge of 70,000 octets makes the client give up.", "RFC2831-2.1.1-54",
        b"x=" + b"y" * 70_000)  # fmt: skip


@against_client("RFC2831-2.1.1-55", accept=REFUSAL)
def no_directives(run: CaseRun) -> Observation:
    """A challenge that is no list of directives makes the client give up."""
    return ScriptedDigestServer(run).ask(b"hello")


@against_client("RFC2831-2.1.1-55", accept=REFUSAL)
def empty_challenge(run: CaseRun) -> Observation:
    """An empty challenge makes the client give up."""
    return ScriptedDigestServer(run).ask(b"")


def _goes_on(name: str, title: str, requirements: tuple[str, ...], *more: bytes, **given: object) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        server = ScriptedDigestServer(run)
        challenge = server.challenge(*more, **given)  # type: ignore[arg-type]
        if given.get("qop", "auth") in ("auth-int", "auth-conf"):
            server.responded(challenge)
        elif (seen := server.ask(challenge)).outcome is not Reaction.RESPONSE:
            return seen
        return holds(server.right(), "the response is not the one of this password")

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements)(case)


_goes_on("right_response", "The response is computed by the RFC's formula.",
         ("RFC2831-2.1.2.1-03", "RFC2831-2.1.2.1-05", "RFC2831-2.1.2.1-11", "RFC2831-2.1.2.1-13", "RFC2831-1.1-02",
          "RFC2831-4-01", "RFC2831-4-03", "RFC2831-2.1-01"))  # fmt: skip
_goes_on("without_qop", "A challenge without qop offers auth.", ("RFC2831-2.1.1-18", "RFC2831-2.1.2.1-14"), qop="")
_goes_on("unknown_qop_beside", "Unknown qop tokens are ignored.", ("RFC2831-2.1.1-19",), qop="foo-bar,auth")
_goes_on("unknown_cipher_beside", "Unknown ciphers are ignored.", ("RFC2831-2.1.1-43", "RFC2831-2.1.2.1-12"),
         qop="auth-conf", cipher="aes-999,3des,rc4")  # fmt: skip
_goes_on("extensions", "Extensions may stand several times.", ("RFC2831-2.1.1-49",), b"x=1,x=2")
_goes_on("unknown_directives", "Unknown directives are ignored.", ("RFC2831-2.1.1-50",), b'foo="bar",baz=1')
_goes_on("several_realms_one_ours", "A realm among several is chosen by the user.",
         ("RFC2831-2.1.1-06",), realm=("example.org",))  # fmt: skip
_goes_on("without_realm", "Without a realm the hash is over the empty one.", ("RFC2831-2.1.2-11",), realm=())
_goes_on("integrity", "With auth-int A2 ends in 32 zeros.", ("RFC2831-2.1.2.1-12",), qop="auth-int")
_goes_on("null_elements", "Null elements do not count.", ("RFC2831-7.1-02",), b",, ,x=1,,")
_goes_on("white_space", "White space, folded lines even, stands around separators.",
         ("RFC2831-7.1-04", "RFC2831-7.2-01", "RFC2831-7.2-02"), b'x \t=\r\n "1" , y\t=2')  # fmt: skip


@against_client("RFC2831-2.1.1-41", accept=frozenset({Reaction.RESPONSE}), configured=True)
def triple_des(run: CaseRun) -> Observation:
    """A client with auth-conf answers a server that offers 3des alone."""
    server = ScriptedDigestServer(run)
    seen = server.ask(server.challenge(qop="auth-int,auth-conf", cipher="3des,rc4"))
    if server.sent.value("qop") != b"auth-conf":
        raise NotApplicable(f"the client does not choose auth-conf: {seen.outcome} {seen.detail}")
    second = ScriptedDigestServer(run)
    return second.ask(second.challenge(qop="auth-conf", cipher="3des"))


@against_client("RFC2831-7.1-01", "RFC2831-4-05")
def upper_case(run: CaseRun) -> Observation:
    """Names and literals have no case, and no order."""
    server = ScriptedDigestServer(run)
    challenge = b",".join(reversed(server.challenge(realm=()).split(b",")))
    for lower, mixed in ((b"nonce=", b"NONCE="), (b'qop="auth', b'QOP="AUTH'), (b"algorithm=md5", b"Algorithm=MD5")):
        challenge = challenge.replace(lower, mixed)
    seen = server.ask(challenge)
    return holds(server.right()) if seen.outcome is Reaction.RESPONSE else seen


@against_client("RFC2831-2.1.1-52", "RFC2831-2.1.2.1-15")
def http_directives(run: CaseRun) -> Observation:
    """Opaque and domain are ignored, and neither they nor algorithm come back."""
    sent = _sent(run, b'opaque="x",domain="y"')
    return holds(not any(map(sent.count, ("opaque", "domain", "algorithm"))))


@against_client("RFC2831-2.1.1-07", "RFC2831-2.1.2-09", "RFC2831-2.1.2-07")
def chosen_realm(run: CaseRun) -> Observation:
    """Of several realms the one that the user wants is answered."""
    server = ScriptedDigestServer(run, Setting(realm="two.example"))
    sent = server.responded(server.challenge(realm=("one.example", "two.example")))
    return holds(sent.value("realm") == b"two.example" and server.right())


@against_client("RFC2831-2.1.2-09", "RFC2831-2.1.2-07", "RFC2831-7.2-05")
def only_realm(run: CaseRun) -> Observation:
    """The only realm that is offered is answered as it stands."""
    server = ScriptedDigestServer(run)
    realm = " a " if run.target.local else run.target.account.realm
    return holds(server.responded(server.challenge(realm=(realm,))).value("realm") == realm.encode())


@against_client("RFC2831-2.1.1-12", "RFC2831-2.1.2-12", "RFC2831-7.2-06")
def nonce_comes_back(run: CaseRun) -> Observation:
    """The nonce comes back octet for octet, once."""
    server = ScriptedDigestServer(run)
    seen = server.ask(server.challenge(nonce=b'nonce="a\\"b\\\\c=="'))
    if seen.outcome is not Reaction.RESPONSE:
        return seen
    sent = server.sent
    return holds(sent.values("nonce") == [b'a"b\\c=='] and server.right())


@against_client("RFC2831-2.1.1-28", accept=REFUSAL, lenient=True)
def other_charset(run: CaseRun) -> Observation:
    """A charset other than utf-8 makes the client give up."""
    server = ScriptedDigestServer(run)
    return server.ask(server.challenge(b"charset=koi8-r", charset=False))


@against_client("RFC2831-2.1.1-29", "RFC2831-2.1.2-06", "RFC2831-2.1.2-51", "RFC2831-2.1.2.1-09")
def latin1_without_charset(run: CaseRun) -> Observation:
    """Without charset the name travels in ISO 8859-1, and no charset comes back."""
    server = ScriptedDigestServer(run, Setting(user="josé", password="grüße"))
    sent = server.responded(server.challenge(charset=False))
    return holds(sent.value("username") == b"jos\xe9" and not sent.count("charset") and server.right())


@against_client("RFC2831-2.1.2-06", "RFC2831-2.1.2-50", "RFC2831-2.1.2.1-06", "RFC2831-2.1.2.1-07", "RFC2831-8-01")
def latin1_with_charset(run: CaseRun) -> Observation:
    """With charset the name travels in UTF-8 and is hashed in ISO 8859-1 where it can be."""
    server = ScriptedDigestServer(run, Setting(user="josé", password="пароль"))
    sent = server.responded(server.challenge())
    return holds(sent.value("username") == "josé".encode() and sent.value("charset") == b"utf-8" and server.right())


@against_client("RFC2831-2.1.2.1-08", "RFC2831-7.2-09")
def beyond_latin1(run: CaseRun) -> Observation:
    """A name beyond ISO 8859-1 is hashed in UTF-8."""
    server = ScriptedDigestServer(run, Setting(user="Ženja", password="secret"))
    server.responded(server.challenge())
    return holds(server.right())


@against_client("RFC2831-7.2-07", "RFC2831-2.1.2.1-01", "RFC2831-7.2-06", "RFC2831-7.2-04")
def escaped_name(run: CaseRun) -> Observation:
    """A quote and a backslash in the name are escaped on the wire."""
    server = ScriptedDigestServer(run, Setting(user='dom\\u"ser'))
    sent = server.responded(server.challenge())
    return holds(sent.raw("username") == b'"dom\\\\u\\"ser"' and server.right(), repr(sent.raw("username")))


@against_client("RFC2831-2.1.2-01", "RFC2831-7.1-03", "RFC2831-7.1-05")
def grammar(run: CaseRun) -> Observation:
    """Every octet of the response fits the grammar."""
    return holds(not (sent := _sent(run)).flaw, sent.flaw)


@against_client("RFC2831-2.1.2-02", "RFC2831-2.1.2-32", "RFC2831-7.2-04")
def quotes(run: CaseRun) -> Observation:
    """username, realm, nonce, cnonce and digest-uri stand in quotes, the others do not."""
    sent = _sent(run, b"maxbuf=4096")
    quoted = {name for name, raw in sent.listed if raw.startswith(b'"')}
    return holds(quoted == {"username", "realm", "nonce", "cnonce", "digest-uri"}, f"in quotes: {sorted(quoted)}")


@against_client("RFC2831-2.1.2-03", "RFC2831-2.1.2-18", "RFC2831-2.1.2-27", "RFC2831-2.1.2-45", "RFC2831-2.1.2-12")
def each_once(run: CaseRun) -> Observation:
    """username, nonce, cnonce, nc, qop, digest-uri and response are there once."""
    sent = _sent(run)
    names = ("username", "nonce", "cnonce", "nc", "qop", "digest-uri", "response")
    return holds(all(sent.count(name) == 1 for name in names), str({name: sent.count(name) for name in names}))


@against_client("RFC2831-2.1.2-16", "RFC2831-3-03", "RFC2831-3-01")
def fresh_cnonce(run: CaseRun) -> Observation:
    """Every response has a cnonce of its own, to the same challenge even."""
    count = 1000 if run.target.local else 5
    cnonces = {_sent(run).value("cnonce") for _ in range(count)}
    return holds(len(cnonces) == count, f"{len(cnonces)} different ones in {count} responses")


@against_client("RFC2831-2.1.2-22", "RFC2831-2.1-01")
def first_count(run: CaseRun) -> Observation:
    """The first response has nc=00000001."""
    return holds(_sent(run).value("nc") == b"00000001")


@against_client("RFC2831-2.1.2-28")
def qop_of_the_offer(run: CaseRun) -> Observation:
    """The qop is one that was offered."""
    server = ScriptedDigestServer(run)
    sent = server.responded(server.challenge(qop="auth,auth-int"))
    return holds(sent.value("qop") in (b"auth", b"auth-int"))


@against_client("RFC2831-2.1.2-33", "RFC2831-2.1.2-34", "RFC2831-2.1.2-35", "RFC2831-2.1.2-37",
                "LDAP4513-5.2.1.1-01")  # fmt: skip
def digest_uri(run: CaseRun) -> Observation:
    """The digest-uri is the protocol's service name, a slash and the host."""
    uri = _sent(run).value("digest-uri").decode("latin-1")
    return holds(uri == f"{run.target.service}/{run.target.host}", uri)


@against_client("RFC2831-2.1.2-36")
def replicated_service(run: CaseRun) -> Observation:
    """The name of a replicated service follows the host."""
    server = ScriptedDigestServer(run, Setting(serv_name="example.org"))
    uri = server.responded(server.challenge()).value("digest-uri").decode("latin-1")
    return holds(uri == f"{run.target.service}/{run.target.host}/example.org", uri)


@against_client("RFC2831-2.1.2-53", "RFC2831-1.1-01")
def lower_case(run: CaseRun) -> Observation:
    """The response-value is 32 lower-case digits."""
    value = _sent(run).raw("response") or b""
    return holds(len(value) == 32 and set(value) <= set(b"0123456789abcdef"), repr(value))


@against_client("RFC2831-2.1.2-55")
def one_cipher(run: CaseRun) -> Observation:
    """With auth-conf there is one cipher."""
    server = ScriptedDigestServer(run)
    sent = server.responded(server.challenge(qop="auth-conf", cipher="3des,rc4"))
    if sent.value("qop") != b"auth-conf":
        raise NotApplicable("the client does not choose auth-conf")
    return holds(sent.count("cipher") == 1)


@against_client("RFC2831-2.1.2-28", "RFC2831-2.1.1-20")
def layers_only(run: CaseRun) -> Observation:
    """Where only auth-int is offered the client does not answer with anything else."""
    server = ScriptedDigestServer(run)
    seen = server.ask(server.challenge(qop="auth-int"))
    qop = server.sent.value("qop")
    return holds(seen.outcome is not Reaction.RESPONSE or qop == b"auth-int", f"qop={qop.decode('latin-1')}")


@against_client("RFC2831-2.1.2-59")
def no_cipher_without_confidentiality(run: CaseRun) -> Observation:
    """Without auth-conf there is no cipher."""
    server = ScriptedDigestServer(run, Setting(max_ssf=0) if run.target.local else Setting())
    sent = server.responded(server.challenge(qop="auth,auth-conf", cipher="3des,rc4"))
    if sent.value("qop") not in (b"auth", b""):
        raise NotApplicable("the client chooses auth-conf")
    return holds(sent.count("cipher") == 0)


@against_client("RFC2831-2.1.2-60", "RFC2831-2.1.2-61", "RFC2831-2.1.2.1-04", "RFC2831-2.1.2.1-10", "RFC4422-5-06",
                "RFC4422-5-07")  # fmt: skip
def authzid(run: CaseRun) -> Observation:
    """An authzid travels in UTF-8 whatever charset says, escaped, and is hashed."""
    wanted = 'b,o=b"\\é😀'
    server = ScriptedDigestServer(run, Setting(authzid=wanted))
    sent = server.responded(server.challenge(charset=False))
    return holds(sent.value("authzid") == wanted.encode() and server.right())


@against_client("RFC2831-2.1.2-66", "RFC4422-5-05", "RFC4422-3.4.1-03")
def no_empty_authzid(run: CaseRun) -> Observation:
    """Without an authorization identity there is no authzid directive."""
    return holds(not _sent(run).count("authzid"))


@against_client("RFC2831-2.1.2-67", accept=REFUSAL)
def response_size(run: CaseRun) -> Observation:
    """A response that would reach 4,096 octets is not sent."""
    server = ScriptedDigestServer(run, Setting(user="u" * 5000))
    return server.ask(server.challenge())
