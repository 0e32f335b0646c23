"""The acceptor's steps of NTLM (MS-NLMP section 3.2.5).

The proof of the password is verified before the MIC, so that a wrong password is a wrong password and not an altered
message. An unknown user is verified against a hash that nobody knows, and costs what a wrong password costs.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Final, cast

from saslsspi.accounts.account import Account, Question, Secret
from saslsspi.crypto.md5 import HmacMd5
from saslsspi.engine.attributes import FILETIME_EPOCH, SecPkgContextChannelBindings, SecPkgContextNames
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import AscReq, AscRet, ChannelBindingsResult
from saslsspi.engine.policy import ChannelBindingPolicy
from saslsspi.errors import (
    BadBindings,
    ContextMisuse,
    InvalidToken,
    LogonDenied,
    MessageAltered,
    SecurityNotAgreed,
    TimeSkew,
    WrongPrincipal,
)
from saslsspi.packages.ntlm.av_pairs import AvFlag, AvId, pair
from saslsspi.packages.ntlm.credential import NtlmCredential
from saslsspi.packages.ntlm.established import Names, established, qualified_name
from saslsspi.packages.ntlm.keys import nt_hash, rc4_once
from saslsspi.packages.ntlm.messages import VERSION, Authenticate, ChallengeMessage, Negotiate
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag, asked, check_strength, offer, permitted, select
from saslsspi.packages.ntlm.responses import received_response

__all__ = ["NtlmServer"]

_NOBODYS_PASSWORD: Final = "password"
_SECRETS: Final = (Secret.NT_HASH, Secret.PASSWORD)
_UNICODE: Final = int(NtlmFlag.UNICODE)
_CHARACTER_SETS: Final = int(NtlmFlag.UNICODE | NtlmFlag.OEM)
_DATAGRAM: Final = int(NtlmFlag.DATAGRAM)
_LAYER: Final = int(NtlmFlag.SIGN | NtlmFlag.SEAL)
_KEY_EXCH: Final = int(NtlmFlag.KEY_EXCH)
_VERSION_FLAG: Final = int(NtlmFlag.VERSION)
_MIC: Final = int(AvFlag.MIC)
_TIMESTAMP: Final = int(AvId.TIMESTAMP)
_SHOWN: Final = 128  # characters of a name that anybody can send
_NULL_SESSION: Final = int(AscReq.ASC_REQ_ALLOW_NULL_SESSION)
_CLIENT_SUPPORT: Final = int(ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_CLIENT_SUPPORT)
_ABSENT: Final = int(ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_ABSENT)
_VALID_MATCHED: Final = int(ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MATCHED)
_VALID_MISSING: Final = int(ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MISSING)


class _Position(enum.Enum):
    """What is due: a message of the peer, or the authority's answer."""

    BEGINNING = enum.auto()
    AUTHENTICATE = enum.auto()
    ANSWER = enum.auto()

    __hash__ = object.__hash__


