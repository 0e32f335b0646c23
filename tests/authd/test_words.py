"""The lines of Dovecot's authentication protocol: what is written is read, and nothing else gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.authd.words import AuthCommand, line, read_auth, read_continuation
from saslsspi.errors import InvalidToken


def parameters(octets: bytes) -> list[str]:
    command, *rest = octets.decode("utf-8", "surrogateescape").removesuffix("\n").split("\t")
    assert command == "AUTH"
    return rest


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_whatever_a_parameter_holds_stays_one_parameter(text: str) -> None:
    octets = line("AUTH", "1", "X", f"cert_username={text}", "valid-client-cert")
    assert octets.count(b"\n") == 1
    assert read_auth(parameters(octets)).certificate_user == text


def test_a_whole_command() -> None:
    octets = b"AUTH\t7\tplain\tservice=SMTP\tsecured=tls\trip=192.0.2.1\trport=25\tnologin"
    octets += b"\tnew=thing\tresp=AGEAYg==\trip=x\n"
    assert read_auth(parameters(octets)) == AuthCommand(
        "7", "PLAIN", "smtp", secured=True, peer="192.0.2.1:25", response=b"\0a\0b"
    )
    assert read_auth(["1", "PLAIN", "resp="]).response is None
    assert read_auth(["1", "EXTERNAL", "cert_username=alice"]).certificate_user == "", "nobody has verified it"
    assert read_continuation(["4294967295", ""]).response == b""


@pytest.mark.parametrize(
    "words", [[], ["1"], ["x", "PLAIN"], ["4294967296", "PLAIN"], ["-1", "PLAIN"], ["1", "PLAIN", "resp=%%%"]]
)
def test_what_is_no_command_is_refused(words: list[str]) -> None:
    with pytest.raises(InvalidToken):
        read_auth(words)
    with pytest.raises(InvalidToken):
        read_continuation([*words[:1], "%"])
