"""What the clients send, to whom, and what of an answer they read."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import httpx
import pytest

from adapters.http.browser import PASSWORD, USER, acceptor, request
from adapters.http.clients import EACH, MD5, Browser, Pieces, Reply, Sent, digest_site, of_acceptor
from packages.credssp.ours import FREELY, NTLM_ONLY, PEOPLE
from saslsspi import CredSspPolicy, Password, Policy
from saslsspi.adapters.http import HttpAcceptor, HttpIdentity, HttpLogon, Inbound
from saslsspi.adapters.httpx import HttpxAuth
from saslsspi.errors import ContextMisuse, InvalidToken, LogonDenied, MutualAuthFailed, SaslError
from saslsspi.sspi import Environment

ALICE = Password(USER, PASSWORD)
AT = "http://tea.example/"


def challenged(*values: str) -> Reply:
    return Reply(401, [("WWW-Authenticate", value) for value in values], b"")


def uri_of(credentials: str) -> str:
    found = re.search(r'uri="([^"]*)"', credentials)
    return found[1] if found else ""


def logon(identity: HttpIdentity, target: str = "/tea") -> HttpLogon:
    return HttpLogon(identity, "GET", f"http://tea.example{target}", target)


@EACH
@pytest.mark.parametrize("status", [302, 303, 307, 308])
def test_a_redirect_inside_the_origin_gets_credentials_of_its_own(library: str, status: int) -> None:
    def moved(sent: Sent) -> Reply:
        return Reply(status, [("Location", "/b?x")]) if sent.target == "/a" else Reply()

    browser = Browser(library, of_acceptor(digest_site(), moved), ALICE)
    assert [browser.send(AT + "a") for _ in range(3)] == [200] * 3
    assert [uri_of(sent.credentials) for sent in browser.seen if sent.credentials] == [
        sent.target for sent in browser.seen if sent.credentials
    ]


@pytest.mark.requirement("RFC2617-3.3-02")
@EACH
def test_a_further_request_brings_its_credentials_unasked(library: str) -> None:
    browser = Browser(library, of_acceptor(digest_site()), ALICE)
    assert [browser.send(AT + "a"), browser.send(AT + "b")] == [200] * 2
    assert [(sent.target, uri_of(sent.credentials)) for sent in browser.seen] == [
        ("/a", ""),
        ("/a", "/a"),
        ("/b", "/b"),
    ]


@EACH
def test_http_that_leads_to_https_takes_no_credentials_along(library: str) -> None:
    def serve(sent: Sent) -> Reply:
        if sent.url.startswith("https:"):
            return Reply()
        return Reply(302, [("Location", "https://tea.example/")]) if sent.credentials else challenged(MD5)

    browser = Browser(library, serve, ALICE)
    assert [browser.send(AT), browser.send(AT)] == [200, 200]
    assert [sent.credentials for sent in browser.seen if sent.url.startswith("https:")] == ["", ""]
    assert browser.credentials.count("") < len(browser.seen)


@EACH
@pytest.mark.parametrize("other", ["http://bank.example/", "http://tea.example:81/", "https://tea.example/"])
def test_a_domain_sends_nothing_to_another_origin_unless_the_user_says_so(library: str, other: str) -> None:
    def serve(sent: Sent) -> Reply:
        return Reply() if sent.credentials or not sent.url.startswith(AT) else challenged(f'{MD5}, domain="/ {other}"')

    for origins, sends in [((), False), ((other,), True)]:
        browser = Browser(library, serve, ALICE, origins=origins)
        assert [browser.send(AT), browser.send(other), browser.send(AT)] == [200] * 3
        assert bool(browser.credentials[2]) is sends
        assert browser.credentials[3]


@EACH
def test_a_body_goes_out_whole_after_the_401_or_not_at_all(library: str) -> None:
    browser = Browser(library, of_acceptor(digest_site()), ALICE)
    pieces = (b"x" for _ in range(3))
    if library == "requests":
        with pytest.raises(ContextMisuse, match="sent again"):
            browser.send(AT, "PUT", pieces)
        assert len(browser.seen) == 1
    else:
        assert browser.send(AT, "PUT", pieces) == 200
        assert [sent.body for sent in browser.seen] == [b"xxx", b"xxx"]


@EACH
def test_names_beyond_ascii_go_out_as_they_are_hashed(library: str) -> None:
    def serve(sent: Sent) -> Reply:
        return Reply() if sent.credentials else challenged('Digest realm="gr\xc3\xb6\xc3\x9fe", nonce="n", qop="auth"')

    browser = Browser(library, serve, Password("jörg", "größe"))
    assert browser.send(AT) == 200
    wire = browser.seen[1].fields["authorization"]
    assert b'username="j\xf6rg"' in wire
    assert 'realm="größe"'.encode() in wire


@EACH
def test_a_cookie_of_the_401_is_sent_back(library: str) -> None:
    def serve(sent: Sent) -> Reply:
        if sent.credentials:
            return Reply()
        reply = challenged(MD5)
        reply.fields.append(("Set-Cookie", "session=one; Path=/"))
        return reply

    browser = Browser(library, serve, ALICE)
    assert browser.send(AT) == 200
    assert browser.seen[1].fields["cookie"] == b"session=one"


@EACH
def test_an_answer_is_read_under_auth_int_alone_and_up_to_a_limit(library: str) -> None:
    left, held = Pieces(), Pieces()

    def covering(sent: Sent) -> Reply:
        if not sent.credentials:
            return challenged('Digest realm="r", nonce="n", qop="auth-int", algorithm=MD5')
        return Reply(200, [("Authentication-Info", 'rspauth="00"')], held)

    plain = of_acceptor(digest_site(), lambda sent: Reply(200, [], left))
    assert Browser(library, plain, ALICE, mutual=True).send(AT) == 200
    assert left.taken <= 1 << 16
    with pytest.raises(InvalidToken, match="more than 100000 octets"):
        Browser(library, covering, ALICE, max_answer=100_000).send(AT)
    assert 100_000 < held.taken < 1 << 19


@EACH
def test_a_refusal_without_end_is_not_read_to_its_end(library: str) -> None:
    endless = Pieces()
    with pytest.raises(InvalidToken, match="octets"):
        Browser(library, lambda sent: Reply(401, [("WWW-Authenticate", MD5)], endless), ALICE).send(AT)
    assert endless.taken < 1 << 22


@EACH
@pytest.mark.parametrize("first", [MD5.replace("MD5", "SHA-4096"), 'Digest nonce="n"', 'Digest realm="r", nonce'])
def test_a_challenge_that_is_of_no_use_is_passed_over(library: str, first: str) -> None:
    browser = Browser(library, lambda sent: Reply() if sent.credentials else challenged(first, MD5), ALICE)
    assert browser.send(AT) == 200
    assert "algorithm=MD5" in browser.credentials[1]


def test_a_scheme_refused_before_any_proof_makes_room_for_the_next() -> None:
    started = logon(HttpIdentity(ALICE))
    assert (started.answer(["Negotiate", "NTLM"]) or "").startswith("Negotiate ")
    assert (started.answer(["Negotiate", "NTLM"]) or "").startswith("NTLM ")
    assert started.answer(["Negotiate", "NTLM"]) is None


def test_a_scheme_refused_after_the_proof_is_the_last_word() -> None:
    site, started = acceptor("NTLM", "Digest"), logon(HttpIdentity(Password(USER, "wrong")))
    sent: str | None = ""
    schemes = []
    while sent is not None:
        decision = site.judge(request(sent, connection="one"))
        sent = started.answer([value for _, value in decision.headers])
        schemes += [] if sent is None else [sent.split()[0]]
    assert schemes == ["NTLM", "NTLM"]


def test_a_logon_over_two_connections_begins_anew() -> None:
    site, started = acceptor("NTLM"), logon(HttpIdentity(ALICE))
    first, second = object(), object()
    sent = started.answer(["NTLM"], over=first) or ""
    challenge = site.judge(request(sent, connection="one")).headers[0][1]
    started.answer([challenge], over=first)
    sent = started.answer(["NTLM"], over=second) or ""  # the proof went over another connection
    challenge = site.judge(request(sent, connection="two")).headers[0][1]
    assert site.judge(request(started.answer([challenge], over=second) or "", connection="two")).user is not None


def credssp() -> HttpLogon:
    policy = Policy(credssp=CredSspPolicy(delegate=True, allow_fresh_ntlm_only=("HTTP/*",)))
    return logon(HttpIdentity(ALICE, schemes=["CredSSP"], policy=policy))


def test_a_server_that_breaks_credssp_off_is_told_with_the_step() -> None:
    policy = Policy(credssp=FREELY, negotiate=NTLM_ONLY)
    inbound = Inbound("CREDSSP", Environment(authority=PEOPLE, policy=policy))
    steps: list[str] = []
    for taken in range(8):  # how many tokens the server takes before it stops
        started, site = credssp(), HttpAcceptor({"CredSSP": inbound})
        sent = started.answer(["CredSSP"])
        for _ in range(taken):
            decision = site.judge(request(sent or "", connection="one"))
            if decision.user is not None:
                assert list(dict.fromkeys(steps)) == ["1", "2", "3", "5"]
                return
            sent = started.answer([value for _, value in decision.headers])
        with pytest.raises(LogonDenied, match="broke CredSSP off") as caught:
            started.answer(["Negotiate", "CredSSP"])
        steps += re.findall(r"\(step (\d)\)", str(caught.value))
    pytest.fail("the server never took the logon")


@pytest.mark.parametrize("nextnonce", [False, True])
def test_answers_that_overtake_one_another_are_verified_for_their_own_requests(nextnonce: bool) -> None:
    site, identity = digest_site(digest={"nextnonce": nextnonce}), HttpIdentity(ALICE, mutual=True)

    def judged(sent: str | None, target: str) -> str:
        decision = site.judge(request(sent or "", target))
        assert decision.user is not None
        return decision.headers[0][1]

    begun = logon(identity)
    first = begun.answer([value for _, value in site.judge(request()).headers])
    begun.finish([], judged(first, "/tea"))
    many = {target: logon(identity, target) for target in ("/a", "/b", "/c")}
    proofs = {target: judged(started.begin(), target) for target, started in many.items()}
    with pytest.raises(MutualAuthFailed):
        many["/a"].finish([], proofs["/b"])
    for target in reversed(list(many)):
        many[target].finish([], proofs[target])
    again = logon(identity, "/d")
    again.finish([], judged(again.begin(), "/d"))


def test_one_identity_serves_many_threads() -> None:
    # The server answers none of four requests before all have come: the answers cross.
    together, site, lock = threading.Barrier(4), digest_site(), threading.Lock()

    def wait(sent: Sent) -> Reply:
        if sent.target != "/":
            together.wait(20)
        return Reply()

    serve = of_acceptor(site, wait)
    browser = Browser("requests", serve, ALICE, mutual=True)
    assert browser.send(AT) == 200
    result: list[Any] = []

    def work(number: int) -> None:
        try:
            status: Any = browser.send(f"{AT}{number}")
        except SaslError as error:
            status = error
        with lock:
            result.append(status)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert result == [200] * 4


def test_one_identity_serves_many_tasks() -> None:
    site = digest_site()

    async def run() -> list[int]:
        waiting = asyncio.Event()
        arrived = 0

        async def handle(incoming: httpx.Request) -> httpx.Response:
            nonlocal arrived
            fields = {name.decode().lower(): value for name, value in incoming.headers.raw}
            sent = Sent(incoming.method, str(incoming.url), fields, b"")
            reply = of_acceptor(site)(sent)
            if reply.status == 200 and sent.target != "/":
                arrived += 1
                if arrived == 4:
                    waiting.set()
                await waiting.wait()
            return httpx.Response(reply.status, headers=reply.fields)

        async with httpx.AsyncClient(
            transport=httpx.MockTransport(handle), auth=HttpxAuth(ALICE, mutual=True)
        ) as client:
            await client.get(AT)
            answers = await asyncio.gather(*(client.get(f"{AT}{number}") for number in range(4)))
        return [answer.status_code for answer in answers]

    assert asyncio.run(asyncio.wait_for(run(), 30)) == [200] * 4
