"""requests that log on."""

import requests

from saslsspi import Password
from saslsspi.adapters.requests import HttpAuth

session = requests.Session()
session.auth = HttpAuth(Password("alice", "wonderland"), schemes=["Negotiate", "Digest"], mutual=True)
status: int = session.get("https://tea.example/cups", timeout=10).status_code
