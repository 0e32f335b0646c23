"""RFC 5802, RFC 7677 and RFC 5801: SCRAM."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode

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
from saslsspi_conformance.case_run import CaseRun, Setting
from saslsspi_conformance.peers.scram_ends import ScriptedScramClient, ScriptedScramServer, fields

_BOUND = Setting(bindings=b"h" * 32)
_PLUS = b"p=tls-server-end-point,,"


@against_server("RFC5802-4-01", "RFC5801-14-01")
def names(run: CaseRun) -> Observation:
    """The names are SCRAM, the hash, and perhaps PLUS; SPNEGO is none of them."""
    offered = [name for name in run.target.mechanisms() if "SCRAM" in name or name.startswith("SPNEGO")]
    if not offered:
        raise NotApplicable("the target does not offer SCRAM")
    return holds(all(re.fullmatch("SCRAM-(SHA-1|SHA-224|SHA-256|SHA-384|SHA-512|SHA3-512)(-PLUS)?", name)
                     for name in offered), ", ".join(offered))  # fmt: skip


@against_server("RFC5802-4-02")
def scram_sha_1(run: CaseRun) -> Observation:
    """Who has SCRAM has SCRAM-SHA-1."""
    offered = [name for name in run.target.mechanisms() if name.startswith("SCRAM")]
    if not offered:
        raise NotApplicable("the target does not offer SCRAM")
    if "SCRAM-SHA-1" not in offered and not run.target.local:
        raise NotApplicable(f"of {', '.join(offered)} it is not one; whether it is implemented, not seen")
    return holds("SCRAM-SHA-1" in offered, ", ".join(offered))


def _logs_on(mechanism: str, *requirements: str) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        return ScriptedScramClient(run, mechanism).log_on()

    case.__name__ = "log_on_" + mechanism.lower().replace("-", "_")
    case.__doc__ = f"A proof computed by the RFC's formulas authenticates with {mechanism}."
    return against_server(*requirements, accept=SUCCESS)(case)


_logs_on("SCRAM-SHA-1", "RFC5802-3-01", "RFC5802-3-02", "RFC5802-5-01")
_logs_on("SCRAM-SHA-256", "RFC7677-3-01", "RFC5802-3-01", "RFC5802-3-02")


@against_server("RFC5802-5.1-24", "RFC5802-5.2-01", "RFC5802-3-02")
def server_signature(run: CaseRun) -> Observation:
    """Success brings the right v=, with success or as one more challenge."""
    client = ScriptedScramClient(run)
    seen = client.log_on()
    return holds(seen.outcome is Reaction.SUCCESS and client.server_final == client.expected, str(seen.outcome))


@against_server("RFC5802-5.1-18", "RFC5802-5.1-19", "RFC5802-7-01", "RFC5802-5.1-12")
def server_first(run: CaseRun) -> Observation:
    """The first message is r=, s= in base64 and i= without a leading zero."""
    client = ScriptedScramClient(run)
    client.first()
    pattern = rb"r=testernonce[!-+\--~]+,s=[A-Za-z0-9+/]+=*,i=[1-9][0-9]*(,.*)?"
    return holds(re.fullmatch(pattern, client.server_first), client.server_first.decode(errors="replace"))


@against_server("RFC5802-5.1-20", "RFC7677-3-02")
def iterations(run: CaseRun) -> Observation:
    """The iteration count is 4,096 at least."""
    client = ScriptedScramClient(run)
    client.first()
    count = int(fields(client.server_first).get("i", b"0"))
    return holds(count >= 4096, f"{count} iterations")


@against_server("RFC5802-5.1-13")
def fresh_nonce(run: CaseRun) -> Observation:
    """Every exchange has a nonce of its own."""
    nonces = set()
    for _ in range(10):
        client = ScriptedScramClient(run)
        client.first()
        nonces.add(fields(client.server_first).get("r"))
    return holds(len(nonces) == 10)


def _refused(
    name: str,
    title: str,
    *requirements: str,
    mechanism: str = "SCRAM-SHA-256",
    setting: Setting | None = None,
    final: dict[str, bytes] | None = None,
    bare: bytes | None = None,
    lenient: bool = False,
    configured: bool = False,
    **first: object,
) -> CaseFunction:
    """Register a refusal; %s in bare is the account's name."""

    def case(run: CaseRun) -> Observation:
        user = run.target.account.user.encode()
        said = bare.replace(b"%s", user).replace(b"%e", _escaped_wrongly(user)) if bare else None
        client = ScriptedScramClient(run, mechanism, setting or Setting(), bare=said, **first)  # type: ignore[arg-type]
        return client.log_on(**(final or {}))

    case.__name__ = name
    case.__doc__ = title
    return against_server(*requirements, accept=REFUSAL, lenient=lenient, configured=configured)(case)


