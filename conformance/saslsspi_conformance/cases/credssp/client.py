"""MS-CSSP, in the profile of docs/credssp-sasl.md: what a client of CREDSSP does."""

from __future__ import annotations

from collections.abc import Callable

from saslsspi.der import Reader
from saslsspi.errors import SaslError
from saslsspi_conformance.case import (
    DELIVERED,
    REFUSAL,
    SUCCESS,
    CaseFunction,
    Observation,
    Reaction,
    against_client,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.credssp.server import ScriptedCredsspServer
from saslsspi_conformance.peers.credssp.ts_request import (
    EMPTY,
    TsRequest,
    credentials,
    passwords,
    server_binding,
    write,
)

_OLD = Setting(credssp_minimum=2)
_RESPONSE = frozenset({Reaction.RESPONSE})


@against_client("MSCSSP-1.5-03", "MSCSSP-3.1.5-04", "MSCSSP-3.1.5-05", accept=SUCCESS)
def log_on(run: CaseRun) -> Observation:
    """A server with a certificate of an unknown authority is authenticated by its proof."""
    return ScriptedCredsspServer(run).log_on()


@against_client("MSCSSP-1.5-03", "MSCSSP-3.1.5-04", accept=SUCCESS)
def self_signed(run: CaseRun) -> Observation:
    """So is one whose certificate signs itself."""
    return ScriptedCredsspServer(run, self_signed=True).log_on()


@against_client("MSCSSP-3.1.5-02")
def no_resumption(run: CaseRun) -> Observation:
    """A second connection does not take up the session of the first."""
    ScriptedCredsspServer(run, tickets=True).log_on()
    return holds(not ScriptedCredsspServer(run, tickets=True).tls.resumed)


@against_client("MSCSSP-3.1.5-01", "MSCSSP-2.2.1-01", "MSCSSP-2.2.1.1-01", "MSCSSP-2.2-01", "MSCSSP-2.2.1-02")
def first_message(run: CaseRun) -> Observation:
    """Inside TLS the client begins with its version and a token, and nothing else, in DER."""
    request = ScriptedCredsspServer(run).request
    return holds(request.version == 6 and request.fields == ["nego_token"], f"{request}")


@against_client("MSCSSP-2.2.1-15")
def one_record(run: CaseRun) -> Observation:
    """A whole TSRequest lies in one record of TLS."""
    server = ScriptedCredsspServer(run)
    server.take_proof()
    return holds(server.records == 1, f"{server.records} records")


@against_client("MSCSSP-3.1.5-08", "MSCSSP-3.1.5-17", "MSCSSP-3.1.5-07", "MSCSSP-2.2.1-14")
def proof_with_the_last_token(run: CaseRun) -> Observation:
    """The last token, pubKeyAuth and the nonce are in one message, and pubKeyAuth in no other."""
    server = ScriptedCredsspServer(run)
    server.take_proof()
    early = any(request.pub_key_auth is not None for request in server.told[:-1])
    fields = server.request.fields
    return holds(not early and fields == ["nego_token", "pub_key_auth", "client_nonce"], ", ".join(fields))


@against_client("MSCSSP-3.1.5-13", "MSCSSP-3.1.5-14", "MSCSSP-3.1.5-15", "MSCSSP-2.2.1-10", "MSCSSP-2.2.1-09")
def client_proof(run: CaseRun) -> Observation:
    """The client's proof is the hash with its magic text, the nonce and the key, as the first sealed message."""
    server = ScriptedCredsspServer(run)
    return holds(server.take_proof() == server.binding())


@against_client("MSCSSP-3.1.5-16", "MSCSSP-2.2.1-04", "MSCSSP-2.2.1-10", "MSCSSP-2.2.1-14")
def client_proof_of_version_4(run: CaseRun) -> Observation:
    """With a server of version 4, the client's proof is the key itself, and there is no nonce."""
    server = ScriptedCredsspServer(run, _OLD, version=4)
    return holds(server.take_proof() == server.binding() and server.request.client_nonce is None)


@against_client("MSCSSP-2.2.1-08")
def signature_first(run: CaseRun) -> Observation:
    """In the client's pubKeyAuth the signature comes first; NTLM's begins with the version, 1."""
    server = ScriptedCredsspServer(run)
    server.take_proof()
    return holds((server.request.pub_key_auth or b"").startswith(b"\1\0\0\0"))


@against_client("MSCSSP-3.1.5-12", "MSCSSP-2.2.1-14")
def fresh_nonce(run: CaseRun) -> Observation:
    """The nonce has 32 octets, and is another in every exchange."""
    nonces = set()
    for _ in range(3):
        server = ScriptedCredsspServer(run)
        server.take_proof()
        nonces.add(server.nonce)
    return holds(len(nonces) == 3 and {len(nonce) for nonce in nonces} == {32})


def _version(name: str, title: str, accept: frozenset[Reaction], *requirements: str, version: int,
             setting: Setting | None = None) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        return ScriptedCredsspServer(run, setting or Setting(), version=version).negotiate()

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=accept)(case)


