"""RFC 2831 sections 2.1.2.1 and 7, and 2.1.3: the grammar and the charset of a response, and the proof of a server."""

from __future__ import annotations

from saslsspi_conformance.case import REFUSAL, SUCCESS, NotApplicable, Observation, Reaction, against_server, holds
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.digest.client import ScriptedDigestClient


@against_server("RFC2831-4-05", accept=SUCCESS)
def any_order(run: CaseRun) -> Observation:
    """The order of the directives does not matter."""
    client = ScriptedDigestClient(run)
    client.begin()
    return client.answer(b",".join(reversed(client.write().split(b","))))


@against_server("RFC2831-7.1-01", accept=SUCCESS)
def names_in_upper_case(run: CaseRun) -> Observation:
    """The names of directives have no case."""
    client = ScriptedDigestClient(run)
    client.begin()
    parts = [part.partition(b"=") for part in client.write().split(b",")]
    return client.answer(b",".join(name.upper() + b"=" + value for name, _, value in parts))


@against_server("RFC2831-7.1-02", accept=SUCCESS)
def null_elements(run: CaseRun) -> Observation:
    """Null elements of the list do not count."""
    client = ScriptedDigestClient(run)
    client.begin()
    return client.answer(b", ,," + client.write().replace(b",", b",,") + b",")


@against_server("RFC2831-7.1-04", "RFC2831-7.2-01", "RFC2831-7.2-02", accept=SUCCESS)
def white_space(run: CaseRun) -> Observation:
    """White space, folded lines even, stands around commas and equals signs."""
    client = ScriptedDigestClient(run)
    client.begin()
    parts = [part.partition(b"=") for part in client.write().split(b",")]
    return client.answer(b" \t,\r\n ".join(name + b" = " + value for name, _, value in parts))


@against_server("RFC2831-7.1-05", "RFC2831-7.1-03", accept=REFUSAL, lenient=True)
def no_delimiter(run: CaseRun) -> Observation:
    """Two directives without a comma between them do not authenticate."""
    client = ScriptedDigestClient(run)
    client.begin()
    return client.answer(client.write().replace(b",cnonce", b"cnonce"))


@against_server("RFC2831-7.2-03", accept=REFUSAL, lenient=True)
def separator_in_a_token(run: CaseRun) -> Observation:
    """A separator in a token is an error of syntax."""
    return ScriptedDigestClient(run).log_on(extra=[b"foo@bar=1"])


@against_server("RFC2831-7.2-08", accept=REFUSAL)
def unfinished_quote(run: CaseRun) -> Observation:
    """A quoted string without its end does not authenticate."""
    return ScriptedDigestClient(run).log_on(extra=[b'x="abc\\'])


@against_server("RFC2831-2.1.2-06", "RFC2831-2.1.2.1-06", "RFC2831-2.1.2.1-07", "RFC2831-8-01", accept=SUCCESS)
def latin1_names(run: CaseRun) -> Observation:
    """A name and a password of ISO 8859-1 travel in UTF-8 and are hashed in ISO 8859-1."""
    setting = Setting(user="josé", password="grüße")
    return ScriptedDigestClient(run, setting).log_on()


@against_server("RFC2831-2.1.2.1-08", "RFC2831-2.1.2.1-07", "RFC2831-7.2-09", accept=SUCCESS)
def names_beyond_latin1(run: CaseRun) -> Observation:
    """A name beyond ISO 8859-1 is hashed in UTF-8."""
    return ScriptedDigestClient(run, Setting(user="Ženja", password="пароль")).log_on()


@against_server("RFC2831-2.1.2.1-09", "RFC2831-2.1.2-50", accept=SUCCESS)
def no_charset(run: CaseRun) -> Observation:
    """Without charset the name is ISO 8859-1."""
    return ScriptedDigestClient(run, Setting(user="josé", password="grüße")).log_on(utf8=False)


@against_server("RFC2831-7.2-06", "RFC2831-2.1.2.1-01", accept=SUCCESS)
def name_with_quotes(run: CaseRun) -> Observation:
    """A backslash and a quote in the user name are escaped on the wire and plain in the hash."""
    return ScriptedDigestClient(run, Setting(user='a\\b"c', password='q\\u"ote')).log_on()


@against_server("RFC2831-2.1.3-02", "RFC4422-3.6-03", accept=REFUSAL)
def wrong_password(run: CaseRun) -> Observation:
    """A wrong password does not authenticate."""
    return ScriptedDigestClient(run, wrong_password=True).log_on()


@against_server("RFC4422-3.6-09")
def no_proof_with_failure(run: CaseRun) -> Observation:
    """A failure brings no rspauth."""
    client = ScriptedDigestClient(run, user=("nobody-at-all", "secret"))
    seen = client.log_on()
    return holds(seen.outcome in REFUSAL and not client.proof, f"{seen.outcome}, with data: {client.proof is not None}")


@against_server("RFC4422-3.6-13", accept=frozenset({Reaction.HOLDS}), destructive=True, lenient=True)
def unknown_user_looks_like_wrong_password(run: CaseRun) -> Observation:
    """An unknown user and a wrong password get the same answer."""
    wrong = ScriptedDigestClient(run, wrong_password=True).log_on()
    unknown = ScriptedDigestClient(run, user=("nobody-at-all", "secret")).log_on()
    return holds(wrong == unknown, f"{wrong.detail!r} and {unknown.detail!r}")


@against_server("RFC2831-2.1.3-03", "RFC2831-1.1-01", "RFC2831-2.1.3-08", "RFC4422-3-05", "RFC4422-3-06")
def proof(run: CaseRun) -> Observation:
    """Success brings rspauth= and 32 lower-case digits, and nothing beside them."""
    client = ScriptedDigestClient(run).logged_on()
    return holds(client.proof is not None and len(client.proof) == 40 and client.proof.startswith(b"rspauth=")
                 and client.proof == client.proof.lower(), "the last data are others")  # fmt: skip


@against_server("RFC2831-2.1.3-04", "RFC2831-4-02")
def proof_is_right(run: CaseRun) -> Observation:
    """The rspauth is computed by the RFC's formula, A2 without its method."""
    client = ScriptedDigestClient(run).logged_on()
    return holds((client.proof or b"").strip() == b"rspauth=" + client.values.rspauth(), "another value came")


@against_server("RFC2831-2.1.3-05")
def proof_with_integrity(run: CaseRun) -> Observation:
    """With auth-int, A2 of the rspauth ends in 32 zeros."""
    client = ScriptedDigestClient(run, qop="auth-int").logged_on()
    return holds((client.proof or b"").strip() == b"rspauth=" + client.values.rspauth(), "another value came")


@against_server("RFC2831-2.1.3-11", accept=REFUSAL)
def words_after_the_proof(run: CaseRun) -> Observation:
    """Where the rspauth comes as a challenge, anything but an empty response fails."""
    client = ScriptedDigestClient(run, Setting(last_data_apart=run.target.local))
    client.begin()
    answer = client.connection.respond(client.write())
    if answer.outcome is not Reaction.CHALLENGE:
        raise NotApplicable("the rspauth goes with success")
    return client.finish(answer, b"x")
