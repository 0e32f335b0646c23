"""Clients that log on with tickets: kerberos_clients.py PROGRAM URL SIZE."""

import concurrent.futures
import sys
import warnings
from urllib.parse import urlsplit

import requests
from requests_kerberos import DISABLED, OPTIONAL, REQUIRED, HTTPKerberosAuth

warnings.simplefilter("ignore")
PROGRAM, URL, SIZE = sys.argv[1], sys.argv[2], int(sys.argv[3])


def get(mutual=REQUIRED, **more):
    return requests.get(URL, auth=HTTPKerberosAuth(mutual_authentication=mutual, **more), verify=False)


def threads():
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: get(), range(24)))
    return next((answer for answer in answers if answer.status_code != 200), answers[0])


def pypsrp():
    from pypsrp.wsman import WSMan

    parts = urlsplit(URL)
    wsman = WSMan(
        parts.hostname, port=parts.port, ssl=False, auth="kerberos", encryption="always", negotiate_service="http"
    )
    return [wsman.transport.send(b"x" * SIZE) for _ in range(2)][-1].decode().strip()


PROGRAMS = {
    "required": get,
    "optional": lambda: get(OPTIONAL),
    "disabled": lambda: get(DISABLED),
    "delegated": lambda: get(delegate=True),
    "preemptive": lambda: get(force_preemptive=True),
    "threads": threads,
    "pypsrp": pypsrp,
}
try:
    told = PROGRAMS[PROGRAM]()
    import spnego

    text = told if isinstance(told, str) else told.text
    print(getattr(told, "status_code", 200), text, spnego.__name__)
except Exception as error:
    print("refused:", type(error).__name__, error)
