"""kazoo with the tickets that are there, asynchronous calls, and a connection that is lost: kazoo_tickets.py PORT."""

import logging
import sys

import puresasl
from kazoo.client import KazooClient
from kazoo.security import make_acl

logging.disable(50)
client = KazooClient(hosts=f"localhost:{sys.argv[1]}", timeout=10, sasl_options={"mechanism": "GSSAPI"})
try:
    client.start(timeout=30)
    client.create_async("/node", b"mine", acl=[make_acl("sasl", "alice@EXAMPLE.TEST", all=True)]).get(timeout=10)
    pending = [client.get_async("/node") for _ in range(50)]
    print({one.get(timeout=10)[0] for one in pending} == {b"mine"})
    client._connection._socket.shutdown(2)  # it connects anew, and logs on once more
    print(client.retry(client.get, "/node")[0].decode(), puresasl.__name__)
    client.stop()
except Exception as error:
    print("refused:", type(error).__name__, error)
