"""MS-CSSP, in the profile of docs/credssp-sasl.md: what a server of CREDSSP does."""

from __future__ import annotations

import hashlib

from saslsspi.der import element
from saslsspi_conformance.case import (
    DELIVERED,
    HOLDS,
    REFUSAL,
    SUCCESS,
    CaseFunction,
    Observation,
    Reaction,
    against_server,
    holds,
)
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.credssp.client import ScriptedCredsspClient
from saslsspi_conformance.peers.credssp.ts_request import TsRequest, credentials, passwords, smart_card, write

_REFUSED_OR_TAKEN = REFUSAL | frozenset({Reaction.CHALLENGE})
_OLD = Setting(credssp_minimum=2)
_LOGON_FAILURE, _NOT_SUPPORTED = 0xC000006D, 0xC00000BB


@against_server("MSCSSP-3.1.5-01", "MSCSSP-3.1.5-05", "MSCSSP-1.5-02", "MSCSSP-3.1.5-29", accept=SUCCESS)
def log_on(run: CaseRun) -> Observation:
    """TLS, Negotiate, both proofs, empty credentials and no layer authenticate."""
    return ScriptedCredsspClient(run).choose()


@against_server("MSCSSP-3.1.5-01", accept=REFUSAL)
def request_before_tls(run: CaseRun) -> Observation:
    """A TSRequest before TLS is refused."""
    client = ScriptedCredsspClient(run)
    answer = client.connection.begin("CREDSSP", write(TsRequest(nego_token=client.token())))
    return client.connection.respond(b"").seen if answer.outcome is Reaction.CHALLENGE else answer.seen


@against_server("MSCSSP-3.1.5-02")
def no_session_ticket(run: CaseRun) -> Observation:
    """The server gives no ticket with which a session could be taken up again."""
    client = ScriptedCredsspClient(run).proved()
    return holds(not client.tls.has_ticket and not client.tls.resumed)


@against_server("MSCSSP-3.1.5-03", accept=SUCCESS)
def no_client_certificate(run: CaseRun) -> Observation:
    """A client without a certificate gets through TLS."""
    return ScriptedCredsspClient(run).choose()


@against_server("MSCSSP-2.2.1-01", "MSCSSP-2.2-01", "MSCSSP-2.2.1.1-01", "MSCSSP-2.2.1-02")
def own_messages(run: CaseRun) -> Observation:
    """The server's messages are strict DER, in the order of the fields, and of version 6."""
    client = ScriptedCredsspClient(run).proved()
    versions = {request.version for request in client.told}
    return holds(len(client.told) == 2 and versions == {6}, f"{len(client.told)} messages of version {versions}")


def _first(name: str, title: str, accept: frozenset[Reaction], *requirements: str, message: bytes | None = None,
           setting: Setting | None = None, **changes: object) -> CaseFunction:  # fmt: skip
    """A case about the client's first TSRequest."""

    def case(run: CaseRun) -> Observation:
        client = ScriptedCredsspClient(run, setting or Setting()).open()
        request = TsRequest(nego_token=client.token())._replace(**changes)  # type: ignore[arg-type]
        return client.send(write(request) if message is None else message)

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=accept)(case)


_first("version_one", "Version 1 does not exist.", REFUSAL, "MSCSSP-2.2.1-02", version=1)
_first("version_zero", "Version 0 does not exist.", REFUSAL, "MSCSSP-2.2.1-02", version=0)
_first(
    "version_seven", "A version above 6 is taken for 6.", frozenset({Reaction.CHALLENGE}), "MSCSSP-2.2.1-03", version=7
)
_first("version_hundred", "So is version 100.", frozenset({Reaction.CHALLENGE}), "MSCSSP-2.2.1-03", version=100)
_first("old_version", "A version below the server's least is refused.", REFUSAL, "MSCSSP-5.1-01",
       "MSCSSP-CVE20180886-CVE-2018-0886-01", "MSCSSP-CVE20180886-CVE-2018-0886-03", version=4)  # fmt: skip
_first("early_credentials", "authInfo before the proofs is refused.", REFUSAL, "MSCSSP-3.1.5-06", auth_info=bytes(64))
_first("early_proof", "pubKeyAuth before there is a key is refused.", REFUSAL, "MSCSSP-3.1.5-07",
       pub_key_auth=bytes(64))  # fmt: skip
