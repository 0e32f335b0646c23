# One line each for a newcomer; every target sets up what it needs and skips what is already there.
#
#   make demo           see it work
#   make test           the tests, with the real peers (installed by apt-get when you are root on Debian)
#   make quick        the core's tests without peers, under 20 s
#   make test-world   what is long or big: other people's programs, loads, every server
#   make test-all       the tests on every Python 3.11 to 3.14 that is here
#   make check          format, lint, types, architecture, packaging
#   make bench          speed, beside other implementations
#   make requirements   which requirement is claimed by which test
#   make mutants        whether the tests that claim a requirement notice when it is broken: TABLE=rfc2831
#   make release-check   the archives: built twice, looked into, installed where nothing else is
#   make fuzz         change what peers say until something breaks: TARGET=server-ntlm SECONDS=60
#   make docs         the site, in build/site
#   make share        the manual page and the shells' completions, from the program's parser
#   make conformance    the requirement catalogue as a run against this library; writes conformance-report.html
#
# PYTHON=python3.12 picks the Python, PEERS=no leaves the Debian packages alone, TESTS=tests/sasl narrows the run.

PYTHON = python3
PEERS = yes
TESTS =
TARGET =
TABLE =
SINCE = HEAD~1
SAMPLE =
SECONDS = 60
QUICK = tests/crypto tests/engine tests/sasl tests/mechanisms tests/packages tests/test_context.py
VENV = .venv
BIN = $(VENV)/bin

.PHONY: help demo quick release-check test test-world test-all check bench requirements mutants fuzz docs share conformance clean peers

help:
	@sed -n 's/^#   //p' Makefile

demo:
	@$(PYTHON) tests/setup/environment.py $(VENV) demo
	@$(BIN)/saslsspi demo

test: peers
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/python -m pytest $(TESTS)

quick:
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/python -m pytest -q -n auto -m "not interop and not slow" $(QUICK)

release-check:
	@$(PYTHON) tests/setup/environment.py $(VENV)-release release
	@$(VENV)-release/bin/python tests/setup/release.py

test-world: peers
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/python -m pytest $(if $(TESTS),$(TESTS),tests/world)

test-all: peers
	@for python in $$($(PYTHON) tests/setup/pythons.py); do \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])') && \
		echo "Python $$version" && \
		$(MAKE) --no-print-directory test PYTHON=$$python VENV=.venv-$$version PEERS=no || exit 1; \
	done

check:
	@$(PYTHON) tests/setup/environment.py $(VENV) check
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy --strict
	@$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_packaging.py tests/documents/test_site.py

bench:
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/python benchmarks/run.py

requirements:
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/python tests/requirement_coverage.py

mutants:
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@cd tests && $(CURDIR)/$(BIN)/python -m mutants.run $(if $(SAMPLE),--since $(SINCE) --sample $(SAMPLE)) $(TABLE)

fuzz:
	@$(PYTHON) tests/setup/environment.py $(VENV) fuzz
	@$(BIN)/python tests/fuzz/run.py --seconds $(SECONDS) $(TARGET)

docs:
	@$(PYTHON) tests/setup/environment.py $(VENV) docs
	@$(BIN)/python -m sphinx -q -W --keep-going -b html docs build/site
	@echo "the site is in build/site/index.html"

share:
	@$(PYTHON) tests/setup/environment.py $(VENV) release
	@$(BIN)/python tests/setup/share.py

conformance:
	@$(PYTHON) tests/setup/environment.py $(VENV) test
	@$(BIN)/saslsspi conformance self --quiet --html conformance-report.html

peers:
	@if [ "$(PEERS)" = yes ]; then $(PYTHON) tests/setup/debian.py; fi

clean:
	rm -rf .venv .venv-3.* .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
