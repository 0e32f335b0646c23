"""Names and passwords beyond ASCII: by the RFC's rule, and with deployed peers by named tolerances.

How each deployed peer hashes was found by running it: Cyrus takes UTF-8 throughout or ISO 8859-1 throughout, OpenJDK
follows the RFC, Dovecot and pure-sasl hash UTF-8 throughout, GNU SASL hashes a UTF-8 name with an ISO 8859-1 password.
"""

from __future__ import annotations

from typing import Any

import pytest

from packages.digest.ours import joined, new_client, new_server
from packages.digest.scripted import ScriptedClient, ScriptedServer, values
from saslsspi import Account, Policy, Tolerances
from saslsspi.accounts import Authority
from saslsspi.accounts.account import Question, Secret
from saslsspi.crypto.md5 import md5
from saslsspi.errors import IncompleteCredentials, InvalidToken, LogonDenied
from saslsspi.packages.digest import charset as charset_module
from saslsspi.packages.digest import keys as keys_module
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


# Deployed clients, met by our server: what they do is taken by default, and named.


def logs_on(script: ScriptedClient, user: str, password: str, policy: Policy | None = None) -> tuple[str, ...]:
    server = new_server(authority={user: password}, policy=policy or Policy(max_ssf=0))
    server.step(script.answer(server.step(None) or b""))
    assert server.security.authcid == user
    return server.security.tolerances


STRICT = Policy(tolerances=Tolerances.NONE, max_ssf=0)
LATIN_1, UTF_8 = "latin-1", "utf-8"
# Who does it; the charset directive; the octets of the name on the wire, of the name in the hash, of the password in
# the hash; what it takes.
DEPLOYED = {
    "RFC 2831, OpenJDK": (True, UTF_8, LATIN_1, LATIN_1, set()),
    "Cyrus SASL in a Latin-1 terminal": (False, LATIN_1, LATIN_1, LATIN_1, set()),
    "Cyrus SASL, GNU SASL: the RFC's hash": (False, UTF_8, LATIN_1, LATIN_1, {"UTF8_WITHOUT_CHARSET"}),
    "Cyrus SASL, pure-sasl": (False, UTF_8, UTF_8, UTF_8, {"UTF8_WITHOUT_CHARSET", "HASH_UTF8"}),
    "ldap3": (True, UTF_8, UTF_8, UTF_8, {"HASH_UTF8"}),
    "GNU SASL": (True, UTF_8, UTF_8, LATIN_1, {"HASH_MIXED"}),
    "GNU SASL without charset": (False, UTF_8, UTF_8, LATIN_1, {"UTF8_WITHOUT_CHARSET", "HASH_MIXED"}),
}


def deployed(peer: str, user: str, password: str) -> ScriptedClient:
    announced, wire, name, secret, _ = DEPLOYED[peer]
    return ScriptedClient(
        username=user.encode(name), password=password.encode(secret), wire_username=user.encode(wire), utf8=announced
    )


@pytest.mark.parametrize("peer", DEPLOYED)
def test_what_deployed_clients_do_is_accepted_by_default_and_named(peer: str) -> None:
    assert set(logs_on(deployed(peer, *LATIN), *LATIN)) == DEPLOYED[peer][-1]


@pytest.mark.parametrize("peer", DEPLOYED)
def test_without_tolerances_the_rfc_alone_is_accepted(peer: str) -> None:
    if not DEPLOYED[peer][-1]:
        assert logs_on(deployed(peer, *LATIN), *LATIN, STRICT) == ()
        return
    with pytest.raises(LogonDenied):
        logs_on(deployed(peer, *LATIN), *LATIN, STRICT)


@pytest.mark.parametrize("peer", [peer for peer, row in DEPLOYED.items() if row[-1]])
def test_tolerances_that_are_named_are_enough_and_every_one_is_needed(peer: str) -> None:
    names = DEPLOYED[peer][-1]
    allowed = Tolerances.NONE
    for name in names:
        allowed |= Tolerances[name]
    assert set(logs_on(deployed(peer, *LATIN), *LATIN, Policy(tolerances=allowed, max_ssf=0))) == names
    for name in names:
        with pytest.raises(LogonDenied):
            logs_on(deployed(peer, *LATIN), *LATIN, Policy(tolerances=allowed & ~Tolerances[name], max_ssf=0))


@pytest.mark.parametrize(("user", "password"), [CYRILLIC, MIXED, ("plain", "пароль"), ("Ženja", "señor")])
@pytest.mark.parametrize("announced", [True, False])
def test_every_alphabet_logs_on_in_utf8(user: str, password: str, announced: bool) -> None:
    script = ScriptedClient(username=user.encode(), password=password.encode(), utf8=announced)
    named = set(logs_on(script, user, password))
    assert ("UTF8_WITHOUT_CHARSET" in named) is (not announced and not user.isascii()) or user == "plain"
    with pytest.raises(LogonDenied):
        logs_on(ScriptedClient(username=user.encode(), password=b"guess", utf8=announced), user, password)


def test_a_name_in_latin_1_that_is_utf8_as_well_is_found_by_the_rfcs_reading() -> None:
    user, password = "Ã¶", "señor"
    script = ScriptedClient(username=encoded(user), password=encoded(password), utf8=False)
    assert logs_on(script, user, password) == ()
    assert (
        logs_on(ScriptedClient(username=encoded(user), password=encoded(password), utf8=False), user, password, STRICT)
        == ()
    )


def test_ascii_needs_nothing() -> None:
    for announced in (True, False):
        assert logs_on(ScriptedClient(utf8=announced), "chris", "secret") == ()


@pytest.mark.parametrize("tolerances", [Tolerances.NONE, Tolerances.DEFAULT, Tolerances.NONE | Tolerances.HASH_MIXED])
@pytest.mark.parametrize("name", [b"chris", "josé".encode(), "josé".encode("latin-1")])
@pytest.mark.parametrize("announced", [True, False])
def test_a_wrong_password_costs_the_same_whoever_it_is_for(
    monkeypatch: pytest.MonkeyPatch, tolerances: Tolerances, name: bytes, announced: bool
) -> None:
    """As many questions and as many hashes, for any account and for none."""
    if announced and name == b"jos\xe9":
        pytest.skip("not the UTF-8 that it announces")
    counts = []
    for secret in (None, {"password": "secret"}, {"password": "señor"}, {"password": "пароль"}, {"ha1": bytes(16)}):
        counted = Counted(secret)
        for module in (charset_module, keys_module):
            monkeypatch.setattr(module, "md5", counted.md5)
        server = new_server(authority=counted, policy=Policy(tolerances=tolerances, max_ssf=0))
        script = ScriptedClient(username=name, password=b"guess", utf8=announced)
        with pytest.raises(LogonDenied):
            server.step(script.answer(server.step(None) or b""))
        counts.append((counted.questions, counted.hashes))
    assert len(set(counts)) == 1
    assert counts[0][1] >= 6


class Counted(Authority):
    """Knows everybody, with one secret, or nobody; counts what it is asked and what is hashed."""

    secrets = frozenset({Secret.HA1, Secret.PASSWORD})

    def __init__(self, secret: dict[str, Any] | None) -> None:
        self.secret = secret
        self.questions = self.hashes = 0

    def lookup(self, question: Question) -> Account | None:
        self.questions += 1
        return None if self.secret is None else Account(username=question.username, **self.secret)

    def md5(self, data: bytes = b"") -> Any:
        self.hashes += 1
        return md5(data)
