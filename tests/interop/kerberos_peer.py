"""The `gssapi` library as the other side of GSSAPI's exchange, message by message, as RFC 4752 tells a reader to."""

from dataclasses import dataclass, field
from typing import Any, Final

import gssapi.raw as gss

KRB5: Final = gss.OID.from_int_seq("1.2.840.113554.1.2.2")
FLAGS: Final = 0x2 | 0x8 | 0x10 | 0x20  # mutual, sequence, confidentiality, integrity


@dataclass
class GssapiClient:
    """A client by the book; its last message is the caller's."""

    target: bytes = b"ldap@localhost"
    flags: int = FLAGS
    bindings: Any = None
    context: Any = field(default=None, init=False)
    granted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._name = gss.import_name(self.target, gss.NameType.hostbased_service)
        self._credential = gss.acquire_cred(None, mechs=[KRB5], usage="initiate").creds
        # MIT asks for integrity and confidentiality of itself, and only this option stops it.
        gss.set_cred_option(gss.OID.from_int_seq("1.2.752.43.13.29"), self._credential)

    def step(self, token: bytes | None = None) -> bytes:
        result = gss.init_sec_context(
            self._name,
            self._credential,
            context=self.context,
            mech=KRB5,
            flags=self.flags,
            channel_bindings=self.bindings,
            input_token=token,
        )
        self.context, self.granted = result.context, int(result.flags)
        return result.token or b""

    def wrap(self, message: bytes, encrypt: bool = False) -> bytes:
        return bytes(gss.wrap(self.context, message, encrypt).message)

    def unwrap(self, token: bytes) -> tuple[bytes, bool]:
        """Return the message and whether it was encrypted."""
        result = gss.unwrap(self.context, token)
        return bytes(result.message), bool(result.encrypted)


@dataclass
class GssapiServer:
    """A server by the book; the offer is the caller's."""

    context: Any = field(default=None, init=False)
    granted: int = field(default=0, init=False)
    user: str = field(default="", init=False)
    delegated: Any = field(default=None, init=False)

    def step(self, token: bytes) -> bytes:
        credential = gss.acquire_cred(None, mechs=[KRB5], usage="accept").creds
        result = gss.accept_sec_context(token, credential, context=self.context)
        self.context, self.granted, self.delegated = result.context, int(result.flags), result.delegated_creds
        self.user = gss.display_name(result.initiator_name, False).name.decode()
        return result.token or b""

    wrap = GssapiClient.wrap
    unwrap = GssapiClient.unwrap
