"""Every reader of a peer's text, those of one module at a time; the first octet says which of them."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from fuzz.exchanges import exchange_targets
from fuzz.target import Target, parted
from growth.parsers import Reader, readers
from growth.texts import LONG
from saslsspi import SaslError
from saslsspi_conformance.outcome import CaseError

__all__ = ["reader_targets"]


def reader_targets() -> Iterator[Target]:
    """Return a target for each module that has readers."""
    modules: defaultdict[str, list[Reader]] = defaultdict(list)
    for reader in readers():
        modules[_module(reader.name)].append(reader)
    for name, found in modules.items():
        yield Target("reads-" + name.replace("_", "-").replace(".", "-"), _reading(found), lambda: _seeds())


def _module(reader: str) -> str:
    parts = [part for part in reader.split(".") if part.islower() and part == part.lstrip("_")]
    return ".".join(parts[1:3]) if len(parts) > 2 else parts[0]


def _reading(found: Sequence[Reader]) -> Callable[[bytes], None]:
    def run(octets: bytes) -> None:
        if not octets:
            return
        reader = found[octets[0] % len(found)]
        text = octets[1:]
        with contextlib.suppress(SaslError, CaseError, StopIteration):  # a reader that asks for lines ends so
            reader.call(text if reader.text is bytes else text.decode("latin-1"))

    return run


def _seeds() -> Iterator[bytes]:
    for build in LONG.values():
        yield b"\0" + build(2)
    for target in exchange_targets():
        for seed in target.seeds():
            yield from (b"\0" + message for message in parted(seed) if message)