def _escaped_wrongly(user: bytes) -> bytes:
    """The name with its last octet in an escape that RFC 5802 does not have; who decodes it all the same logs on."""
    return user[:-1] + b"=%02X" % user[-1]


_refused("wrong_password", "A wrong proof does not authenticate.", "RFC5802-5.1-23", wrong_password=True)
_refused("no_name", "A first message without n= does not authenticate.", "RFC5802-5.1-04", bare=b"r=testernonce")
_refused("swapped", "n= and r= the wrong way round do not authenticate.", "RFC5802-5.1-01",
         bare=b"r=testernonce,n=%s")  # fmt: skip
_refused("bad_escape", "An = that begins neither =2C nor =3D does not authenticate.", "RFC5802-5.1-10",
         bare=b"n=%e,r=testernonce")  # fmt: skip
_refused("mandatory_extension", "m= does not authenticate.", "RFC5802-5.1-11", "RFC5802-5.1-28",
         bare=b"m=x,n=%s,r=testernonce")  # fmt: skip
_refused("nonce_with_del", "A nonce with an octet 0x7F does not authenticate.", "RFC5802-5.1-12",
         bare=b"n=%s,r=tester\x7fnonce", lenient=True)  # fmt: skip
_refused("other_nonce", "A final nonce that is not the one of the exchange does not authenticate.", "RFC5802-5.1-16",
         final={"nonce": b"testernonceXYZ"})  # fmt: skip
_refused("wrong_c", "A c= of another header does not authenticate.", "RFC5802-5.1-17", "RFC5802-6-10", "RFC5801-4-04",
         final={"signed_header": b"y,,"})  # fmt: skip
_refused("c_is_no_base64", "A c= that is no base64 does not authenticate.", "RFC5802-5.1-17", final={"c": b"%%%"})
_refused("gs2_nonstandard", "F in the GS2 header is not SCRAM's.", "RFC5801-4-02", header=b"F,n,,")
_refused("plain_name_with_p", "The name without PLUS and flag p do not go together.", "RFC5802-6-11", setting=_BOUND,
         header=_PLUS, binding=b"h" * 32)  # fmt: skip
_refused("plus_with_n", "The name with PLUS and flag n do not go together.", "RFC5802-6-11", setting=_BOUND,
         mechanism="SCRAM-SHA-256-PLUS")  # fmt: skip
_refused("downgrade", "Flag y where the server can bind is a downgrade.", "RFC5802-6-08", "RFC5801-5-02",
         setting=_BOUND, header=b"y,,")  # fmt: skip
_refused("unknown_binding", "An unknown type of binding does not authenticate.", "RFC5802-6-09", "RFC5801-5-01",
         "RFC5802-6.1-04", setting=_BOUND, mechanism="SCRAM-SHA-256-PLUS", header=b"p=foo,,")  # fmt: skip
_refused("wrong_binding", "Other binding data do not authenticate.", "RFC5802-6-10", setting=_BOUND,
         mechanism="SCRAM-SHA-256-PLUS", header=_PLUS, binding=b"x" * 32)  # fmt: skip
_refused("forbidden_authzid", "An identity that the user may not assume does not authenticate.", "RFC5802-5.1-03",
         "RFC4422-3.6-06", header=b"n,a=nobody-at-all,", configured=True)  # fmt: skip


@against_server("RFC5802-5.1-02", accept=SUCCESS, lenient=True)  # whom a user may act as is the server's to say
def own_authzid(run: CaseRun) -> Observation:
    """One's own name is granted as the authorization identity."""
    return ScriptedScramClient(run, header=b"n,a=" + run.target.account.user.encode() + b",").log_on()


@against_server("RFC5802-6.1-04", "RFC5802-6-07", accept=SUCCESS)
def right_binding(run: CaseRun) -> Observation:
    """The type and data of the channel authenticate with PLUS."""
    return ScriptedScramClient(run, "SCRAM-SHA-256-PLUS", _BOUND, header=_PLUS, binding=b"h" * 32).log_on()


