"""What is acceptable: the choice of a mechanism before the exchange, and the check of its outcome afterwards.

Both sides judge by the same objections: a client chooses among what a server lists, a server lists what its policy
and its channel permit. Every name that is left out comes with the reason, in words for a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from types import EllipsisType
from typing import Final, NamedTuple

from saslsspi.accounts.account import Secret
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.credentials import Anonymous, Credentials, Password, Token
from saslsspi.engine.policy import ChannelBindingPolicy, Policy, Property
from saslsspi.engine.registry import package_problem
from saslsspi.errors import NoCredentials, PackageNotFound, SecurityQosFailed, UnknownCredentials
from saslsspi.sasl.mechanism import Binding, Mechanism
from saslsspi.sasl.registry import MECHANISMS

__all__ = ["Choice", "Offer", "check_credentials", "check_permitted", "choose", "objection", "offer", "unverifiable"]

_NO_PLAINTEXT: Final = int(Property.NO_PLAINTEXT)
_IMPLIED: Final = True
_PLUS: Final = "-PLUS"  # RFC 5802 section 4, RFC 5801 section 3.1


class Choice(NamedTuple):
    """A chosen mechanism, and why the others that were offered were not.

    Attributes:
        reasons: By offered name.
    """

    mechanism: Mechanism
    reasons: dict[str, str]


class Offer(NamedTuple):
    """The mechanisms that a server lists, the strongest first, and why the others are not there.

    Attributes:
        reasons: By name.
    """

    names: tuple[str, ...]
    reasons: dict[str, str]


def objection(
    mechanism: Mechanism,
    policy: Policy,
    *,
    external_ssf: int = 0,
    bindings: ChannelBindings | Sequence[ChannelBindings] | None = None,
) -> str | None:
    """Return why a policy does not permit a mechanism on a channel, or why it does not work here, or None."""
    if problem := _forbidden(mechanism, policy, external_ssf) or _missing(mechanism):
        return problem
    if mechanism.max_ssf < policy.min_ssf:
        return f"its strongest layer is SSF {mechanism.max_ssf}, and {policy.min_ssf} is required"
    if mechanism.binding is Binding.NONE and policy.channel_binding is ChannelBindingPolicy.REQUIRE:
        return "it carries no channel bindings, and the policy requires them"
    if mechanism.binding is Binding.REQUIRED:
        if policy.channel_binding is ChannelBindingPolicy.NONE:
            return "it carries channel bindings, and the policy uses none"
        if not bindings:
            return "it needs channel bindings, and there are none"
    return None


def _missing(mechanism: Mechanism) -> str | None:
    """Return what this machine lacks for the package underneath, or None."""
    return None if mechanism.package is None else package_problem(mechanism.package)


def _forbidden(mechanism: Mechanism, policy: Policy, external_ssf: int) -> str | None:
    """Return why a mechanism must not even be begun."""
    # As numbers: the operators of flags cost more than all else here.
    has = int(mechanism.properties)
    if missing := int(policy.properties) & ~has:
        return f"it lacks {Property(missing).name}"
    if mechanism.weak and mechanism.name not in (name.upper() for name in policy.weak_mechanisms):
        return f"{mechanism.weak}; it is off unless a policy names it: Policy(weak_mechanisms=({mechanism.name!r},))"
    # RFC 4616 section 5: "By default, implementations SHOULD NOT advertise and SHOULD NOT make use of the PLAIN
    # mechanism unless adequate data security services are in place." The same holds for all that send the password.
    if not has & _NO_PLAINTEXT and external_ssf <= 1 and not policy.allow_plaintext:
        sent = "token" if Token in mechanism.credentials else "password"
        return (
            f"it sends the {sent} in clear, and nothing encrypts the channel (its SSF is {external_ssf}); "
            "start TLS, or say Policy(allow_plaintext=True)"
        )
    return None


def check_permitted(mechanism: Mechanism, policy: Policy, *, external_ssf: int = 0) -> None:
    """Raise unless an exchange may be begun at all, whoever chose the mechanism.

    Raises:
        SecurityQosFailed: the mechanism lacks a property that the policy demands, or the password would be readable.
    """
    if problem := _forbidden(mechanism, policy, external_ssf):
        raise SecurityQosFailed(f"{mechanism.name}: {problem}", requirement="RFC4616-2-12")


def check_credentials(mechanism: Mechanism, credentials: Credentials | None) -> None:
    """Raise unless a mechanism takes the credentials, by what its description says; the one place that asks.

    Raises:
        NoCredentials: there are none, and it needs some.
        UnknownCredentials: they are of a kind that it does not take.
    """
    takes = mechanism.credentials
    if not takes or type(credentials) in takes or (credentials is None and None in takes):
        return
    kinds = " or ".join("no credentials" if kind is None else kind.__name__ for kind in takes)
    if credentials is None:
        raise NoCredentials(f"{mechanism.name} takes {kinds}, and there is nothing")
    if not isinstance(credentials, tuple(kind for kind in takes if kind is not None)):
        raise UnknownCredentials(f"{mechanism.name} takes {kinds}, not {type(credentials).__name__}")


def choose(
    offered: Iterable[str],
    policy: Policy,
    preferred: Iterable[str] = (),
    *,
    external_ssf: int = 0,
    bindings: ChannelBindings | None = None,
    credentials: Credentials | EllipsisType | None = ...,
    force: bool = False,
) -> Choice:
    """Choose among what a server offers: what is preferred, else the strongest that the policy permits.

    Strength is, in this order: somebody is authenticated, no password in clear, mutual authentication, no guessing at
    home, channel bindings where there are any, the hash that guards the password, the layer. A mechanism that
    authenticates nobody, or by other means than the given credentials, is taken only when it is asked for.

    Args:
        offered: Names as the server lists them.
        policy: What is acceptable.
        preferred: Names in order of preference; when given, others are not considered. Where there are bindings, a
            name also stands for the one with -PLUS, and that goes before it.
        external_ssf: Security strength factor of the channel around the exchange, 0 without one.
        bindings: Channel bindings of that channel.
        credentials: What there is to authenticate with, None for nothing; left out, a password is assumed.

        force: Whether preferred names are taken where the server lists none of them: some servers list nothing, or
            another name for what they have. The user has named them, so no list is trusted. One that was tried and
            refused is for the caller to leave out.

    Raises:
        PackageNotFound: nothing is left; the text gives the reason for each.
    """
    names = {name.upper(): name for name in offered}
    wanted = _wanted(preferred, policy, bindings)
    if force and not wanted.keys() & names.keys():
        names |= {name: name for name, implied in wanted.items() if not implied}
    reasons: dict[str, str] = {
        name: "the server does not offer it" for name, implied in wanted.items() if name not in names and not implied
    }
    candidates: list[Mechanism] = []
    for upper, name in names.items():
        mechanism = MECHANISMS.find(upper)
        if wanted and upper not in wanted:
            reasons[name] = "it was not asked for"
        elif mechanism is None:
            reasons[name] = "it is not installed"
        elif problem := (
            objection(mechanism, policy, external_ssf=external_ssf, bindings=bindings)
            or _unfit(mechanism, credentials, named=upper in wanted)
        ):
            reasons[name] = problem
        else:
            candidates.append(mechanism)
    if not candidates:
        explained = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise PackageNotFound(f"no mechanism is left: {explained or 'the server offers none'}")
    if wanted:
        order = list(wanted)
        candidates.sort(key=lambda mechanism: order.index(mechanism.name.upper()))
    else:
        candidates.sort(key=lambda mechanism: _strength(mechanism, bound=bool(bindings)), reverse=True)
    best = candidates[0]
    for other in candidates[1:]:
        why = "it was asked for first" if wanted else _advantage(best, other, bound=bool(bindings))
        reasons[names[other.name.upper()]] = f"{best.name} is preferred: {why}"
    return Choice(best, reasons)


def offer(
    policy: Policy,
    names: Iterable[str] = (),
    *,
    external_ssf: int = 0,
    bindings: ChannelBindings | Sequence[ChannelBindings] | None = None,
    external_identity: str | None = None,
    secrets: frozenset[Secret] | None = None,
) -> Offer:
    """Return what a server lists: all that is installed and permitted, or what is permitted of the given names.

    The arguments are those that Server is going to get, but secrets: the kinds that the authority holds, as
    Authority.secrets has them; None for an authority that does not say.
    """
    asked = [name.upper() for name in names]
    reasons: dict[str, str] = {}
    permitted: list[Mechanism] = []
    for name in asked or [plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None]:
        mechanism = MECHANISMS.find(name)
        if mechanism is None:
            reasons[name] = "it is not installed"
        elif mechanism.package is None and mechanism.server is None:
            reasons[name] = "it has no server side"
        elif problem := objection(mechanism, policy, external_ssf=external_ssf, bindings=bindings):
            reasons[name] = problem
        elif not mechanism.properties & Property.NO_ANONYMOUS and not policy.allow_anonymous:
            reasons[name] = "it authenticates nobody; say Policy(allow_anonymous=True)"
        elif mechanism.credentials == (None,) and external_identity is None:
            reasons[name] = "the channel has authenticated nobody"
        # RFC 4752 section 3.2: 'A server MUST NOT advertise support for the "GSSAPI" SASL mechanism described in this
        # document unless it has acceptor credential for the Kerberos V GSS-API mechanism'.
        elif (mechanism.package is not None and (problem := package_problem(mechanism.package, inbound=True))) or (
            problem := unverifiable(mechanism.secrets, secrets)
        ):
            reasons[name] = problem
        else:
            permitted.append(mechanism)
    permitted.sort(key=lambda mechanism: _strength(mechanism, bound=bool(bindings)), reverse=True)
    return Offer(tuple(mechanism.name for mechanism in permitted), reasons)


def unverifiable(needed: Collection[Secret], held: frozenset[Secret] | None) -> str | None:
    """Return why no account of a store can log on where one of the needed kinds is verified with, or None.

    Args:
        needed: The kinds of which one suffices; empty where none is needed.
        held: What the store says it holds; None where it does not say.
    """
    others = set(needed) - {Secret.EXISTENCE}
    if held is None or not needed or not held.isdisjoint(others):
        return None
    # Who holds nothing but what clients present knows of nobody that he exists.
    knows = not held or any(not kind.presented for kind in held)
    # Beside other kinds it suffices where Kerberos vouches for the user; alone, something else has vouched already.
    if Secret.EXISTENCE in needed and knows and (not others or package_problem("Kerberos", inbound=True) is None):
        return None
    if not others:
        return "the accounts are known only by what a client presents"
    kinds = " or ".join(kind.meaning for kind in needed if kind is not Secret.EXISTENCE)
    return f"the accounts do not hold what it verifies with: {kinds}"


def _wanted(preferred: Iterable[str], policy: Policy, bindings: ChannelBindings | None) -> dict[str, bool]:
    """Return the names that are considered, in order, and whether another one implied them."""
    wanted: dict[str, bool] = {}
    for name in (name.upper() for name in preferred):
        # RFC 5802 section 6: "Clients that support mechanism negotiation and channel binding MUST use a "p"
        # gs2-cbind-flag when the server offers the PLUS-variant of the desired GS2 mechanism."
        if bindings and policy.channel_binding is not ChannelBindingPolicy.NONE and not name.endswith(_PLUS):
            wanted.setdefault(name + _PLUS, _IMPLIED)
        wanted[name] = not _IMPLIED
    return wanted


def _unfit(mechanism: Mechanism, credentials: Credentials | EllipsisType | None, *, named: bool) -> str | None:
    """Return why a mechanism does not go with the credentials, or None."""
    takes = mechanism.credentials
    given = Password if credentials is ... else None if credentials is None else type(credentials)
    if takes and given not in takes and not (named and credentials is ...):
        kinds = " or ".join("no credentials" if kind is None else kind.__name__ for kind in takes)
        return f"it takes {kinds}, and there is {'nothing' if given is None else given.__name__}"
    if not mechanism.properties & Property.NO_ANONYMOUS and not named and not isinstance(credentials, Anonymous):
        return "it authenticates nobody, and was not asked for"
    return None


# What decides between two mechanisms, the weightiest first, and how to say so.
_MERITS: Final = (
    "it authenticates somebody",
    "it does not send the password",
    "the server proves who it is",
    "nobody who listens can try passwords at home",
    "it is bound to the channel",
    "its hash is stronger",
    "its layer is stronger",
)


# RFC 5801 section 13.3: where there is a channel to bind to, "it is RECOMMENDED that it select Kerberos V5 through the
# GS2 mechanism rather than the "GSSAPI" mechanism", which binds where both sides happen to.
_BINDS: Final = {Binding.NONE: 0, Binding.OPTIONAL: 1, Binding.REQUIRED: 2}


def _strength(mechanism: Mechanism, *, bound: bool) -> tuple[int, ...]:
    has = mechanism.properties
    return (
        bool(has & Property.NO_ANONYMOUS),
        bool(has & Property.NO_PLAINTEXT),
        bool(has & Property.MUTUAL),
        bool(has & Property.NO_DICTIONARY),
        _BINDS[mechanism.binding] if bound else 0,
        mechanism.hash_bits,
        mechanism.max_ssf,
    )


def _advantage(best: Mechanism, other: Mechanism, *, bound: bool) -> str:
    pairs = zip(_MERITS, _strength(best, bound=bound), _strength(other, bound=bound), strict=True)
    return next((merit for merit, ours, theirs in pairs if ours > theirs), "the server lists it first")