_version("version_seven", "A server's version above 6 is taken for 6.", _RESPONSE, "MSCSSP-2.2.1-03", version=7)
_version("version_one", "Version 1 makes the client give up.", REFUSAL, "MSCSSP-2.2.1-02", version=1)
_version("old_version", "A version below the client's least makes it give up before its proof.", REFUSAL,
         "MSCSSP-5.1-01", "MSCSSP-6-01", "MSCSSP-CVE20180886-CVE-2018-0886-01",
         "MSCSSP-CVE20180886-CVE-2018-0886-03", version=4)  # fmt: skip


@against_client("MSCSSP-2.2.1-05", accept=REFUSAL)
def version_changes(run: CaseRun) -> Observation:
    """A version that changes between two messages makes the client give up."""
    return ScriptedCredsspServer(run).prove(version=5)


def _told(name: str, title: str, code: bytes) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        server = ScriptedCredsspServer(run)
        request = server.challenged()._replace(error_code=code)
        seen = server.say(request)
        return holds(seen.outcome in REFUSAL and len(server.told) == 1, f"{seen.outcome} {seen.detail}")

    case.__name__ = name
    case.__doc__ = title
    return against_client("MSCSSP-3.1.5-11", "MSCSSP-2.2.1-12")(case)


_told("error_code", "An errorCode ends it at once, beside a token even; as a negative number.", b"\xc0\x00\x00\x6d")
_told("error_code_positive", "So does one in five octets.", b"\x00\xc0\x00\x00\x6d")


def _first_answer(name: str, title: str, *requirements: str, more: tuple[bytes, ...] = (),
                  **changes: object) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        server = ScriptedCredsspServer(run)
        seen = server.say(server.challenged()._replace(**changes), *more)  # type: ignore[arg-type]
        return (
            Observation(Reaction.FAILURE, "silence") if seen.outcome is Reaction.RESPONSE and not server.text else seen
        )

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=REFUSAL)(case)


_first_answer("early_proof", "A pubKeyAuth before the client's makes it give up.", "MSCSSP-3.1.5-25",
              pub_key_auth=bytes(48))  # fmt: skip
_first_answer("credentials_of_the_server", "authInfo of the server makes the client give up.", "MSCSSP-3.1.5-24",
              auth_info=bytes(48))  # fmt: skip


@against_client("MSCSSP-2.2-01", accept=REFUSAL)
def no_der(run: CaseRun) -> Observation:
    """What is not DER makes the client give up."""
    return ScriptedCredsspServer(run).send(b"\x30\x80\xa0\x03\x02\x01\x06\0\0")


@against_client("MSCSSP-2.2.1.1-02", accept=REFUSAL | _RESPONSE)
def two_tokens(run: CaseRun) -> Observation:
    """Two entries in negoTokens make the client give up, or the first is taken."""
    server = ScriptedCredsspServer(run)
    return server.say(server.challenged(), b"another")


@against_client("MSCSSP-2.2.1-15")
def answer_in_two_records(run: CaseRun) -> Observation:
    """A TSRequest in two records of TLS is taken all the same."""
    server = ScriptedCredsspServer(run)
    whole = write(server.challenged())
    server.send(whole[:20], whole[20:])
    return holds(server.request.pub_key_auth is not None)


def _wrong_proof(
    name: str, title: str, change: Callable[[bytes], bytes], *requirements: str, version: int = 6
) -> CaseFunction:
    """The client must give up, and must not have sent credentials."""

    def case(run: CaseRun) -> Observation:
        server = ScriptedCredsspServer(run, _OLD if version < 5 else Setting(), version=version)
        server.take_proof()
        right = server_binding(version, server.nonce, server.tls.key)
        seen = server.say(server.proof(change(right)))
        return holds(seen.outcome in REFUSAL and server.request.auth_info is None, f"{seen.outcome} {seen.detail}")

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements)(case)


_wrong_proof("wrong_proof", "A proof over another key makes the client give up.", lambda right: bytes(len(right)),
             "MSCSSP-3.1.5-25", "MSCSSP-CVE20180886-CVE-2018-0886-02")  # fmt: skip
_wrong_proof("short_proof", "A proof that lacks an octet makes the client give up.", lambda right: right[:-1],
             "MSCSSP-3.1.5-26")  # fmt: skip
