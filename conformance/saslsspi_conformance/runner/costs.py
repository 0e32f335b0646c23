"""In which order cases run: last those that may cost the account a failed logon, so that few buy many answers."""

from __future__ import annotations

from typing import Final

from saslsspi_conformance.case import Case

__all__ = ["OFTEN_REFUSED", "cost"]

OFTEN_REFUSED: Final = frozenset({
    "prepared_name", "plain_prepared_name", "name_to_be_prepared", "prepared_authzid", "own_authzid",
    "plain_own_authzid", "case_of_digest_uri", "case_of_qop", "white_space", "cnonce_with_a_quoted_pair",
    "no_qop_means_auth", "long_line", "response_of_4096_octets", "http_directives", "optional_extension",
})  # fmt: skip
"""Cases that servers refuse though they should not, by the end of their names; protocols' own stand before it."""


def cost(case: Case) -> int:
    """0 where a server that knows the account has no reason to refuse, 1 where many do, 2 where refusal is right."""
    if case.destructive:
        return 2
    name = case.name.rpartition(".")[2]
    return int(case.lenient or any(name == other or name.endswith(f"_{other}") for other in OFTEN_REFUSED))
