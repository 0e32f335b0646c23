from __future__ import annotations

from types import EllipsisType

import pytest

from saslsspi import (
    Anonymous,
    ChannelBindingPolicy,
    ChannelBindings,
    Mechanism,
    Password,
    Policy,
    Property,
    choose,
    offer,
)
from saslsspi.engine.exchange import Outcome
from saslsspi.engine.security import check_outcome
from saslsspi.errors import BadBindings, DowngradeDetected, PackageNotFound, QopNotSupported, SecurityQosFailed
from saslsspi.sasl.acceptance import check_permitted, objection
from saslsspi.sasl.mechanism import Binding, First
from saslsspi.sasl.registry import MECHANISMS, find_mechanism

BINDINGS = ChannelBindings.tls_unique(b"finished-msg")
ALICE = Password("alice", "wonderland")
EVERYTHING = [
    "PLAIN", "EXTERNAL", "ANONYMOUS", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-512",
]  # fmt: skip
REQUIRE = Policy(channel_binding=ChannelBindingPolicy.REQUIRE)


def chosen(offered: list[str], policy: Policy | None = None, *preferred: str, **options: object) -> str:
    return choose(offered, policy or Policy(), preferred, **options).mechanism.name  # type: ignore[arg-type]


@pytest.mark.requirement("RFC4422-3.2-01")
@pytest.mark.parametrize(
    ("offered", "bindings", "expected"),
    [
        (EVERYTHING, None, "SCRAM-SHA-512"),
        (EVERYTHING, BINDINGS, "SCRAM-SHA-256-PLUS"),
        (["SCRAM-SHA-512", "SCRAM-SHA-1-PLUS"], BINDINGS, "SCRAM-SHA-1-PLUS"),
        (["DIGEST-MD5", "SCRAM-SHA-1"], None, "SCRAM-SHA-1"),
        (["PLAIN", "DIGEST-MD5"], None, "DIGEST-MD5"),
        (["plain", "digest-md5"], None, "DIGEST-MD5"),
        (["PLAIN"], None, "PLAIN"),
    ],
)
def test_the_strongest_is_chosen(offered: list[str], bindings: ChannelBindings | None, expected: str) -> None:
    assert chosen(offered, external_ssf=256, bindings=bindings) == expected


def test_the_order_of_the_list_does_not_matter() -> None:
    assert chosen(EVERYTHING) == chosen(EVERYTHING[::-1])


@pytest.mark.requirement("RFC4616-2-12")
@pytest.mark.parametrize(
    ("policy", "external_ssf", "permitted"),
    [
        (Policy(), 0, False),
        (Policy(), 1, False),
        (Policy(), 128, True),
        (Policy(allow_plaintext=True), 0, True),
        (Policy(properties=Property.NO_PLAINTEXT), 128, False),
        (Policy(properties=Property.NO_PLAINTEXT, allow_plaintext=True), 128, False),
    ],
)
def test_plain_needs_protection_or_leave(policy: Policy, external_ssf: int, permitted: bool) -> None:
    if permitted:
        assert chosen(["PLAIN"], policy, external_ssf=external_ssf) == "PLAIN"
        check_permitted(find_mechanism("PLAIN"), policy, external_ssf=external_ssf)
        assert offer(policy, ["PLAIN"], external_ssf=external_ssf).names == ("PLAIN",)
        return
    with pytest.raises(PackageNotFound, match="PLAIN: it"):
        choose(["PLAIN"], policy, external_ssf=external_ssf)
    with pytest.raises(SecurityQosFailed):
        check_permitted(find_mechanism("PLAIN"), policy, external_ssf=external_ssf)
    assert "PLAIN" in offer(policy, ["PLAIN"], external_ssf=external_ssf).reasons


def test_a_layer_that_the_policy_demands_goes_before_a_better_hash() -> None:
    assert chosen(EVERYTHING, Policy(min_ssf=1)) == "DIGEST-MD5"
    with pytest.raises(PackageNotFound, match="SCRAM-SHA-256: its strongest layer is SSF 0, and 1 is required"):
        choose(["SCRAM-SHA-256"], Policy(min_ssf=1))


