"""One run: pytest with the plugin, and without what a reader of this command did not ask for."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from saslsspi_conformance.runner.plugin import CASES, ConformancePlugin, RunOptions
from saslsspi_conformance.runner.results import CaseResult, RunReport
from saslsspi_conformance.runner.selection import Selection, Targets

__all__ = ["run"]


def run(
    targets: Targets,
    selection: Selection,
    options: RunOptions,
    *,
    observe: Callable[[CaseResult], None] = lambda result: None,
    keyword: str = "",
    first_failure: bool = False,
    junit: Path | None = None,
    pytest_options: Sequence[str] = (),
) -> RunReport:
    """Run cases under pytest and return what they found.

    Args:
        targets: What is tested.
        selection: Which cases.
        options: How.
        observe: Told of every result as it comes.
        keyword: pytest's -k.
        first_failure: pytest's -x.
        junit: Where to write JUnit XML.
        pytest_options: More options for pytest.
    """
    plugin = ConformancePlugin(targets, selection, options, observe)
    words = [str(CASES), "-c", os.devnull, "--rootdir", str(CASES), "-p", "no:terminal", "-p", "no:cacheprovider", "-s"]
    words += ["-k", keyword] if keyword else []
    words += ["-x"] if first_failure else []
    words += [f"--junitxml={junit}", "-o", "junit_suite_name=saslsspi-conformance"] if junit else []
    began = time.monotonic()
    pytest.main([*words, *pytest_options], plugins=[plugin])
    plugin.report.seconds = time.monotonic() - began
    return plugin.report
