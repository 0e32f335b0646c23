"""RFC 4616, RFC 4505 and RFC 4422 appendix A: PLAIN, ANONYMOUS and EXTERNAL."""

from __future__ import annotations

from saslsspi_conformance.case import (
    REFUSAL,
    SUCCESS,
    CaseFunction,
    NotApplicable,
    Observation,
    Reaction,
    against_client,
    against_server,
    holds,
)
from saslsspi_conformance.case_run import Answer, CaseRun, Setting


def _plain(run: CaseRun, authzid: bytes = b"", user: bytes | None = None, password: bytes | None = None) -> Answer:
    run.need("PLAIN")
    account = run.target.account
    name = account.user.encode() if user is None else user
    secret = account.password.encode() if password is None else password
    return _begin(run, "PLAIN", b"\0".join((authzid, name, secret)))


def _own(run: CaseRun) -> bytes:
    account = run.target.account
    return f"\0{account.user}\0{account.password}".encode()


def _begin(run: CaseRun, mechanism: str, message: bytes, setting: Setting | None = None) -> Answer:
    connection = run.connect(setting or Setting())
    if run.target.initial_response:
        return connection.begin(mechanism, message)
    answer = connection.begin(mechanism)
    return connection.respond(message) if answer.outcome is Reaction.CHALLENGE else answer


@against_server("RFC4616-2-01", "RFC4616-2-04", "RFC4616-2-06", "RFC4422-3.4.1-02", "RFC4422-3.4.1-03", "RFC4422-3-02",
                accept=SUCCESS)  # fmt: skip
def plain(run: CaseRun) -> Observation:
    """NUL, name, NUL, password authenticate, as one's own identity."""
    return _plain(run).seen


@against_server("RFC4422-3-03", "RFC4422-5-01")
def empty_challenge(run: CaseRun) -> Observation:
    """Without an initial response PLAIN begins with an empty challenge."""
    run.need("PLAIN")
    answer = run.connect().begin("PLAIN")
    return holds(answer.outcome is Reaction.CHALLENGE and not answer.data, f"{answer.outcome} {answer.text}")


@against_server("RFC4422-3-03", "RFC4422-5-01", accept=SUCCESS)
def plain_without_initial_response(run: CaseRun) -> Observation:
    """The response to the empty challenge authenticates."""
    run.need("PLAIN")
    connection = run.connect()
    connection.begin("PLAIN")
    return connection.respond(_own(run)).seen


@against_server("RFC4616-2-06", accept=SUCCESS, lenient=True)  # whom a user may act as is the server's to say
def plain_own_authzid(run: CaseRun) -> Observation:
    """One's own name is granted as the authorization identity."""
    return _plain(run, authzid=run.target.account.user.encode()).seen


def _refused(
    name: str, title: str, *requirements: str, behind: bytes = b"", configured: bool = False, **given: bytes
) -> CaseFunction:
    """Register a refusal; behind is what stands behind the right password."""

    def case(run: CaseRun) -> Observation:
        password = {"password": run.target.account.password.encode() + behind} if behind else {}
        return _plain(run, **password, **given).seen

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=REFUSAL, configured=configured)(case)


_refused("plain_wrong_password", "A wrong password does not authenticate.", "RFC4616-2-06", password=b"wrong one")
_refused("plain_four_parts", "A NUL within a field does not authenticate.", "RFC4616-2-02", behind=b"\0b")
_refused("plain_no_name", "An empty name does not authenticate.", "RFC4616-2-05", user=b"")
_refused("plain_no_password", "An empty password does not authenticate.", "RFC4616-2-05", password=b"")
_refused("plain_not_utf8", "A message that is not UTF-8 does not authenticate.", "RFC4616-2-11", behind=b"\xff\xfe")
_refused("plain_forbidden_authzid", "An identity that the user may not assume does not authenticate.", "RFC4616-2-06",
         "RFC4422-2-02", authzid=b"nobody-at-all", configured=True)  # fmt: skip
_refused("plain_prepared_to_nothing", "A password of which SASLprep leaves nothing does not authenticate.",
         "RFC4616-2-09", password="\u00ad".encode())  # fmt: skip


@against_server("RFC4616-2-02", accept=REFUSAL)
def plain_one_part(run: CaseRun) -> Observation:
    """A message without a NUL does not authenticate."""
    run.need("PLAIN")
    return _begin(run, "PLAIN", run.target.account.user.encode()).seen


@against_server("RFC4616-2-03", accept=frozenset({Reaction.FAILURE}))
def plain_long_fields(run: CaseRun) -> Observation:
    """Fields of 255 octets are processed: the answer is that of a wrong password."""
    return _plain(run, user=b"u" * 255, password=b"p" * 255).seen


@against_server("RFC4616-2-07", accept=SUCCESS)
def plain_prepared_name(run: CaseRun) -> Observation:
    """A name that SASLprep maps to the account's authenticates."""
    name = run.target.account.user
    return _plain(run, user=(name[:1] + "\u00ad" + name[1:]).encode()).seen


