"""The pages of policies and errors tell of every field and status what to do, or they are not built."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from saslsspi import errors

pytestmark = pytest.mark.skipif(importlib.util.find_spec("furo") is None, reason="Sphinx is not in this environment")
EXTENSIONS = Path(__file__).parents[2] / "docs" / "extensions"


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(EXTENSIONS))
    for name in ("reference_pages", "when"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module("reference_pages")


def test_every_field_of_a_policy_says_what_it_is_and_when_it_is_changed(pages: ModuleType) -> None:
    text = pages.policies()
    assert text.count(": *When:* ") == sum(map(len, pages.WHEN.values())) > 50


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_a_field_without_such_a_sentence_or_one_without_a_field_fails_the_build(
    change: str, pages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = dict(pages.WHEN["NtlmPolicy"])
    if change == "missing":
        del fields["require_mic"]
    else:
        fields["require_luck"] = "Always."
    monkeypatch.setitem(pages.WHEN, "NtlmPolicy", fields)
    with pytest.raises(pages.ExtensionError, match=r"require_mic|require_luck"):
        pages.policies()


def test_every_error_says_what_to_do(pages: ModuleType) -> None:
    text = pages.errors()
    kinds = [name for name in errors.__all__ if name[0].isupper() and name not in pages.BRANCHES]
    assert text.count(": *What to do:* ") == len(kinds)
    assert "0x80090346" in text
    assert "`NothingEnabled` (CallerError)" in text
    assert "`AlgorithmMismatch` (RemoteError)" in text


def test_an_error_that_does_not_fails_the_build(pages: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors.LogonDenied, "__doc__", "The peer refuses.")
    with pytest.raises(pages.ExtensionError, match="LogonDenied does not say what to do"):
        pages.errors()
