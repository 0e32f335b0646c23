"""The framework of RFC 4422 as Client, Server and Layer keep it, shown with DIGEST-MD5 and with scripted mechanisms."""

from collections.abc import Callable

import pytest

from saslsspi import (
    Account,
    Client,
    MemoryAuthority,
    Password,
    Policy,
    SaslError,
    Server,
    errors,
)
from saslsspi.accounts.account import Question
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.policy import Property
from saslsspi.sasl.layer import Deframer, Layer
from saslsspi.sasl.mechanism import (
    ClientExchange,
    ClientParameters,
    First,
    Mechanism,
    ServerExchange,
    ServerParameters,
)

HOST = "mail.example.test"
ACCOUNTS = [
    Account(username="alice", password="wonderland", may_act_as=frozenset({"robot"})),
    Account(username="bob", password="builder"),
]


def client(user: str = "alice", password: str = "wonderland", authzid: str = "", **policy: int) -> Client:
    return Client(
        "DIGEST-MD5",
        service="imap",
        host=HOST,
        credentials=Password(user, password),
        authzid=authzid,
        policy=Policy(**policy),  # type: ignore[arg-type]
    )


def server(success_data: bool = True, **policy: int) -> Server:
    return Server(
        "DIGEST-MD5",
        service="imap",
        host=HOST,
        authority=MemoryAuthority(ACCOUNTS),
        realm="example.test",
        policy=Policy(**policy),  # type: ignore[arg-type]
        success_data=success_data,
    )


def run(c: Client, s: Server) -> None:
    """A carrier that carries data with success."""
    c.start()
    response = c.step(s.step(None) or b"")
    c.succeed(s.step(response))


class TestIdentities:
    @pytest.mark.requirement("RFC4422-2-01", "RFC4422-2-02")
    def test_authentication_and_authorization_identity_are_apart(self) -> None:
        c, s = client(authzid="robot"), server()
        run(c, s)
        assert (s.security.authcid, s.security.authzid) == ("alice", "robot")
        assert (c.security.authcid, c.security.authzid) == ("alice", "robot")

    @pytest.mark.requirement("RFC4422-2-02", "RFC4422-3.6-06")
    def test_right_password_and_forbidden_identity_fail(self) -> None:
        s = server()
        with pytest.raises(errors.NoImpersonation):
            run(client("bob", "builder", authzid="alice"), s)
        assert not s.done

    @pytest.mark.requirement("RFC4422-2-02", "RFC4422-3.6-03")
    def test_wrong_password_and_permitted_identity_fail(self) -> None:
        with pytest.raises(errors.LogonDenied):
            run(client(password="wrong", authzid="robot"), server())

    @pytest.mark.requirement("RFC4422-3.4.1-02", "RFC4422-3.4.1-03", "RFC4422-5-05")
    def test_an_absent_or_empty_identity_is_the_users_own(self) -> None:
        c, s = client(authzid=""), server()
        response = c.step(s.step(None) or b"")
        assert b"authzid" not in (response or b"")
        s.step(response)
        assert s.security.authzid == ""

    @pytest.mark.requirement("RFC4422-3.4.1-01")
    def test_nul_in_an_identity_is_refused_on_both_sides(self) -> None:
        with pytest.raises(errors.InvalidParameter):
            client(authzid="ro\0bot")
        c, s = client(authzid="robot"), server()
        c.start()
        response = c.step(s.step(None) or b"") or b""
        with pytest.raises(SaslError):
            s.step(response.replace(b'authzid="robot"', b'authzid="ro\\\0bot"'))

    @pytest.mark.requirement("RFC4422-5-06", "RFC4422-5-07", "RFC4422-6.4-01")
    @pytest.mark.parametrize("identity", ["a,b=c", 'quote"back\\slash', "🤖 rôbot", "dn:cn=x,dc=y"])
    def test_any_identity_arrives_intact(self, identity: str) -> None:
        account = Account(username="alice", password="wonderland", may_act_as=frozenset({identity}))
        s = Server("DIGEST-MD5", service="imap", host=HOST, authority=MemoryAuthority([account]))
        run(client(authzid=identity), s)
        assert s.security.authzid == identity

    @pytest.mark.requirement("RFC4422-6.4-01")
    def test_an_identity_that_is_not_utf8_is_refused(self) -> None:
        c, s = client(authzid="robot"), server()
        response = c.step(s.step(None) or b"") or b""
        with pytest.raises(SaslError):
            s.step(response.replace(b'authzid="robot"', b'authzid="rob\xff"'))

    @pytest.mark.requirement("RFC4422-5-08")
    @pytest.mark.parametrize(
        ("found", "put"), [(b'authzid="robot"', b'authzid="alice"'), (b"qop=auth-int", b"qop=auth")]
    )
    def test_a_changed_identity_or_layer_fails_the_exchange(self, found: bytes, put: bytes) -> None:
        c, s = client(authzid="robot", max_ssf=1), server()
        response = c.step(s.step(None) or b"") or b""
        assert found in response
        with pytest.raises(errors.LogonDenied):
            s.step(response.replace(found, put))

    @pytest.mark.requirement("RFC4422-5-09")
    def test_stored_hashes_do_not_depend_on_the_identity(self) -> None:
        ha1 = bytes.fromhex(
            "eb5a750053e4d2c34aa84bbc9b0b6ee7"
        )  # H(chris:elwood.innosoft.com:secret), RFC 2831 section 4
        account = Account(username="chris", realm="elwood.innosoft.com", ha1=ha1, may_act_as=frozenset({"robot"}))
        for authzid in ("", "robot"):
            s = Server(
                "DIGEST-MD5",
                service="imap",
                host=HOST,
                authority=MemoryAuthority([account]),
                realm="elwood.innosoft.com",
            )
            run(client("chris", "secret", authzid=authzid), s)
            assert s.done


