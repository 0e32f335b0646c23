"""Schannel: ApplyControlToken right after the ClientHello, and the calls behind it."""

from __future__ import annotations

from collections.abc import Mapping
from struct import pack

import pytest

from saslsspi import sspi
from saslsspi.sspi import SecBuffer, SecBufferDesc, SecBufferType
from windows.observed import Answer, situation, status_of
from windows.tls_world import ALERT, DATA, TOKEN, Client, empty, room, tokens

RENEGOTIATE, SHUTDOWN = pack("<I", 0), pack("<I", 1)
BAD_CERTIFICATE = pack("<III", 2, 2, 42)  # SCHANNEL_ALERT, fatal


def shown(alert: bytes) -> str:
    """Leave the version out: Wine's test speaks TLS 1.0, and we 1.2 and 1.3."""
    return (alert[:1] + alert[-2:]).hex(" ")


def one(octets: bytes, kind: SecBufferType = TOKEN) -> SecBufferDesc:
    return SecBufferDesc([SecBuffer(octets, kind)])


@situation("Schannel: control tokens before there is a context")
def control(request: pytest.FixtureRequest) -> Mapping[str, Answer]:
    client = Client()
    client.first()

    def told(buffers: SecBufferDesc | None, handle: sspi.CtxtHandle | None = client.handle) -> str:
        return status_of(lambda: sspi.apply_control_token(handle, buffers))

    def next_call(inputs: SecBufferDesc | None = None) -> tuple[str, SecBufferDesc]:
        client.target = ""
        output = room(1000)
        return status_of(lambda: client.call(inputs, output, 0)), output

    seen: dict[str, Answer] = {
        "two TOKEN": told(SecBufferDesc([SecBuffer(SHUTDOWN, TOKEN), SecBuffer(SHUTDOWN, TOKEN)])),
        "TOKEN and EMPTY": told(SecBufferDesc([SecBuffer(SHUTDOWN, TOKEN), empty()])),
        "renegotiate": told(one(RENEGOTIATE)),
        "no context": told(one(RENEGOTIATE), None),
        "no buffers": told(None),
        "ALERT": told(one(SHUTDOWN, ALERT)),
        "DATA": told(one(SHUTDOWN, DATA)),
        "two octets": told(one(SHUTDOWN[:2])),
        "shutdown and an octet": told(one(SHUTDOWN + b"\0")),
        "shutdown once more": told(one(SHUTDOWN + b"\0")),
    }
    seen["the next call"], output = next_call(tokens(bytes(1000)))
    seen["the next call: type, level and number"] = shown(output[0].data)
    seen["the next call: count"] = output[0].count
    seen["the call after"], output = next_call()
    seen["the call after: the output's count"] = output[0].count
    seen["shutdown later"] = told(one(SHUTDOWN))
    seen["shutdown later: the next call"], output = next_call()
    seen["shutdown later: type, level and number"] = shown(output[0].data)
    seen["shutdown later: count"] = output[0].count
    seen["bad_certificate"] = told(one(BAD_CERTIFICATE))
    seen["bad_certificate: the next call"], output = next_call()
    seen["bad_certificate: type, level and number"] = shown(output[0].data)
    seen["bad_certificate: count"] = output[0].count
    return seen
