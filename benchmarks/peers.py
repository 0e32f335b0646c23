"""Other implementations in the same run: pure-sasl and ldap3 (clients), OpenJDK (both sides)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

from measure import Timed

CHALLENGE = b'realm="example.test",nonce="nnnnnnnnnnnnnnnnnnnnnnnn",qop="auth",charset=utf-8,algorithm=md5-sess'


def pure_sasl_client() -> Callable[[], object] | None:
    """A client's answer to a challenge, by pure-sasl; None where it is not installed."""
    try:
        from puresasl.client import SASLClient
    except ImportError:
        return None

    def answer() -> object:
        client = SASLClient("ldap.example.test", "ldap", "DIGEST-MD5", username="alice", password="wonderland")
        return client.process(CHALLENGE)

    return answer


def ldap3_client() -> Callable[[], object]:
    """A client's answer to a challenge, by ldap3's own DIGEST-MD5 over a connection that goes nowhere."""
    from ldap3.protocol.sasl.digestMd5 import sasl_digest_md5

    class Nowhere:
        sasl_credentials = (None, "alice", "wonderland", None)
        sasl_mechanism = "DIGEST-MD5"
        authentication = "SASL"
        auto_encode = False
        check_names = False
        user = None
        version = 3
        server = SimpleNamespace(host="ldap.example.test", schema=None, ssl=False)
        strategy = SimpleNamespace(sync=True)
        result: ClassVar = {"saslCreds": CHALLENGE, "result": 14}

        def send(self, kind: str, request: object, controls: object) -> int:
            return 1

        def post_send_single_response(self, number: int) -> int:
            return number

        def get_response(self, number: int) -> tuple[list[object], dict[str, object]]:
            return [], {"saslCreds": CHALLENGE, "result": 14}

    connection = Nowhere()
    return lambda: sasl_digest_md5(connection, None)


@contextmanager
def java_handshakes() -> Iterator[Callable[[str], Timed] | None]:
    """Handshakes of OpenJDK's client and server in a warm process; None where there is no JDK."""
    if not shutil.which("javac") or not shutil.which("java"):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(__file__).with_name("Handshake.java")
        subprocess.run(["javac", "-d", folder, str(source)], check=True, capture_output=True)
        command = ["java", "-cp", folder, "Handshake"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        def handshake(level: str) -> Timed:
            qop, _, cipher = level.partition(" ")

            def run(count: int) -> float:
                stdin.write(f"{qop} {cipher or '-'} {count}\n")
                answer = stdout.readline()
                if not answer:
                    raise RuntimeError("the Java process ended")
                return int(answer) / 1e9

            run(3000)  # until the JIT has done its work
            return run

        try:
            yield handshake
        finally:
            stdin.close()
            process.wait(timeout=10)
            stdout.close()
