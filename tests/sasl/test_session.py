"""Client and Server as programs use them: order of calls, what is none and what is empty, and death after failure."""

from __future__ import annotations

from typing import Any

import pytest

from packages.digest.ours import joined, new_client, new_server
from pair import To, authenticate, tampered
from saslsspi import Client, Password, Pending, Policy, Server
from saslsspi.accounts.account import Account, Question
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.errors import (
    ContextMisuse,
    InternalError,
    InvalidToken,
    MutualAuthFailed,
    PackageNotFound,
    SaslError,
    UnsupportedFunction,
)
from saslsspi.sasl.mechanism import (
    ClientExchange,
    ClientParameters,
    First,
    Mechanism,
    ServerExchange,
    ServerParameters,
)
from saslsspi.sasl.session import SessionState


class _ToyClient(ClientExchange):
    """Sends its name, and waits for nothing."""

    def __init__(self, parameters: ClientParameters) -> None:
        self.outcome: Outcome | None = None
        self._message_sent = False
        self._name = parameters.credentials.username if isinstance(parameters.credentials, Password) else ""

    def step(self, challenge: bytes | None) -> bytes | None:
        if self._name == "crash":
            raise ValueError("a mechanism with a mistake")
        if challenge:
            raise InvalidToken("this mechanism has one message")
        self._message_sent = True
        return self._name.encode()

    def succeed(self) -> None:
        if self._message_sent:
            self.outcome = Outcome(username=self._name)


class _ToyServer(ServerExchange):
    """Asks for a message if there is none, and then whether the account exists."""

    def __init__(self, parameters: ServerParameters) -> None:
        self.outcome: Outcome | None = None

    def step(self, response: bytes | None) -> bytes | Question | None:
        if response is None:
            return b""
        return Question(response.decode(), "", ())

    def resume(self, account: Account | None) -> bytes | Question | None:
        if account is None:
            raise ZeroDivisionError
        self.outcome = Outcome(username=account.username)
        return None


_KEEPS = Property.NO_PLAINTEXT | Property.NO_ANONYMOUS
TOY = Mechanism(name="X-TOY", first=First.CLIENT, properties=_KEEPS, client=_ToyClient, server=_ToyServer)
ONE_SIDED = Mechanism(name="X-NONE", first=First.CLIENT, properties=_KEEPS)


class _Everybody:
    def lookup(self, question: Question) -> Account | None:
        return None if question.username == "nobody" else Account(username=question.username)


def toy_client(name: str = "chris", policy: Policy | None = None, external_ssf: int = 0) -> Client:
    credentials = Password(name, "")
    return Client(TOY, service="imap", host="h", credentials=credentials, policy=policy, external_ssf=external_ssf)


def toy_server(**named: object) -> Server:
    return Server(TOY, service="imap", host="h", authority=_Everybody(), **named)  # type: ignore[arg-type]


def test_a_mechanism_of_its_own_needs_no_context() -> None:
    client, server = toy_client(), toy_server()
    sent = authenticate(client, server)
    assert [message.octets for message in sent] == [b"chris"]
    assert client.security.authcid == server.security.authcid == "chris"
    assert client.security.package == ""
    assert client.layer is None


def test_without_an_initial_response_the_server_sends_an_empty_challenge() -> None:
    client, server = toy_client(), toy_server()
    sent = authenticate(client, server, initial_response=False)
    assert [(message.to, message.octets) for message in sent] == [(To.CLIENT, b""), (To.SERVER, b"chris")]
    assert client.done


def test_a_mechanism_whose_last_message_is_its_own_is_done_with_success() -> None:
    client = toy_client()
    assert client.start() == b"chris"
    assert not client.done
    client.succeed()
    assert client.done


def test_nothing_was_negotiated_before_the_end() -> None:
    client, server = new_client(), new_server()
    for side in (client, server):
        with pytest.raises(ContextMisuse):
            _ = side.security
        assert side.layer is None
        assert not side.done


def test_success_with_data_for_a_client_that_wants_none_is_refused() -> None:
    client = toy_client()
    client.start()
    with pytest.raises(SaslError):
        client.succeed(b"surprise")
    assert not client.done


def test_success_that_comes_twice_changes_nothing() -> None:
    client, _ = joined()
    client.succeed()
    assert client.done
    with pytest.raises(InvalidToken):
        client.succeed(b"more")


def test_success_in_the_middle_is_refused_and_final() -> None:
    client = new_client()
    client.start()
    with pytest.raises(MutualAuthFailed):
        client.succeed()
    with pytest.raises(ContextMisuse):
        client.step(b'nonce="a",algorithm=md5-sess')


@pytest.mark.parametrize("failing", ["client", "server"])
def test_a_failed_exchange_is_dead(failing: str) -> None:
    client, server = new_client(), new_server()
    to = To.CLIENT if failing == "client" else To.SERVER
    with pytest.raises(InvalidToken):
        authenticate(client, server, tampered(to, 0, lambda octets: (b"x",)))
    dead = client if failing == "client" else server
    assert not dead.done
    with pytest.raises(ContextMisuse):
        dead.step(b"")


def test_an_aborted_exchange_is_dead_and_forgets() -> None:
    client, server = joined("rc4")
    for side in (client, server):
        side.abort()
        assert not side.done
        assert side.layer is None
        with pytest.raises(ContextMisuse):
            side.step(b"")


