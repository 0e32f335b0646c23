"""Names and passwords beyond ASCII: by the RFC's rule, and with deployed peers by named tolerances.

How each deployed peer hashes was found by running it: Cyrus takes UTF-8 throughout or ISO 8859-1 throughout, OpenJDK
follows the RFC, Dovecot and pure-sasl hash UTF-8 throughout, GNU SASL hashes a UTF-8 name with an ISO 8859-1 password.
"""

from __future__ import annotations

import pytest

from packages.digest.ours import joined, new_client, new_server
from packages.digest.scripted import ScriptedClient, ScriptedServer, values
from saslsspi import Policy, Tolerances
from saslsspi.errors import IncompleteCredentials, InvalidToken, LogonDenied
from saslsspi.status import SecurityStatus

LATIN = ("josé", "señor")
CYRILLIC = ("Ženja", "пароль")
MIXED = ("josé", "пароль")
UTF8 = b"charset=utf-8"


def encoded(text: str) -> bytes:
    """The RFC's rule for one value: ISO 8859-1 where all of it fits."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode()


def tolerating(*tolerances: Tolerances) -> Policy:
    allowed = Tolerances.DEFAULT
    for tolerance in tolerances:
        allowed |= tolerance
    return Policy(tolerances=allowed, max_ssf=0)


# The RFC's rule.


@pytest.mark.requirement(
    "RFC2831-2.1.2-06",
    "RFC2831-2.1.2.1-06",
    "RFC2831-2.1.2.1-07",
    "RFC2831-2.1.2.1-08",
    "RFC2831-8-01",
    "MSDPSP-2.2-03",
    "RFC6331-1-04",
)
@pytest.mark.parametrize(
    ("user", "password"), [LATIN, CYRILLIC, MIXED, ("Ženja", "señor"), ("plain", "пароль"), ("漢字", "🔑")]
)
def test_with_charset_each_value_for_itself_is_latin1_where_it_fits(user: str, password: str) -> None:
    script = ScriptedServer(username=encoded(user), password=encoded(password))
    client = new_client(username=user, password=password)
    sent = script.read(client.step(script.challenge(UTF8)) or b"")
    assert (sent["username"], sent["charset"]) == (user.encode(), b"utf-8")
    client.succeed(script.proof())
    assert client.security.authcid == user
    joined(client=client.again(), server=new_server(authority={user: password}))


@pytest.mark.requirement("RFC2831-2.1.2.1-07")
@pytest.mark.parametrize("realm", ["räume.example", "область.example"])
def test_the_realm_follows_the_same_rule(realm: str) -> None:
    script = ScriptedServer(realm=encoded(realm))
    client = new_client()
    sent = values(client.step(script.challenge(UTF8, realm=realm.encode())) or b"")
    assert sent["realm"] == realm.encode()
    script.nonce, script.cnonce, script.digest_uri = sent["nonce"], sent["cnonce"], sent["digest-uri"]
    assert sent["response"] == script.response()
    client.succeed(script.proof())
    assert client.security.realm == realm
    _, server = joined(client=new_client(), server=new_server(realm=realm))
    assert server.security.realm == realm


@pytest.mark.requirement("RFC2831-2.1.1-29", "RFC2831-2.1.2-06", "RFC2831-2.1.2-51", "RFC2831-2.1.2.1-09")
def test_without_charset_names_and_passwords_are_latin1() -> None:
    user, password = LATIN
    script = ScriptedServer(username=encoded(user), password=encoded(password))
    client = new_client(username=user, password=password)
    response = client.step(script.challenge())
    sent = script.read(response or b"")
    assert sent["username"] == b"jos\xe9"
    assert "charset" not in sent
    client.succeed(script.proof())
    assert client.security.authcid == user


@pytest.mark.requirement("RFC2831-2.1.1-29", "RFC2831-2.1.2.1-09")
def test_a_client_without_charset_is_read_as_latin1() -> None:
    user, password = LATIN
    server = new_server(authority={user: password})
    script = ScriptedClient(username=encoded(user), password=encoded(password), utf8=False)
    assert server.step(script.answer(server.step(None) or b"")) == b"rspauth=" + script.rspauth()
    assert server.security.authcid == user
    assert server.security.tolerances == ()


@pytest.mark.requirement("RFC2831-2.1.1-30")
@pytest.mark.parametrize(("user", "password"), [CYRILLIC, MIXED, ("Ženja", "plain")])
def test_without_charset_what_is_not_latin1_cannot_be_sent(user: str, password: str) -> None:
    with pytest.raises(IncompleteCredentials) as caught:
        new_client(username=user, password=password).step(ScriptedServer().challenge())
    assert caught.value.status is SecurityStatus.SEC_E_INCOMPLETE_CREDENTIALS
    assert password not in str(caught.value)


@pytest.mark.requirement("RFC2831-8-01", "RFC2831-2.1.1-28")
@pytest.mark.parametrize("octets", [b"\xff", b"jos\xe9", b"\xc0\x80", b"\xc3"])
def test_a_name_that_is_not_the_announced_utf8_is_refused(octets: bytes) -> None:
    server = new_server()
    with pytest.raises(InvalidToken):
        server.step(ScriptedClient(username=octets).answer(server.step(None) or b""))


@pytest.mark.requirement("RFC2831-2.1.3-02")
def test_a_password_that_the_clients_charset_cannot_hold_is_a_wrong_one_like_any_other() -> None:
    for authority in ({"chris": "пароль"}, {"nobody": "secret"}, {"chris": "other"}):
        server = new_server(authority=authority)
        with pytest.raises(LogonDenied) as caught:
            server.step(ScriptedClient(utf8=False).answer(server.step(None) or b""))
        assert caught.value.text == "the user is unknown or the password is wrong"


def test_an_authorization_identity_that_is_not_utf8_is_refused() -> None:
    server = new_server()
    with pytest.raises(InvalidToken):
        server.step(ScriptedClient(authzid=b"jos\xe9", utf8=False).answer(server.step(None) or b""))


# Deployed servers, met by our client.


@pytest.mark.parametrize("peer", ["Cyrus", "OpenJDK"])
def test_servers_that_hash_latin1_need_nothing(peer: str) -> None:
    user, password = LATIN
    script = ScriptedServer(username=user.encode("latin-1"), password=password.encode("latin-1"))
    client = new_client(username=user, password=password)
    script.read(client.step(script.challenge(UTF8)) or b"")
    client.succeed(script.proof())
    assert client.security.tolerances == ()


@pytest.mark.parametrize("peer", ["Cyrus", "Dovecot"])
@pytest.mark.parametrize(("user", "password"), [LATIN, MIXED, CYRILLIC])
def test_servers_that_hash_utf8_need_hash_utf8(peer: str, user: str, password: str) -> None:
    script = ScriptedServer(username=user.encode(), password=password.encode())
    client = new_client(username=user, password=password, policy=tolerating(Tolerances.HASH_UTF8))
    script.read(client.step(script.challenge(UTF8)) or b"")
    client.succeed(script.proof())
    assert client.security.tolerances == (() if (user, password) == CYRILLIC else ("HASH_UTF8",))


def test_servers_that_hash_a_utf8_name_with_a_latin1_password_need_hash_mixed() -> None:
    user, password = LATIN
    script = ScriptedServer(username=user.encode(), password=password.encode("latin-1"))
    client = new_client(username=user, password=password, policy=tolerating(Tolerances.HASH_MIXED))
    script.read(client.step(script.challenge(UTF8)) or b"")
    client.succeed(script.proof())
    assert client.security.tolerances == ("HASH_MIXED",)


def test_ascii_names_need_no_tolerance_whatever_the_policy_names() -> None:
    script = ScriptedServer()
    client = new_client(policy=tolerating(Tolerances.HASH_UTF8))
    script.read(client.step(script.challenge(UTF8)) or b"")
    client.succeed(script.proof())
    assert client.security.tolerances == ()


# Deployed clients, met by our server.


def logs_on(script: ScriptedClient, user: str, password: str, policy: Policy) -> tuple[str, ...]:
    server = new_server(authority={user: password}, policy=policy)
    server.step(script.answer(server.step(None) or b""))
    assert server.security.authcid == user
    return server.security.tolerances


def test_a_client_of_cyrus_that_leaves_out_charset_needs_nothing() -> None:
    user, password = LATIN
    script = ScriptedClient(username=user.encode("latin-1"), password=password.encode("latin-1"), utf8=False)
    assert logs_on(script, user, password, tolerating()) == ()


def test_a_client_of_openjdk_needs_nothing() -> None:
    user, password = LATIN
    script = ScriptedClient(username=encoded(user), password=encoded(password), wire_username=user.encode())
    assert logs_on(script, user, password, tolerating()) == ()


@pytest.mark.parametrize(("user", "password"), [LATIN, MIXED])
def test_a_client_of_pure_sasl_needs_utf8_without_charset_and_hash_utf8(user: str, password: str) -> None:
    script = ScriptedClient(username=user.encode(), password=password.encode(), utf8=False)
    policy = tolerating(Tolerances.UTF8_WITHOUT_CHARSET, Tolerances.HASH_UTF8)
    assert set(logs_on(script, user, password, policy)) == {"UTF8_WITHOUT_CHARSET", "HASH_UTF8"}
    for less in (tolerating(), tolerating(Tolerances.UTF8_WITHOUT_CHARSET), tolerating(Tolerances.HASH_UTF8)):
        with pytest.raises(LogonDenied):
            logs_on(
                ScriptedClient(username=user.encode(), password=password.encode(), utf8=False), user, password, less
            )


def test_names_outside_latin_1_that_nobody_announced_need_utf8_without_charset_alone() -> None:
    user, password = CYRILLIC

    def script() -> ScriptedClient:
        return ScriptedClient(username=user.encode(), password=password.encode(), utf8=False)

    assert logs_on(script(), user, password, tolerating(Tolerances.UTF8_WITHOUT_CHARSET)) == ("UTF8_WITHOUT_CHARSET",)
    with pytest.raises(LogonDenied):
        logs_on(script(), user, password, tolerating())


@pytest.mark.parametrize(("user", "password"), [LATIN, MIXED])
def test_a_client_that_hashes_utf8_needs_hash_utf8(user: str, password: str) -> None:
    def script() -> ScriptedClient:
        return ScriptedClient(username=user.encode(), password=password.encode())

    assert logs_on(script(), user, password, tolerating(Tolerances.HASH_UTF8)) == ("HASH_UTF8",)
    with pytest.raises(LogonDenied):
        logs_on(script(), user, password, tolerating())


def test_a_client_of_gnu_sasl_needs_hash_mixed() -> None:
    user, password = LATIN

    def script() -> ScriptedClient:
        return ScriptedClient(username=user.encode(), password=password.encode("latin-1"))

    assert logs_on(script(), user, password, tolerating(Tolerances.HASH_MIXED)) == ("HASH_MIXED",)
    both = tolerating(Tolerances.HASH_UTF8, Tolerances.HASH_MIXED)
    assert logs_on(script(), user, password, both) == ("HASH_MIXED",)
    with pytest.raises(LogonDenied):
        logs_on(script(), user, password, tolerating())


def test_no_tolerance_of_hashes_is_on_by_default() -> None:
    off = Tolerances.UTF8_WITHOUT_CHARSET | Tolerances.HASH_UTF8 | Tolerances.HASH_MIXED
    assert not Policy().tolerances & off


def test_with_every_tolerance_a_wrong_password_is_still_wrong() -> None:
    everything = tolerating(*Tolerances)
    for user, password in (LATIN, MIXED, CYRILLIC):
        with pytest.raises(LogonDenied):
            logs_on(ScriptedClient(username=user.encode(), password=b"guess"), user, password, everything)
