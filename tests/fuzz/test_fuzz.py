"""Every target takes its good octets, what was once found, and a few hundred changes that are the same in every run."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from fuzz.changes import changed
from fuzz.edits import LEFT_OUT as PACKAGES_LEFT_OUT
from fuzz.exchanges import LEFT_OUT as MECHANISMS_LEFT_OUT
from fuzz.target import joined, parted
from fuzz.targets import TARGETS
from saslsspi.adapters.mail.protocols import LINE_PROTOCOLS
from saslsspi.engine.registry import PACKAGES
from saslsspi.sasl.registry import MECHANISMS

_FOUND = Path(__file__).parent / "found"


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_what_is_good_and_what_is_not(name: str) -> None:
    target, choice = TARGETS[name], Random(name)
    pool = list(target.seeds())
    for octets in pool:
        target.run(octets)
    slow = name.startswith("context-credssp")
    for _ in range(5 if slow else 60):
        target.run(changed(choice.choice(pool), choice))


def test_what_was_found_once_is_found_no_more() -> None:
    for file in sorted(_FOUND.glob("*/*")):
        TARGETS[file.parent.name].run(file.read_bytes())


def test_a_mechanism_package_or_protocol_that_is_added_is_fuzzed() -> None:
    wanted = set()
    for plugin in MECHANISMS.plugins():
        if plugin.value is not None and plugin.name not in MECHANISMS_LEFT_OUT:
            wanted |= {f"server-{plugin.name.lower()}", f"client-{plugin.name.lower()}"}
    for plugin in PACKAGES.plugins():
        if plugin.value is not None and plugin.name not in PACKAGES_LEFT_OUT:
            wanted.add(f"context-{plugin.name.lower()}")
    wanted |= {f"dialogue-{name.lower()}" for name in LINE_PROTOCOLS}
    assert wanted <= set(TARGETS)
    assert len(TARGETS) > 40


def test_a_conversation_is_octets() -> None:
    said = [b"", None, b"abc" * 100]
    assert parted(joined(said)) == said
    assert parted(b"\0") == [b""]
