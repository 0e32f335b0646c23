"""The judgements of the probe: from what a server said to findings, without a server."""

import pytest

from saslsspi.packages.digest.sasl.messages import DigestChallenge
from saslsspi_conformance.probe.digest_parameters import judge_challenge, judge_nonces
from saslsspi_conformance.probe.findings import Finding, Severity, worst
from saslsspi_conformance.probe.policy import ProbePolicy
from saslsspi_conformance.probe.strengths import judge_mechanism

NONCE = b"OA6MG9tEQGm2hh-OA6MG9tEQ"


def levels(challenge: DigestChallenge) -> dict[str, Severity]:
    return {finding.id: finding.level for finding in judge_challenge(challenge)}


@pytest.mark.parametrize(
    ("qop", "name", "level"),
    [
        ((b"auth",), "no-layer", Severity.WARN),
        ((b"auth", b"auth-int"), "layer-optional", Severity.INFO),
        ((b"auth-int",), "layer-required", Severity.GOOD),
    ],
)
def test_the_layers_on_offer_are_judged(qop: tuple[bytes, ...], name: str, level: Severity) -> None:
    assert levels(DigestChallenge(NONCE, qop=qop)) == {name: level}


@pytest.mark.parametrize("cipher", [b"rc4-40", b"rc4-56", b"des"])
def test_one_breakable_cipher_among_better_ones_fails(cipher: bytes) -> None:
    found = judge_challenge(DigestChallenge(NONCE, qop=(b"auth-conf",), ciphers=(b"rc4", b"3des", cipher)))
    assert Finding(Severity.FAIL, "weak-cipher", f"breakable ciphers are offered: {cipher.decode()}") in found


def test_the_better_ciphers_are_outdated_and_no_failure() -> None:
    found = levels(DigestChallenge(NONCE, qop=(b"auth-conf",), ciphers=(b"rc4", b"3des")))
    assert found["old-cipher"] is Severity.WARN
    assert "weak-cipher" not in found


def test_ciphers_without_confidentiality_are_not_judged() -> None:
    assert "weak-cipher" not in levels(DigestChallenge(NONCE, qop=(b"auth", b"auth-int"), ciphers=(b"des",)))


@pytest.mark.parametrize(("octets", "found"), [(15, True), (16, False)])
def test_a_nonce_is_short_below_sixteen_octets(octets: int, found: bool) -> None:
    assert ("short-nonce" in levels(DigestChallenge(b"n" * octets))) is found


@pytest.mark.parametrize(
    ("parameters", "name", "level"),
    [
        ({"maxbuf": 1023}, "small-maxbuf", Severity.INFO),
        ({"utf8": False}, "no-utf8", Severity.INFO),
        ({"tolerances": 1}, "grammar", Severity.WARN),
    ],
)
def test_the_other_parameters_are_judged(parameters: dict[str, int], name: str, level: Severity) -> None:
    assert name not in levels(DigestChallenge(NONCE))
    assert levels(DigestChallenge(NONCE)._replace(**parameters))[name] is level


def test_a_nonce_that_comes_twice_fails() -> None:
    assert [finding.id for finding in judge_nonces([b"a", b"b", b"a"])] == ["nonce-repeats"]
    assert worst(judge_nonces([b"a", b"b", b"a"])) is Severity.FAIL
    assert [finding.id for finding in judge_nonces([b"a", b"b", b"c"])] == ["nonce-fresh"]


@pytest.mark.parametrize(
    ("name", "clear", "inside"),
    [
        ("PLAIN", Severity.FAIL, Severity.INFO),
        ("LOGIN", Severity.FAIL, Severity.INFO),
        ("CRAM-MD5", Severity.FAIL, Severity.WARN),
        ("DIGEST-MD5", Severity.WARN, Severity.WARN),
        ("ANONYMOUS", Severity.WARN, Severity.WARN),
        ("SCRAM-SHA-1", Severity.INFO, Severity.INFO),
        ("SCRAM-SHA-256", Severity.INFO, Severity.GOOD),
        ("SCRAM-SHA-256-PLUS", Severity.GOOD, Severity.GOOD),
        ("X-NEW", Severity.INFO, Severity.INFO),
    ],
)
def test_a_mechanism_is_judged_by_where_it_is_offered(name: str, clear: Severity, inside: Severity) -> None:
    assert judge_mechanism(name, encrypted=False).level is clear
    assert judge_mechanism(name, encrypted=True).level is inside
    assert judge_mechanism(name, encrypted=True).text.startswith(f"{name}: ")


def test_nothing_found_is_good_and_the_worst_counts() -> None:
    assert worst([]) is Severity.GOOD
    found = [Finding(level, "any", "") for level in (Severity.WARN, Severity.GOOD, Severity.FAIL, Severity.INFO)]
    assert worst(found) is Severity.FAIL


def test_a_policy_is_broken_only_by_what_it_names() -> None:
    policy = ProbePolicy.from_toml(
        '[mechanisms]\nrequired = ["scram-sha-256"]\nforbidden = ["NTLM"]\nforbidden_without_tls = ["PLAIN"]\n'
        "[tls]\nrequired = true\n"
    )
    assert policy.violations((), ("PLAIN", "SCRAM-SHA-256")) == []
    assert len(policy.violations(("PLAIN", "NTLM"), None)) == 4
    assert ProbePolicy().violations(("PLAIN", "NTLM"), None) == []
