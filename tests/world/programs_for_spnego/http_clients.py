"""Clients of HTTP, each as its own documentation has it: http_clients.py PROGRAM URL USER PASSWORD SIZE."""

import asyncio
import concurrent.futures
import sys
import warnings
from urllib.parse import urlsplit

warnings.simplefilter("ignore")
PROGRAM, URL, USER, PASSWORD, SIZE = *sys.argv[1:5], int(sys.argv[5])
PARTS = urlsplit(URL)


def requests_ntlm(**more):
    import requests
    from requests_ntlm import HttpNtlmAuth

    return requests.get(URL, auth=HttpNtlmAuth(USER, PASSWORD, **more), verify=False)


def requests_ntlm_threads():
    import requests
    from requests_ntlm import HttpNtlmAuth

    def get(_):
        with requests.Session() as session:
            session.auth = HttpNtlmAuth(USER, PASSWORD)
            return session.get(URL, verify=False)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(get, range(32)))
    return next((answer for answer in answers if answer.status_code != 200), answers[0])


def httpx_ntlm():
    import httpx
    from httpx_ntlm import HttpNtlmAuth

    with httpx.Client(auth=HttpNtlmAuth(USER, PASSWORD), verify=False) as client:
        return client.get(URL)


def httpx_ntlm_asyncio():
    import httpx
    from httpx_ntlm import HttpNtlmAuth

    async def main():
        async def get():
            async with httpx.AsyncClient(auth=HttpNtlmAuth(USER, PASSWORD)) as client:
                return await client.get(URL)

        answers = await asyncio.gather(*(get() for _ in range(8)))
        return next((answer for answer in answers if answer.status_code != 200), answers[0])

    return asyncio.run(main())


def requests_credssp(mechanism="auto", **more):
    import requests
    from requests_credssp import HttpCredSSPAuth

    auth = HttpCredSSPAuth(USER, PASSWORD, auth_mechanism=mechanism, **more)
    return requests.get(URL, auth=auth, verify=False)


def pypsrp(auth, **more):
    from pypsrp.wsman import WSMan

    wsman = WSMan(
        PARTS.hostname, port=PARTS.port, ssl=PARTS.scheme == "https", cert_validation=False, auth=auth,
        encryption="always", username=USER, password=PASSWORD, **more,
    )  # fmt: skip
    return [wsman.transport.send(b"x" * SIZE) for _ in range(2)][-1].decode().strip()


def pywinrm(auth):
    import winrm.transport

    transport = winrm.transport.Transport(
        endpoint=URL, username=USER, password=PASSWORD, auth_method=auth, message_encryption="always",
        server_cert_validation="ignore",
    )  # fmt: skip
    answer = [transport.send_message("x" * SIZE) for _ in range(2)][-1]
    return (answer.decode() if isinstance(answer, bytes) else answer).strip()


PROGRAMS = {
    "requests_ntlm": requests_ntlm,
    "requests_ntlm unbound": lambda: requests_ntlm(send_cbt=False),
    "requests_ntlm threads": requests_ntlm_threads,
    "httpx_ntlm": httpx_ntlm,
    "httpx_ntlm asyncio": httpx_ntlm_asyncio,
    "requests_credssp auto": requests_credssp,
    "requests_credssp ntlm": lambda: requests_credssp("ntlm"),
    "requests_credssp version 5": lambda: requests_credssp(minimum_version=5),
    "pypsrp negotiate": lambda: pypsrp("negotiate"),
    "pypsrp ntlm": lambda: pypsrp("ntlm"),
    "pypsrp credssp": lambda: pypsrp("credssp"),
    "pypsrp credssp ntlm": lambda: pypsrp("credssp", credssp_auth_mechanism="ntlm"),
    "pywinrm ntlm": lambda: pywinrm("ntlm"),
    "pywinrm credssp": lambda: pywinrm("credssp"),
}
try:
    told = PROGRAMS[PROGRAM]()
    status = getattr(told, "status_code", 200)
    import spnego

    print(status, spnego.__file__, told if isinstance(told, str) else told.text)
except Exception as error:
    print("refused:", type(error).__name__, error)
