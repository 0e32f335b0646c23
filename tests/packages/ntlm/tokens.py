"""Ways to look into NTLM messages and to change them on their way; what a peer could send and we never do."""

from __future__ import annotations

from collections.abc import Callable

from saslsspi.packages.ntlm.av_pairs import decode_pairs, encode_pairs
from saslsspi.packages.ntlm.messages import Authenticate, ChallengeMessage

NEGOTIATE, CHALLENGE, AUTHENTICATE = 0, 1, 2
Tap = Callable[[int, bytes], bytes]


def changed(number: int, change: Callable[[bytes], bytes]) -> Tap:
    """Change one token of an exchange."""
    return lambda at, token: change(token) if at == number else token


def flags_at(offset: int, clear: int = 0, put: int = 0) -> Callable[[bytes], bytes]:
    """Change the NegotiateFlags, which stand at 12, 20 or 60."""

    def change(token: bytes) -> bytes:
        flags = int.from_bytes(token[offset : offset + 4], "little") & ~clear | put
        return token[:offset] + flags.to_bytes(4, "little") + token[offset + 4 :]

    return change


def target_info(change: Callable[[dict[int, bytes]], object]) -> Callable[[bytes], bytes]:
    """Change the AV_PAIRs of a CHALLENGE_MESSAGE."""

    def rewrite(token: bytes) -> bytes:
        challenge = ChallengeMessage.from_bytes(token)
        pairs = decode_pairs(challenge.target_info)
        change(pairs)
        return challenge._replace(target_info=encode_pairs(pairs)).to_bytes()

    return rewrite


def answer_pairs(token: bytes) -> dict[int, bytes]:
    """Return the AV_PAIRs in an AUTHENTICATE_MESSAGE."""
    return decode_pairs(Authenticate.from_bytes(token).nt_response, 44, trailing=True)


def without_timestamp(token: bytes) -> bytes:
    """Take MsvAvTimestamp out of a CHALLENGE_MESSAGE: then there is no MIC."""
    return target_info(lambda pairs: pairs.pop(7))(token)
