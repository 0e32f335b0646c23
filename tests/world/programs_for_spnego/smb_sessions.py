"""Sessions of smbprotocol in threads: smb_sessions.py PORT USER PASSWORD LM:NT; says how many ended in which way."""

import collections
import concurrent.futures
import sys
import uuid

import spnego
from smbprotocol.connection import Connection
from smbprotocol.exceptions import LogonFailure
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

PORT, USER, PASSWORD, HASHES = int(sys.argv[1]), *sys.argv[2:]


def session(number):
    secret = ("wrong", PASSWORD, HASHES)[number % 3]
    connection = Connection(uuid.uuid4(), "127.0.0.1", PORT)
    connection.connect()
    try:
        protocol = "ntlm" if number % 2 else "negotiate"
        opened = Session(connection, USER, secret, require_encryption=number % 4 > 1, auth_protocol=protocol)
        opened.connect()
        TreeConnect(opened, r"\\127.0.0.1\share").connect()
    except LogonFailure:
        return "refused" if secret == "wrong" else "refused with the right one"
    else:
        return "in" if secret != "wrong" else "in with a wrong one"
    finally:
        connection.disconnect(True)


with concurrent.futures.ThreadPoolExecutor(6) as pool:
    ended = collections.Counter(pool.map(session, range(48)))
print(*sorted(f"{count} {what}" for what, count in ended.items()), spnego.__name__, sep=", ")
