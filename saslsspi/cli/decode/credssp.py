"""CredSSP: TSRequest with what is inside, and TSCredentials with the secrets masked (MS-CSSP section 2.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from saslsspi.cli.decode.tree import Node, masked, name
from saslsspi.errors import InvalidToken
from saslsspi_conformance.probe.findings import Severity

__all__ = ["decode_credssp"]

_FIXED: Final = 5  # version 5 ends CVE-2018-0886


def decode_credssp(data: bytes, inner: Callable[[bytes], Node]) -> Node | None:
    """Read one of the two; None where it is neither."""
    if data[:1] != b"\x30":
        return None
    from saslsspi.packages.credssp.messages import TSRequest

    try:
        request = TSRequest.from_bytes(data)
    except InvalidToken:
        return _credentials(data)
    node = Node("CredSSP TSRequest", {"version": request.version})
    if request.version < _FIXED:
        text = f"version {request.version} of CredSSP: below 5 a man in the middle gets through (CVE-2018-0886)"
        node.find(Severity.FAIL, "credssp-version", text)
    elif request.pub_key_auth is not None and request.client_nonce is None:
        node.fields["clientNonce"] = "-"
    if request.error_code is not None:
        node.fields["errorCode"] = f"{request.error_code:#010x}"
    for label, value in (("authInfo", request.auth_info), ("pubKeyAuth", request.pub_key_auth)):
        if value is not None:
            node.fields[label] = masked(value)
    if request.client_nonce is not None:
        node.fields["clientNonce"] = request.client_nonce[:32].hex()
    if request.nego_token:
        node.parts["negoToken"] = inner(request.nego_token)
    return node


def _credentials(data: bytes) -> Node | None:
    from saslsspi.packages.credssp.credentials import PasswordCredentials, SmartCardCredentials, decode_credentials

    try:
        found = decode_credentials(data)
    except InvalidToken:
        return None
    node = Node("CredSSP TSCredentials")
    if isinstance(found, PasswordCredentials):
        node.fields = {"kind": "password", "domain": _text(found.domain), "user": _text(found.username),
                       "password": "(masked)" if found.password else "(empty)"}  # fmt: skip
    elif isinstance(found, SmartCardCredentials):
        node.fields = {"kind": "smart card", "pin": "(masked)"}
    else:
        node.fields = {"kind": "remote guard", "package": _text(found.logon.package), "buffer": "(masked)"}
    node.find(Severity.FAIL, "credentials-in-clear", "these are credentials, and they are not encrypted here")
    return node


def _text(value: str) -> str:
    return name(value.encode("utf-8", "replace"))
