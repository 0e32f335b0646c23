"""What a server of HTTP Digest remembers of a nonce that was used."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from saslsspi.accounts.account import Account
from saslsspi.errors import InvalidToken
from saslsspi.packages.digest.http.algorithms import ALGORITHMS, Algorithm
from saslsspi.packages.digest.session_form import SessionFields, account_fields, written

__all__ = ["ServerSession"]

_FORM: Final = "http-digest"
_FIELDS: Final = frozenset({"algorithm", "ha1", "username", "wire_name", "realm", "account", "tolerances"})


class ServerSession(NamedTuple):
    """What a server remembers of a nonce that was used.

    Attributes:
        ha1: H(A1) in hex: a secret.
        username: As the authority knows it.
        wire_name: As the client wrote it.
        account: What the authority knew, without secrets.
        tolerances: What the client's name and hash took.
    """

    algorithm: Algorithm
    ha1: bytes
    username: str
    wire_name: bytes
    realm: bytes
    account: Account | None
    tolerances: int = 0

    def to_bytes(self) -> bytes:
        """Write it down for a store that servers share."""
        return written(
            _FORM,
            {
                "algorithm": self.algorithm.name.decode(),
                "ha1": self.ha1,
                "username": self.username,
                "wire_name": self.wire_name,
                "realm": self.realm,
                "account": account_fields(self.account),
                "tolerances": self.tolerances,
            },
        )

    @classmethod
    def from_bytes(cls, octets: bytes) -> Self:
        """Read what to_bytes wrote.

        Raises:
            InvalidToken: it is something else.
        """
        fields = SessionFields(octets, _FORM, _FIELDS)
        algorithm = ALGORITHMS.get(fields.text("algorithm").lower().encode())
        if algorithm is None:
            raise InvalidToken("a session has an algorithm that Digest has not")
        return cls(
            algorithm=algorithm,
            ha1=fields.octets("ha1"),
            username=fields.text("username"),
            wire_name=fields.octets("wire_name"),
            realm=fields.octets("realm"),
            account=fields.account("account"),
            tolerances=fields.number("tolerances"),
        )
