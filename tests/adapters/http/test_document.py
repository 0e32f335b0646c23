"""The examples of docs/http.md for servers run as they stand there."""

import io
import re
from pathlib import Path
from typing import Any

from adapters.http.browser import USER, DigestClient, offered, request

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "http.md").read_text(encoding="utf-8")
SERVERS = TEXT.partition("\n## Servers\n")[2].partition("\n## ")[0]


def test_the_examples_for_servers_work() -> None:
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```", SERVERS, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/http.md", "exec"), names)  # our own document
    assert names["Handler"].protocol_version == "HTTP/1.1"
    said: list[Any] = []
    sent = DigestClient().answer(offered(names["acceptor"].judge(request())))
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/tea", "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO()}
    body = names["protected"](environ | {"HTTP_AUTHORIZATION": sent}, lambda *given: said.extend(given))
    assert (said[0], b"".join(body)) == ("200 OK", f"{USER} by Digest".encode())
    assert "nextnonce" in dict(said[1])["Authentication-Info"]
