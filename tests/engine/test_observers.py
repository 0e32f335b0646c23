"""The audit log for programs: JSON lines, an observer, and what people count with as its users."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from saslsspi import Client, MemoryAuthority, Password, SaslError, Server
from saslsspi.engine.environment import Environment
from saslsspi.engine.hooks.audit import AuditRecord, audited_from
from saslsspi.engine.hooks.observers import AuditJsonFormatter, LogonObserver, observe_logons

PEOPLE = MemoryAuthority({"alice": "wonderland"})
LOGGER = logging.getLogger("saslsspi.audit")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    level, handlers = LOGGER.level, list(LOGGER.handlers)
    yield
    LOGGER.setLevel(level)
    LOGGER.handlers[:] = handlers


def log_on(password: str = "wonderland", user: str = "alice") -> None:
    times = iter((0.0, 100.0, 100.25))
    environment = Environment(clock=lambda: next(times, 100.25))
    client = Client("SCRAM-SHA-256", service="imap", host="h", credentials=Password(user, password))
    server = Server("SCRAM-SHA-256", service="imap", host="h", authority=PEOPLE, environment=environment)
    message = client.start()
    while not server.done:
        message = client.step(server.step(message) or b"")


class Records(list[AuditRecord]):
    def logon(self, record: AuditRecord) -> None:
        self.append(record)


def test_an_observer_is_told_of_logons_and_refusals_and_how_long_they_took() -> None:
    records = Records()
    handler = observe_logons(records)
    log_on()
    with pytest.raises(SaslError):
        log_on("looking-glass")
    assert [(record.accepted, record.how, record.username, record.seconds) for record in records] == [
        (True, "SCRAM-SHA-256", "alice", 0.25),
        (False, "SCRAM-SHA-256", "alice", 0.25),
    ]
    LOGGER.removeHandler(handler)
    log_on()
    assert len(records) == 2


def test_a_context_without_sasl_is_measured_too() -> None:
    from saslsspi.adapters.http import HttpAcceptor, HttpRequest
    from saslsspi.adapters.http.inbound import Inbound

    records = Records()
    observe_logons(records)
    ticks = iter(range(100, 1000))
    environment = Environment(clock=lambda: float(next(ticks)), authority=PEOPLE)
    acceptor = HttpAcceptor({"Digest": Inbound("WDigest", environment)}, realm="r")
    credentials = (
        'Digest username="alice", realm="r", nonce="n", uri="/", algorithm=SHA-256, qop=auth, nc=00000001, '
        f'cnonce="c", response="{"0" * 64}"'
    )
    acceptor.judge(HttpRequest(method="GET", targets=("/",), credentials=credentials))
    assert [(record.accepted, record.how) for record in records] == [(False, "WDigest in HTTP")]
    assert records[0].seconds >= 1


def test_an_observer_that_fails_harms_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def logon(self, record: AuditRecord) -> None:
            raise RuntimeError("no disk")

    observe_logons(Broken())
    log_on()
    assert "no disk" in capsys.readouterr().err


def test_a_clock_that_was_set_back_takes_no_time() -> None:
    records = Records()
    observe_logons(records)
    times = iter((0.0, 100.0, 50.0))
    environment = Environment(clock=lambda: next(times, 50.0), authority=PEOPLE)
    server = Server("SCRAM-SHA-256", service="imap", host="h", environment=environment)
    server.step(b"n,,n=alice,r=abcdefghijklmnop")
    server.abort()
    assert [record.seconds for record in records] == [0.0]


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.setFormatter(AuditJsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_a_line_of_json_has_the_documented_fields() -> None:
    handler = Lines()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    with audited_from("192.0.2.7:49152"):
        log_on()
    name = "é\u2028\n\x1b[31m\udc80"
    LOGGER.warning("", extra={"audit": AuditRecord(accepted=False, how="PLAIN", username=name)})
    good, bad = map(json.loads, handler.lines)
    assert set(good) == {"time", "version", "process", *AuditRecord._fields}
    assert (good["accepted"], good["how"], good["username"], good["peer"]) == (
        True, "SCRAM-SHA-256", "alice", "192.0.2.7:49152"
    )  # fmt: skip
    assert good["seconds"] == 0.25
    assert good["time"].endswith("+00:00")
    assert bad["username"] == name
    assert all(line.isascii() and "\n" not in line and "\x1b" not in line for line in handler.lines)


def test_a_record_that_is_not_of_the_audit_log_is_a_line_too() -> None:
    record = logging.LogRecord("other", logging.INFO, "", 0, "two\nlines", None, None)
    assert json.loads(AuditJsonFormatter().format(record))["reason"] == "two\nlines"


def test_prometheus_counts_and_measures() -> None:
    prometheus = pytest.importorskip("prometheus_client")
    registry = prometheus.CollectorRegistry()
    logons = prometheus.Counter("logons", "Logons and refusals.", ["how", "accepted"], registry=registry)
    seconds = prometheus.Histogram("logon_seconds", "How long they took.", ["how"], registry=registry)

    class Metrics:
        def logon(self, record: AuditRecord) -> None:
            logons.labels(record.how, record.accepted).inc()
            seconds.labels(record.how).observe(record.seconds)

    observer: LogonObserver = Metrics()
    observe_logons(observer)
    log_on()
    with pytest.raises(SaslError):
        log_on("looking-glass")
    text = prometheus.generate_latest(registry).decode()
    for accepted in ("True", "False"):
        assert f'logons_total{{accepted="{accepted}",how="SCRAM-SHA-256"}} 1.0' in text
    assert 'logon_seconds_sum{how="SCRAM-SHA-256"} 0.5' in text


def test_opentelemetry_counts_and_measures() -> None:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    meter = provider.get_meter("server")
    logons, seconds = meter.create_counter("logons"), meter.create_histogram("logon_seconds", unit="s")

    class Metrics:
        def logon(self, record: AuditRecord) -> None:
            attributes = {"how": record.how, "accepted": record.accepted}
            logons.add(1, attributes)
            seconds.record(record.seconds, attributes)

    observe_logons(Metrics())
    log_on()
    data = reader.get_metrics_data()
    assert data is not None
    (scope,) = data.resource_metrics[0].scope_metrics
    found = {metric.name: list(metric.data.data_points) for metric in scope.metrics}
    assert found["logons"][0].value == 1  # type: ignore[union-attr]
    assert found["logon_seconds"][0].sum == 0.25  # type: ignore[union-attr]
    provider.shutdown()