class NtlmServer(Exchange):
    """One acceptor's exchange."""

    __slots__ = (
        "_account", "_audit", "_challenge", "_credential", "_environment", "_flags", "_greeting", "_message", "_names",
        "_position", "_request", "_response", "_selected", "_server_challenge", "_timestamp", "_token", "outcome",
    )  # fmt: skip

    def __init__(self, credential: NtlmCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._account: Account | None = None
        self._audit = 0
        self._credential = credential
        self._environment = environment
        self._position = _Position.BEGINNING

    def step(self, token: bytes, request: Request) -> StepResult | Question:
        """Take the client's message; see Exchange.step."""
        return _STEPS[self._position](self, token, request)

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """The audit of channel bindings, and the user with the domain."""
        if kind is SecPkgContextChannelBindings:
            return cast(Attribute, SecPkgContextChannelBindings(ChannelBindingsResult(self._audit)))
        if kind is SecPkgContextNames and self.outcome is not None:
            return cast(Attribute, qualified_name(self.outcome))
        return None

    def _begin(self, token: bytes, request: Request) -> StepResult:
        """Answer a NEGOTIATE_MESSAGE, or nothing where there are datagrams, with a CHALLENGE_MESSAGE."""
        environment = self._environment
        policy = environment.policy
        required = asked(Side.ACCEPT, request.required, policy)
        if not token and required & _DATAGRAM:
            # Section 3.2.5.2.1: the connectionless variant begins here, and always exchanges a key.
            offered = offer(asked(Side.ACCEPT, request.requested, policy), policy)
        else:
            offered = Negotiate.from_bytes(token).flags
            if not offered & _CHARACTER_SETS:
                raise InvalidToken("the client offers neither UNICODE nor OEM")
        names = self._credential.challenge_names(policy.ntlm)
        selected = select(offered, policy, in_domain=names.in_domain)
        # Section 3.2.5.1.1: "If the security features selected by the client are not strong enough for the server
        # security policy, the server MUST return an error to the calling application."
        check_strength(permitted(selected, policy), required, policy)
        self._server_challenge = environment.random(8)
        self._timestamp = (int(environment.clock() * 10_000_000) + FILETIME_EPOCH).to_bytes(8, "little")
        target = names.target if selected & _UNICODE else names.target.decode("utf-16-le").encode("cp1252", "replace")
        self._challenge = ChallengeMessage(
            selected,
            self._server_challenge,
            target,
            names.pairs + pair(_TIMESTAMP, self._timestamp) + b"\0\0\0\0",
            VERSION if selected & _VERSION_FLAG else bytes(8),
        ).to_bytes()
        self._greeting = token
        self._selected = selected
        self._position = _Position.AUTHENTICATE
        return StepResult(Event.CONTINUE, self._challenge)

    def _receive(self, token: bytes, request: Request) -> StepResult | Question:
        """Check all that can be checked of an AUTHENTICATE_MESSAGE before the account is known, and ask for it."""
        policy = self._environment.policy
        message = Authenticate.from_bytes(token)
        flags = message.flags & self._selected
        required = asked(Side.ACCEPT, request.required, policy)
        self._token, self._message, self._request = token, message, request
        username = _decode(message.username, flags)
        domain = _decode(message.domain, flags)
        if not username and not message.nt_response and message.lm_response in (b"", b"\0"):
            return self._let_in_nobody(flags, required)
        check_strength(permitted(flags, policy), required, policy)
        # "If NTLMSSP_NEGOTIATE_KEY_EXCH is set, the server MUST check if client supplied a valid
        # EncryptedRandomSessionKey; otherwise, the server MUST return SEC_E_INVALID_TOKEN."
        if flags & _KEY_EXCH and flags & _LAYER and len(message.session_key) != 16:
            raise InvalidToken(f"an encrypted session key of {len(message.session_key)} octets, expected 16")
        self._flags = flags
        self._response = received_response(message, flags, policy.ntlm.responses)
        self._check_target()
        self._check_timestamp()
        self._names = [(username, domain)]
        user, at, suffix = username.rpartition("@")
        if at and not domain:
            # A UPN: the authority may know it by its parts.
            self._names.append((user, suffix))
        self._position = _Position.ANSWER
        return self._question()

    def _question(self) -> Question:
        username, domain = self._names[0]
        # "User names MUST be case-insensitive."
        return Question(username, domain, _SECRETS, any_case=True)

    def resume(self, account: Account | None) -> StepResult | Question:
        """Verify the response with what the authority knows of the user."""
        if self._account is None:
            self._account = account
        if len(self._names) > 1:
            # Each reading of a name is looked up, whether one before it was an account or not.
            del self._names[0]
            return self._question()
        account = self._account
        known, made = self._credential.hash_of(account)
        # Nobody knows this hash, and it costs what a real one costs.
        own = known if known is not None else self._environment.random(16)
        message = self._message
        username, domain = _decode(message.username, self._flags), _decode(message.domain, self._flags)
        password = account.password if account is not None else None
        key = self._response.verify(own, password, username, domain, self._server_challenge)
        if key is None or known is None or account is None:
            if not made:
                # A refusal costs one hash of a password, as it does for an account that has not been seen before.
                nt_hash(_NOBODYS_PASSWORD)
            raise LogonDenied("the user is unknown or the password is wrong")
        return self._accept(account, key)

    def _accept(self, account: Account, key: bytes) -> StepResult:
        flags, message = self._flags, self._message
        exported = rc4_once(key, message.session_key) if flags & _KEY_EXCH and flags & _LAYER else key
        mic = self._check_mic(exported)
        bound = self._check_bindings()
        self._check_time()
        target = self._response.target
        # The domain that the client names is in its proof, and proves nothing: whoever knows the password may name any.
        # A user has the one that the authority says, or else the one of this machine.
        domain = account.domain or account.realm or self._credential.own_domain(self._environment.policy.ntlm)
        names = Names(account.username, domain, target, bound, account)
        policy, seals = self._environment.policy, self._request.seals_signed
        self.outcome = established(Side.ACCEPT, flags, exported, names, mic=mic, policy=policy, seals_signed=seals)
        return StepResult(Event.COMPLETE, None)

    def _check_mic(self, exported: bytes) -> bool:
        """Verify the MIC over the three messages as they were received; return whether there was one."""
        message, token = self._message, self._token
        if not self._response.av_flags & _MIC:
            if self._environment.policy.ntlm.require_mic:
                raise SecurityNotAgreed("the client sent no MIC, and the policy requires one")
            return False
        at = message.mic_offset
        received = token[at : at + 16] if at else b""
        blank = token[:at] + bytes(16) + token[at + 16 :]
        if not compare_digest(HmacMd5(exported).digest(self._greeting, self._challenge, blank), received):
            raise MessageAltered(
                "the MIC is wrong: somebody changed one of the messages", requirement="MSNLMP-3.2.5.1.2-05"
            )
        return True

    def _check_bindings(self) -> str:
        """Compare channel bindings; return the type of those that match, "" where none were compared."""
        rule = self._environment.policy.channel_binding
        ours, theirs = self._request.bindings, self._response.bindings
        there = any(theirs)  # all zeros mean none
        support = _CLIENT_SUPPORT if theirs else 0
        if rule is ChannelBindingPolicy.NONE or (ours is None and rule is ChannelBindingPolicy.ALLOW):
            self._audit = _ABSENT | support
            return ""
        if ours is not None and there:
            if not compare_digest(ours.gss_hash(), theirs):
                raise BadBindings(
                    "the client's channel bindings are those of another channel", requirement="MSNLMP-3.2.5.1.2-07"
                )
            self._audit = _VALID_MATCHED | support
            return ours.type_name or "untyped"
        if rule is ChannelBindingPolicy.REQUIRE:
            who = "the client" if ours is not None else "the acceptor's program"
            raise BadBindings(
                f"{who} gave no channel bindings, and the policy requires them", requirement="MSNLMP-3.2.5.1.2-07"
            )
        self._audit = _VALID_MISSING | support
        return ""

    def _check_time(self) -> None:
        time = self._response.time
        if time is None:
            return
        # "more than MaxLifetime difference from the server time"
        away = abs((time - FILETIME_EPOCH) / 10_000_000 - self._environment.clock())
        limit = self._environment.policy.ntlm.max_lifetime
        if away > limit:
            raise TimeSkew(f"the client's time is {away:.0f} seconds away, at most {limit:.0f} are taken")

    def _check_target(self) -> None:
        """See that the client means this acceptor, which is what stops a logon that somebody passes on."""
        policy = self._environment.policy.ntlm
        names, target = self._credential.own_names(policy), self._response.target
        if not names.include(target, policy.target):
            known = ", ".join(map(str, self._credential.principals)) or ", ".join(policy.own_names)
            raise WrongPrincipal(
                f"the client meant {target[:_SHOWN]!r}, and this is {known}; an alias or an address by which clients "
                "know it belongs into NtlmPolicy.own_names"
            )

    def _check_timestamp(self) -> None:
        """See that the client answered the challenge that was sent.

        A client that sees MsvAvTimestamp protects the three messages with a MIC (section 3.1.5.1.2), and section
        2.2.2.1 has every server send it. So whoever relays the challenge takes it out: then nothing is protected, and
        the other pairs can be changed.
        """
        response, policy = self._response, self._environment.policy.ntlm
        if (
            response.timestamp is None
            or response.av_flags & _MIC
            or response.timestamp == self._timestamp
            or not policy.require_timestamp
            or policy.require_mic  # which says so once the proof is verified
        ):
            return
        raise MessageAltered(
            "the answer has neither a MIC nor the timestamp of our challenge: somebody may have changed the challenge "
            "(NtlmPolicy.require_timestamp=False takes it)",
            requirement="MSNLMP-2.2.2.1-06",
        )

    def _let_in_nobody(self, flags: int, required: int) -> StepResult:
        """The anonymous user: no proof, no session security (section 3.2.5.1.2)."""
        policy = self._environment.policy
        if not policy.allow_anonymous and not self._request.requested & _NULL_SESSION:
            raise LogonDenied("the client logs on as nobody, and the policy does not allow it")
        check_strength(flags & ~_LAYER, required, policy)
        if policy.channel_binding is ChannelBindingPolicy.REQUIRE:
            raise BadBindings("an anonymous logon carries no channel bindings, and the policy requires them")
        self._audit = _ABSENT
        self.outcome = Outcome(flags=int(AscRet.ASC_RET_NULL_SESSION))
        return StepResult(Event.COMPLETE, None)


def _decode(octets: bytes, flags: int) -> str:
    try:
        return octets.decode("utf-16-le" if flags & _UNICODE else "cp1252")
    except UnicodeDecodeError:
        raise InvalidToken(f"a name of {len(octets)} octets is not in the negotiated character set") from None


def _out_of_turn(exchange: NtlmServer, token: bytes, request: Request) -> StepResult:
    raise ContextMisuse("the authority's answer is due, not a token")


_STEPS: Final[Mapping[_Position, Callable[[NtlmServer, bytes, Request], StepResult | Question]]] = {
    _Position.BEGINNING: NtlmServer._begin,
    _Position.AUTHENTICATE: NtlmServer._receive,
    _Position.ANSWER: _out_of_turn,
}
