"""Whatever a client sends, the acceptor decides and raises nothing."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.http.browser import DigestClient, TokenClient, acceptor, offered, request
from saslsspi.adapters.http import HttpAcceptor

SITE: Final = acceptor("Digest", "NTLM", "Negotiate")
GOOD: Final = DigestClient().answer(offered(SITE.judge(request())))
FIRST: Final = TokenClient().step()


def judged(credentials: str, site: HttpAcceptor = SITE) -> int:
    algorithm = site.entity_algorithm(credentials)
    assert algorithm is None or isinstance(algorithm, str)
    return site.judge(request(credentials, connection="one")).status


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["", "Digest ", "digest\t", "NTLM ", "Negotiate ", "CredSSP "]), st.text(max_size=80))
def test_any_text_is_answered_with_a_challenge_or_as_a_bad_request(scheme: str, text: str) -> None:
    assert judged(scheme + text) in (400, 401)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([GOOD, FIRST, FIRST.replace("NTLM", "Negotiate")]), st.data())
def test_changed_credentials_raise_nothing(sent: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sent) - 1))
    status = judged(sent[:at] + data.draw(st.characters(codec="latin-1")) + sent[at + 1 :])
    assert status in (400, 401) or sent is GOOD  # what no hash covers may be written otherwise


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_changed_response_is_refused(data: st.DataObject) -> None:
    begin = GOOD.index('response="') + len('response="')
    at = data.draw(st.integers(begin, begin + 63))
    other = data.draw(st.sampled_from("0123456789abcdefg").filter(lambda digit: digit != GOOD[at]))
    assert judged(GOOD[:at] + other + GOOD[at + 1 :]) in (400, 401)
