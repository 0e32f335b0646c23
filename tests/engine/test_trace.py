"""The hook on the environment: what it is told of each step, on both sides; where there is none, nothing is called."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import pytest

from engine.test_audit import CONTEXTS, PASSWORDS, PEOPLE, POLICY, TOKENS, run, talk
from saslsspi import Client, Context, LogonDenied, Password, SaslError, Server, Token
from saslsspi.channel_bindings import ChannelBindings
from saslsspi.engine.environment import Environment
from saslsspi.engine.exchange import Side
from saslsspi.engine.hooks.trace import TraceEvent, log_steps

SECRET = "wonderland"


def sasl(mechanism: str, password: str, environment: Environment) -> None:
    bindings = (
        ChannelBindings.tls_exporter(b"exported keying material of TLS.") if mechanism.endswith("-PLUS") else None
    )
    shared = {"service": "ldap", "host": "h", "external_ssf": 256, "environment": environment, "bindings": bindings}
    credentials = Token("alice", password) if mechanism in TOKENS else Password("alice", password)
    client = Client(mechanism, credentials=credentials, **shared)  # type: ignore[arg-type]
    server = Server(mechanism, success_data=False, **shared)  # type: ignore[arg-type]
    run(client, server)
    if not client.done:
        client.succeed()


def told() -> tuple[list[TraceEvent], Environment]:
    events: list[TraceEvent] = []
    return events, Environment(policy=POLICY, authority=PEOPLE, trace=events.append)


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_every_step_of_a_mechanism_is_told(mechanism: str) -> None:
    events, environment = told()
    sasl(mechanism, SECRET, environment)
    for side in Side:
        own = [event for event in events if event.floor == "mechanism" and event.side is side]
        assert [event.number for event in own] == list(range(1, len(own) + 1))
        assert {event.name for event in own} == {mechanism}
        done = own[-1]
        assert (done.event, done.state) == ("COMPLETE", "DONE")
        assert dict(done.chosen)["qop"].startswith("auth")
        assert all(not event.chosen for event in own[:-1])


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_a_failure_is_told_with_its_status(mechanism: str) -> None:
    events, environment = told()
    with pytest.raises(SaslError):
        sasl(mechanism, "looking-glass", environment)
    assert any("LOGON" in event.event for event in events)


@pytest.mark.parametrize("package", CONTEXTS)
def test_every_step_of_a_context_is_told_and_of_those_inside(package: str) -> None:
    events, environment = told()
    client = Context.initiate(package, target="HTTP/h", credentials=Password("alice", SECRET), environment=environment)
    server = Context.accept(package, principal="HTTP/h", environment=environment)
    talk(client, server, package == "WDigest")
    names = {event.name for event in events}
    assert package in names
    if package in ("Negotiate", "CREDSSP"):
        assert "NTLM" in names
        assert any(dict(event.chosen).get("negotiated") == "NTLM" for event in events)
    assert {event.floor for event in events} == {"package"}
    assert any(event.event == "QUESTION" for event in events)


@pytest.mark.parametrize("mechanism", PASSWORDS)
def test_nothing_of_what_is_secret_or_said_is_told(mechanism: str) -> None:
    events, environment = told()
    sasl(mechanism, SECRET, environment)
    text = " ".join(map(str, events)) + repr(events)
    assert SECRET not in text
    assert "alice" not in text


def test_sizes_are_those_of_the_messages() -> None:
    events, environment = told()
    shared = {"service": "imap", "host": "h", "external_ssf": 256, "environment": environment}
    client = Client("PLAIN", credentials=Password("alice", SECRET), **shared)  # type: ignore[arg-type]
    token = client.start()
    assert token is not None
    Server("PLAIN", **shared).step(token)  # type: ignore[arg-type]
    first, asked, answered = events
    assert (first.received, first.sent) == (None, len(token))
    assert (asked.event, asked.received, asked.sent) == ("QUESTION", len(token), None)
    assert (answered.event, answered.received) == ("COMPLETE", None)
    assert str(first) == f"PLAIN initiate step 1: COMPLETE, DONE; in nothing, out {len(token)}; qop auth; ssf 0"


def test_what_the_hook_raises_is_not_hidden() -> None:
    def broken(event: TraceEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        sasl("PLAIN", SECRET, Environment(policy=POLICY, authority=PEOPLE, trace=broken))


def test_loggers_have_the_documented_names(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "saslsspi.trace"):
        sasl("NTLM", SECRET, Environment(policy=POLICY, authority=PEOPLE, trace=log_steps))
        names = {record.name for record in caplog.records if record.levelno == logging.DEBUG}
    assert names == {"saslsspi.trace.package", "saslsspi.trace.mechanism"}


def test_without_a_hook_nothing_of_it_is_called() -> None:
    """Counted, and not timed: no function of the hook's module runs, and no message costs a call more than before."""
    import saslsspi.engine.hooks.trace as module

    called: list[str] = []

    def watch(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_filename == module.__file__:
            called.append(frame.f_code.co_name)

    environment = Environment(policy=POLICY, authority=PEOPLE)
    sys.setprofile(watch)
    try:
        sasl("NTLM", SECRET, environment)
    finally:
        sys.setprofile(None)
    assert called == []


def test_without_a_hook_a_servers_step_is_as_many_calls_as_if_there_were_none() -> None:
    """What the hook would be told is not prepared in a function of its own."""
    import saslsspi.sasl.server as module

    called: Counter[str] = Counter()

    def watch(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code.co_filename == module.__file__:
            called[frame.f_code.co_name] += 1

    client = Client("NTLM", service="ldap", host="h", credentials=Password("alice", SECRET), policy=POLICY)
    server = Server("NTLM", service="ldap", host="h", authority=PEOPLE, policy=POLICY)
    sys.setprofile(watch)
    try:
        run(client, server)
    finally:
        sys.setprofile(None)
    # Two messages, one question, one end.
    assert called == {"step": 2, "begin": 2, "_follow": 3, "resume": 1, "_finish": 1}


def test_every_logger_is_in_the_document() -> None:
    root = Path(__file__).parents[2]
    document = (root / "docs" / "logging.md").read_text()
    for room in ("saslsspi", "mechanisms", "conformance"):
        for path in (root / room).rglob("*.py"):
            for line in path.read_text().splitlines():
                if "getLogger(" in line and "getLogger(__name__)" not in line and "saslsspi.__name__" not in line:
                    name = line.partition("getLogger(")[2].partition(")")[0].strip("\"'")
                    assert f"`{name}`" in document, f"{name} of {path}"
                elif "getLogger(__name__)" in line:
                    module = ".".join(path.relative_to(root).with_suffix("").parts)
                    assert f"`{module}`" in document, f"{module} has a logger"


def test_a_refusal_still_is_one() -> None:
    events, environment = told()
    with pytest.raises(LogonDenied):
        sasl("NTLM", "looking-glass", environment)
    assert [event.event for event in events if event.floor == "mechanism"][-1] == "SEC_E_LOGON_DENIED"
