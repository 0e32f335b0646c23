"""The client's steps of NTLM (MS-NLMP section 3.1.5)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from struct import Struct
from typing import Final, cast

from saslsspi.crypto.md5 import HmacMd5, md5
from saslsspi.engine.attributes import FILETIME_EPOCH, SecPkgContextNames
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Attribute, Event, Exchange, Outcome, Request, Side, StepResult
from saslsspi.engine.flags import IscReq
from saslsspi.engine.policy import ChannelBindingPolicy, NtlmResponses, Policy
from saslsspi.errors import BadBindings, InvalidParameter, InvalidToken, NoCredentials, ServerUnnamed
from saslsspi.packages.ntlm.av_pairs import AvFlag, AvId, decode_pairs, encode_pairs
from saslsspi.packages.ntlm.credential import NtlmCredential
from saslsspi.packages.ntlm.established import Names, established, qualified_name
from saslsspi.packages.ntlm.keys import desl, key_exchange_key, lm_hash, rc4_once, session_base_key_v1
from saslsspi.packages.ntlm.messages import VERSION, Authenticate, ChallengeMessage
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag, agree, asked, check_strength, offer

__all__ = ["NtlmClient"]

_DATAGRAM: Final = int(NtlmFlag.DATAGRAM)
_LAYER: Final = int(NtlmFlag.SIGN | NtlmFlag.SEAL)
_KEY_EXCH: Final = int(NtlmFlag.KEY_EXCH)
_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
_UNICODE: Final = int(NtlmFlag.UNICODE)
_VERSION_FLAG: Final = int(NtlmFlag.VERSION)
_ANONYMOUS: Final = int(NtlmFlag.ANONYMOUS)
_NULL_SESSION: Final = int(IscReq.ISC_REQ_NULL_SESSION)
_UNVERIFIED: Final = int(IscReq.ISC_REQ_UNVERIFIED_TARGET_NAME)
_FLAGS: Final = Struct("<I")
_TEMP: Final = Struct("<8s Q 8s 4s")  # Responserversion 1, HiResponserversion 1, Z(6); time; challenge; Z(4)
_TEMP_HEAD: Final = b"\x01\x01" + bytes(6)
_V2: Final = int(NtlmResponses.V2)
_MIC: Final = int(AvFlag.MIC)
_UNTRUSTED_SPN: Final = int(AvFlag.UNTRUSTED_SPN)
_TIMESTAMP: Final = int(AvId.TIMESTAMP)
_OWN: Final = (int(AvId.FLAGS), int(AvId.SINGLE_HOST), int(AvId.TARGET_NAME), int(AvId.CHANNEL_BINDINGS))


class _Position(enum.Enum):
    """Which message of the peer is due."""

    BEGINNING = enum.auto()
    CHALLENGE = enum.auto()

    __hash__ = object.__hash__


class NtlmClient(Exchange):
    """One client's exchange; it is complete with its own AUTHENTICATE_MESSAGE, the server proves nothing."""

    __slots__ = ("_credential", "_environment", "_greeting", "_offered", "_position", "_required", "outcome")

    def __init__(self, credential: NtlmCredential, environment: Environment) -> None:
        self.outcome: Outcome | None = None
        self._credential = credential
        self._environment = environment
        self._position = _Position.BEGINNING

    def step(self, token: bytes, request: Request) -> StepResult:
        """Take the server's message; see Exchange.step."""
        return _STEPS[self._position](self, token, request)

    def attribute(self, kind: type[Attribute]) -> Attribute | None:
        """The user with the domain."""
        if kind is SecPkgContextNames and self.outcome is not None:
            return cast(Attribute, qualified_name(self.outcome))
        return None

    def _begin(self, token: bytes, request: Request) -> StepResult:
        policy = self._environment.policy
        self._required = asked(Side.INITIATE, request.required, policy)
        requested = asked(Side.INITIATE, request.requested, policy)
        self._offered = offer(requested, policy)
        self._position = _Position.CHALLENGE
        if requested & _DATAGRAM:
            # Section 3.1.5.2: "there is no client-initiated NEGOTIATE_MESSAGE".
            self._greeting = b""
            return self._answer(token, request) if token else StepResult(Event.CONTINUE, None)
        if token:
            raise InvalidToken("a token came before the client's first message")
        self._greeting = self._credential.greeting(self._offered)
        return StepResult(Event.CONTINUE, self._greeting)

    def _answer(self, token: bytes, request: Request) -> StepResult:
        """Answer a CHALLENGE_MESSAGE (section 3.1.5.1.2)."""
        environment, credential = self._environment, self._credential
        policy = environment.policy
        challenge = ChallengeMessage.from_bytes(token)
        flags = agree(self._offered, challenge.flags, self._required)
        nobody = not (credential.username or credential.password or credential.nt_hash)
        if request.requested & _NULL_SESSION or nobody:
            return self._as_nobody(flags)
        check_strength(flags, self._required, policy)
        if not credential.username or (credential.password is None and credential.nt_hash is None):
            lacks = "password" if credential.username else "user name, and nobody is logged on to this machine"
            raise NoCredentials(f"the credential has no {lacks}; pass WinNTAuthIdentity as auth_data")
        random = environment.random
        mic = False
        bound = ""
        if int(policy.ntlm.responses) & _V2:
            info, time, mic, bound = self._target_info(challenge, flags, request)
            nt, lm, key = self._respond_v2(challenge.server_challenge, random(8), info, time, timed=mic)
        else:
            if policy.channel_binding is ChannelBindingPolicy.REQUIRE:
                raise BadBindings("NTLMv1 carries no channel bindings, and the policy requires them")
            nt, lm, key = self._respond_v1(flags, challenge.server_challenge, random)
        encrypted = b""
        # "ExportedSessionKey" is NONCE(16) with KEY_EXCH and SIGN or SEAL, and KeyExchangeKey otherwise.
        if flags & _KEY_EXCH and flags & _LAYER:
            exported = random(16)
            encrypted = rc4_once(key, exported)
        else:
            exported = key
        message = Authenticate(
            flags,
            lm,
            nt,
            _encode(credential.domain, flags),
            _encode(credential.username, flags),
            _encode(credential.station(policy.ntlm), flags),
            encrypted,
            VERSION if flags & _VERSION_FLAG else bytes(8),
            72 if mic else 0,
        ).to_bytes()
        if mic:
            # "Set MIC to HMAC_MD5(ExportedSessionKey, ConcatenationOf(NEGOTIATE, CHALLENGE, AUTHENTICATE))": the very
            # octets that went and came.
            code = HmacMd5(exported).digest(self._greeting, token, message)
            message = message[:72] + code + message[88:]
        names = Names(credential.username, credential.domain, request.target, bound)
        seals = request.seals_signed
        self.outcome = established(Side.INITIATE, flags, exported, names, mic=mic, policy=policy, seals_signed=seals)
        return StepResult(Event.COMPLETE, message)

    def _target_info(self, challenge: ChallengeMessage, flags: int, request: Request) -> tuple[bytes, int, bool, str]:
        """Return the AV_PAIRs of the answer, its time, whether a MIC goes with it, and the type of the bindings."""
        policy = self._environment.policy
        pairs = decode_pairs(challenge.target_info) if challenge.target_info else {}
        # "If NTLM v2 authentication is used and the CHALLENGE_MESSAGE does not contain both MsvAvNbComputerName and
        # MsvAvNbDomainName AVPairs and either Integrity is TRUE or Confidentiality is TRUE, then return
        # STATUS_LOGON_FAILURE".
        if flags & _LAYER and (AvId.NB_COMPUTER_NAME not in pairs or AvId.NB_DOMAIN_NAME not in pairs):
            raise ServerUnnamed(
                "the server names neither computer nor domain, and a layer is wanted",
                requirement="MSNLMP-3.1.5.1.2-06",
            )
        timestamp = pairs.get(_TIMESTAMP)
        mic = timestamp is not None
        if timestamp is not None:
            time = int.from_bytes(timestamp, "little")
        else:
            time = int(self._environment.clock() * 10_000_000) + FILETIME_EPOCH
        # What a client says of itself is never taken from the challenge: whoever sits in between writes there what he
        # wants to be signed. Section 3.1.5.1.2 sets bit 0x4 "if UnverifiedTargetName is TRUE", and by nobody else.
        for kind in _OWN:
            pairs.pop(kind, None)
        bound = self._bind(pairs, request, policy)
        if pairs:
            av_flags = (_MIC if mic else 0) | (_UNTRUSTED_SPN if request.requested & _UNVERIFIED else 0)
            if av_flags:
                pairs[AvId.FLAGS] = _FLAGS.pack(av_flags)
            pairs[AvId.TARGET_NAME] = request.target.encode("utf-16-le")
        return encode_pairs(pairs), time, mic, bound

    def _bind(self, pairs: dict[int, bytes], request: Request, policy: Policy) -> str:
        """Put channel bindings among the pairs and return their type, "" for none."""
        rule, bindings = policy.channel_binding, request.bindings
        if bindings is not None and rule is not ChannelBindingPolicy.NONE and pairs:
            pairs[AvId.CHANNEL_BINDINGS] = bindings.gss_hash()
            return bindings.type_name or "untyped"
        if rule is ChannelBindingPolicy.REQUIRE:
            raise BadBindings("the policy requires channel bindings, and there are none, or the server takes none")
        if policy.ntlm.zero_bindings and pairs:
            pairs[AvId.CHANNEL_BINDINGS] = bytes(16)
        return ""

    def _respond_v2(
        self, server_challenge: bytes, nonce: bytes, info: bytes, time: int, *, timed: bool
    ) -> tuple[bytes, bytes, bytes]:
        """Return NtChallengeResponse, LmChallengeResponse and KeyExchangeKey (section 3.3.2)."""
        key = self._credential.own_key()
        temp = _TEMP.pack(_TEMP_HEAD, time, nonce, b"\0\0\0\0") + info + b"\0\0\0\0"
        proof = key.digest(server_challenge, temp)
        # "the client SHOULD NOT send the LmChallengeResponse and SHOULD send Z(24) instead."
        lm = bytes(24) if timed else key.digest(server_challenge, nonce) + nonce
        return proof + temp, lm, key.digest(proof)

    def _respond_v1(
        self, flags: int, server_challenge: bytes, random: Callable[[int], bytes]
    ) -> tuple[bytes, bytes, bytes]:
        """Return NtChallengeResponse, LmChallengeResponse and KeyExchangeKey (section 3.3.1)."""
        own = self._credential.own_hash()
        allowed = self._environment.policy.ntlm.responses
        password = self._credential.password  # which an NT hash does not tell
        hash_of_lm = lm_hash(password) if allowed & NtlmResponses.LM and password is not None else None
        if flags & _ESS:
            nonce = random(8)
            nt = desl(own, md5(server_challenge + nonce).digest()[:8])
            lm = nonce + bytes(16)
        else:
            nt = desl(own, server_challenge) if allowed & NtlmResponses.V1 else b""
            # NoLMResponseNTLMv1 is on unless the policy names LM.
            lm = nt if hash_of_lm is None else desl(hash_of_lm, server_challenge)
        base = session_base_key_v1(own)
        return nt, lm, key_exchange_key(flags, base, lm, server_challenge, hash_of_lm)

    def _as_nobody(self, flags: int) -> StepResult:
        """Log on as the anonymous user: no response, and no session security (section 3.4)."""
        policy = self._environment.policy
        flags = flags & ~(_LAYER | _KEY_EXCH) | _ANONYMOUS
        check_strength(flags, self._required, policy)
        if policy.channel_binding is ChannelBindingPolicy.REQUIRE:
            raise BadBindings("an anonymous logon carries no channel bindings, and the policy requires them")
        version = VERSION if flags & _VERSION_FLAG else bytes(8)
        message = Authenticate(flags, b"\0", b"", version=version).to_bytes()
        self.outcome = Outcome(flags=int(IscReq.ISC_REQ_NULL_SESSION))
        return StepResult(Event.COMPLETE, message)


def _encode(text: str, flags: int) -> bytes:
    try:
        return text.encode("utf-16-le" if flags & _UNICODE else "cp1252")
    except UnicodeEncodeError as error:
        raise InvalidParameter("a name does not fit the character set that the server chose") from error


_STEPS: Final[Mapping[_Position, Callable[[NtlmClient, bytes, Request], StepResult]]] = {
    _Position.BEGINNING: NtlmClient._begin,
    _Position.CHALLENGE: NtlmClient._answer,
}
