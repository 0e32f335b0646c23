import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi.adapters.http.challenges import challenges
from saslsspi.errors import InvalidToken


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["Negotiate"], [("negotiate", "")]),
        (["Negotiate YII==", "NTLM"], [("negotiate", "YII=="), ("ntlm", "")]),
        (["Negotiate, NTLM, Basic realm=x"], [("negotiate", ""), ("ntlm", ""), ("basic", "realm=x")]),
        (['Digest realm="a, b", nonce="n" , qop="auth,x"'], [("digest", 'realm="a, b", nonce="n", qop="auth,x"')]),
        (['Digest realm="a \\" , D x", nonce=n, NTLM'], [("digest", 'realm="a \\" , D x", nonce=n'), ("ntlm", "")]),
        (["Digest realm = x, nonce = y, Negotiate oYG2"], [("digest", "realm = x, nonce = y"), ("negotiate", "oYG2")]),
        (["", " , ,"], []),
        (["NTLM TlRMTVNTUAACAAAA="], [("ntlm", "TlRMTVNTUAACAAAA=")]),
    ],
)  # fmt: skip
def test_challenges_are_told_apart(fields: list[str], expected: list[tuple[str, str]]) -> None:
    assert challenges(fields) == expected


@pytest.mark.parametrize(
    "field", ["=x", "realm=x, Digest nonce=y", "x" * 300_000, ",".join(f"S{n}" for n in range(100))]
)
def test_what_is_no_list_of_challenges_is_refused(field: str) -> None:
    with pytest.raises(InvalidToken):
        challenges([field])


@given(st.lists(st.text(max_size=60), max_size=4))
def test_no_field_raises_anything_else(fields: list[str]) -> None:
    try:
        for challenge in challenges(fields):
            assert challenge.scheme == challenge.scheme.lower() != ""
    except InvalidToken:
        pass