_first("no_der", "What is not DER is refused.", REFUSAL, "MSCSSP-2.2-01", message=b"\x30\x80\xa0\x03\x02\x01\x06\0\0")
_first("length_not_minimal", "A length in more octets than it needs is refused.", REFUSAL, "MSCSSP-2.2-01",
       message=b"\x30\x81\x05\xa0\x03\x02\x01\x06")  # fmt: skip
_first("no_tag", "A message without its tags is refused.", REFUSAL, "MSCSSP-2.2.1-01", message=b"\x30\x03\x02\x01\x06")


@against_server("MSCSSP-2.2.1.1-02", accept=_REFUSED_OR_TAKEN)
def two_tokens(run: CaseRun) -> Observation:
    """Two entries in negoTokens are refused, or the first is taken."""
    client = ScriptedCredsspClient(run).open()
    return client.send(write(TsRequest(nego_token=client.token()), b"another"))


@against_server("MSCSSP-2.2.1-06", accept=SUCCESS)
def bare_ntlm(run: CaseRun) -> Observation:
    """NTLM without Negotiate around it is taken."""
    return ScriptedCredsspClient(run, bare=True).choose()


@against_server("MSCSSP-2.2.1-05", accept=REFUSAL)
def version_changes(run: CaseRun) -> Observation:
    """A version that changes between two messages is refused."""
    return ScriptedCredsspClient(run).prove(version=5)


@against_server("MSCSSP-2.2.1-15")
def request_in_two_records(run: CaseRun) -> Observation:
    """A TSRequest in two records of TLS is taken all the same."""
    client = ScriptedCredsspClient(run).open()
    whole = write(TsRequest(nego_token=client.token()))
    client.send(whole[:20], whole[20:])
    return holds(client.told and client.reply.nego_token)


@against_server("MSCSSP-3.1.5-09", accept=REFUSAL)
def no_proof(run: CaseRun) -> Observation:
    """The last token without pubKeyAuth, and nothing after it, does not authenticate."""
    client = ScriptedCredsspClient(run)
    seen = client.prove(pub_key_auth=None, client_nonce=None)
    for _ in range(3):
        if seen.outcome is Reaction.CHALLENGE:
            seen = client.connection.respond(b"").seen
    return seen


def _proof(name: str, title: str, accept: frozenset[Reaction], *requirements: str, contents: bytes | None = None,
           setting: Setting | None = None, version: int = 6, **changes: object) -> CaseFunction:  # fmt: skip
    """A case about the message with the client's proof."""

    def case(run: CaseRun) -> Observation:
        return ScriptedCredsspClient(run, setting or Setting(), version=version).prove(contents, **changes)

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=accept)(case)


def _nonce(name: str, title: str, size: int) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        client = ScriptedCredsspClient(run)
        client.nonce = bytes(size)
        return client.prove()

    case.__name__ = name
    case.__doc__ = title
    return against_server("MSCSSP-3.1.5-19", accept=REFUSAL)(case)


_proof("wrong_proof", "A proof over another key does not authenticate.", REFUSAL, "MSCSSP-3.1.5-18",
       "MSCSSP-CVE20180886-CVE-2018-0886-02", contents=bytes(32))  # fmt: skip
_proof("short_proof", "A proof of 31 octets does not authenticate.", REFUSAL, "MSCSSP-3.1.5-26", contents=bytes(31))
_proof("empty_proof", "An empty proof does not authenticate.", REFUSAL, "MSCSSP-3.1.5-26", contents=b"")
_proof("clear_proof", "A proof that is not hidden does not authenticate.", REFUSAL, "MSCSSP-2.2.1-08",
       pub_key_auth=bytes(48))  # fmt: skip
_proof("no_nonce", "Version 6 without a nonce does not authenticate.", REFUSAL, "MSCSSP-3.1.5-19", client_nonce=None)
_nonce("short_nonce", "A nonce of 31 octets does not authenticate, right as the proof may be.", 31)
_nonce("long_nonce", "A nonce of 33 octets does not authenticate, right as the proof may be.", 33)
_proof("other_nonce", "A nonce that is not the one in the proof does not authenticate.", REFUSAL, "MSCSSP-3.1.5-18",
       client_nonce=bytes(32))  # fmt: skip
_proof("wrong_key_of_version_4", "With version 4, another key does not authenticate.", REFUSAL, "MSCSSP-3.1.5-21",
       contents=bytes(270), setting=_OLD, version=4)  # fmt: skip


