"""The GS2 header, with which SCRAM, OAUTHBEARER and the GS2 family begin (RFC 5801 section 4)."""

from __future__ import annotations

import enum
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Self

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.policy import ChannelBindingPolicy
from saslsspi.errors import BadBindings, DowngradeDetected, InvalidToken, SaslError

__all__ = ["BindingFlag", "FlagProblem", "Gs2Header", "client_header", "flag_problem", "usable_bindings"]

_NONSTANDARD: Final = b"F,"
_FLAG: Final = re.compile(rb"(?:[ny]|p=[A-Za-z0-9.-]{1,255})\Z")
_STRAY_EQUALS: Final = re.compile(r"=(?!2C|3D)")


class BindingFlag(enum.Enum):
    """gs2-cb-flag: what the client thinks of channel bindings."""

    NONE = "n"
    SERVER_HAS_NONE = "y"
    USED = "p"


@dataclass(frozen=True, slots=True)
class Gs2Header:
    """Whether channels are bound, and who the client wants to be.

    Wire form: `n,,`, `y,,` or `p=type,,`, with `a=authzid` between the commas, and `F,` before all that.

    Attributes:
        binding_type: The type of channel bindings, with BindingFlag.USED only.
        authzid: "" for one's own.
        nonstandard: Whether a GSS-API token follows that never had the header of RFC 2743 section 3.1.
    """

    flag: BindingFlag
    binding_type: str = ""
    authzid: str = ""
    nonstandard: bool = False

    @classmethod
    def split(cls, message: bytes) -> tuple[Self, bytes]:
        """Take the header off a client's first message, and return it with what follows.

        Raises:
            InvalidToken: the message does not begin with one.
        """
        nonstandard = message.startswith(_NONSTANDARD)
        flag, _, rest = message[len(_NONSTANDARD) * nonstandard :].partition(b",")
        if not _FLAG.match(flag):
            raise InvalidToken("no GS2 channel binding flag where one is due", requirement="RFC5801-4-02")
        identity, comma, rest = rest.partition(b",")
        if not comma or (identity and not identity.startswith(b"a=")):
            raise InvalidToken("a GS2 header with something other than a=", requirement="RFC5801-4-01")
        authzid = _name(identity[2:]) if identity else ""
        return cls(BindingFlag(chr(flag[0])), flag[2:].decode(), authzid, nonstandard), rest

    @property
    def bound(self) -> bytes:
        """What GSS-API channel bindings begin with: all but `F,` (section 5.1)."""
        flag = f"p={self.binding_type}" if self.flag is BindingFlag.USED else self.flag.value
        name = self.authzid.replace("=", "=3D").replace(",", "=2C")
        return f"{flag},{f'a={name}' if name else ''},".encode()

    def to_bytes(self) -> bytes:
        """Encode; the exact inverse of split."""
        return _NONSTANDARD * self.nonstandard + self.bound


def _name(octets: bytes) -> str:
    """Return a saslname without its escapes."""
    try:
        value = octets.decode()
    except UnicodeDecodeError:
        value = ""
    if not value or "\0" in value or _STRAY_EQUALS.search(value):
        raise InvalidToken("a name with = that is neither =2C nor =3D, or no name", requirement="RFC5801-4-03")
    return value.replace("=2C", ",").replace("=3D", "=")


class FlagProblem(enum.Enum):
    """Why a server does not take a client's flag (section 5)."""

    NOT_PLUS = "the client binds to the channel in a mechanism without -PLUS"
    UNKNOWN_TYPE = "the client binds by a type that there is not here"
    LIST_SHORTENED = "the client believes that there is no mechanism with -PLUS: somebody has shortened the list"
    NOT_BOUND = "the client does not bind to the channel"

    def error(self, header: Gs2Header, requirement: str, token: bytes | None = None) -> SaslError:
        """Return the error that refuses the client."""
        kind = DowngradeDetected if self is FlagProblem.LIST_SHORTENED else BadBindings
        what = f": {header.binding_type}" if self is FlagProblem.UNKNOWN_TYPE else ""
        return kind(self.value + what, token=token, requirement=requirement)


def flag_problem(
    header: Gs2Header, *, plus: bool, types: Collection[str], policy: ChannelBindingPolicy
) -> FlagProblem | None:
    """Check what a client thinks of channel bindings against the mechanism and the channel.

    Args:
        header: The client's.
        plus: Whether the mechanism is the one with -PLUS.
        types: The types of the bindings that the channel has and the policy permits.
        policy: The server's.
    """
    if header.flag is BindingFlag.USED:
        if not plus:
            return FlagProblem.NOT_PLUS
        return None if header.binding_type in types else FlagProblem.UNKNOWN_TYPE
    if header.flag is BindingFlag.SERVER_HAS_NONE and types:
        return FlagProblem.LIST_SHORTENED
    return FlagProblem.NOT_BOUND if plus or policy is ChannelBindingPolicy.REQUIRE else None


def usable_bindings(given: Iterable[ChannelBindings | None], policy: ChannelBindingPolicy) -> dict[str, bytes]:
    """Return the bindings that have a type and that a policy permits: the data of each by its type."""
    if policy is ChannelBindingPolicy.NONE:
        return {}
    return {one.type_name: one.type_data for one in given if one is not None and one.type_name}


def client_header(
    name: str,
    *,
    plus: bool,
    bindings: ChannelBindings | None,
    policy: ChannelBindingPolicy,
    authzid: str,
    requirement: str,
) -> tuple[Gs2Header, bytes]:
    """Return a client's header, and the channel bindings that go with it.

    The flag says what is true: `p` in a mechanism with -PLUS; without, `y` where there are bindings to use (a server
    that offers -PLUS then knows that somebody has shortened its list), and `n` where there are none.

    Args:
        name: The mechanism's, for errors.
        plus: Whether it is the one with -PLUS.
        bindings: Those of the channel.
        policy: The client's.
        authzid: "" for one's own.
        requirement: Which rule of the mechanism demands the bindings.

    Raises:
        BadBindings: there are none where there have to be.
    """
    usable = usable_bindings((bindings,), policy)
    if plus:
        if not usable:
            text = f"{name} needs channel bindings with a type, and the policy's leave to use them"
            raise BadBindings(text, requirement=requirement)
        ((binding_type, data),) = usable.items()
        return Gs2Header(BindingFlag.USED, binding_type, authzid), data
    if policy is ChannelBindingPolicy.REQUIRE:
        text = f"the policy requires channel bindings: take {name}-PLUS"
        raise BadBindings(text, requirement=requirement)
    return Gs2Header(BindingFlag.SERVER_HAS_NONE if usable else BindingFlag.NONE, authzid=authzid), b""
