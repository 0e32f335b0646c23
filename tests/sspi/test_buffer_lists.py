"""What holds for every message function, every package, both directions and any list of buffers.

    what was to be sealed is never on the wire           what was to be left is as it was
    what succeeded opens on the other side               what was refused has touched and consumed nothing

The functions and packages are found: one that is added without a property, or without a row in message_world, fails.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interop.kdc import ALL_ENCTYPES, Kdc
from interop.kdc import kdc as kdc
from interop.people import ALICE as KERBEROS_ALICE
from packages.digest.http.web import URI
from saslsspi import Context, Part, SaslError, sspi
from saslsspi.engine.context import State
from saslsspi.engine.registry import PACKAGES
from saslsspi.errors import IncompleteMessage, MessageAltered, OutOfSequence
from saslsspi.sspi import QopFlags, SecBuffer, SecBufferDesc, SecBufferFlags, SecBufferType
from sspi.message_world import (
    DATA,
    EMPTY,
    EVERY_KIND,
    HEADER,
    KINDS,
    PADDING,
    STREAM,
    TOKEN,
    TRAILER,
    Joined,
    check_signature,
    check_they_go_on,
    is_stream,
    opened,
    right_buffers,
    signed,
)

READONLY, CHECKSUM = SecBufferFlags.SECBUFFER_READONLY, SecBufferFlags.SECBUFFER_READONLY_WITH_CHECKSUM
NO_ENCRYPT = QopFlags.SECQOP_WRAP_NO_ENCRYPT
ADDED = (TOKEN, PADDING, HEADER, TRAILER)
# Functions of handles and buffers whose buffers are tokens of an exchange; methods of Context that take no message.
TOKEN_FUNCTIONS = {"apply_control_token", "complete_auth_token"}
OTHER_METHODS = {
    "initiate", "accept", "again", "imported", "step", "begin", "resume", "query", "export", "close",
    "done", "security", "header_size", "protect_unpromised",
}  # fmt: skip
TOO_LONG = bytes(1 << 24)
COVERED: set[str] = set()
Test = TypeVar("Test", bound=Callable[..., None])

Spec = tuple[SecBufferType, int, str]
LISTS = st.lists(
    st.tuples(
        st.sampled_from((DATA, DATA, DATA, *ADDED, EMPTY)),
        st.sampled_from((0, 0, 0, int(CHECKSUM), int(READONLY))),
        st.sampled_from(("fits", "fits", "fits", "short", "none", "constant")),
    ),
    max_size=6,
)
EXAMPLES = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DIRECTIONS = pytest.mark.parametrize("back", [False, True], ids=["from the client", "from the server"])
KIND = pytest.mark.parametrize(("package", "kind"), EVERY_KIND)


def covers(*functions: str) -> Callable[[Test], Test]:
    COVERED.update(functions)
    return lambda test: test


class Wire:
    """Joined contexts of one kind in one direction; made anew where the last example left them dead or out of step."""

    def __init__(self, package: str, kind: str, back: bool) -> None:
        self._make, self._back = KINDS[package][kind], back
        self._in_step = False

    def ends(self) -> tuple[Joined, sspi.CtxtHandle, sspi.CtxtHandle]:
        """Begin an example: return the contexts, and which of them sends and which receives."""
        if not self._in_step:
            self.joined = self._make()
        self._in_step = False
        self.sender, self.receiver = self.joined.client, self.joined.server
        if self._back:
            self.sender, self.receiver = self.receiver, self.sender
        return self.joined, self.sender, self.receiver

    def objects(self) -> tuple[Context, Context]:
        """As ends, as objects of Context."""
        joined, *_ = self.ends()
        if joined.ends is None or joined.numbered:
            pytest.skip("no context of messages")
        return (joined.ends[1], joined.ends[0]) if self._back else joined.ends

    @property
    def alive(self) -> bool:
        return all(
            h._context is not None and h._context.state is State.ESTABLISHED for h in (self.sender, self.receiver)
        )

    def goes_on(self) -> None:
        """End an example: whatever happened has consumed nothing on one side alone."""
        check_they_go_on(self.joined, self.sender, self.receiver)
        self._in_step = True


@pytest.fixture
def wire(request: pytest.FixtureRequest, package: str, kind: str, back: bool) -> Iterator[Wire]:
    if package != "Kerberos":
        yield Wire(package, kind, back)
        return
    realm: Kdc = request.getfixturevalue("kdc")
    with realm.as_user(KERBEROS_ALICE), pytest.MonkeyPatch.context() as patch:
        if kind in ALL_ENCTYPES:
            KINDS[package][kind]()  # so that the service's ticket is in the cache
            patch.setenv("KRB5_CONFIG", realm.configuration(enctypes=kind))
        yield Wire(package, kind, back)


def memory(kind: SecBufferType, how: str, secret: bytes) -> bytearray | bytes | None:
    octets = secret if kind is DATA else b"" if kind is EMPTY else bytes(300)
    if how == "none":
        return None
    return bytearray(octets[:3] if how == "short" else octets) if how != "constant" else octets


def made(specs: list[Spec]) -> SecBufferDesc:
    secrets = (b"SECRET-%d-" % number + bytes([65 + number]) * 20 for number in range(len(specs)))
    return SecBufferDesc(
        [SecBuffer(memory(kind, how, secret), kind, flags) for (kind, flags, how), secret in zip(specs, secrets)]  # noqa: B905
    )


def shown(buffers: SecBufferDesc) -> list[tuple[bytes, int, SecBufferType]]:
    return [(buffer.data, buffer.count, buffer.buffer_type) for buffer in buffers]


def copied(buffers: SecBufferDesc) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(bytearray(b.data), b.buffer_type, b.buffer_flags) for b in buffers])


def to_seal(buffers: SecBufferDesc) -> list[int]:
    return [at for at, b in enumerate(buffers) if b.buffer_type is DATA and not (b.readonly or b.signed_only)]


@covers("encrypt_message", "decrypt_message")
@KIND
@DIRECTIONS
@EXAMPLES
@given(specs=LISTS, qop=st.sampled_from((0, 0, 0, int(NO_ENCRYPT))))
def test_encrypt_message(wire: Wire, specs: list[Spec], qop: int) -> None:
    joined, sender, receiver = wire.ends()
    buffers = made(specs)
    before, secret = shown(buffers), to_seal(buffers)
    try:
        sspi.encrypt_message(sender, qop, buffers, joined.number(sender))
    except SaslError:
        assert shown(buffers) == before
        wire.goes_on()
        return
    octets = b"".join(buffer.data for buffer in buffers)
    for at, (was, _, kind) in enumerate(before):
        if at in secret:
            assert len(was) < 8 or qop or not sender._opened().protection().encrypts or was not in octets
        elif kind is DATA or buffers[at].readonly:
            assert buffers[at].data == was
    if is_stream(receiver):
        in_order = [b for kinds in ((HEADER, TOKEN), (DATA,), (TRAILER, PADDING)) for b in of_kind(buffers, kinds)]
        octets = b"".join(buffer.data for buffer in in_order)
        came = opened(joined, sender, receiver, octets) if octets else b""  # an empty text may need no record
        assert [came] == [before[at][0] for at in secret]
        wire.goes_on()
        return
    arrived = copied(buffers)
    sspi.decrypt_message(receiver, arrived, joined.number(sender))
    joined.next(sender)
    took_second = len(secret) == 2 and package_of(sender) == "WDigest"  # the signature went into the second one
    for at in secret[:1] if took_second else secret:
        assert arrived[at].data == before[at][0]
    for at, (was, _, kind) in enumerate(before):
        if kind is DATA and at not in secret:
            assert arrived[at].data == was
    wire.goes_on()


def of_kind(buffers: SecBufferDesc, kinds: tuple[SecBufferType, ...]) -> list[SecBuffer]:
    return [buffer for buffer in buffers if buffer.buffer_type in kinds and not buffer.readonly]


def package_of(handle: sspi.CtxtHandle) -> str:
    return sspi.query_context_attributes(handle, sspi.SecPkgContextPackageInfo).name


@covers("decrypt_message")
@KIND
@DIRECTIONS
@EXAMPLES
@given(
    specs=st.lists(
        st.tuples(
            st.sampled_from((DATA, DATA, TOKEN, PADDING, STREAM, EMPTY, EMPTY, HEADER, TRAILER)),
            st.sampled_from((0, 0, 0, int(CHECKSUM), int(READONLY))),
            st.sampled_from(("right", "right", "none", "constant", "whole")),
        ),
        max_size=6,
    )
)
def test_decrypt_message(wire: Wire, specs: list[Spec]) -> None:
    joined, sender, receiver = wire.ends()
    text = b"a message that was sealed"
    right = SecBufferDesc(right_buffers(sender, text))
    try:
        sspi.encrypt_message(sender, 0, right, joined.number(sender))
    except SaslError:  # this kind seals nothing
        with pytest.raises(SaslError):
            sspi.decrypt_message(receiver, right, joined.number(sender))
        wire.goes_on()
        return
    whole = b"".join(buffer.data for buffer in right)
    octets = {buffer.buffer_type: buffer.data for buffer in right} | {STREAM: whole, EMPTY: b""}
    buffers = SecBufferDesc(
        [
            SecBuffer(arrival(whole if how == "whole" else octets.get(kind, b""), how), kind, flags)
            for kind, flags, how in specs
        ]
    )
    before = shown(buffers)
    try:
        sspi.decrypt_message(receiver, buffers, joined.number(sender))
    except (MessageAltered, OutOfSequence):
        if not wire.alive:
            return
    except SaslError as error:
        if isinstance(error, IncompleteMessage):
            # MISSING stands in the first buffer of a stream, and in an EMPTY one.
            after = shown(buffers)
            kept = [at for at, (*_, kind) in enumerate(before) if at and kind is not EMPTY]
            assert [after[at] for at in kept] == [before[at] for at in kept]
        else:
            assert shown(buffers) == before
    else:
        assert text in [buffer.data for buffer in buffers if buffer.buffer_type is DATA]
        joined.next(sender)
        wire.goes_on()
        return
    assert opened(joined, sender, receiver, whole) == text
    wire.goes_on()


def arrival(octets: bytes, how: str) -> bytearray | bytes | None:
    return None if how == "none" else octets if how == "constant" else bytearray(octets)


@covers("make_signature", "verify_signature")
@KIND
@DIRECTIONS
@EXAMPLES
@given(specs=LISTS)
def test_make_signature(wire: Wire, specs: list[Spec]) -> None:
    joined, sender, receiver = wire.ends()
    asked = [SecBuffer(octets, SecBufferType.SECBUFFER_PKG_PARAMS) for octets in (b"GET", URI.encode())]
    buffers = SecBufferDesc([*made(specs), *(asked if joined.requests else ())])
    before = shown(buffers)
    try:
        sspi.make_signature(sender, 0, buffers, joined.number(sender))
    except SaslError:
        assert shown(buffers) == before
        wire.goes_on()
        return
    for at, (was, _, kind) in enumerate(before):
        if kind is not TOKEN or buffers[at].readonly:
            assert buffers[at].data == was
    if joined.requests and sender is joined.server:
        arrived = SecBufferDesc([buffer for buffer in copied(buffers) if buffer.buffer_type is TOKEN])
    else:
        arrived = copied(buffers)
    sspi.verify_signature(receiver, arrived, joined.number(sender))
    joined.next(sender)
    wire.goes_on()


@covers("verify_signature")
@KIND
@DIRECTIONS
@EXAMPLES
@given(
    specs=st.lists(
        st.tuples(st.sampled_from((DATA, TOKEN, PADDING)), st.sampled_from((0, int(READONLY))), st.booleans()),
        max_size=4,
    )
)
def test_verify_signature(wire: Wire, specs: list[tuple[SecBufferType, int, bool]]) -> None:
    joined, sender, receiver = wire.ends()
    text = b"a message that was signed"
    try:
        token = signed(joined, sender, text)
    except SaslError:  # this kind signs no messages
        wire.goes_on()
        return
    octets = {DATA: text, TOKEN: token, PADDING: b""}
    buffers = SecBufferDesc(
        [SecBuffer(octets[kind] if right else octets[kind][:-1] + b"?", kind, flags) for kind, flags, right in specs]
    )
    before = shown(buffers)
    try:
        sspi.verify_signature(receiver, buffers, joined.number(sender))
    except SaslError:
        assert shown(buffers) == before
        check_signature(joined, sender, receiver, text, token)
    else:
        joined.next(sender)
    wire.goes_on()


PARTS = st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=5)


@covers("wrap", "unwrap")
@KIND
@DIRECTIONS
@EXAMPLES
@given(size=st.integers(0, 40), spoilt=st.booleans())
def test_wrap(wire: Wire, size: int, spoilt: bool) -> None:
    sender, receiver = wire.objects()
    secret = b"SECRET-" + bytes(size)
    with pytest.raises(SaslError):
        sender.wrap(TOO_LONG)
    try:
        octets = sender.wrap(secret)
    except SaslError:
        wire.goes_on()
        return
    assert sender.security.qop != "auth-conf" or secret not in octets
    if spoilt and not is_stream(wire.receiver):
        with pytest.raises(SaslError):
            receiver.unwrap(octets[:-1])
        if not wire.alive:
            return
    assert receiver.unwrap(octets) == secret
    wire.goes_on()


@covers("wrap_parts", "unwrap_parts")
@KIND
@DIRECTIONS
@EXAMPLES
@given(sizes=PARTS, spoilt=st.integers(0, 9))
def test_wrap_parts(wire: Wire, sizes: list[tuple[int, bool]], spoilt: int) -> None:
    sender, receiver = wire.objects()
    parts = [Part(b"SECRET-%d-" % at + bytes(size), hidden) for at, (size, hidden) in enumerate(sizes)]
    try:
        signature, octets = sender.wrap_parts(parts)
    except SaslError:
        wire.goes_on()
        return
    whole = signature + b"".join(octets)
    for part, sent in zip(parts, octets, strict=True):
        assert len(sent) == len(part.octets)
        if part.sealed and sender.security.qop == "auth-conf":
            assert part.octets not in whole
        else:
            assert sent == part.octets
    arrived = [Part(sent, part.sealed) for part, sent in zip(parts, octets, strict=True)]
    if spoilt < len(parts):
        changed = [*arrived]
        changed[spoilt] = Part(
            bytes([arrived[spoilt].octets[0] ^ 1]) + arrived[spoilt].octets[1:], parts[spoilt].sealed
        )
        with pytest.raises(SaslError):
            receiver.unwrap_parts(changed, signature)
        if not wire.alive:
            return
    assert receiver.unwrap_parts(arrived, signature) == [part.octets for part in parts]
    wire.goes_on()


@covers("unwrap_any", "unwrap_parts_any")
@KIND
@DIRECTIONS
@EXAMPLES
@given(size=st.integers(0, 300), sealed=st.booleans(), spoilt=st.booleans())
def test_what_is_sealed_or_signed_only_is_told_apart(wire: Wire, size: int, sealed: bool, spoilt: bool) -> None:
    sender, receiver = wire.objects()
    secret = b"SECRET-" + bytes(size)
    hides = sealed and sender.security.qop == "auth-conf"
    try:
        signature, (octets,) = sender.wrap_parts([Part(secret, sealed=True)], encrypt=sealed)
    except SaslError:
        wire.goes_on()
        return
    assert (octets != secret) == hides
    if spoilt:
        with pytest.raises(SaslError):
            receiver.unwrap_any(signature + bytes([octets[0] ^ 1]) + octets[1:])
        if not wire.alive:
            return
    try:
        assert receiver.unwrap_parts_any([Part(octets, sealed=True)], signature) == ([secret], hides)
    except MessageAltered:  # NTLM seals every message, and its messages do not say what they are
        assert sender.security.negotiated == "NTLM" or sender.security.package == "NTLM"
        assert not sealed
        if not wire.alive:
            return
    wire.goes_on()


@covers("sign", "verify")
@KIND
@DIRECTIONS
@EXAMPLES
@given(text=st.binary(max_size=40), spoilt=st.booleans())
def test_sign(wire: Wire, text: bytes, spoilt: bool) -> None:
    sender, receiver = wire.objects()
    try:
        signature = sender.sign(text)
    except SaslError:
        wire.goes_on()
        return
    if spoilt and sender.security.ssf:
        for wrong in ((text + b"?", signature), (text, signature[:-1]), (text, b"")):
            with pytest.raises(SaslError):
                receiver.verify(*wrong)
    receiver.verify(text, signature)
    wire.goes_on()


def test_every_installed_package_has_kinds_of_contexts() -> None:
    assert {plugin.value.info.name for plugin in PACKAGES.plugins() if plugin.value is not None} <= set(KINDS)


def test_every_message_function_has_its_property() -> None:
    found = set()
    for name in sspi.__all__:
        function = getattr(sspi, name)
        if inspect.isfunction(function):
            taken = [str(parameter.annotation) for parameter in inspect.signature(function).parameters.values()]
            if "CtxtHandle" in taken and any("SecBuffer" in annotation for annotation in taken):
                found.add(name)
    assert {"encrypt_message", "verify_signature"} <= found
    assert found - TOKEN_FUNCTIONS <= COVERED
    public = {name for kind in Context.__mro__[:-1] for name in vars(kind) if not name.startswith("_")}
    assert public - OTHER_METHODS <= COVERED
    assert COVERED - public - found == set()