@against_server("RFC4616-2-12", accept=REFUSAL)
def plain_in_clear(run: CaseRun) -> Observation:
    """A password is not taken where nothing encrypts the channel."""
    run.need("PLAIN")
    if not run.target.local:
        raise NotApplicable("what the server's configuration permits is not known")
    return run.connect(Setting(external_ssf=1)).begin("PLAIN", _own(run)).seen


@against_client("RFC4616-2-01")
def client_message(run: CaseRun) -> Observation:
    """The client sends identity, NUL, name, NUL, password in UTF-8."""
    run.need("PLAIN")
    setting = Setting(user="josé", password="пароль", authzid="dana")
    return holds(
        run.meet("PLAIN", setting).start().data == b"dana\0" + "josé".encode() + b"\0" + setting.password.encode()
    )


@against_client("RFC4616-2-12", accept=REFUSAL)
def client_in_clear(run: CaseRun) -> Observation:
    """The client does not send a password where nothing encrypts the channel."""
    run.need("PLAIN")
    from saslsspi.errors import SaslError

    try:
        return run.meet("PLAIN", Setting(external_ssf=1)).start().seen
    except SaslError as error:
        return Observation(Reaction.FAILURE, str(error))


@against_client("RFC4616-2-02", accept=REFUSAL)
def client_nul(run: CaseRun) -> Observation:
    """The client does not send a NUL within a field."""
    run.need("PLAIN")
    from saslsspi.errors import SaslError

    try:
        return run.meet("PLAIN", Setting(password="a\0b")).start().seen
    except SaslError as error:
        return Observation(Reaction.FAILURE, str(error))


@against_client("RFC4505-2-01")
def anonymous_trace(run: CaseRun) -> Observation:
    """ANONYMOUS is one message, the trace."""
    run.need("ANONYMOUS")
    return holds(run.meet("ANONYMOUS", Setting(user="sirhc")).start().data == b"sirhc")


@against_client("RFC4505-2-01", accept=REFUSAL)
def anonymous_trace_too_long(run: CaseRun) -> Observation:
    """A trace of 256 characters is not sent."""
    run.need("ANONYMOUS")
    from saslsspi.errors import SaslError

    try:
        return run.meet("ANONYMOUS", Setting(user="x" * 256)).start().seen
    except SaslError as error:
        return Observation(Reaction.FAILURE, str(error))


_KNOWN = Setting(external_identity="chris", external_ssf=128)


@against_server("RFC4422-EXT-A.1-04", "RFC4422-EXT-A.1-06")
def external(run: CaseRun) -> Observation:
    """An empty message asks for the identity that the channel knows; no data come with success."""
    run.need("EXTERNAL")
    answer = run.connect(_KNOWN).begin("EXTERNAL", b"")
    return holds(answer.outcome is Reaction.SUCCESS and answer.data is None, f"{answer.outcome}, data {answer.data!r}")


@against_server("RFC4422-EXT-A.1-03", "RFC4422-5-01")
def external_empty_challenge(run: CaseRun) -> Observation:
    """Without an initial response EXTERNAL begins with an empty challenge."""
    run.need("EXTERNAL")
    connection = run.connect(_KNOWN)
    answer = connection.begin("EXTERNAL")
    return holds(answer.data == b"" and connection.respond(b"").outcome is Reaction.SUCCESS)


def _external_refused(name: str, title: str, *requirements: str, message: bytes, known: str = "chris") -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        run.need("EXTERNAL")
        return run.connect(Setting(external_identity=known, external_ssf=128)).begin("EXTERNAL", message).seen

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=REFUSAL)(case)


_external_refused("external_unknown_channel", "A channel that knows nobody does not authenticate.",
                  "RFC4422-EXT-A.1-07", "RFC4422-EXT-A.3-01", message=b"", known="")  # fmt: skip
_external_refused("external_unmapped", "An identity without an account does not authenticate.", "RFC4422-EXT-A.1-09",
                  "RFC4422-3.6-04", message=b"", known="stranger")  # fmt: skip
_external_refused("external_nul", "A NUL in the identity does not authenticate.", "RFC4422-EXT-A.1-05", message=b"a\0b")
_external_refused("external_not_utf8", "An identity that is not UTF-8 does not authenticate.", "RFC4422-EXT-A.1-05",
                  message=b"\xff")  # fmt: skip
_external_refused("external_forbidden", "Another's identity does not authenticate.", "RFC4422-EXT-A.1-11",
                  message=b"somebody-else")  # fmt: skip


@against_client("RFC4422-EXT-A.1-02", "RFC4422-EXT-A.1-01")
def external_client(run: CaseRun) -> Observation:
    """The client begins with the identity in UTF-8, or with an empty message."""
    run.need("EXTERNAL")
    named = run.meet("EXTERNAL", Setting(authzid="josé")).start().data
    return holds(named == "josé".encode() and run.meet("EXTERNAL").start().data == b"")
