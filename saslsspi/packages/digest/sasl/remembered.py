"""What a server of DIGEST-MD5 remembers of a client for subsequent authentication (RFC 2831 section 2.2).

Never a session with a layer: see sessions.py, which is the client's side of it.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from saslsspi.accounts.account import Account
from saslsspi.packages.digest.charset import Reading
from saslsspi.packages.digest.sasl.messages import DigestResponse
from saslsspi.packages.digest.session_form import SessionFields, account_fields, written

__all__ = ["RememberedClient", "VerifiedIdentity"]

_FORM: Final = "digest-md5"
_FIELDS: Final = frozenset(
    {"username", "realm", "cnonce", "qop", "authzid", "served_realm", "ha1", "verified_name", "verified_realm",
     "acts_as", "target", "tolerances", "account"}
)  # fmt: skip


class VerifiedIdentity(NamedTuple):
    """What was established of the client, whatever protects its messages."""

    username: str
    realm: str
    authzid: str
    target: str
    tolerances: tuple[str, ...]
    account: Account | None


class RememberedClient(NamedTuple):
    """What subsequent authentication compares with and goes on from.

    Attributes:
        username: As the first response had it; so are realm, cnonce, qop and authzid.
        served_realm: The realm as it was read.
        ha1: H(A1): a secret.
    """

    username: bytes
    realm: bytes | None
    cnonce: bytes
    qop: bytes | None
    authzid: bytes | None
    served_realm: str
    ha1: bytes
    identity: VerifiedIdentity

    @classmethod
    def of(cls, response: DigestResponse, reading: Reading, ha1: bytes, identity: VerifiedIdentity) -> Self:
        """Return what is remembered of an initial authentication; no secret of the account is."""
        shown = identity._replace(account=None if identity.account is None else identity.account.shown)
        return cls(
            response.username,
            response.realm,
            response.cnonce,
            response.qop,
            response.authzid,
            reading.realm,
            ha1,
            shown,
        )

    def is_of(self, response: DigestResponse) -> bool:
        """Whether a response names what the first one named."""
        said = (response.username, response.realm, response.cnonce, response.qop, response.authzid)
        return said == (self.username, self.realm, self.cnonce, self.qop, self.authzid)

    def to_bytes(self) -> bytes:
        """Write it down for a store that servers share."""
        identity = self.identity
        return written(
            _FORM,
            {
                "username": self.username,
                "realm": self.realm,
                "cnonce": self.cnonce,
                "qop": self.qop,
                "authzid": self.authzid,
                "served_realm": self.served_realm,
                "ha1": self.ha1,
                "verified_name": identity.username,
                "verified_realm": identity.realm,
                "acts_as": identity.authzid,
                "target": identity.target,
                "tolerances": list(identity.tolerances),
                "account": account_fields(identity.account),
            },
        )

    @classmethod
    def from_bytes(cls, octets: bytes) -> Self:
        """Read what to_bytes wrote.

        Raises:
            InvalidToken: it is something else.
        """
        fields = SessionFields(octets, _FORM, _FIELDS)
        return cls(
            username=fields.octets("username"),
            realm=fields.octets_or_none("realm"),
            cnonce=fields.octets("cnonce"),
            qop=fields.octets_or_none("qop"),
            authzid=fields.octets_or_none("authzid"),
            served_realm=fields.text("served_realm"),
            ha1=fields.octets("ha1"),
            identity=VerifiedIdentity(
                fields.text("verified_name"),
                fields.text("verified_realm"),
                fields.text("acts_as"),
                fields.text("target"),
                fields.texts("tolerances"),
                fields.account("account"),
            ),
        )
