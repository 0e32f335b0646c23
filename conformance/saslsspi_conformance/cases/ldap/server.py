"""RFC 4511 section 4.2 and RFC 4513 section 5.2: what LDAP makes of SASL."""

from __future__ import annotations

from saslsspi.der import element
from saslsspi_conformance.case import (
    REFUSAL,
    SUCCESS,
    CaseFunction,
    NotApplicable,
    Observation,
    Reaction,
    against_server,
    holds,
)
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers import ldap_messages as ldap
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient
from saslsspi_conformance.peers.digest.values import quoted
from saslsspi_conformance.targets.ldap import LdapConversation


def _connect(run: CaseRun) -> LdapConversation:
    connection = run.connect()
    assert isinstance(connection, LdapConversation)
    return connection


def _code(found: ldap.LdapAnswer | None) -> int | None:
    return None if found is None else found.code


def _result(name: str, title: str, right: tuple[int, ...], operation: bytes, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        code = _code(_connect(run).ask(operation, "bind"))
        return holds(code in right, f"result code {code}, right is {' or '.join(map(str, right))}")

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, carrier="ldap")(case)


_result("version_99", "A version that nobody has gives protocolError.", (2,),
        ldap.bind(ldap.sasl("DIGEST-MD5", None), version=99), "LDAP4511-4.2-01")  # fmt: skip
_result("unknown_choice", "An authentication choice that nobody has gives authMethodNotSupported.", (7,),
        ldap.bind(element(0x84, b"x")), "LDAP4511-4.2-05")  # fmt: skip
_result("no_mechanism", "An empty mechanism name gives authMethodNotSupported.", (7,), ldap.bind(ldap.sasl("", None)),
        "LDAP4511-4.2.1-08", "LDAP4513-5.2.1.2-09")  # fmt: skip
_result("unknown_mechanism", "A mechanism that nobody has gives authMethodNotSupported.", (7,),
        ldap.bind(ldap.sasl("NO-SUCH-THING", None)), "RFC4422-3.1-02", "LDAP4511-4.2.2-01")  # fmt: skip
_result("long_mechanism", "A name of 21 characters is refused.", (2, 7), ldap.bind(ldap.sasl("A" * 21, None)),
        "RFC4422-3.1-02")  # fmt: skip


@against_server("LDAP4513-5.2.3-01", "LDAP4513-5.2.1.3-02", carrier="ldap")
def external_in_clear(run: CaseRun) -> Observation:
    """EXTERNAL where TLS has authenticated nobody gives inappropriateAuthentication, if it is offered there at all."""
    code = _code(_connect(run).ask(ldap.bind(ldap.sasl("EXTERNAL", b"")), "bind EXTERNAL"))
    right = (48,) if "EXTERNAL" in run.target.mechanisms() else (48, 7)
    return holds(code in right, f"result code {code}, right is {' or '.join(map(str, right))}")


@against_server("LDAP4513-5.2.3-02", carrier="ldap")
def anonymous_after_external(run: CaseRun) -> Observation:
    """After a refused EXTERNAL the session is anonymous."""
    connection = _connect(run)
    connection.begin("EXTERNAL", b"")
    return holds(not connection.who_am_i(), "somebody is authenticated")


@against_server("RFC4422-3.1-01", carrier="ldap")
def mechanism_names(run: CaseRun) -> Observation:
    """The names of the mechanisms are 1 to 20 characters out of A-Z, 0-9, hyphen and underscore."""
    names = run.target.mechanisms()
    letters = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    return holds(all(0 < len(name) <= 20 and set(name) <= letters for name in names), ", ".join(names))


@against_server("LDAP4513-5.2.1.5-01", "RFC4422-3.2-01", "RFC4422-4-13", carrier="ldap")
def listed(run: CaseRun) -> Observation:
    """The root DSE lists the mechanisms to a client that has not authenticated."""
    return holds(run.target.mechanisms())


@against_server("LDAP4513-5.2.1.5-02", "RFC4422-4-03", carrier="ldap")
def listed_afterwards(run: CaseRun) -> Observation:
    """The root DSE lists the mechanisms after authentication too."""
    client = ScriptedDigestClient(run).logged_on()
    assert isinstance(client.connection, LdapConversation)
    return holds(client.connection.supported())


