"""Twins: beside each case in which only a refusal is right stands one that is right in the one thing, and succeeds.

Who refuses everything would pass every refusal. So a refusal counts where the twin succeeds on the same target; a test
watches that every such case has one.
"""

from __future__ import annotations

from typing import Final

from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi_conformance.case import DELIVERED, HOLDS, SUCCESS, Case, Reaction

__all__ = ["is_refusal", "twin_of"]

_GOES_ON: Final = SUCCESS | DELIVERED | HOLDS | {Reaction.RESPONSE}

_OWN_AUTHZID: Final = "rfc2831.response.own_authzid"
_INTEGRITY: Final = "rfc2831.response.right_response_with_integrity"
_CONFIDENTIALITY: Final = "rfc2831.response.right_response_with_confidentiality"
_BOUND: Final = "scram.right_binding"

_OF_CASES: Final = {
    "rfc2831.response.authzid_twice": _OWN_AUTHZID,
    "rfc2831.response.authzid_forbidden": _OWN_AUTHZID,
    "rfc2831.response.authzid_beside_the_hash": _OWN_AUTHZID,
    "rfc2831.response.weaker_protection_than_offered": _INTEGRITY,
    "rfc2831.response.no_qop_where_integrity_is_required": _INTEGRITY,
    "rfc2831.response.cipher_twice": _CONFIDENTIALITY,
    "rfc2831.response.confidentiality_without_cipher": _CONFIDENTIALITY,
    "rfc2831.response.cipher_not_offered": _CONFIDENTIALITY,
    "rfc2831.response.response_of_a_million_octets": "rfc2831.response.unknown_directives",
    "rfc2831.syntax.separator_in_a_token": "rfc2831.response.unknown_directives",
    "rfc2831.syntax.unfinished_quote": "rfc2831.response.unknown_directives",
    "rfc2831.layer.sealed": "rfc2831.layer.cipher_rc4",
    "scram.plus_with_n": _BOUND,
    "scram.unknown_binding": _BOUND,
    "scram.wrong_binding": _BOUND,
    "scram.forbidden_authzid": "scram.own_authzid",
    "plain.plain_forbidden_authzid": "plain.plain_own_authzid",
    "ldap.server.unknown_prefix": "ldap.server.own_authzid",
    "ldap.server.forbidden_authzid": "ldap.server.own_authzid",
    "credssp.server.forbidden_identity": "credssp.server.own_identity",
    "gssapi.server.corrupt_buffer": "gssapi.server.integrity",
    "gssapi.server.replayed_buffer": "gssapi.server.integrity",
    "gssapi.client.corrupt_buffer": "gssapi.client.answer",
    "gssapi.client.replayed_buffer": "gssapi.client.answer",
    **{f"mail.server.{name}_authzid_prepared_to_nothing": f"mail.server.{name}_own_authzid"
       for name in LINE_PROTOCOLS},
    **{f"around_tls.{name}_bound_to_another_certificate": f"around_tls.{name}_bound_to_the_certificate"
       for name in ("ldap", *LINE_PROTOCOLS)},
    **{f"mail.client.{name}_": f"mail.client.{name}_log_on" for name in LINE_PROTOCOLS},
}  # fmt: skip
"""By a case's name or its beginning; the longest counts."""

_OF_MODULES: Final = {
    (name.rpartition(".")[0], side): name
    for side, names in {
        "server": (
            "rfc2831.response.right_response", "rfc2831.layer.integrity", "plain.plain", "scram.log_on_scram_sha_256",
            "credssp.server.log_on", "gssapi.server.log_on",
        ),
        "client": (
            "rfc2831.client_proof.right_proof", "rfc2831.client_layer.three_messages", "scram.right_signature",
            "credssp.client.log_on", "gssapi.client.log_on", "plain.client_message",
        ),
    }.items()
    for name in names
} | {
    ("rfc2831.syntax", "server"): "rfc2831.response.right_response",
    ("ldap.server", "server"): "rfc2831.response.right_response",
    ("rfc2831.client", "client"): "rfc2831.client_proof.right_proof",
}  # fmt: skip

_OF_MECHANISMS: Final = {"plain.external": "plain.external", "plain.anonymous": "plain.anonymous_trace"}


def is_refusal(case: Case) -> bool:
    """Whether a target that refuses everything would pass the case."""
    return bool(case.accept & {Reaction.FAILURE, Reaction.CLOSED}) and not case.accept & (
        _GOES_ON | {Reaction.CHALLENGE}
    )


def twin_of(case: Case) -> str | None:
    """Return the name of the case that succeeds but for the one thing; None where the case is no refusal."""
    if not is_refusal(case):
        return None
    exact = _OF_CASES | _OF_MECHANISMS
    found = max((name for name in exact if case.name.startswith(name)), key=len, default="")
    return exact[found] if found else _OF_MODULES.get((case.name.rpartition(".")[0], str(case.target)))
