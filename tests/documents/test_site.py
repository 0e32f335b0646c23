"""The site is whole: it builds without a warning, every link in it leads somewhere, and its search finds things."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from documents.search import found

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(importlib.util.find_spec("furo") is None, reason="Sphinx is not in this environment")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", "html"]
    command += ["-d", str(built / "doctrees"), "docs", str(built / "html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return built / "html"


class Page(HTMLParser):
    """What a page links to, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = {""}
        self.unnamed: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.anchors |= {value for value in (named.get("id"), named.get("name")) if value}
        if tag == "a" and named.get("href"):
            self.links.add(str(named["href"]))
        if (tag == "img" and not named.get("alt")) or (named.get("role") == "img" and not named.get("aria-label")):
            self.unnamed.append(tag)


def test_every_link_inside_the_site_leads_to_a_page_and_a_place_on_it(site: Path) -> None:
    pages = {file: Page(file.read_text(encoding="utf-8")) for file in site.rglob("*.html")}
    assert len(pages) > 50
    broken = []
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if not target.exists() or (target in pages and unquote(parts.fragment) not in pages[target].anchors):
                broken.append(f"{file.relative_to(site)}: {link}")
    assert broken == []


def test_pictures_have_words_for_who_cannot_see_them(site: Path) -> None:
    for file in site.rglob("*.html"):
        assert Page(file.read_text(encoding="utf-8")).unnamed == [], file


QUESTIONS = {
    "bind to a directory that demands signing": "start/ldap",
    "write an authority": "authority",
    "store SCRAM keys": "how-to/scram-keys",
    "why a logon was refused": "how-to/refused",
    "add a mechanism": "start/mechanism",
    "run the conformance cases in CI": "how-to/ci",
    "LDAP signing": "how-to/signing",
    "strongerAuthRequired": "how-to/signing",
    "SEC_E_BAD_BINDINGS": "reference/errors",
    "data 80090346": "how-to/signing",
    "channel binding token": "how-to/channel-binding",
    "Office 365 SMTP": "how-to/office365",
    "rotate nonces": "how-to/nonces",
    "Redis": "how-to/nonces",
    "authd": "authd",
    "gateway": "gateway",
    "requests-ntlm": "how-to/from-requests-ntlm",
    "Cyrus C API": "how-to/from-cyrus",
    "pywin32": "porting",
    "migrate accounts": "how-to/accounts",
    "brute force": "how-to/accounts",
    "double hop": "credssp",
    "mypy": "reference/api",
    "shell completion": "cli",
    "Kerberos keytab": "kerberos",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_newcomers_question_finds_its_page(question: str, site: Path) -> None:
    assert QUESTIONS[question] in found(site, question)[:3]


def test_what_is_drawn_was_recorded(site: Path) -> None:
    text = (site / "background" / "exchanges.html").read_text(encoding="utf-8")
    for words in ("SCRAM client-first", "digest challenge", "under the layer"):
        assert words in text
    assert "DIGEST-MD5 on the wire, in octets: length 4, message 14, MAC 10, type 2, number 4" in text


def test_the_house_is_drawn_with_every_room(site: Path) -> None:
    text = (site / "background" / "house.html").read_text(encoding="utf-8")
    homes = [path for path in (ROOT / "saslsspi").iterdir() if (path / "__init__.py").exists()]
    for room in homes:
        assert f"<title>{room.name} stands on " in text