@against_server("LDAP4513-5.2.1.2-03", "LDAP4513-5.2.1.2-05", "LDAP4511-4.2.2-05", "RFC4422-3.4-01", carrier="ldap")
def challenge(run: CaseRun) -> Observation:
    """A challenge is saslBindInProgress with raw octets in serverSaslCreds, tag [7]."""
    run.need("DIGEST-MD5")
    found = _connect(run).ask(ldap.bind(ldap.sasl("DIGEST-MD5", None)), "bind DIGEST-MD5")
    raw = found is not None and found.credentials is not None and b"nonce=" in found.credentials
    return holds(_code(found) == 14 and raw, f"result code {_code(found)}")


@against_server("LDAP4513-5.2.1.2-11", "RFC4422-3-05", "LDAP4511-4.2.2-01", carrier="ldap")
def data_with_success(run: CaseRun) -> Observation:
    """The rspauth comes with success."""
    client = ScriptedDigestClient(run).logged_on()
    return holds((client.proof or b"").startswith(b"rspauth="))


@against_server("LDAP4511-4.2.2-04", "LDAP4513-5.2.1.3-04", "RFC4422-4-09", carrier="ldap")
def no_data_with_success(run: CaseRun) -> Observation:
    """A mechanism without last data leaves serverSaslCreds out."""
    run.need("PLAIN")
    account = run.target.account
    answer = _connect(run).begin("PLAIN", f"\0{account.user}\0{account.password}".encode())
    if answer.outcome is not Reaction.SUCCESS:
        raise NotApplicable(f"PLAIN does not authenticate: {answer.text}")
    return holds(answer.data is None, f"data {answer.data!r}")


@against_server("LDAP4513-5.2.1.2-07", "LDAP4511-4.2-03", accept=SUCCESS, carrier="ldap")
def name_is_ignored(run: CaseRun) -> Observation:
    """A name in the bind request is ignored."""
    client = ScriptedDigestClient(run)
    client.begin()
    connection = client.connection
    assert isinstance(connection, LdapConversation)
    request = ldap.bind(ldap.sasl("DIGEST-MD5", client.write()), name="cn=bogus")
    return connection.answer(connection.ask(request, "bind as cn=bogus")).seen


@against_server("LDAP4513-5.2.1.3-03", accept=frozenset({Reaction.CHALLENGE, Reaction.FAILURE}), carrier="ldap")
def empty_credentials(run: CaseRun) -> Observation:
    """Empty credentials for a mechanism in which the server speaks first give a challenge or a failure."""
    run.need("DIGEST-MD5")
    return _connect(run).begin("DIGEST-MD5", b"").seen


@against_server("LDAP4511-4.2.1-07", "LDAP4513-5.2.1.2-08", "RFC4422-3.5-01", accept=SUCCESS, carrier="ldap")
def other_bind_aborts(run: CaseRun) -> Observation:
    """A bind of another kind aborts an exchange, and a new one begins afresh."""
    client = ScriptedDigestClient(run)
    client.begin()
    connection = client.connection
    assert isinstance(connection, LdapConversation)
    connection.ask(ldap.bind(ldap.simple("")), "anonymous simple bind")
    return ScriptedDigestClient(run, on=connection).log_on()


@against_server("LDAP4511-4.2.1-08", "RFC4422-3.5-01", accept=SUCCESS, carrier="ldap")
def cancelled(run: CaseRun) -> Observation:
    """After a bind without a mechanism, which cancels, a new exchange begins afresh."""
    client = ScriptedDigestClient(run)
    client.begin()
    client.connection.cancel()
    return ScriptedDigestClient(run, on=client.connection).log_on()


@against_server("LDAP4511-4.2.1-08", accept=REFUSAL, carrier="ldap")
def response_after_cancel(run: CaseRun) -> Observation:
    """The response to a challenge that was cancelled does not authenticate."""
    client = ScriptedDigestClient(run)
    client.begin()
    response = client.write()
    client.connection.cancel()
    answer = client.connection.respond(response)
    return Observation(Reaction.FAILURE) if answer.outcome is Reaction.CHALLENGE else answer.seen


@against_server("LDAP4511-4.2.1-06", "LDAP4511-4.2.1-03", carrier="ldap")
def operation_in_between(run: CaseRun) -> Observation:
    """An operation between two binds of one exchange is refused, or ends the exchange, or is served as anonymous."""
    client = ScriptedDigestClient(run)
    client.begin()
    assert isinstance(client.connection, LdapConversation)
    return holds(not client.connection.who_am_i(), "somebody is authenticated")