class TestExchange:
    @pytest.mark.requirement("RFC4422-5-03")
    @pytest.mark.requirement("RFC4422-3-01", "RFC4422-3.4-01", "RFC4422-3.4-02", "RFC4422-3.6-01", "RFC4422-5-02")
    def test_request_challenges_and_outcome_in_their_order(self) -> None:
        c, s = client(), server()
        assert c.start() is None
        challenge = s.step(None)
        response = c.step(challenge or b"")
        assert not s.done
        data = s.step(response)
        assert s.done
        assert not c.done
        c.succeed(data)
        assert c.done

    @pytest.mark.requirement("RFC4422-3-05", "RFC4422-3-07", "RFC4422-3.6-09")
    def test_data_go_with_success_where_the_carrier_takes_them(self) -> None:
        c, s = client(), server()
        data = s.step(c.step(s.step(None) or b""))
        assert s.done
        assert (data or b"").startswith(b"rspauth=")
        c.succeed(data)

    @pytest.mark.requirement("RFC4422-3-06", "RFC4422-3-07", "RFC4422-5-04")
    def test_data_go_as_one_more_challenge_where_it_does_not(self) -> None:
        c, s = client(), server(success_data=False)
        data = s.step(c.step(s.step(None) or b"")) or b""
        assert not s.done
        assert c.step(data) is None  # no message: a carrier sends an empty response
        assert s.step(b"") is None
        assert s.done
        c.succeed()
        assert c.done

    @pytest.mark.requirement("RFC4422-5-04")
    @pytest.mark.parametrize("answer", [b"x", None])
    def test_anything_but_an_empty_response_to_that_challenge_fails(self, answer: bytes | None) -> None:
        c, s = client(), server(success_data=False)
        s.step(c.step(s.step(None) or b""))
        with pytest.raises(errors.InvalidToken):
            s.step(answer)
        assert not s.done

    @pytest.mark.requirement("RFC4422-3.4-03")
    def test_a_message_after_completion_is_an_error_on_both_sides(self) -> None:
        c, s = client(), server()
        run(c, s)
        with pytest.raises(errors.InvalidToken):
            c.step(b"rspauth=" + b"0" * 32)
        with pytest.raises(errors.InvalidToken):
            s.step(b"more")
        assert not c.done
        assert s.layer is None

    @pytest.mark.requirement("RFC4422-3.5-01", "RFC4422-3.5-02")
    def test_either_side_may_abort_and_takes_nothing_afterwards(self) -> None:
        c, s = client(), server()
        challenge = s.step(None) or b""
        c.abort()
        s.abort()
        with pytest.raises(errors.ContextMisuse):
            c.step(challenge)
        with pytest.raises(errors.ContextMisuse):
            s.step(b"x")
        assert not c.done
        assert c.layer is None

    @pytest.mark.requirement("RFC4422-3.6-02")
    def test_a_malformed_response_is_failure(self) -> None:
        s = server()
        s.step(None)
        with pytest.raises(errors.InvalidToken):
            s.step(b"nonsense")
        assert not s.done

    @pytest.mark.requirement("RFC4422-3.6-13")
    def test_unknown_user_and_wrong_password_are_told_alike(self) -> None:
        texts = []
        for user in ("alice", "nobody"):
            with pytest.raises(errors.LogonDenied) as caught:
                run(client(user, "wrong"), server())
            texts.append((str(caught.value), caught.value.token, caught.value.requirement))
        assert texts[0] == texts[1]

    @pytest.mark.requirement("RFC4422-3.6-12", "RFC4422-3.6-08")
    def test_a_fault_of_the_authority_is_not_told_as_a_wrong_password(self) -> None:
        class Down:
            def lookup(self, question: Question) -> Account | None:
                raise TimeoutError

        s = Server("DIGEST-MD5", service="imap", host=HOST, authority=Down())
        with pytest.raises(errors.NoAuthenticatingAuthority):
            run(client(), s)

    @pytest.mark.requirement("RFC4422-3.6-07", "RFC4422-6.1.2-01", "RFC4422-6.1.2-02")
    def test_a_side_that_cannot_reach_its_minimum_does_not_go_on(self) -> None:
        s = server(min_ssf=2)
        challenge = s.step(None) or b""
        assert b'qop="auth-conf"' in challenge
        with pytest.raises(errors.QopNotSupported):
            client(max_ssf=0).step(challenge)
        weak = server(max_ssf=0)
        with pytest.raises(errors.QopNotSupported):
            client(min_ssf=1).step(weak.step(None) or b"")