@against_server("RFC5802-5.1-02", accept=SUCCESS)
def permitted_authzid(run: CaseRun) -> Observation:
    """An identity that the user may assume is granted."""
    if not run.target.local:
        raise NotApplicable("whom the account may act as is not known")
    return ScriptedScramClient(run, header=b"n,a=dana,").log_on()


@against_server("RFC5802-5.1-09", accept=SUCCESS)
def escaped_name(run: CaseRun) -> Observation:
    """=2C and =3D in a name are comma and equals sign."""
    return ScriptedScramClient(run, setting=Setting(user="a,b=c", password="pencil")).log_on()


@against_server("RFC5802-5.1-30", accept=SUCCESS)
def optional_extension(run: CaseRun) -> Observation:
    """Optional extensions that nobody knows are ignored."""
    return ScriptedScramClient(run).log_on(extensions=b",x=1")


@against_server("RFC5802-5.1-06", "RFC5802-5.1-08", "RFC4422-5-10", accept=SUCCESS)
def name_to_be_prepared(run: CaseRun) -> Observation:
    """A name that SASLprep maps to the account's authenticates, and is signed as it was sent."""
    name = run.target.account.user
    bare = b"n=" + (name[:1] + "\u00ad" + name[1:]).encode() + b",r=testernonce"
    return ScriptedScramClient(run, bare=bare).log_on()


@against_server("RFC5802-5.1-07", accept=REFUSAL)
def prohibited_name(run: CaseRun) -> Observation:
    """A name that SASLprep prohibits does not authenticate."""
    user = run.target.account.user.encode()
    return ScriptedScramClient(run, bare=b"n=" + user[:1] + b"\xc2\x85" + user[1:] + b",r=testernonce").log_on()


@against_server("RFC5802-5.1-27", "RFC5802-7-02", "RFC5802-5.1-26", destructive=True)
def error_value(run: CaseRun) -> Observation:
    """What comes with a failure, if anything, is e= and a value of the RFC."""
    values = (b"invalid-encoding|extensions-not-supported|invalid-proof|channel-bindings-dont-match|"
              b"server-does-support-channel-binding|channel-binding-not-supported|unsupported-channel-binding-type|"
              b"unknown-user|invalid-username-encoding|no-resources|other-error")  # fmt: skip
    client = ScriptedScramClient(run, wrong_password=True)
    client.log_on()
    return holds(not client.server_final or re.fullmatch(b"e=(" + values + b")(,.*)?", client.server_final))


@against_server("RFC5802-5.1-29")
def error_of_a_mandatory_extension(run: CaseRun) -> Observation:
    """The error of a mandatory extension, if there is one, is extensions-not-supported."""
    answer = ScriptedScramClient(run, bare=b"m=x,n=nobody-at-all,r=testernonce").first()
    return holds(not answer.data or answer.data.startswith(b"e=extensions-not-supported"), repr(answer.data))


@against_server("RFC5802-9-01")
def unknown_user(run: CaseRun) -> Observation:
    """An unknown user gets a salt, the same one each time."""
    salts = []
    for _ in range(2):
        client = ScriptedScramClient(run, bare=b"n=nobody-at-all,r=testernonce")
        answer = client.first()
        salts.append(fields(client.server_first).get("s"))
        if answer.outcome is not Reaction.CHALLENGE or not salts[-1]:
            return holds(False, f"{answer.outcome}: unknown users can be told")
    return holds(salts[0] == salts[1], "two salts")


# What a client does.


@against_client("RFC5802-5.1-04", "RFC5801-4-01", "RFC5802-6-06", "RFC5802-5.1-12", "RFC5802-7-01", "RFC5802-5.2-01")
def client_first(run: CaseRun) -> Observation:
    """The first message is GS2 header, n= and r=."""
    first = ScriptedScramServer(run).client_first
    return holds(re.fullmatch(rb"[ny],,n=[^,]+,r=[!-+\--~]+", first), "another form")


@against_client("RFC5802-5.1-23", "RFC5802-3-01", "RFC5802-3-02", "RFC5802-5-01", "RFC7677-3-01")
def client_proof(run: CaseRun) -> Observation:
    """The proof is computed by the RFC's formulas and stands last."""
    server = ScriptedScramServer(run)
    server.first()
    return holds(server.right())


@against_client("RFC5802-3-02", "RFC5802-4-02")
def client_proof_sha_1(run: CaseRun) -> Observation:
    """With SCRAM-SHA-1 too."""
    server = ScriptedScramServer(run, "SCRAM-SHA-1")
    server.first()
    return holds(server.right())