@against_server("LDAP4511-4.2.1-04", "LDAP4511-4.2.1-05", "LDAP4513-5.2.1.7-01", "RFC4422-3.8-02", carrier="ldap")
def two_binds(run: CaseRun) -> Observation:
    """A later bind replaces an earlier one: nobody is authenticated after an anonymous one."""
    client = ScriptedDigestClient(run).logged_on()
    connection = client.connection
    assert isinstance(connection, LdapConversation)
    before = connection.who_am_i()
    connection.ask(ldap.bind(ldap.simple("")), "anonymous simple bind")
    again = ScriptedDigestClient(run, on=connection).log_on()
    return holds(before and again.outcome is Reaction.SUCCESS and connection.who_am_i() == before, str(before))


@against_server("RFC4422-3.8-05", "LDAP4511-4.2.1-05", carrier="ldap", destructive=True)
def anonymous_after_failure(run: CaseRun) -> Observation:
    """After a bind that fails nobody is authenticated."""
    client = ScriptedDigestClient(run).logged_on()
    connection = client.connection
    assert isinstance(connection, LdapConversation)
    ScriptedDigestClient(run, on=connection, wrong_password=True).log_on()
    return holds(not connection.who_am_i(), "somebody is authenticated")


@against_server("LDAP4511-4.2.1-02", "LDAP4511-4.2.1-01", carrier="ldap")
def search_before_bind(run: CaseRun) -> Observation:
    """A search right before a bind is answered before the bind, or not at all."""
    connection = _connect(run)
    connection.wire.send(ldap.message(901, ldap.root_dse("supportedSASLMechanisms")))
    connection.transcript.sent("search of the root DSE")
    found = connection.ask(ldap.bind(ldap.simple("")), "anonymous simple bind")
    after_bind = False
    while found is not None and found.tag != 0x61:
        found = connection.next()
    if found is not None:
        probe = connection.ask(ldap.extended(ldap.WHO_AM_I), "Who am I?")
        after_bind = probe is not None and probe.id == 901
    return holds(found is not None and not after_bind)


def _authzid(
    name: str,
    title: str,
    authzid: str,
    accept: frozenset[Reaction],
    *requirements: str,
    configured: bool = False,
) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        return ScriptedDigestClient(run, authzid=authzid.format(user=run.target.account.user).encode()).log_on()

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=accept, carrier="ldap", configured=configured)(case)


_authzid("own_authzid", "u: and one's own name are granted.", "u:{user}", SUCCESS, "LDAP4513-5.2.1.8-01",
         "RFC4422-3.4.1-04")  # fmt: skip
_authzid("unknown_prefix", "An authzid with an unknown prefix fails.", "x:{user}", REFUSAL, "LDAP4513-5.2.1.8-05",
         "RFC4422-3.6-05", "RFC4422-EXT-A.1-10")  # fmt: skip
_authzid("forbidden_authzid", "An identity that the user may not assume fails.", "dn:cn=nobody-at-all", REFUSAL,
         "RFC4422-2-02", "RFC4422-3.6-06", configured=True)  # fmt: skip
_authzid("prepared_authzid", "u: values are prepared with SASLprep.", "u:{user}\u00ad", SUCCESS, "LDAP4513-5.2.1.8-04")


@against_server("LDAP4513-5.2.2-01", accept=REFUSAL, carrier="ldap")
def name_of_an_entry(run: CaseRun) -> Observation:
    """A user name that looks like the name of an entry is not taken for one."""
    return ScriptedDigestClient(run, user=("cn=nobody,dc=at,dc=all", "secret")).log_on()


@against_server("RFC4422-4-12", accept=REFUSAL, carrier="ldap", destructive=False)
def any_octets(run: CaseRun) -> Observation:
    """Responses carry any octets: zeros and high ones are refused by the mechanism, not by the protocol."""
    client = ScriptedDigestClient(run, user=("nobody-at-all", "x"))
    client.begin()
    answer = client.connection.respond(bytes(range(256)))
    return answer.seen if answer.text.find("result code 2 ") < 0 else Observation(Reaction.BROKEN, answer.text)


@against_server("LDAP4513-5.2.1.2-10", "RFC4422-3.6-02", "RFC4422-3.6-09", carrier="ldap")
def failure_without_data(run: CaseRun) -> Observation:
    """A failure ends the exchange and has no serverSaslCreds."""
    client = ScriptedDigestClient(run, user=("nobody-at-all", "x"))
    seen = client.log_on(extra=[b"authzid=" + quoted(b"")])
    return holds(seen.outcome is Reaction.FAILURE and not client.proof, f"{seen.outcome}: {seen.detail}")
