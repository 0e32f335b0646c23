"""The protection of an established NTLM context: one face over its four modes (MS-NLMP section 3.4)."""

from __future__ import annotations

from collections.abc import Sequence
from hmac import compare_digest
from typing import Final, NoReturn

from saslsspi.engine.attributes import SecPkgContextSizes
from saslsspi.engine.exchange import Side
from saslsspi.engine.protection import (
    Detached,
    Numbering,
    Octets,
    Part,
    Protection,
    SealedParts,
    Signing,
    SignsMechList,
)
from saslsspi.errors import MessageAltered, NotProtected, UnsupportedFunction
from saslsspi.packages.ntlm.extended import SIGNATURE_SIZE, VERSION, Datagrams, Receiver, Sender
from saslsspi.packages.ntlm.keys import layer_keys
from saslsspi.packages.ntlm.messages import MAX_TOKEN
from saslsspi.packages.ntlm.negotiate_flags import NtlmFlag, key_bits
from saslsspi.packages.ntlm.plain import PlainLayer

__all__ = ["NtlmProtection", "dummy_protection", "protect", "withheld_protection"]

_ESS: Final = int(NtlmFlag.EXTENDED_SESSIONSECURITY)
_DATAGRAM: Final = int(NtlmFlag.DATAGRAM)
_KEY_EXCH: Final = int(NtlmFlag.KEY_EXCH)
_SEAL: Final = int(NtlmFlag.SEAL)
_LARGEST: Final = 0xFFFFFF  # the SASL length's three octets; NTLM itself has no limit
_SIZES: Final = SecPkgContextSizes(MAX_TOKEN, SIGNATURE_SIZE, 0, SIGNATURE_SIZE)
_DUMMY: Final = VERSION + bytes(12)


class NtlmProtection(Protection):
    """What the modes have in common."""

    numbering = Numbering.OWN
    header_size = SIGNATURE_SIZE
    max_payload = _LARGEST - SIGNATURE_SIZE
    max_receive = _LARGEST
    sizes = _SIZES
    signature_algorithm = "HMAC-MD5"
    encryption_algorithm = "RC4"
    recipe: tuple[int, bool, bool] | None = None
    """Flags, side, and whether messages are always sealed; None for the dummy."""

    def __init__(self, flags: int, session_key: bytes, *, seals: bool) -> None:
        self.session_key = session_key
        self.encrypts = seals
        # A cipher that ran over a forged message does not go back on its own; verify and datagrams do.
        self.recovers = not seals
        self.key_bits = key_bits(flags)

    def overhead(self, size: int) -> int:
        """Return 16, the size of the signature."""
        return SIGNATURE_SIZE

    def places(self) -> tuple[int, ...]:
        """Return where it stands: the number and the key stream's position of each direction; () without any."""
        return ()

    def go_to(self, places: tuple[int, ...]) -> None:
        """Go to where another one stood."""


class _Extended(NtlmProtection, Detached, SignsMechList):
    """With extended session security, over a connection."""

    signs_readonly = True

    def __init__(self, flags: int, session_key: bytes, *, client: bool, seals: bool) -> None:
        super().__init__(flags, session_key, seals=seals)
        enciphered = bool(flags & _KEY_EXCH)
        self._sender = Sender(lambda: layer_keys(flags, session_key, client=client)[::2], enciphered=enciphered)
        self._receiver = Receiver(lambda: layer_keys(flags, session_key, client=client)[1::2], enciphered=enciphered)
        self.seal = self._sender.seal if seals else self._sender.clear
        self.unseal = self._receiver.unseal if seals else self._receiver.clear

    def sign(self, message: bytes, sequence: int) -> bytes:
        """See Signing.sign."""
        return self._sender.sign(message)

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """See Signing.verify."""
        self._receiver.verify(message, signature)

    def seal_parts(self, parts: Sequence[Part], sequence: int, *, encrypt: bool = True) -> SealedParts:
        """See Detached.seal_parts."""
        return SealedParts(*self._sender.seal_parts(_permitted(parts, seals=encrypt and self.encrypts)))

    def unseal_parts(
        self, parts: Sequence[Part], before: bytes, after: bytes, sequence: int
    ) -> tuple[list[bytes], bool]:
        """See Detached.unseal_parts."""
        return self._receiver.unseal_parts(_permitted(parts, seals=self.encrypts), before)

    def places(self) -> tuple[int, ...]:
        """See NtlmProtection.places."""
        return *self._sender.place(), *self._receiver.place()

    def go_to(self, places: tuple[int, ...]) -> None:
        """See NtlmProtection.go_to."""
        if places:
            self._sender.go_to(*places[:2])
            self._receiver.go_to(*places[2:])

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """See SignsMechList.sign_mech_list."""
        return self._sender.sign_mech_list(mech_list)

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """See SignsMechList.verify_mech_list."""
        self._receiver.verify_mech_list(mech_list, signature)