@against_server("MSCSSP-3.1.5-14", accept=REFUSAL)
def hash_without_nul(run: CaseRun) -> Observation:
    """A hash over the magic text without its NUL does not authenticate."""
    client = ScriptedCredsspClient(run).negotiate()
    return client.prove(
        hashlib.sha256(b"CredSSP Client-To-Server Binding Hash" + client.nonce + client.tls.key).digest()
    )


@against_server("MSCSSP-3.1.5-20", "MSCSSP-3.1.5-15", "MSCSSP-3.1.5-14", "MSCSSP-2.2.1-10")
def server_proof(run: CaseRun) -> Observation:
    """The server's proof is the hash with its own magic text, the nonce and the key."""
    return holds(ScriptedCredsspClient(run).proved().server_is_right)


@against_server("MSCSSP-3.1.5-22", "MSCSSP-2.2.1-04", "MSCSSP-2.2.1-10")
def server_proof_of_version_4(run: CaseRun) -> Observation:
    """With version 4, the server's proof is the key, with 1 added to its first octet."""
    return holds(ScriptedCredsspClient(run, _OLD, version=4).proved().server_is_right)


@against_server("MSCSSP-2.2.1-08")
def signature_first(run: CaseRun) -> Observation:
    """In the server's pubKeyAuth the signature comes first; NTLM's begins with the version, 1."""
    return holds((ScriptedCredsspClient(run).proved().reply.pub_key_auth or b"").startswith(b"\1\0\0\0"))


@against_server("MSCSSP-3.1.5-24")
def nothing_beside_the_proof(run: CaseRun) -> Observation:
    """Beside the server's proof there is no authInfo, and negoTokens only where Negotiate owes one."""
    fields = ScriptedCredsspClient(run, bare=True).proved().reply.fields
    return holds(fields == ["pub_key_auth"], ", ".join(fields))


def _failure(version: int, told: bool) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        client = ScriptedCredsspClient(run, _OLD, version=version, wrong_password=True)
        seen = client.prove()
        code = client.reply.error_code
        right = (code is not None) == told and (code is None or int.from_bytes(code[-4:]) == _LOGON_FAILURE)
        return holds(seen.outcome in REFUSAL and right, f"{seen.outcome}, errorCode {code!r}")

    with_it = "says why with errorCode" if told else "has no errorCode"
    case.__name__ = f"failure_of_version_{version}"
    case.__doc__ = f"A wrong password with version {version} fails, and the server {with_it}."
    ids = ("MSCSSP-3.1.5-10", "MSCSSP-2.2.1-11", "MSCSSP-2.2.1-12") if told else ("MSCSSP-2.2.1-13",)
    return against_server(*ids, accept=HOLDS, destructive=True)(case)


_failure(6, True)
_failure(4, True)
_failure(3, True)
_failure(2, False)


@against_server("MSCSSP-3.1.5-23", "MSCSSP-5.1-01")
def version_not_supported(run: CaseRun) -> Observation:
    """A version that the server does not take gets STATUS_NOT_SUPPORTED."""
    client = ScriptedCredsspClient(run, version=2).open()
    client.say(TsRequest(2, nego_token=client.token()))
    code = client.reply.error_code or b""
    return holds(int.from_bytes(code[-4:]) == _NOT_SUPPORTED, f"errorCode {code!r}")


def _credentials(name: str, title: str, accept: frozenset[Reaction], *requirements: str, message: bytes,
                 **changes: object) -> CaseFunction:  # fmt: skip
    """A case about what is handed over."""

    def case(run: CaseRun) -> Observation:
        return ScriptedCredsspClient(run).hand_over(message, **changes)

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=accept)(case)


_PASSWORDS = passwords(*(text.encode("utf-16-le") for text in ("DOM", "user", "secret")))
_NO_PASSWORD = element(0x30, element(0xA0, b"\4\0"), element(0xA1, b"\4\0"))
_GUARD = element(0x30, element(0xA0, element(0x30, element(0xA0, b"\4\2A\0"), element(0xA1, b"\4\1x"))))

_credentials("handed_over", "A password in TSPasswordCreds is taken.", frozenset({Reaction.CHALLENGE}), "MSCSSP-2.2-03",
             "MSCSSP-2.2.1.2-01", message=credentials(1, _PASSWORDS))  # fmt: skip
for _kind in (0, 3, 7):
    _credentials(f"kind_{_kind}", f"credType {_kind} is refused.", REFUSAL, "MSCSSP-2.2.1.2-01",
                 message=credentials(_kind, _PASSWORDS))  # fmt: skip
