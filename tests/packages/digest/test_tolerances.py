"""Departures of deployed peers: accepted by name, named in the outcome, and refused with Tolerances.NONE."""

from __future__ import annotations

import pytest

from packages.digest.ours import new_client, new_server
from packages.digest.scripted import ScriptedClient, ScriptedServer
from saslsspi import Policy, Tolerances
from saslsspi.errors import InvalidToken, LogonDenied, SaslError

STRICT = Tolerances.NONE


def client_reads(
    *more: bytes, allowed: Tolerances = Tolerances.DEFAULT, algorithm: bytes | None = b"md5-sess"
) -> tuple[str, ...]:
    """Let our client authenticate after such a challenge; the names of the tolerances that it needed."""
    script = ScriptedServer()
    client = new_client(policy=Policy(tolerances=allowed))
    script.read(client.step(script.challenge(*more, algorithm=algorithm)) or b"")
    client.succeed(script.proof())
    return client.security.tolerances


def server_reads(
    allowed: Tolerances = Tolerances.DEFAULT, layer: str | None = None, **named: object
) -> tuple[str, ...]:
    """Let our server authenticate such a client; the names of the tolerances that it needed."""
    script = ScriptedClient(**named)  # type: ignore[arg-type]  # the names are ScriptedClient's
    server = new_server(layer, policy=Policy(tolerances=allowed), authority={"chris": "secret", "DOM\\user": "secret"})
    server.step(script.answer(server.step(None) or b""))
    return server.security.tolerances


CHALLENGES = [
    ("QUOTED_CHARSET", (b'charset="utf-8"',), b"md5-sess"),
    ("QUOTED_ALGORITHM", (), b'"md5-sess"'),
    ("BARE_LIST", (b"qop=auth",), b"md5-sess"),
    ("BARE_LIST", (b'qop="auth-conf"', b"cipher=rc4"), b"md5-sess"),
    ("QUOTED_NUMBER", (b'maxbuf="4096"',), b"md5-sess"),
    ("QUOTED_NUMBER", (b'stale="true"',), b"md5-sess"),
]


@pytest.mark.requirement("MSDPSP-3.2.5.2-02")
@pytest.mark.parametrize(("name", "more", "algorithm"), CHALLENGES)
def test_departures_in_a_challenge(name: str, more: tuple[bytes, ...], algorithm: bytes) -> None:
    assert client_reads(*more, algorithm=algorithm) == (name,)
    assert client_reads(*more, algorithm=algorithm, allowed=Tolerances[name]) == (name,)
    for refused in (STRICT, Tolerances.DEFAULT & ~Tolerances[name]):
        with pytest.raises(InvalidToken):
            client_reads(*more, algorithm=algorithm, allowed=refused)


def test_dovecots_challenge_needs_two() -> None:
    assert client_reads(b'qop="auth"', b'charset="utf-8"', algorithm=b'"md5-sess"') == (
        "QUOTED_CHARSET",
        "QUOTED_ALGORITHM",
    )


RESPONSES: list[tuple[str, dict[str, object]]] = [
    ("QUOTED_QOP", {"changes": {"qop": b'"auth"'}}),
    ("QUOTED_CHARSET", {"changes": {"charset": b'"utf-8"'}}),
    ("QUOTED_CIPHER", {"qop": b"auth-conf", "changes": {"cipher": b'"rc4"'}}),
    ("QUOTED_NUMBER", {"changes": {"nc": b'"00000001"'}}),
    ("QUOTED_NUMBER", {"changes": {"maxbuf": b'"4096"'}}),
    ("BARE_BACKSLASH", {"username": b"DOM\\user", "changes": {"username": b'"DOM\\user"'}}),
]


@pytest.mark.requirement("MSDPSP-3.2.1-02", "MSDPSP-2.2-01", "MSDPSP-3.2.5.2-02")
@pytest.mark.parametrize(("name", "changes"), RESPONSES)
def test_departures_in_a_response(name: str, changes: dict[str, object]) -> None:
    assert server_reads(**changes) == (name,)  # type: ignore[arg-type]
    assert server_reads(Tolerances[name], **changes) == (name,)  # type: ignore[arg-type]
    for refused in (STRICT, Tolerances.DEFAULT & ~Tolerances[name]):
        with pytest.raises((InvalidToken, LogonDenied)):
            server_reads(refused, **changes)  # type: ignore[arg-type]


