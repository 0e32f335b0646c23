"""The numbers of docs/credssp-sasl.md, against an exchange."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mechanisms.test_credssp import client, joined, server
from pair import authenticate
from saslsspi import Policy
from saslsspi.packages.credssp import exchange
from saslsspi.packages.credssp.credentials import EMPTY_OCTETS
from saslsspi.packages.credssp.messages import MAX_SIZE, TSRequest
from saslsspi.packages.schannel.protection import _added
from saslsspi.sasl.drivers import in_channel

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "credssp-sasl.md").read_text(encoding="utf-8")


def rows() -> dict[str, list[str]]:
    found = re.findall(r"^\| ([CS]\d) \| (.*?) \| (.*?) \| (.*?) \|$", TEXT, re.MULTILINE)
    return {name: cells for name, *cells in found}


def records(octets: bytes) -> list[str]:
    """Return type and size of each record."""
    found, at = [], 0
    while at < len(octets):
        size = 5 + int.from_bytes(octets[at + 3 : at + 5])
        found.append(f"{octets[at]}:{size}")
        at += size
    return found


def test_the_exchange_has_the_octets_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    inside: list[bytes] = []
    reply, seal = exchange.CredsspExchange._reply, in_channel._seal
    monkeypatch.setattr(in_channel, "_seal", lambda context, text: (inside.append(text), seal(context, text))[1])

    def _reply(sender: exchange.CredsspExchange, message: TSRequest | None) -> None:
        inside.extend([] if message is None else [message.to_bytes()])
        reply(sender, message)

    monkeypatch.setattr(exchange.CredsspExchange, "_reply", _reply)
    messages = authenticate(client(authzid="bob"), server())
    table = rows()
    assert list(table) == ["C1", "S1", "C2", "S2", "C3", "S3", "C4", "S4", "C5"]
    assert len(messages) == len(table)
    for message, (octets, what, _) in zip(messages, table.values(), strict=True):
        if "*" not in octets:
            assert (str(len(message.octets)), ", ".join(records(message.octets))) == (octets, what)
        kinds = [record.partition(":")[0] for record in records(message.octets)]
        assert kinds == [record.strip("* ").partition(":")[0] for record in what.split(",")]
    first, second, third, proof, credentials, offer, choice = inside
    assert [len(octets) + 22 for octets in (first, second, third)] == [
        int(records(messages[at].octets)[-1].partition(":")[2]) for at in (2, 3, 4)
    ]
    assert f"TSRequest of {len(proof)}: negoTokens of 29" in table["S3"][2]
    assert f"TSRequest of {len(credentials)}: authInfo of 41" in table["C4"][2]
    assert f"`{offer.hex(' ')}`" in table["S4"][2]
    assert f"`{choice.hex(' ')}`" in table["C5"][2]
    start, _, number = re.search(r"C4's TSRequest is `(.*?)`(.*?)`(.*?)`", TEXT).groups()  # type: ignore[union-attr]
    assert credentials.startswith(bytes.fromhex(start))
    assert credentials[len(bytes.fromhex(start)) + 8 :].startswith(bytes.fromhex(number))
    assert len(credentials) == len(bytes.fromhex(start)) + 8 + 4 + 25


def test_empty_credentials_and_sizes_are_those_of_the_text() -> None:
    assert EMPTY_OCTETS.hex(" ") in TEXT
    assert f"up to {MAX_SIZE:,} octets" in TEXT
    with_gcm = "ECDHE-RSA-AES256-GCM-SHA384"
    sizes = {
        22: ("TLS_AES_256_GCM_SHA384", "TLSv1.3"),
        29: (with_gcm, "TLSv1.2"),
        21: ("ECDHE-RSA-CHACHA20-POLY1305", "TLSv1.2"),
        85: ("ECDHE-RSA-AES256-SHA384", "TLSv1.2"),
    }
    for size, kind in sizes.items():
        assert sum(_added(*kind)) == size
    assert "22 octets with TLS 1.3; with TLS 1.2 29" in TEXT
    first, _ = joined()
    assert first.layer is not None
    assert f"{first.layer.max_payload:,} of 65,536 with TLS 1.3" in TEXT
    wire = first.layer.wrap(b"hello")
    assert wire[:9].hex(" ") == "00 00 00 1b 17 03 03 00 16"
    assert len(wire) == 9 + 22


def test_signed_buffers_count_on_from_the_exchange() -> None:
    first, second = joined(Policy(max_ssf=1))
    assert first.layer is not None
    assert second.layer is not None
    assert "client's first buffer has number 3 and the server's first number 2" in TEXT
    assert first.layer.wrap(b"hello")[18:22] == b"\x03\0\0\0"
    assert second.layer.wrap(b"hello")[18:22] == b"\x02\0\0\0"
    assert first.layer.max_payload == 65536 - 18
    assert "size of S holds S - 18" in TEXT