_credentials("kind_beside_its_body", "credType 1 with a smart card is refused.", REFUSAL, "MSCSSP-2.2.1.2-02",
             message=credentials(1, smart_card()))  # fmt: skip
_credentials("no_password_field", "TSPasswordCreds without a password is refused.", REFUSAL, "MSCSSP-2.2.1.2.1-01",
             message=credentials(1, _NO_PASSWORD))  # fmt: skip
_credentials("no_utf16", "A text that is not UTF-16 is refused.", REFUSAL, "MSCSSP-2.2-02",
             message=credentials(1, passwords(b"x", b"", b"")))  # fmt: skip
_credentials("octets_behind", "Octets behind TSCredentials are refused.", REFUSAL, "MSCSSP-3.1.5-27",
             message=credentials(1, _PASSWORDS) + b"\0")  # fmt: skip
_credentials("smart_card", "A smart card is taken or refused.", _REFUSED_OR_TAKEN, "MSCSSP-2.2.1.2.2-01",
             "MSCSSP-2.2.1.2.2.1-01", message=credentials(2, smart_card()))  # fmt: skip
_credentials("remote_guard", "Remote guard credentials are taken or refused.", _REFUSED_OR_TAKEN,
             "MSCSSP-2.2.1.2.3-01", "MSCSSP-2.2.1.2.3.1-01", message=credentials(6, _GUARD))  # fmt: skip
_credentials("clear_credentials", "Credentials that are not hidden are refused.", REFUSAL, "MSCSSP-2.2.1-07",
             message=b"", auth_info=credentials(1, _PASSWORDS))  # fmt: skip
_credentials("proof_beside_credentials", "A second pubKeyAuth, beside authInfo, is refused.", REFUSAL,
             "MSCSSP-3.1.5-28", message=credentials(1, _PASSWORDS), pub_key_auth=bytes(48))  # fmt: skip
_credentials("token_beside_credentials", "A token beside authInfo is refused.", REFUSAL, "MSCSSP-3.1.5-28",
             message=credentials(1, _PASSWORDS), nego_token=b"x")  # fmt: skip


def _choice(name: str, title: str, accept: frozenset[Reaction], mask: int, size: int = 0, authzid: bytes = b"",
            setting: Setting | None = None) -> CaseFunction:  # fmt: skip
    def case(run: CaseRun) -> Observation:
        return ScriptedCredsspClient(run, setting or Setting()).choose(mask, size, authzid)

    case.__name__ = name
    case.__doc__ = title
    return against_server("MSCSSP-3.1.5-29", accept=accept)(case)


_choice("two_layers", "A choice of two layers does not authenticate.", REFUSAL, 6, 4096)
_choice("no_choice", "A choice of nothing does not authenticate.", REFUSAL, 0)
_choice("size_without_layer", "No layer and a size do not authenticate.", REFUSAL, 1, 1)
_choice("layer_not_offered", "A layer that was not offered does not authenticate.", REFUSAL, 4, 4096,
        setting=Setting(max_ssf=0))  # fmt: skip
_choice("own_identity", "One's own identity is granted.", SUCCESS, 1, authzid=b"chris", setting=Setting(max_ssf=0))
_choice("forbidden_identity", "Another's identity does not authenticate.", REFUSAL, 1, authzid=b"nobody-at-all")


@against_server("MSCSSP-3.1.5-29", accept=DELIVERED)
def confidentiality(run: CaseRun) -> Observation:
    """Under confidentiality, requests and answers are records of the same TLS."""
    layer = ScriptedCredsspClient(run).layer()
    return layer.ask(layer.wrap(layer.probe))


@against_server("MSCSSP-3.1.5-29", accept=REFUSAL)
def corrupt_record(run: CaseRun) -> Observation:
    """A record that was changed ends the connection."""
    layer = ScriptedCredsspClient(run).layer()
    wire = layer.wrap(layer.probe)
    return layer.ask(wire[:-1] + bytes([wire[-1] ^ 1]))


@against_server("MSCSSP-2.1-01", accept=REFUSAL)
def nothing_to_say(run: CaseRun) -> Observation:
    """Two empty messages in a row end the exchange."""
    client = ScriptedCredsspClient(run)
    answer = client.connection.begin("CREDSSP", b"")
    for _ in range(3):
        if answer.outcome is Reaction.CHALLENGE:
            answer = client.connection.respond(b"")
    return answer.seen