class Lying(ClientExchange, ServerExchange):
    """A mechanism that is done at once, with whatever outcome it is told."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    def step(self, message: bytes | None) -> bytes | None:
        return None


def lying(outcome: Outcome) -> Mechanism:
    def make(parameters: ClientParameters | ServerParameters) -> Lying:
        return Lying(outcome)

    return Mechanism(
        name="LYING", first=First.CLIENT, properties=Property.NO_PLAINTEXT, max_ssf=256, client=make, server=make
    )


class TestPolicy:
    @pytest.mark.requirement("RFC4422-6.1.2-03", "RFC4422-3.6-07")
    def test_the_outcome_is_compared_with_the_minimum_on_both_sides(self) -> None:
        weak = lying(Outcome(ssf=1))
        policy = Policy(min_ssf=56)
        sides: list[Callable[[], Client | Server]] = [
            lambda: Client(weak, service="imap", host=HOST, policy=policy),
            lambda: Server(weak, service="imap", host=HOST, policy=policy),
        ]
        for make in sides:
            side = make()
            with pytest.raises(errors.DowngradeDetected):
                side.step(b"")
            assert not side.done

    def test_more_than_the_carrier_can_take_is_refused(self) -> None:
        strong = Client(lying(Outcome(ssf=128)), service="imap", host=HOST, policy=Policy(max_ssf=0))
        with pytest.raises(errors.QopNotSupported):
            strong.step(b"")

    def test_success_before_the_mechanism_is_complete_is_not_believed(self) -> None:
        c, s = client(), server()
        c.step(s.step(None) or b"")
        with pytest.raises(errors.MutualAuthFailed):
            c.succeed()
        with pytest.raises(errors.ContextMisuse):
            c.step(b"x")


class TestNames:
    @pytest.mark.requirement("RFC4422-3.1-01")
    @pytest.mark.parametrize("name", ["", "A" * 21, "digest-md5", "A B", "Ä", "A.B"])
    def test_a_name_outside_the_grammar_is_refused(self, name: str) -> None:
        with pytest.raises(errors.InvalidParameter):
            Mechanism(name=name, first=First.CLIENT, properties=Property.NONE)

    @pytest.mark.requirement("RFC4422-3.1-02")
    @pytest.mark.parametrize("name", ["", "NO-SUCH-MECHANISM", "X" * 21, "\r\nQUIT"])
    def test_an_unknown_name_is_refused_cleanly(self, name: str) -> None:
        with pytest.raises(errors.PackageNotFound):
            Server(name, service="imap", host=HOST)


class TestLayer:
    @pytest.mark.requirement("RFC4422-3-08", "RFC4422-3.7-01", "RFC4422-3.7-02")
    def test_the_layer_comes_with_success_and_not_before(self) -> None:
        c, s = client(min_ssf=1), server(min_ssf=1)
        assert c.layer is None
        response = c.step(s.step(None) or b"")
        assert s.layer is None
        s.step(response)
        assert s.layer is not None
        assert c.layer is None
        wrong = client(min_ssf=1)
        other = server(min_ssf=1)
        other.step(wrong.step(other.step(None) or b""))
        with pytest.raises(errors.LogonDenied):
            wrong.succeed(b"rspauth=" + b"0" * 32)
        assert wrong.layer is None

    def pair(self, **policy: int) -> tuple[Layer, Layer]:
        c, s = client(**policy), server(**policy)
        run(c, s)
        assert c.layer is not None
        assert s.layer is not None
        return c.layer, s.layer

    @pytest.mark.requirement("RFC4422-3.7-05", "RFC4422-3.7-06", "RFC4422-6.1.1-01")
    def test_a_layer_that_failed_is_dead_in_both_directions(self) -> None:
        ours, theirs = self.pair(min_ssf=1)
        wire = bytearray(ours.wrap(b"message"))
        wire[6] ^= 1
        with pytest.raises(errors.MessageAltered):
            theirs.unwrap(wire)
        with pytest.raises(errors.ContextMisuse):
            theirs.wrap(b"answer")
        with pytest.raises(errors.ContextMisuse):
            theirs.unwrap(ours.wrap(b"next"))

    @pytest.mark.requirement("RFC4422-3.7-08")
    def test_each_buffer_has_its_length_before_it(self) -> None:
        ours, _ = self.pair(min_ssf=1, max_ssf=1)
        wire = ours.wrap(b"message")
        assert int.from_bytes(wire[:4]) == len(wire) - 4

    @pytest.mark.requirement("RFC4422-3.7-09", "RFC4422-3.7-11")
    def test_no_buffer_is_larger_than_the_peer_takes(self) -> None:
        ours, theirs = self.pair(min_ssf=1, max_buffer=100)
        wire, at = ours.wrap(bytes(1000)), 0
        while at < len(wire):
            size = int.from_bytes(wire[at : at + 4])
            assert size <= 100
            at += 4 + size
        assert theirs.unwrap(wire) == bytes(1000)

    @pytest.mark.requirement("RFC4422-3.7-10", "RFC4422-6.1.5-01", "RFC4422-6.1.5-02", "RFC4422-6.1.5-03")
    @pytest.mark.parametrize("size", [65537, 0x7FFFFFFF, 0xFFFFFFF0, 0xFFFFFFFC, 0xFFFFFFFF])
    def test_a_length_above_the_maximum_ends_the_layer_before_anything_is_kept(self, size: int) -> None:
        _, theirs = self.pair(min_ssf=1)
        with pytest.raises(errors.InvalidToken):
            theirs.feed(size.to_bytes(4))
        with pytest.raises(errors.ContextMisuse):
            theirs.wrap(b"x")
        deframer = Deframer(65536)
        with pytest.raises(errors.InvalidToken):
            deframer.feed(size.to_bytes(4) + bytes(1000))
        assert deframer.empty

    @pytest.mark.requirement("RFC4422-3.7-12")
    def test_buffers_may_be_split_and_joined_anywhere(self) -> None:
        ours, theirs = self.pair(min_ssf=1)
        messages = [b"one", b"", b"three" * 100]
        wire = b"".join(ours.wrap(message) for message in messages)
        assert theirs.feed(wire) == messages
        wire = b"".join(ours.wrap(message) for message in messages)
        received = []
        for octet in wire:
            received += theirs.feed(bytes([octet]))
        assert received == messages

    @pytest.mark.requirement("RFC4422-3.7-13")
    def test_a_buffer_of_no_octets_is_an_error_not_a_loop(self) -> None:
        _, theirs = self.pair(min_ssf=1)
        with pytest.raises(errors.MessageAltered):
            theirs.unwrap(bytes(4))

    @pytest.mark.requirement("RFC4422-6.1.4-01")
    def test_a_stream_that_ends_inside_a_buffer_can_be_told_from_one_that_ended(self) -> None:
        ours, theirs = self.pair(min_ssf=1)
        wire = ours.wrap(b"message")
        theirs.feed(wire[:-1])
        assert not theirs.at_boundary
        theirs.feed(wire[-1:])
        assert theirs.at_boundary

    @pytest.mark.requirement("RFC4422-3.7-04")
    def test_a_layer_stays_for_the_whole_session(self) -> None:
        ours, theirs = self.pair(min_ssf=2)
        for number in range(300):
            message = b"message number %d" % number
            wire = ours.wrap(message)
            assert message not in wire
            assert theirs.unwrap(wire) == message
