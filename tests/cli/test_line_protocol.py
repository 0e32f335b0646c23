from typing import NamedTuple

import pytest

from cli.driver import CLIENT, SERVER, Process, cross, decoded, encoded, with_password
from saslsspi import MemoryAuthority, Server

KEYS = {
    "authcid", "authzid", "realm", "qop", "cipher", "ssf", "max_send", "max_receive", "channel_binding",
    "reauthenticated", "tolerances",
}  # fmt: skip
TEXT = b"what the layer carries"


class Layered(NamedTuple):
    options: tuple[str, ...]
    qop: str
    cipher: str
    ssf: int


LAYERED = [
    Layered(("--max-ssf", "1"), "auth-int", "", 1),
    Layered(("--cipher", "rc4"), "auth-conf", "rc4", 128),
    Layered(("--cipher", "3des", "--min-ssf", "112"), "auth-conf", "3des", 112),
    Layered(("--cipher", "rc4-56"), "auth-conf", "rc4-56", 56),
    Layered(("--cipher", "des"), "auth-conf", "des", 55),
    Layered(("--cipher", "rc4-40"), "auth-conf", "rc4-40", 40),
]


@pytest.mark.parametrize("layered", LAYERED, ids=lambda layered: layered.cipher or layered.qop)
def test_both_sides_agree_on_a_layer_use_it_and_authenticate_again(layered: Layered) -> None:
    options = ("--max-buffer", "1000", *layered.options)
    with Process(*CLIENT, *options) as client, Process(*SERVER, *options) as server:
        first = client.read()
        assert first == ("more", "-", {})
        ours, theirs = cross(client, server, first)

        assert ours.word == theirs.word == "done"
        assert set(ours.record) == set(theirs.record) == KEYS | {"mechanism"}
        for record in (ours.record, theirs.record):
            assert record["mechanism"] == "DIGEST-MD5"
            assert (record["authcid"], record["authzid"], record["realm"]) == ("alice", "", "example.test")
            assert (record["qop"], record["cipher"], record["ssf"]) == layered[1:]
            assert (record["max_send"], record["max_receive"]) == (1000, 1000)
            assert (record["channel_binding"], record["reauthenticated"], record["tolerances"]) == ("", False, [])

        _check_wrapping(client, server)
        _check_wrapping(server, client)

        again = client.say("again")
        assert again.word == "more"
        assert again.token == "-", "a layer has keys of its own, so the server's challenge comes first"
        assert server.say("again") == ("more", "-", {})
        ours, theirs = cross(client, server, again)
        assert ours.record["reauthenticated"] is theirs.record["reauthenticated"] is False
        assert ours.record["ssf"] == theirs.record["ssf"] == layered.ssf
        _check_wrapping(client, server)

        assert client.end("quit\n") == (0, "", "")
        assert server.end() == (0, "", "")


def _check_wrapping(sender: Process, receiver: Process) -> None:
    wrapped = sender.say(f"wrap {encoded(TEXT)}")
    assert wrapped.word == "data"
    wire = decoded(wrapped.token)
    assert int.from_bytes(wire[:4]) == len(wire) - 4, "the length prefix is included"
    assert receiver.say(f"unwrap {encoded(wire[:7])}") == ("data", "-", {}), "no buffer is complete yet"
    assert receiver.say(f"unwrap {encoded(wire[7:])}") == ("data", encoded(TEXT), {})

    nothing = decoded(sender.say("wrap =").token)
    assert receiver.say(f"unwrap {encoded(nothing)}") == ("data", "=", {}), "a buffer, and an empty one"

    long = bytes(range(256)) * 16
    wire = decoded(sender.say(f"wrap {encoded(long)}").token)
    assert int.from_bytes(wire[:4]) < len(wire) - 4, "cut into as many buffers as needed"
    assert receiver.say(f"unwrap {encoded(wire)}") == ("data", encoded(long), {})


def test_the_bare_package_wraps_without_a_length() -> None:
    client_words, server_words = list(CLIENT), list(SERVER)
    client_words[1:2] = server_words[1:2] = ["--package", "digest"]
    options = ("--cipher", "rc4", "--min-ssf", "128")
    with Process(*client_words, *options) as client, Process(*server_words, *options) as server:
        ours, theirs = cross(client, server, client.read())
        assert set(ours.record) == set(theirs.record) == KEYS | {"package"}
        assert ours.record["package"] == theirs.record["package"] == "WDigest"
        assert ours.record["cipher"] == theirs.record["cipher"] == "rc4"

        wire = decoded(client.say(f"wrap {encoded(TEXT)}").token)
        assert len(wire) == len(TEXT) + 16, "EncryptMessage adds the signature and nothing else"
        assert server.say(f"unwrap {encoded(wire)}") == ("data", encoded(TEXT), {})
        again = client.say("again")
        server.say("again")
        assert cross(client, server, again)[1].record["reauthenticated"] is False
        assert server.end()[0] == 0