def test_a_mistake_in_a_mechanism_is_an_internal_error_of_ours() -> None:
    client = toy_client("crash")
    with pytest.raises(InternalError, match="X-TOY failed with ValueError") as caught:
        client.start()
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        toy_server().step(b"nobody")


def test_less_than_the_policy_demands_is_never_done() -> None:
    def run() -> None:  # refused before it begins or after it has ended, whichever is checked
        client = toy_client(policy=Policy(min_ssf=1))
        client.start()
        client.succeed()

    with pytest.raises(SaslError):
        run()
    with pytest.raises(SaslError):
        toy_server(policy=Policy(min_ssf=1)).step(b"chris")
    client = toy_client()
    client.start()
    client.succeed()
    assert client.security.ssf == 0


def test_a_question_goes_to_the_caller_and_only_there() -> None:
    server = toy_server()
    pending = server.begin(b"chris")
    assert isinstance(pending, Pending)
    assert pending.question.username == "chris"
    assert server.resume(Account(username="chris")) is None
    assert server.done
    with pytest.raises(ContextMisuse):
        server.resume(None)


def test_an_answer_without_a_question_is_our_callers_mistake() -> None:
    with pytest.raises(SaslError):
        new_server().resume(None)


def test_a_token_while_a_question_is_open_is_our_callers_mistake() -> None:
    client, server = new_client(), new_server()
    response = client.step(server.step(None) or b"")
    assert isinstance(server.begin(response), Pending)
    with pytest.raises(SaslError):
        server.begin(response)


def test_a_mechanism_that_lacks_a_side_says_so() -> None:
    with pytest.raises(UnsupportedFunction):
        Client(ONE_SIDED, service="imap", host="h")
    with pytest.raises(UnsupportedFunction):
        Server(ONE_SIDED, service="imap", host="h")


def test_an_unknown_mechanism_is_not_found() -> None:
    with pytest.raises(PackageNotFound):
        Client("X-NEVER", service="imap", host="h")


def test_again_is_another_exchange_with_the_same_parameters() -> None:
    client, server = new_client(), new_server()
    first = [message.octets for message in authenticate(client, server)]
    other_client, other_server = client.again(), server.again()
    assert not other_client.done
    assert not other_server.done
    second = [message.octets for message in authenticate(other_client, other_server)]
    assert first[0] != second[0]
    assert other_client.done
    assert client.done


def test_again_after_a_failure_works() -> None:
    client, server = new_client(), new_server()
    with pytest.raises(InvalidToken):
        client.step(b"x")
    client = client.again()
    authenticate(client, server)
    assert client.done


def test_a_server_that_cannot_send_data_with_success_sends_one_more_challenge() -> None:
    server = new_server(success_data=False)
    client = new_client()
    response = client.step(server.step(None) or b"")
    proof = server.step(response)
    assert proof is not None
    assert not server.done
    assert client.step(proof) is None
    assert client.done
    assert server.step(b"") is None
    assert server.done
    client.succeed()


class _Counted(Client):
    """A subclass with a field that __init__ sets, and one with a slot."""

    __slots__ = ("__dict__", "note")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.note = ["mine"]
        self.other = "too"


def test_again_keeps_what_a_subclass_has_added() -> None:
    options: dict[str, Any] = {"service": "imap", "host": "h", "credentials": Password("a", "b")}
    first = _Counted("DIGEST-MD5", **options)
    second = first.again()
    assert type(second) is _Counted
    assert (second.note, second.other) == (["mine"], "too")
    assert second.state is SessionState.NEW
    assert second._exchange is not first._exchange


def test_a_message_while_a_question_is_open_is_misuse_and_harms_nothing() -> None:
    server = toy_server()
    assert isinstance(server.begin(b"chris"), Pending)
    with pytest.raises(ContextMisuse, match="resume"):
        server.begin(b"again")
    assert server.state is SessionState.ANSWERING
    server.resume(Account(username="chris"))
    assert server.done


def test_an_answer_that_nobody_asked_for_is_misuse_and_harms_nothing() -> None:
    server = toy_server()
    with pytest.raises(ContextMisuse, match="no question"):
        server.resume(Account(username="chris"))
    assert isinstance(server.begin(b"chris"), Pending)


def test_a_session_stands_where_the_table_says() -> None:
    client, server = new_client(), new_server(success_data=False)
    assert client.state is server.state is SessionState.NEW
    response = client.step(server.step(None))
    assert client.state is server.state is SessionState.RUNNING
    assert isinstance(server.begin(response), Pending)
    assert server.state is SessionState.ANSWERING
    proof = server.resume(Account(username="chris", password="secret"))
    assert server.state is SessionState.LAST_EMPTY
    assert isinstance(proof, bytes)
    client.step(proof)
    server.step(b"")
    assert client.state is server.state is SessionState.DONE
    server.abort()
    assert server.state is SessionState.ENDED
    assert not server.done


def test_security_says_what_the_channel_around_gives() -> None:
    client, server = toy_client(external_ssf=256), toy_server(external_ssf=128)
    server.step(client.start())
    client.succeed()
    assert (client.security.ssf, client.security.external_ssf) == (0, 256)
    assert (server.security.ssf, server.security.external_ssf) == (0, 128)
