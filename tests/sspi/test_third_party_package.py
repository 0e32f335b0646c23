"""A security package of another distribution is found by its entry point and served by the same engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_distribution import installed
from saslsspi import errors, sspi
from saslsspi.engine.registry import PACKAGES
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType, SecurityStatus
from sspi_program import Acceptor, Initiator, inbound, outbound

SOURCE = """
from saslsspi.engine.attributes import SecPkgInfo
from saslsspi.engine.flags import SecurityPackageCapability
from saslsspi.engine.exchange import Credential, Event, Exchange, StepResult, Outcome
from saslsspi.engine.package import Package


class Nothing(Credential):
    username = "somebody"


class Legs(Exchange):
    def __init__(self, script):
        self.outcome = None
        self.script = iter(script)

    def take(self):
        step = next(self.script)
        if step.event is Event.COMPLETE:
            self.outcome = Outcome(username="somebody")
        return step

    def step(self, token, request):
        return self.take()

    def complete(self, token):
        step = self.take()
        return step._replace(token=token.upper())


class Toy(Package):
    info = SecPkgInfo(SecurityPackageCapability(0), 1, 0xFFFF, 100, "Toy", "says hello")

    def acquire(self, principal, auth_data, sides, environment):
        return Nothing()

    def initiate(self, credential, environment, request):
        return Legs([StepResult(Event.ASK_COMPLETION_AND_CONTINUE, b"hello"), StepResult(Event.CONTINUE, None),
                     StepResult(Event.COMPLETE, None)])

    def accept(self, credential, environment, request):
        return Legs([StepResult(Event.ASK_COMPLETION, b"welcome"), StepResult(Event.COMPLETE, None)])

    def check_flags(self, side, flags):
        pass


TOY = Toy()
NO_PACKAGE = object()
"""


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[None]:
    plugins = {"Toy": "TOY", "Broken": "missing", "Wrong": "NO_PACKAGE", "wdigest": "TOY"}
    with installed(tmp_path, "toy-package", "saslsspi.packages", plugins, SOURCE, PACKAGES):  # type: ignore[arg-type]
        yield


@pytest.mark.usefixtures("toy")
class TestToy:
    @pytest.mark.requirement(
        "SSPI-ASC-76", "SSPI-ASC-77", "SSPI-ISC-DIGEST-66", "SSPI-ISC-DIGEST-67", "SSPI-ISC-DIGEST-109",
        "SSPI-ISC-DIGEST-110", "SSPI-ISC-DIGEST-97",
    )  # fmt: skip
    def test_tokens_are_completed_where_the_package_asks_for_it(self) -> None:
        client, server = Initiator(outbound(package="Toy"), 0), Acceptor(inbound(package="Toy"), 0)
        first = client.step(None)
        assert client.statuses == [SecurityStatus.SEC_I_COMPLETE_AND_CONTINUE]
        assert complete(client.handle, first) == b"HELLO"
        answer = server.step(b"HELLO")
        assert server.statuses == [SecurityStatus.SEC_I_COMPLETE_NEEDED]
        with pytest.raises(errors.ContextMisuse):
            sspi.query_context_attributes(server.handle, sspi.SecPkgContextNames)
        assert complete(server.handle, answer) == b"WELCOME"
        assert sspi.query_context_attributes(server.handle, sspi.SecPkgContextNames).username == "somebody"
        client.step(b"WELCOME")
        assert client.done

    def test_it_is_listed_with_its_distribution(self) -> None:
        listed = {plugin.name: plugin for plugin in PACKAGES.plugins()}
        assert listed["Toy"].distribution == "toy-package 1.5"
        assert "Toy" in {info.name for info in sspi.enumerate_security_packages()}

    def test_what_fails_to_load_is_reported_and_harms_nobody(self) -> None:
        problems = {plugin.name: plugin.problem for plugin in PACKAGES.plugins()}
        assert "AttributeError" in (problems["Broken"] or "")
        assert "is not a Package" in (problems["Wrong"] or "")
        assert problems["WDigest"] is None
        with pytest.raises(errors.PackageNotFound, match="failed to load"):
            sspi.query_security_package_info("Broken")

    def test_a_taken_name_is_refused_and_the_first_keeps_it(self) -> None:
        problems = [plugin.problem for plugin in PACKAGES.plugins() if plugin.name == "wdigest"]
        assert problems == ["the name wdigest is already taken"]
        assert sspi.query_security_package_info("wdigest").name == "WDigest"


def complete(handle: sspi.CtxtHandle, token: bytes) -> bytes:
    buffer = SecBuffer(bytearray(token), SecBufferType.SECBUFFER_TOKEN)
    sspi.complete_auth_token(handle, SecBufferDesc([buffer]))
    return buffer.data