def test_every_offered_name_that_is_not_taken_has_its_reason() -> None:
    choice = choose([*EVERYTHING, "KERBEROS_V4", "Scram-Sha-1"], Policy())
    assert {name.upper() for name in choice.reasons} == {*EVERYTHING, "KERBEROS_V4"} - {choice.mechanism.name}
    assert choice.reasons["KERBEROS_V4"] == "it is not installed"
    assert "allow_plaintext" in choice.reasons["PLAIN"]
    assert choice.reasons["SCRAM-SHA-256-PLUS"] == "it needs channel bindings, and there are none"
    assert choice.reasons["SCRAM-SHA-256"] == "SCRAM-SHA-512 is preferred: its hash is stronger"
    assert choice.reasons["EXTERNAL"] == "it takes no credentials, and there is Password"


@pytest.mark.parametrize(
    ("better", "worse", "why"),
    [
        ("SCRAM-SHA-1-PLUS", "SCRAM-SHA-512", "it is bound to the channel"),
        ("SCRAM-SHA-256", "PLAIN", "it does not send the password"),
        ("SCRAM-SHA-256", "SCRAM-SHA-1", "its hash is stronger"),
    ],
)
def test_a_preference_says_what_decided(better: str, worse: str, why: str) -> None:
    choice = choose([worse, better], Policy(), external_ssf=128, bindings=BINDINGS)
    assert choice.reasons == {worse: f"{better} is preferred: {why}"}


def test_the_preferred_go_in_their_order_and_nothing_else_is_considered() -> None:
    assert chosen(EVERYTHING, None, "SCRAM-SHA-1", "SCRAM-SHA-512") == "SCRAM-SHA-1"
    choice = choose(
        ["SCRAM-SHA-256", "SCRAM-SHA-512", "DIGEST-MD5"], Policy(), ("GSSAPI", "DIGEST-MD5", "scram-sha-256")
    )
    assert choice.mechanism.name == "DIGEST-MD5"
    assert choice.reasons == {
        "GSSAPI": "the server does not offer it",
        "SCRAM-SHA-512": "it was not asked for",
        "SCRAM-SHA-256": "DIGEST-MD5 is preferred: it was asked for first",
    }


def test_a_preferred_mechanism_must_still_be_permitted() -> None:
    with pytest.raises(PackageNotFound, match="PLAIN: it sends the password in clear"):
        choose(EVERYTHING, Policy(), ("PLAIN",))


def test_an_empty_list_is_said_to_be_empty() -> None:
    with pytest.raises(PackageNotFound, match="the server offers none"):
        choose([], Policy())


@pytest.mark.requirement("RFC5802-6-05", "RFC5802-6-07")
def test_bindings_decide_about_plus() -> None:
    both = ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"]
    assert chosen(both) == "SCRAM-SHA-256"
    assert chosen(both, bindings=BINDINGS) == "SCRAM-SHA-256-PLUS"
    assert chosen(both, None, "SCRAM-SHA-256", bindings=BINDINGS) == "SCRAM-SHA-256-PLUS"
    assert chosen(both, REQUIRE, bindings=BINDINGS) == "SCRAM-SHA-256-PLUS"
    never = Policy(channel_binding=ChannelBindingPolicy.NONE)
    assert chosen(both, never, bindings=BINDINGS) == "SCRAM-SHA-256"
    for name in ("SCRAM-SHA-256", "DIGEST-MD5"):
        with pytest.raises(PackageNotFound, match="it carries no channel bindings"):
            choose([name], REQUIRE, bindings=BINDINGS)