def test_a_quoted_response_value_needs_quoted_number() -> None:
    script = ScriptedClient()
    server = new_server()
    right = script.answer(server.step(None) or b"")
    server.step(right.replace(b"response=" + script.response(), b'response="' + script.response() + b'"'))
    assert server.security.tolerances == ("QUOTED_NUMBER",)


def test_a_quoted_rspauth_needs_quoted_number() -> None:
    for allowed, accepted in ((Tolerances.DEFAULT, True), (STRICT, False)):
        script = ScriptedServer()
        client = new_client(policy=Policy(tolerances=allowed))
        script.read(client.step(script.challenge()) or b"")
        proof = b'rspauth="' + script.rspauth() + b'"'
        if accepted:
            client.succeed(proof)
            assert client.done
        else:
            with pytest.raises(InvalidToken):
                client.succeed(proof)


@pytest.mark.requirement("MSDPSP-2.2-01")
@pytest.mark.parametrize(
    ("wire", "accepted"),
    [
        (b'"DOM\\user"', True),
        (b'"DOM\\\\user"', False),  # properly doubled: the name has one backslash, as hashed
        (b'"DOM\\\\\\\\user"', None),  # two backslashes: another user
    ],
)
def test_a_single_backslash_counts_as_a_doubled_one(wire: bytes, accepted: bool | None) -> None:
    changes: dict[str, object] = {"username": b"DOM\\user", "changes": {"username": wire}}
    if accepted is None:
        with pytest.raises(LogonDenied):
            server_reads(**changes)  # type: ignore[arg-type]
    else:
        assert server_reads(**changes) == (("BARE_BACKSLASH",) if accepted else ())  # type: ignore[arg-type]


@pytest.mark.requirement("MSDPSP-2.2-01")
def test_a_single_backslash_is_first_read_as_the_grammar_says() -> None:
    """Of two users, DOMuser and DOM\\user, the response says which is meant."""
    for hashed, used in ((b"DOMuser", ()), (b"DOM\\user", ("BARE_BACKSLASH",))):
        script = ScriptedClient(username=hashed, changes={"username": b'"DOM\\user"'})
        server = new_server(authority={"DOMuser": "secret", "DOM\\user": "secret"})
        server.step(script.answer(server.step(None) or b""))
        assert server.security.authcid == hashed.decode()
        assert server.security.tolerances == used


@pytest.mark.requirement("MSDPSP-2.2-01")
def test_a_single_backslash_opens_no_second_chance_for_a_password() -> None:
    with pytest.raises(LogonDenied):
        server_reads(username=b"DOM\\user", password=b"guess", changes={"username": b'"DOM\\user"'})


@pytest.mark.requirement("MSDPSP-3.2.1-02")
def test_qop_is_taken_quoted_and_bare_and_never_sent_quoted() -> None:
    assert server_reads() == ()
    assert server_reads(changes={"qop": b'"auth"'}) == ("QUOTED_QOP",)
    assert b"qop=auth," in (new_client(policy=Policy(max_ssf=0)).step(ScriptedServer().challenge()) or b"") + b","


@pytest.mark.parametrize("name", ["username", "realm", "nonce", "cnonce", "digest-uri"])
@pytest.mark.requirement("RFC2831-2.1.2-02", "RFC2831-7.2-04")
def test_what_the_grammar_quotes_is_never_taken_bare(name: str) -> None:
    bare = {"username": b"chris", "realm": b"example.org", "cnonce": b"abc", "nonce": b"abc", "digest-uri": b"imap"}
    with pytest.raises(InvalidToken):
        server_reads(Tolerances.DEFAULT, changes={name: bare[name]})


@pytest.mark.requirement("RFC2831-2.1.1-02", "RFC2831-7.2-04")
@pytest.mark.parametrize(
    "text", [b"realm=r,nonce=n", b'realm=r,nonce="n"', b'realm="r",nonce=n', b'realm="r",realm=s,nonce="n"']
)
def test_realm_and_nonce_of_a_challenge_are_never_taken_bare(text: bytes) -> None:
    with pytest.raises(SaslError):
        new_client().step(text + b",algorithm=md5-sess")


def test_a_strict_policy_takes_strict_peers() -> None:
    assert client_reads(b'qop="auth"', b"charset=utf-8", allowed=STRICT) == ()
    assert server_reads(STRICT) == ()


@pytest.mark.requirement("RFC6331-1-12")
def test_quoted_pairs_are_resolved_in_bare_values_that_came_quoted_too() -> None:
    assert server_reads(changes={"qop": b'"a\\uth"'}) == ("QUOTED_QOP",)
