import io
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from cli.driver import CLIENT, SERVER, decoded, encoded
from saslsspi import Client, MemoryAuthority, Password, Server
from saslsspi.__main__ import main

Speak = Callable[[Sequence[str], str], tuple[int, list[str], str]]


@pytest.fixture
def speak(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Speak:
    """Run one command in this process: arguments and input to exit status, printed lines and standard error."""
    monkeypatch.setenv("SASLSSPI_PASSWORD", "from-the-environment")

    def run(arguments: Sequence[str], text: str) -> tuple[int, list[str], str]:
        sink = io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            patch.setattr(sys, "stdout", io.TextIOWrapper(sink, write_through=True))
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = int(ended.code or 0)
            printed = sink.getvalue().decode().splitlines()
        return status, printed, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("!!!!", "SEC_E_INVALID_TOKEN"),
        ("AAA", "SEC_E_INVALID_TOKEN"),
        ("", "SEC_E_INVALID_TOKEN"),
        ("frobnicate the exchange", "SEC_E_INVALID_TOKEN"),
        ("again and again", "SEC_E_INVALID_TOKEN"),
        ("wrap AAAA", "SEC_E_INVALID_HANDLE"),
        ("unwrap AAAA", "SEC_E_INVALID_HANDLE"),
        ("AAAA", "SEC_E_INVALID_TOKEN"),
    ],
)
def test_a_line_that_is_not_due_fails_with_one_line_and_exit_status_3(speak: Speak, line: str, status: str) -> None:
    code, printed, errors = speak(CLIENT, f"{line}\n=\n=\n")
    assert code == 3
    assert printed[0] == "more -"
    assert len(printed) == 2, "nothing is answered after fail"
    assert printed[1].startswith("fail - {")
    assert json.loads(printed[1].removeprefix("fail - "))["status"] == status
    assert errors == ""


def test_end_of_input_before_done_is_3_and_quit_is_0(speak: Speak) -> None:
    assert speak(CLIENT, "") == (3, ["more -"], "")
    assert speak(CLIENT, "quit\n") == (0, ["more -"], "")
    assert speak(SERVER, "") == (3, [], "")


def test_a_server_is_silent_until_it_reads_and_offers_what_the_options_permit(speak: Speak) -> None:
    options = ("--realm", "second.test", "--max-buffer", "4096", "--cipher", "rc4-40", "--min-ssf", "2")
    _, printed, _ = speak([*SERVER, *options], "-\n")
    word, token = printed[0].split()
    challenge = decoded(token)
    assert word == "more"
    assert challenge.count(b"realm=") == 2
    assert b'qop="auth-conf"' in challenge
    assert b'cipher="rc4-40"' in challenge
    assert b"maxbuf=4096" in challenge


def test_a_client_abandons_an_exchange_with_again(speak: Speak) -> None:
    assert speak(CLIENT, "again\n") == (3, ["more -", "more -"], "")


def test_success_before_the_server_has_proved_itself_is_refused(speak: Speak) -> None:
    code, printed, _ = speak(CLIENT, "-\n")
    assert code == 1
    assert json.loads(printed[1].removeprefix("fail - "))["status"] == "SEC_E_MUTUAL_AUTH_FAILED"


def test_a_client_with_one_message_is_done_with_it(speak: Speak) -> None:
    code, printed, _ = speak(["client", "PLAIN", "--user", "u", "--password", "p", "--allow-plaintext"], "quit\n")
    message = encoded(bytes(1) + b"u" + bytes(1) + b"p")
    assert printed[0].startswith(f'done {message} {{"mechanism":"PLAIN","authcid":"u"')
    assert code == 0
    assert speak(["client", "PLAIN", "--user", "u", "--password", "p"], "quit\n")[0] == 2, "it would be readable"


def test_strict_tolerates_nothing_but_what_is_named(speak: Speak) -> None:
    token = encoded(b'nonce="n",charset="utf-8",algorithm=md5-sess,realm="r"')
    answers = {
        options: speak([*CLIENT, *options], f"{token}\n")[1][1].split()[0]
        for options in ((), ("--strict",), ("--strict", "--tolerance", "quoted-charset"))
    }
    assert list(answers.values()) == ["more", "fail", "more"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("frobnicate",), "frobnicate"),
        (("client",), "MECH"),
        (("client", "DIGEST-MD5", "--package", "WDigest"), "not allowed"),
        (("client", "NO-SUCH", "--user", "u"), "DIGEST-MD5"),
        (("client", "--package", "NoSuch", "--user", "u"), "WDigest"),
        (("client", "DIGEST-MD5"), "--user"),
        (("client", "DIGEST-MD5", "--password", "p"), "--password needs --user"),
        (("client", "DIGEST-MD5", "--user", "u", "--min-ssf", "9", "--max-ssf", "1"), "min_ssf"),
        (("client", "DIGEST-MD5", "--user", "u", "--max-buffer", "16"), "max_buffer"),
        (("client", "DIGEST-MD5", "--user", "u", "--cipher", "aes"), "aes"),
        (("client", "DIGEST-MD5", "--user", "u", "--tolerance", "everything"), "HASH_UTF8"),
        (("client", "DIGEST-MD5", "--user", "u", "--password-file", "/no/such/file"), "/no/such/file"),
        (("client", "DIGEST-MD5", "--user", "u", "--no-success-data"), "--no-success-data"),
        (("server", "DIGEST-MD5"), "--account"),
        (("server", "DIGEST-MD5", "--account", "nobody"), "USER:PASSWORD"),
        (("server", "DIGEST-MD5", "--accounts", "/no/such/file"), "/no/such/file"),
        (("server", "DIGEST-MD5", "--account", "a:b", "--authzid", "x"), "--authzid"),
        (("server", "--package", "WDigest", "--account", "a:b", "--no-success-data"), "--no-success-data"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(speak: Speak, arguments: Sequence[str], said: str) -> None:
    code, printed, errors = speak(arguments, "")
    assert code == 2
    assert printed == []
    assert said in errors
    assert "Traceback" not in errors


def test_a_password_comes_from_option_file_or_environment_and_is_never_printed(speak: Speak, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("from-the-file\nsecond line\n", encoding="utf-8")
    sources = {
        "from-the-option": ["--password", "from-the-option"],
        "from-the-file": ["--password-file", str(file)],
        "from-the-environment": [],
    }
    for password, options in sources.items():
        server = Server("DIGEST-MD5", service="ldap", host="h", authority=MemoryAuthority({"u": password}))
        challenge = server.step(None)
        assert challenge is not None
        _, printed, errors = speak(
            ["client", "DIGEST-MD5", "--user", "u", "--host", "h", *options], encoded(challenge) + "\n"
        )
        response = decoded(printed[-1].split()[1])
        assert server.step(response) is not None, password
        assert server.done
        assert password not in "".join(printed) + errors


def test_accounts_come_from_a_file_beside_those_of_the_command_line(speak: Speak, tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    file.write_text('[accounts]\nbob = "builder"\n', encoding="utf-8")
    file.chmod(0o644)
    code, printed, errors = speak([*SERVER, "--accounts", str(file)], "-\n")
    assert printed[0].startswith("more ")
    assert "warning" in errors, "others may read the file"
    assert "builder" not in errors
    client = Client("DIGEST-MD5", service="ldap", host="ldap.example.test", credentials=Password("bob", "builder"))
    client.start()
    assert client.step(decoded(printed[0].split()[1])) is not None
    assert code == 3