@against_client("RFC5802-5.1-17")
def client_c(run: CaseRun) -> Observation:
    """The c= of a client that does not bind is the GS2 header."""
    server = ScriptedScramServer(run)
    server.first()
    header = b",".join(server.client_first.split(b",")[:2]) + b","
    return holds(b64decode(fields(server.client_final)["c"]) == header)


@against_client("RFC5802-5.1-13")
def client_nonce(run: CaseRun) -> Observation:
    """Every exchange has a client nonce of its own."""
    count = 100 if run.target.local else 5
    return holds(len({fields(ScriptedScramServer(run).bare)["r"] for _ in range(count)}) == count)


def _client_aborts(name: str, title: str, *requirements: str, lenient: bool = False, **said: object) -> CaseFunction:
    def case(run: CaseRun) -> Observation:
        return ScriptedScramServer(run).first(**said)  # type: ignore[arg-type]

    case.__name__ = name
    case.__doc__ = title
    return against_client(*requirements, accept=REFUSAL, lenient=lenient)(case)


_client_aborts("foreign_nonce", "A nonce that does not begin with the client's makes it give up.", "RFC5802-5.1-14",
               nonce=b"foreign")  # fmt: skip
_client_aborts("no_count", "A server message without i= makes it give up.", "RFC5802-5.1-19", i=b"")
_client_aborts("low_count", "One iteration makes it give up.", "RFC5802-5.1-21", i=b"1")
_client_aborts("high_count", "Two milliards of iterations make it give up.", "RFC5802-5.1-21", i=b"2147483647")
_client_aborts("leading_zero", "A count with a leading zero makes it give up.", "RFC5802-7-01", i=b"04096",
               lenient=True)  # fmt: skip
_client_aborts("negative_count", "A negative count makes it give up.", "RFC5802-7-01", i=b"-1")
_client_aborts(
    "mandatory_extension_of_server", "m= makes it give up.", "RFC5802-5.1-11", "RFC5802-5.1-28", more=b",m=x"
)


@against_client("RFC5802-5.1-15", accept=REFUSAL)
def no_server_nonce(run: CaseRun) -> Observation:
    """A server that adds nothing to the nonce makes it give up."""
    server = ScriptedScramServer(run)
    return server.first(nonce=fields(server.bare)["r"])


@against_client("RFC5802-5.1-30", accept=frozenset({Reaction.RESPONSE}))
def optional_extension_of_server(run: CaseRun) -> Observation:
    """Optional extensions of the server are ignored."""
    return ScriptedScramServer(run).first(more=b",x=1")


@against_client("RFC5802-5.1-24", accept=SUCCESS)
def right_signature(run: CaseRun) -> Observation:
    """The right v= is success."""
    server = ScriptedScramServer(run)
    server.first()
    return server.finish(server.signature())


@against_client("RFC5802-5.1-24", accept=REFUSAL)
def wrong_signature(run: CaseRun) -> Observation:
    """A wrong v= is no success."""
    server = ScriptedScramServer(run)
    server.first()
    return server.finish(b"v=" + b64encode(bytes(32)))


@against_client("RFC5802-5.1-25", accept=REFUSAL)
def no_signature(run: CaseRun) -> Observation:
    """Success without v= is no success."""
    server = ScriptedScramServer(run)
    server.first()
    return server.finish(None)


@against_client("RFC5802-5.1-09", "RFC5801-4-03")
def client_escapes(run: CaseRun) -> Observation:
    """Comma and equals sign in name and identity are sent as =2C and =3D."""
    first = ScriptedScramServer(run, setting=Setting(user="a,b=c", authzid="x,y=z")).client_first
    return holds(first.startswith(b"n,a=x=2Cy=3Dz,n=a=2Cb=3Dc,r="), first.decode(errors="replace"))


@against_client("RFC5802-6-05", "RFC5802-6-07", "RFC5801-4-01")
def client_binds(run: CaseRun) -> Observation:
    """With PLUS and a channel the client's flag is p, and c= holds the data."""
    server = ScriptedScramServer(run, "SCRAM-SHA-256-PLUS", _BOUND)
    server.first()
    told = b64decode(fields(server.client_final)["c"])
    return holds(server.client_first.startswith(_PLUS) and told == _PLUS + b"h" * 32 and server.right())


@against_client("RFC5802-6-04")
def client_says_y(run: CaseRun) -> Observation:
    """A client that could bind says y where the server does not offer PLUS."""
    return holds(ScriptedScramServer(run, setting=_BOUND).client_first.startswith(b"y,,"))
