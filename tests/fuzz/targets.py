"""The table of all targets, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fuzz.edits import context_targets
from fuzz.exchanges import exchange_targets, layer_targets
from fuzz.readers import reader_targets
from fuzz.surroundings import surrounding_targets
from fuzz.target import Target

__all__ = ["TARGETS"]

TARGETS: Final[Mapping[str, Target]] = {
    target.name: target
    for made in (exchange_targets, layer_targets, context_targets, surrounding_targets, reader_targets)
    for target in made()
}
