"""smbclient of smbprotocol: smb_client.py PORT PROTOCOL encrypt|sign USER PASSWORD: a file, there and back."""

import sys

import smbclient
import spnego

PORT, PROTOCOL, HOW, USER, PASSWORD = sys.argv[1:]
smbclient.ClientConfig(require_secure_negotiate=True)
try:
    session = smbclient.register_session(
        "127.0.0.1", username=USER, password=PASSWORD, port=int(PORT), auth_protocol=PROTOCOL,
        encrypt=HOW == "encrypt", require_signing=True,
    )  # fmt: skip
    text = "grüße " * 40_000
    with smbclient.open_file(r"\\127.0.0.1\share\text.txt", mode="w", port=int(PORT), encoding="utf-8") as file:
        file.write(text)
    with smbclient.open_file(r"\\127.0.0.1\share\text.txt", port=int(PORT), encoding="utf-8") as file:
        same = file.read() == text
    print("in" if same else "altered", hex(session.connection.dialect), session.encrypt_data, spnego.__file__)
except Exception as error:
    print("refused:", type(error).__name__, error)
