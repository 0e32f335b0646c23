"""To whom credentials may be handed over (MS-CSSP section 3.1.1; the group policy settings for CredSSP)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from saslsspi.engine.flags import CredentialKind
from saslsspi.engine.policy import CredSspPolicy
from saslsspi.errors import DelegationPolicy, PolicyNtlmOnly

__all__ = ["check_proof", "check_target"]

_KINDS: Final = {
    CredentialKind.DEFAULT: ("allow_default", "allow_default_ntlm_only"),
    CredentialKind.FRESH: ("allow_fresh", "allow_fresh_ntlm_only"),
    CredentialKind.SAVED: ("allow_saved", "allow_saved_ntlm_only"),
}


def check_target(policy: CredSspPolicy, kind: CredentialKind, target: str) -> None:
    """Raise DelegationPolicy unless one of the lists for this kind of credentials names the target."""
    if not any(_names(getattr(policy, name), target) for name in _KINDS[kind]):
        raise DelegationPolicy(
            f"the delegation policy names {target!r} nowhere for {kind.name.lower()} credentials; "
            f"CredSspPolicy({_KINDS[kind][0]}=({target!r},)) lets them go there",
            requirement="MSCSSP-3.1.1-01",
        )


def check_proof(policy: CredSspPolicy, kind: CredentialKind, target: str) -> None:
    """Raise PolicyNtlmOnly unless the target may have these credentials without having proved who it is."""
    if not _names(getattr(policy, _KINDS[kind][1]), target):
        raise PolicyNtlmOnly(
            f"the delegation policy lets {kind.name.lower()} credentials go to {target!r} only where the server proves "
            "who it is, with Kerberos or a trusted certificate, and it did not; "
            f"CredSspPolicy({_KINDS[kind][1]}=({target!r},)) lets them go there all the same"
        )


def _names(patterns: Iterable[str], target: str) -> bool:
    wanted = target.lower()
    return any(_matches(pattern.lower(), wanted) for pattern in patterns)


def _matches(pattern: str, target: str) -> bool:
    """Compare with a name that has one wildcard at most."""
    head, star, tail = pattern.partition("*")
    if not star:
        return target == pattern
    return len(target) >= len(head) + len(tail) and target.startswith(head) and target.endswith(tail)
