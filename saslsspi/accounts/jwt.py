"""Tokens that are signed (JWT, RFC 7519, RFC 9068): verified here with PyJWT, without asking anybody about each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from saslsspi.accounts.account import Account
from saslsspi.accounts.tokens import TokenAuthority
from saslsspi.errors import InvalidParameter, NoAuthenticatingAuthority, PackageNotFound

try:
    import jwt
except ModuleNotFoundError as error:
    raise PackageNotFound("JwtAuthority needs PyJWT: pip install 'saslsspi[oauth]'") from error

__all__ = ["JwtAuthority", "JwtKey"]

JwtKey: TypeAlias = str | bytes | jwt.PyJWK | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey
"""What verifies a signature: PEM, octets for HMAC, or a key that was read."""

_LOG: Final = logging.getLogger("saslsspi.accounts")
_LOG.addHandler(logging.NullHandler())


class JwtAuthority(TokenAuthority):
    """Verifies JWTs: the signature, until when and for whom they are, and who issued them.

    Args:
        key: What verifies signatures: PEM or a jwt.PyJWK, octets for HMAC, such keys by their ids (kid), or a
            jwt.PyJWKClient, which fetches them from the issuer.
        algorithms: Those that are taken, as ["RS256"]. There is no default: what a token names is not to be trusted.
        audience: Whom a token must be for (aud); None takes tokens for anybody, of an issuer who makes them for this
            server alone.
        issuer: Who must have issued it (iss); None takes any who has the key.
        username: The claim that names the user: sub, email, preferred_username.
        scope: What a token must permit, among its scope or scp; clients are told. "" asks nothing.
        openid_configuration: See TokenAuthority.
        leeway: How far the issuer's clock may be from ours, in seconds.

    Raises:
        InvalidParameter: no algorithm is named, or "none".
    """

    def __init__(
        self,
        key: JwtKey | Mapping[str, JwtKey] | jwt.PyJWKClient,
        *,
        algorithms: Sequence[str],
        audience: str | Sequence[str] | None = None,
        issuer: str | None = None,
        username: str = "sub",
        scope: str = "",
        openid_configuration: str = "",
        leeway: float = 0.0,
    ) -> None:
        if isinstance(algorithms, str) or not algorithms or any(name.lower() == "none" for name in algorithms):
            raise InvalidParameter('algorithms is a list of names, as ["RS256"], and none of them is "none"')
        self._key = key
        self._algorithms = list(algorithms)
        self._audience = audience
        self._issuer = issuer
        self._username = username
        self._leeway = leeway
        self.scope = scope
        self.openid_configuration = openid_configuration

    def validate(self, token: str) -> Account | None:
        """Return whose token it is; see TokenAuthority.validate. Why one is refused is logged by saslsspi.accounts."""
        try:
            claims = jwt.decode(
                token,
                self._key_of(token),
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp", self._username], "verify_aud": self._audience is not None},
            )
        except jwt.PyJWKClientConnectionError as error:
            raise NoAuthenticatingAuthority("the issuer's keys cannot be fetched") from error
        except (jwt.PyJWTError, _UnknownKey) as error:
            _LOG.info("a token is refused: %s", error)
            return None
        name = claims[self._username]
        if not isinstance(name, str) or not name:
            _LOG.info("a token is refused: its %s is no name", self._username)
            return None
        if self.scope and self.scope not in _scopes(claims):
            _LOG.info("a token of %r is refused: it lacks the scope %s", name, self.scope)
            return None
        return Account(username=name)

    def _key_of(self, token: str) -> JwtKey:
        key = self._key
        if isinstance(key, jwt.PyJWKClient):
            return key.get_signing_key_from_jwt(token)
        if isinstance(key, Mapping):
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str) or kid not in key:
                raise _UnknownKey("its key is unknown here")
            return key[kid]
        return key


class _UnknownKey(Exception):
    pass


def _scopes(claims: Mapping[str, Any]) -> Sequence[str]:
    """Return what a token permits: RFC 9068 section 2.2.3 has a text with blanks, others have a list."""
    found = claims.get("scope", claims.get("scp", ""))
    return found.split() if isinstance(found, str) else found if isinstance(found, list) else ()
