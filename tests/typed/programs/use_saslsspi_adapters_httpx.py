"""httpx that logs on, both ways."""

from typing import assert_type

import httpx

from saslsspi import Password
from saslsspi.adapters.httpx import HttpxAuth

auth = HttpxAuth(Password("alice", "wonderland"), schemes=["Digest"])
with httpx.Client(auth=auth) as client:
    assert_type(client.get("https://tea.example/cups").status_code, int)


async def cups() -> int:
    """Ask by asyncio."""
    async with httpx.AsyncClient(auth=auth) as client:
        return (await client.get("https://tea.example/cups")).status_code