class _Numbered(NtlmProtection, Detached):
    """Whose layer is told the number of each message."""

    _layer: PlainLayer | Datagrams

    def sign(self, message: bytes, sequence: int) -> bytes:
        """See Signing.sign."""
        return self._layer.seal_parts((Part(message, sealed=False),), sequence)[0]

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """See Signing.verify."""
        self._layer.unseal_parts((Part(message, sealed=False),), signature, sequence)

    def seal_parts(self, parts: Sequence[Part], sequence: int, *, encrypt: bool = True) -> SealedParts:
        """See Detached.seal_parts."""
        return SealedParts(*self._layer.seal_parts(_permitted(parts, seals=encrypt and self.encrypts), sequence))

    def unseal_parts(
        self, parts: Sequence[Part], before: bytes, after: bytes, sequence: int
    ) -> tuple[list[bytes], bool]:
        """See Detached.unseal_parts."""
        return self._layer.unseal_parts(_permitted(parts, seals=self.encrypts), before, sequence)


class _Plain(_Numbered, SignsMechList):
    """Without extended session security."""

    signature_algorithm = "CRC-32"
    _layer: PlainLayer

    def __init__(self, flags: int, session_key: bytes, *, client: bool, seals: bool) -> None:
        super().__init__(flags, session_key, seals=seals)
        self._layer = PlainLayer(
            layer_keys(flags, session_key, client=client).send_sealing, datagram=bool(flags & _DATAGRAM)
        )
        self.numbering = Numbering.CALLER if flags & _DATAGRAM else Numbering.OWN
        self.recovers = True
        self.seal = self._layer.seal if seals else self._layer.clear
        self.unseal = self._layer.unseal if seals else self._layer.open_clear

    def places(self) -> tuple[int, ...]:
        """See NtlmProtection.places."""
        return self._layer.place()

    def go_to(self, places: tuple[int, ...]) -> None:
        """See NtlmProtection.go_to."""
        if places:
            self._layer.go_to(*places[:2])

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """See SignsMechList.sign_mech_list."""
        position = self._layer.save()
        signature = self.sign(mech_list, 0)
        self._layer.restore(position)
        return signature

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """See SignsMechList.verify_mech_list."""
        position = self._layer.save()
        self.verify(mech_list, signature, 0)
        self._layer.restore(position)


class _Datagram(_Numbered):
    """With extended session security, without a connection: messages are numbered by the caller."""

    numbering = Numbering.CALLER
    signs_readonly = True

    def __init__(self, flags: int, session_key: bytes, *, client: bool, seals: bool) -> None:
        super().__init__(flags, session_key, seals=seals)
        keys = layer_keys(flags, session_key, client=client)
        self._layer = Datagrams(
            (keys.send_signing, keys.send_sealing),
            (keys.receive_signing, keys.receive_sealing),
            enciphered=bool(flags & _KEY_EXCH),
        )
        self.recovers = True
        self.seal = self.unseal = _needs_number