def test_a_logon_without_a_layer_is_taken_up_again_with_an_initial_response() -> None:
    with Process(*CLIENT, "--max-ssf", "0") as client, Process(*SERVER, "--max-ssf", "0") as server:
        cross(client, server, client.read())
        again = client.say("again")
        assert b"nc=00000002" in decoded(again.token)
        server.say("again")
        ours, theirs = cross(client, server, again)
        assert ours.record["reauthenticated"] is theirs.record["reauthenticated"] is True


def test_without_success_data_a_server_finishes_on_an_empty_response() -> None:
    options = ("--max-ssf", "0")
    with Process(*CLIENT, *options) as client, Process(*SERVER, *options, "--no-success-data") as server:
        challenge = server.say(client.read().token)
        last = server.say(client.say(challenge.token).token)
        assert last.word == "more"
        assert b"rspauth" in decoded(last.token)
        ours = client.say(last.token)
        assert (ours.word, ours.token) == ("done", "-")
        theirs = server.say("=")
        assert (theirs.word, theirs.token) == ("done", "-")
        assert theirs.record["qop"] == "auth"
        assert theirs.record["max_send"] == theirs.record["max_receive"] == 0

        refused = client.say("wrap AAAA")
        assert (refused.word, refused.record["status"]) == ("fail", "SEC_E_QOP_NOT_SUPPORTED")
        assert client.end()[0] == 1


def test_a_wrong_password_is_refused_with_its_status() -> None:
    with Process(*with_password(CLIENT, "looking-glass")) as client, Process(*SERVER) as server:
        theirs = cross(client, server, client.read())[1]
        assert theirs.record == {
            "status": "SEC_E_LOGON_DENIED",
            "number": 0x8009030C,
            "requirement": "RFC2831-2.1.3-02",
            "text": theirs.record["text"],
        }
        assert theirs.token == "-"
        status, output, errors = server.end()
        assert status == 1
        assert output == errors == ""
        assert client.end()[0] == 3, "the end of input came before the client was done"


def test_an_altered_buffer_ends_the_process_as_a_broken_protocol() -> None:
    with Process(*CLIENT) as client, Process(*SERVER) as server:
        cross(client, server, client.read())
        wire = bytearray(decoded(client.say(f"wrap {encoded(TEXT)}").token))
        wire[6] ^= 1
        failed = server.say(f"unwrap {encoded(bytes(wire))}")
        assert (failed.word, failed.token, failed.record["status"]) == ("fail", "-", "SEC_E_MESSAGE_ALTERED")
        assert server.end()[0] == 3
        early = client.say("PQ==")
        assert (early.word, early.record["status"]) == ("fail", "SEC_E_INVALID_TOKEN"), "no token is due"


def test_required_channel_bindings_that_nobody_verified_are_refused() -> None:
    server = Server("DIGEST-MD5", service="ldap", host="ldap.example.test", realm="example.test",
        authority=MemoryAuthority({"alice": "wonderland"}))  # fmt: skip
    with Process(*CLIENT, "--channel-binding", "require") as client:
        client.read()
        response = client.say(encoded(server.step(None) or b""))
        failed = client.say(encoded(server.step(decoded(response.token)) or b""))
        assert (failed.word, failed.record["status"]) == ("fail", "SEC_E_BAD_BINDINGS")
        assert client.end()[0] == 1


def test_a_client_that_has_finished_adds_no_empty_message_to_data_that_came_with_success() -> None:
    words = ("SCRAM-SHA-256", "--host", "ldap.example.test")
    with (
        Process("client", *words, "--user", "alice") as client,
        Process("server", *words, "--account", "alice:wonderland") as server,
    ):
        first = client.read()
        assert first.word == "more", "the client speaks first"
        final = server.say(client.say(server.say(first.token).token).token)
        assert final.word == "done"
        assert client.say(final.token)[:2] == ("done", "-")
        assert client.end()[0] == server.end()[0] == 0
