"""kazoo, as its users write: kazoo_client.py PORT USER PASSWORD OTHER OTHERS-PASSWORD."""

import logging
import sys

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl

logging.disable(50)
PORT = sys.argv[1]


def client(user, password):
    options = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
    return KazooClient(hosts=f"127.0.0.1:{PORT}", timeout=10, sasl_options=options)


owner, other = client(*sys.argv[2:4]), client(*sys.argv[4:6])
owner.start(timeout=30)
owner.create("/node", b"mine", acl=[make_acl("sasl", sys.argv[2], all=True)])
print(owner.get("/node")[0].decode())
other.start(timeout=30)
try:
    print(other.get("/node")[0].decode())
except NoAuthError:
    print("NoAuthError")
wrong = client(sys.argv[2], "wrong")
try:
    wrong.start(timeout=6)  # ZooKeeper may drop the connection a moment later, and kazoo begins again
    print("in with a wrong password", wrong.get("/node"))
except Exception as error:
    print(type(error).__name__)
import puresasl  # noqa: E402

print(puresasl.__name__)
for one in (owner, other, wrong):
    one.stop()
