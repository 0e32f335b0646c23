"""What QueryContextAttributes returns for each number: pywin32's dictionaries, tuples and texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from saslsspi.compat.pywin32 import sspicon
from saslsspi.engine import attributes as of
from saslsspi.engine.channel_attributes import SecPkgContextConnectionInfo
from saslsspi.errors import UnsupportedFunction
from saslsspi.sspi.functions import query_context_attributes
from saslsspi.sspi.handles import CtxtHandle

__all__ = ["attribute", "package_info", "time_of"]

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_BEGINNING: Final = datetime(1601, 1, 1, tzinfo=UTC)


def time_of(filetime: int) -> datetime:
    """Return a FILETIME as a time in UTC, and the last one that Python has for "never"."""
    try:
        return _BEGINNING + timedelta(microseconds=filetime // 10)
    except OverflowError:
        return _NEVER


def package_info(info: Any) -> dict[str, int | str]:
    """Return SecPkgInfo as pywin32's dictionary."""
    return {
        "Capabilities": int(info.capabilities),
        "Version": info.version,
        "RPCID": info.rpcid,
        "MaxToken": info.max_token,
        "Name": info.name,
        "Comment": info.comment,
    }


def attribute(context: CtxtHandle, number: int) -> Any:
    """Return an attribute by its number.

    Raises:
        UnsupportedFunction: pywin32 knows no such attribute, or the package has none.
    """
    read = _READERS.get(number)
    if read is None:
        raise UnsupportedFunction(f"attribute {number} is none that this module knows")
    return read(lambda kind: query_context_attributes(context, kind))


_Query = Callable[[Any], Any]


def _sizes(query: _Query) -> dict[str, int]:
    sizes = query(of.SecPkgContextSizes)
    return {
        "MaxToken": sizes.max_token,
        "MaxSignature": sizes.max_signature,
        "BlockSize": sizes.block_size,
        "SecurityTrailer": sizes.security_trailer,
    }


def _stream_sizes(query: _Query) -> dict[str, int]:
    sizes = query(of.SecPkgContextStreamSizes)
    return {
        "Header": sizes.header,
        "Trailer": sizes.trailer,
        "MaximumMessage": sizes.maximum_message,
        "Buffers": sizes.buffers,
        "BlockSize": sizes.block_size,
    }


def _lifespan(query: _Query) -> tuple[datetime, datetime]:
    span = query(of.SecPkgContextLifespan)
    return time_of(span.start), time_of(span.expiry)


def _key_info(query: _Query) -> dict[str, int | str]:
    info = query(of.SecPkgContextKeyInfo)
    return {
        "SignatureAlgorithmName": info.signature_algorithm_name,
        "EncryptAlgorithmName": info.encryption_algorithm_name,
        "KeySize": info.key_size,
        "SignatureAlgorithm": info.signature_algorithm,
        "EncryptAlgorithm": info.encryption_algorithm,
    }


def _negotiation(query: _Query) -> tuple[int, dict[str, int | str]]:
    info = query(of.SecPkgContextNegotiationInfo)
    return int(info.state), package_info(info.package_info)


def _native_names(query: _Query) -> tuple[str, str]:
    if query(of.SecPkgContextPackageInfo).name not in ("Kerberos", "Negotiate"):
        raise UnsupportedFunction("only Kerberos tells both names")
    return query(of.SecPkgContextNames).username, query(of.SecPkgContextTarget).target_name


def _connection(query: _Query) -> dict[str, int | str]:
    info = query(SecPkgContextConnectionInfo)
    return {"Protocol": int(info.protocol), "Cipher": info.cipher, "CipherStrength": info.cipher_strength}


_READERS: Final[Mapping[int, Callable[[_Query], Any]]] = {
    sspicon._ATTRIBUTES[f"SECPKG_ATTR_{name}"]: read
    for name, read in {
        "SIZES": _sizes,
        "NAMES": lambda query: query(of.SecPkgContextNames).username,
        "LIFESPAN": _lifespan,
        "STREAM_SIZES": _stream_sizes,
        "KEY_INFO": _key_info,
        "SESSION_KEY": lambda query: query(of.SecPkgContextSessionKey).session_key,
        "PACKAGE_INFO": lambda query: package_info(query(of.SecPkgContextPackageInfo)),
        "NEGOTIATION_INFO": _negotiation,
        "NATIVE_NAMES": _native_names,
        "FLAGS": lambda query: int(query(of.SecPkgContextFlags).flags),
        "CLIENT_SPECIFIED_TARGET": lambda query: query(of.SecPkgContextTarget).target_name,
        "CONNECTION_INFO": _connection,
    }.items()
}