_wrong_proof("empty_proof", "An empty proof makes the client give up.", lambda right: b"", "MSCSSP-3.1.5-26")
_wrong_proof("long_proof", "A proof with an octet more makes the client give up.", lambda right: right + b"\0",
             "MSCSSP-3.1.5-26")  # fmt: skip
_wrong_proof("wrong_key_of_version_4", "With version 4, the key without 1 added makes the client give up.",
             lambda right: bytes([(right[0] - 1) & 0xFF]) + right[1:], "MSCSSP-3.1.5-25", version=4)  # fmt: skip


@against_client("MSCSSP-3.1.5-25")
def own_proof_sent_back(run: CaseRun) -> Observation:
    """The client's own proof, sent back as it came, makes it give up."""
    server = ScriptedCredsspServer(run)
    server.take_proof()
    seen = server.say(TsRequest(pub_key_auth=server.request.pub_key_auth))
    return holds(seen.outcome in REFUSAL and server.request.auth_info is None, f"{seen.outcome} {seen.detail}")


@against_client("MSCSSP-3.1.5-28", "MSCSSP-2.2.1-07", "MSCSSP-3.1.5-25")
def credentials_alone(run: CaseRun) -> Observation:
    """The credentials stand alone, hidden, and in no message before."""
    server = ScriptedCredsspServer(run)
    server.credentials()
    fields = server.request.fields
    early = any(request.auth_info is not None for request in server.told[:-1])
    hidden = not (server.request.auth_info or b"").startswith(b"\x30")
    return holds(fields == ["auth_info"] and not early and hidden, ", ".join(fields))


@against_client("MSCSSP-2.2.1.2.1-02", "MSCSSP-2.2.1.2.1-01", "MSCSSP-3.1.5-27")
def empty_credentials(run: CaseRun) -> Observation:
    """Without delegation the three fields are there and empty."""
    return holds(ScriptedCredsspServer(run).credentials() == EMPTY, "something is handed over")


@against_client("MSCSSP-2.2-02", "MSCSSP-2.2-03", "MSCSSP-2.2.1.2-01", "MSCSSP-2.2.1.2-02", "MSCSSP-3.1.5-27")
def delegated_credentials(run: CaseRun) -> Observation:
    """With delegation, name and password are handed over in UTF-16, and nothing behind them."""
    account = run.target.account
    handed = ScriptedCredsspServer(run, Setting(delegates=True)).credentials()
    right = passwords(*(text.encode("utf-16-le") for text in ("", account.user, account.password)))
    try:
        reader = Reader(handed)
        reader.enter()
        reader.end()
    except SaslError as error:
        return holds(False, error.text)
    return holds(handed == credentials(1, right), "other credentials came")


def _offer(name: str, title: str, accept: frozenset[Reaction], message: bytes,
           setting: Setting | None = None) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        server = ScriptedCredsspServer(run, setting or Setting())
        server.credentials()
        return server.send(message)

    case.__name__ = name
    case.__doc__ = title
    return against_client("MSCSSP-3.1.5-29", accept=accept)(case)


_offer("offer_of_three_octets", "An offer of three octets makes the client give up.", REFUSAL, b"\1\0\0")
_offer("size_without_offer", "No layer and a size make the client give up.", REFUSAL, b"\1\1\0\0")
_offer("nothing_offered", "An offer of nothing makes the client give up.", REFUSAL, b"\0\0\0\0")
_offer("no_layer_where_one_is_required", "A client that wants a layer gives up where none is offered.", REFUSAL,
       b"\1\0\0\0", setting=Setting(min_ssf=2))  # fmt: skip


@against_client("MSCSSP-3.1.5-29")
def choice(run: CaseRun) -> Observation:
    """The client chooses one layer that was offered, and names its size."""
    server = ScriptedCredsspServer(run)
    server.offer(5, 65536)
    return holds(server.text[:1] in (b"\1", b"\4") and len(server.text) == 4, server.text.hex())


@against_client("MSCSSP-3.1.5-29", accept=REFUSAL)
def success_before_the_choice(run: CaseRun) -> Observation:
    """Success before the layer is agreed on is no success."""
    server = ScriptedCredsspServer(run)
    server.credentials()
    return server.connection.succeed().seen


@against_client("MSCSSP-3.1.5-29", accept=DELIVERED)
def confidentiality(run: CaseRun) -> Observation:
    """Under confidentiality the server's records reach the client's user."""
    server = ScriptedCredsspServer(run)
    server.offer(4, 65536)
    if server.text[:1] != b"\4":
        return Observation(Reaction.BROKEN, f"the choice is {server.text.hex()}")
    server.connection.succeed()
    records = server.tls.seal(b"answer")
    return server.connection.send(len(records).to_bytes(4) + records).seen