@pytest.mark.parametrize(
    ("offered", "credentials", "preferred", "expected"),
    [
        (EVERYTHING, ALICE, (), "SCRAM-SHA-512"),
        (EVERYTHING, ..., (), "SCRAM-SHA-512"),
        (EVERYTHING, None, (), "EXTERNAL"),
        (EVERYTHING, Anonymous(), (), "ANONYMOUS"),
        (EVERYTHING, ..., ("EXTERNAL",), "EXTERNAL"),
        (EVERYTHING, None, ("ANONYMOUS",), "ANONYMOUS"),
        (EVERYTHING, ..., ("ANONYMOUS",), "ANONYMOUS"),
        (["ANONYMOUS"], None, (), None),
        (["ANONYMOUS"], ..., (), None),
        (["ANONYMOUS"], ALICE, ("ANONYMOUS",), None),
        (["EXTERNAL"], ..., (), None),
        (["EXTERNAL"], ALICE, ("EXTERNAL",), None),
        (["PLAIN", "SCRAM-SHA-1"], None, (), None),
    ],
)
def test_a_mechanism_goes_with_the_credentials(
    offered: list[str],
    credentials: Password | Anonymous | EllipsisType | None,
    preferred: tuple[str, ...],
    expected: str | None,
) -> None:
    if expected is None:
        with pytest.raises(PackageNotFound):
            choose(offered, Policy(), preferred, credentials=credentials)
    else:
        assert chosen(offered, None, *preferred, credentials=credentials) == expected


def test_what_is_offered_is_what_would_be_accepted_the_strongest_first() -> None:
    offered = offer(Policy(), external_ssf=256, bindings=BINDINGS)
    names = [plugin.name for plugin in MECHANISMS.plugins() if plugin.value is not None]
    assert {*offered.names, *offered.reasons} == set(names)
    assert offered.names.index("SCRAM-SHA-1-PLUS") < offered.names.index("SCRAM-SHA-512")
    assert offered.names.index("DIGEST-MD5") < offered.names.index("PLAIN")
    assert offer(Policy(), ["scram-sha-1", "NONESUCH"]) == (("SCRAM-SHA-1",), {"NONESUCH": "it is not installed"})


@pytest.fixture
def one_sided(monkeypatch: pytest.MonkeyPatch) -> None:
    lonely = Mechanism(name="LONELY", first=First.CLIENT, properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS)
    monkeypatch.setattr(MECHANISMS, "find", lambda name: lonely)


@pytest.mark.usefixtures("one_sided")
def test_a_mechanism_without_a_server_side_is_not_offered() -> None:
    assert offer(Policy(), ["LONELY"]).reasons == {"LONELY": "it has no server side"}


def test_a_foreign_mechanism_that_says_nothing_of_bindings_or_credentials_is_not_held_back() -> None:
    foreign = Mechanism(name="X-FOREIGN", first=First.CLIENT, properties=Property.NO_PLAINTEXT | Property.NO_ANONYMOUS)
    assert foreign.binding is Binding.OPTIONAL
    assert objection(foreign, REQUIRE, bindings=BINDINGS) is None


@pytest.mark.parametrize(
    ("policy", "outcome", "error"),
    [
        (Policy(min_ssf=1), Outcome(ssf=0), DowngradeDetected),
        (Policy(max_ssf=1), Outcome(ssf=128), QopNotSupported),
        (REQUIRE, Outcome(), BadBindings),
    ],
)
def test_the_outcome_is_checked_too(policy: Policy, outcome: Outcome, error: type[Exception]) -> None:
    with pytest.raises(error):
        check_outcome("DIGEST-MD5", outcome, policy)
    check_outcome("DIGEST-MD5", outcome._replace(ssf=1, channel_binding="tls-unique"), policy)


def test_a_mechanism_that_is_named_and_not_listed_can_be_forced() -> None:
    with pytest.raises(PackageNotFound, match="the server does not offer it"):
        chosen([], None, "DIGEST-MD5")
    assert chosen([], None, "DIGEST-MD5", force=True) == "DIGEST-MD5"
    assert chosen(["X-EXPS"], None, "scram-sha-256", "DIGEST-MD5", force=True) == "SCRAM-SHA-256"
    # What is listed goes before what is not.
    assert chosen(["DIGEST-MD5"], None, "SCRAM-SHA-256", "DIGEST-MD5", force=True) == "DIGEST-MD5"
    # What is implied is not forced: nobody has named the one with -PLUS.
    assert chosen([], None, "SCRAM-SHA-256", force=True, bindings=BINDINGS) == "SCRAM-SHA-256"
    # Nor is what the policy forbids, or what was not named.
    with pytest.raises(PackageNotFound, match="in clear"):
        chosen([], None, "PLAIN", force=True)
    with pytest.raises(PackageNotFound, match="offers none"):
        chosen([], None, force=True)