class _Dummy(NtlmProtection, Signing):
    """ALWAYS_SIGN without SIGN (section 3.4.4.3): a signature that says nothing, and no sealing."""

    signature_algorithm = ""
    encryption_algorithm = ""

    def __init__(self, session_key: bytes) -> None:
        super().__init__(0, session_key, seals=False)
        self.key_bits = 0
        self.seal = self.unseal = _no_layer

    def sign(self, message: bytes, sequence: int) -> bytes:
        """Return 01 00 00 00 and twelve zeros."""
        return _DUMMY

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Raise unless it is the dummy; it proves nothing, as the context's flags say."""
        if not compare_digest(signature, _DUMMY):
            raise MessageAltered("not the signature of a context without integrity", requirement="MSNLMP-3.4.4.3-01")


class _Withheld(_Dummy, SignsMechList):
    """A layer that was negotiated and that this side's policy forbids: it protects Negotiate's list and no message."""

    signs_list_alone = True

    def __init__(self, session_key: bytes, negotiated: NtlmProtection) -> None:
        super().__init__(session_key)
        self._negotiated = negotiated
        self.seal = self.unseal = _forbidden

    def check_integrity(self) -> None:
        """See Signing.check_integrity; say that it is the policy's doing."""
        _forbidden(b"")

    def sign(self, message: bytes, sequence: int) -> bytes:
        """Refuse: the peer would take a dummy for a wrong signature."""
        _forbidden(b"")

    def verify(self, message: bytes, signature: bytes, sequence: int) -> None:
        """Refuse."""
        _forbidden(b"")

    def sign_mech_list(self, mech_list: bytes) -> bytes:
        """See SignsMechList.sign_mech_list."""
        assert isinstance(self._negotiated, SignsMechList), "datagrams are not negotiated"
        return self._negotiated.sign_mech_list(mech_list)

    def verify_mech_list(self, mech_list: bytes, signature: bytes) -> None:
        """See SignsMechList.verify_mech_list."""
        assert isinstance(self._negotiated, SignsMechList), "datagrams are not negotiated"
        self._negotiated.verify_mech_list(mech_list, signature)


def protect(flags: int, session_key: bytes, *, client: bool, seal_always: bool) -> NtlmProtection:
    """Return the protection of a context with SIGN or SEAL.

    Args:
        flags: Negotiated.
        session_key: ExportedSessionKey.
        client: Whether this is the client's end.
        seal_always: Whether messages are sealed where only SIGN was negotiated, as LDAP peers do it.
    """
    seals = bool(flags & _SEAL) or seal_always
    made: NtlmProtection
    if not flags & _ESS:
        made = _Plain(flags, session_key, client=client, seals=seals)
    elif flags & _DATAGRAM:
        made = _Datagram(flags, session_key, client=client, seals=seals)
    else:
        made = _Extended(flags, session_key, client=client, seals=seals)
    made.recipe = (flags, client, seal_always)
    return made


def dummy_protection(session_key: bytes) -> NtlmProtection:
    """Return the protection of a context without SIGN and SEAL."""
    return _Dummy(session_key)


def withheld_protection(flags: int, session_key: bytes, side: Side, *, mic: bool) -> NtlmProtection:
    """Return the protection of a context whose layer was negotiated, as peers want it, and is forbidden here.

    Args:
        flags: Negotiated.
        session_key: ExportedSessionKey.
        side: Whose context it is.
        mic: Whether the exchange was protected by a MIC.
    """
    made = _Withheld(session_key, protect(flags, session_key, client=side is Side.INITIATE, seal_always=False))
    made.must_sign_list = mic
    return made


def _permitted(parts: Sequence[Part], *, seals: bool) -> Sequence[Part]:
    return parts if seals else [Part(part.octets, sealed=False) for part in parts]


def _needs_number(message: Octets) -> NoReturn:
    raise UnsupportedFunction("a datagram context needs a number for each message: use encrypt_message")


def _forbidden(message: Octets) -> NoReturn:
    raise NotProtected("the policy's max_ssf of 0 forbids a layer")


def _no_layer(message: Octets) -> NoReturn:
    raise NotProtected("neither integrity nor confidentiality was negotiated; ask for it with context_req")
