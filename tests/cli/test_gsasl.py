import pytest

from cli.driver import CLIENT, SERVER, Process, decoded, encoded
from interop.gsasl import Qop, gsasl_client, gsasl_server

pytestmark = pytest.mark.interop

HOST = "ldap.example.test"
TEXT = b"across two implementations"


@pytest.mark.parametrize(("qop", "ssf"), [(Qop.AUTH, 0), (Qop.AUTH_INT, 1)])
def test_our_client_and_the_server_of_gnu_sasl_agree_token_by_token(qop: Qop, ssf: int) -> None:
    options = ("--min-ssf", str(ssf), "--max-ssf", str(ssf))
    with gsasl_server(host=HOST, qops=(Qop.AUTH, Qop.AUTH_INT)) as server, Process(*CLIENT, *options) as client:
        assert client.read().token == "-"
        response = client.say(encoded(server.step()))
        done = client.say(encoded(server.step(decoded(response.token))))
        assert (done.word, done.record["ssf"]) == ("done", ssf)
        assert done.record["authcid"] == "alice"
        if ssf:
            assert server.decode(decoded(client.say(f"wrap {encoded(TEXT)}").token)) == TEXT
            assert client.say(f"unwrap {encoded(server.encode(TEXT))}").token == encoded(TEXT)


@pytest.mark.parametrize(("qop", "ssf"), [(Qop.AUTH, 0), (Qop.AUTH_INT, 1)])
def test_the_client_of_gnu_sasl_and_our_server_agree_token_by_token(qop: Qop, ssf: int) -> None:
    with gsasl_client(host=HOST, qop=qop) as client, Process(*SERVER) as server:
        challenge = server.say("-")
        done = server.say(encoded(client.step(decoded(challenge.token))))
        assert (done.word, done.record["ssf"]) == ("done", ssf)
        client.step(decoded(done.token))
        assert client.done
        if ssf:
            assert client.decode(decoded(server.say(f"wrap {encoded(TEXT)}").token)) == TEXT
            assert server.say(f"unwrap {encoded(client.encode(TEXT))}").token == encoded(TEXT)
