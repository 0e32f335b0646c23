"""Channel bindings in Digest for HTTP, as Windows has them (MS-DPSP section 2.1, draft-johansson-http-digest-bind).

A server that understands them sends a nonce that begins with a mark. A client that has them answers with the
directives service-name and channel-binding (MD5 of the bindings, in hex), names both in hashed-dirs, and puts the MD5
of their values into its cnonce, behind the same mark: what the response covers is the cnonce.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import Final

from saslsspi.channel_bindings import ChannelBindings
from saslsspi.crypto.md5 import md5
from saslsspi.engine.flags import ChannelBindingsResult
from saslsspi.errors import BadBindings
from saslsspi.packages.digest.http.messages import HttpResponse

__all__ = ["MARK", "bound_cnonce", "check_bindings"]

MARK: Final = b"+Upgraded+v1"
HASHED: Final = (b"service-name", b"channel-binding")
_ABSENT: Final = b"0" * 32
_HASH_SIZE: Final = 32


def binding_value(bindings: ChannelBindings | None) -> bytes:
    """Return the channel-binding directive: 32 zeros without bindings."""
    return _ABSENT if bindings is None else bindings.gss_hash().hex().encode()


def bound_cnonce(service_name: bytes, binding: bytes, cnonce: bytes) -> bytes:
    """Return a cnonce that covers service name and binding."""
    return MARK + md5(service_name + b":" + binding).hexdigest().encode() + cnonce


def check_bindings(
    response: HttpResponse, bindings: ChannelBindings | None, principals: frozenset[str], *, required: bool
) -> ChannelBindingsResult:
    """Compare what the client is bound to with our own channel.

    Args:
        response: The client's.
        bindings: Of the channel that we see; None when we see none.
        principals: The service names that are right, in lower case; empty takes any.
        required: Whether a client without bindings is refused.

    Raises:
        BadBindings: another channel or another service, bindings that were taken out, or none where they are required.
    """
    cnonce = response.cnonce
    if not response.hashed_dirs or not cnonce.startswith(MARK):
        # A cnonce that covers directives which are not there: somebody has taken them out.
        if cnonce.startswith(MARK) or required:
            raise BadBindings("the client shows no channel bindings, and they are required here")
        return ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MISSING
    name, binding = response.service_name, response.channel_binding
    if response.hashed_dirs != HASHED or name is None or binding is None:
        raise BadBindings("hashed-dirs is not service-name and channel-binding")
    if not compare_digest(bound_cnonce(name, binding, b""), cnonce[: len(MARK) + _HASH_SIZE]):
        raise BadBindings("the cnonce does not cover service-name and channel-binding: they were changed on the way")
    if principals and name.decode("latin-1").lower() not in principals:
        raise BadBindings("the client means another service")
    if binding.lower() == _ABSENT:
        if required:
            raise BadBindings("the client's channel has no bindings, and they are required here")
        return ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MISSING
    if bindings is None:
        # TLS ends before us: the service name is what tells.
        return ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_PROXY
    if not compare_digest(binding_value(bindings), binding.lower()):
        raise BadBindings("the client is bound to another channel than ours")
    return ChannelBindingsResult.SEC_CHANNEL_BINDINGS_RESULT_VALID_MATCHED
