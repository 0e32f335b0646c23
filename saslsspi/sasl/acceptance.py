"""What is acceptable: the choice of a mechanism before the exchange, and the check of its outcome afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from saslsspi.errors import BadBindings, DowngradeDetected, PackageNotFound, QopNotSupported
from saslsspi.sasl.mechanism import Mechanism
from saslsspi.sasl.registry import MECHANISMS
from saslsspi.sspi.package import Outcome
from saslsspi.sspi.policy import ChannelBindingPolicy, Policy, Property

__all__ = ["Choice", "check_outcome", "choose", "objection"]


class Choice(NamedTuple):
    """A chosen mechanism, and why the others that were offered were not.

    Attributes:
        reasons: By offered name.
    """

    mechanism: Mechanism
    reasons: dict[str, str]


def objection(mechanism: Mechanism, policy: Policy) -> str | None:
    """Return why a policy does not permit a mechanism, or None."""
    missing = policy.properties & ~mechanism.properties
    if missing:
        return f"it lacks {missing.name}"
    if mechanism.max_ssf < policy.min_ssf:
        return f"its strongest layer is SSF {mechanism.max_ssf}, and {policy.min_ssf} is required"
    return None


def choose(offered: Iterable[str], policy: Policy, preferred: Iterable[str] = ()) -> Choice:
    """Choose among what a server offers: what is preferred, else the strongest that the policy permits.

    Args:
        offered: Names as the server lists them.
        policy: What is acceptable.
        preferred: Names in order of preference; when given, others are not considered.

    Raises:
        PackageNotFound: nothing is left; the text gives the reason for each.
    """
    names = {name.upper(): name for name in offered}
    wanted = [name.upper() for name in preferred]
    reasons: dict[str, str] = {name: "the server does not offer it" for name in wanted if name not in names}
    candidates: list[Mechanism] = []
    for upper, name in names.items():
        mechanism = MECHANISMS.find(upper)
        if wanted and upper not in wanted:
            reasons[name] = "it was not asked for"
        elif mechanism is None:
            reasons[name] = "it is not installed"
        elif problem := objection(mechanism, policy):
            reasons[name] = problem
        else:
            candidates.append(mechanism)
    if not candidates:
        explained = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise PackageNotFound(f"no mechanism is left: {explained or 'the server offers none'}")
    if wanted:
        candidates.sort(key=lambda mechanism: wanted.index(mechanism.name.upper()))
    else:
        candidates.sort(key=_strength, reverse=True)
    reasons.update({mechanism.name: f"{candidates[0].name} is preferred" for mechanism in candidates[1:]})
    return Choice(candidates[0], reasons)


def _strength(mechanism: Mechanism) -> tuple[bool, bool, bool, bool, int, bool]:
    has = mechanism.properties
    return (
        bool(has & Property.NO_ANONYMOUS),
        bool(has & Property.NO_PLAINTEXT),
        bool(has & Property.MUTUAL),
        bool(has & Property.NO_DICTIONARY),
        mechanism.max_ssf,
        mechanism.name.endswith("-PLUS"),
    )


def check_outcome(mechanism: Mechanism, outcome: Outcome, policy: Policy) -> None:
    """Raise unless an outcome is what the policy demands; a list of offers may have been changed on its way.

    Raises:
        DowngradeDetected: less protection than required.
        QopNotSupported: more than the carrier or the policy can take.
        BadBindings: channel bindings are required and were not verified.
    """
    if outcome.ssf < policy.min_ssf:
        raise DowngradeDetected(f"{mechanism.name} ended with SSF {outcome.ssf}, and {policy.min_ssf} is required")
    if outcome.ssf > policy.max_ssf:
        raise QopNotSupported(f"{mechanism.name} ended with SSF {outcome.ssf}, above the permitted {policy.max_ssf}")
    if policy.channel_binding is ChannelBindingPolicy.REQUIRE and not outcome.channel_binding:
        raise BadBindings(f"{mechanism.name} verified no channel bindings, and the policy requires them")
