"""pure-sasl's face."""

from saslsspi.compat.puresasl import QOP, SASLError
from saslsspi.compat.puresasl.client import SASLClient

try:
    client = SASLClient("mail.example.test", "imap", username="alice", password="wonderland")
    client.choose_mechanism(["DIGEST-MD5"], allow_anonymous=False)
except SASLError as error:
    raise SystemExit(f"{error}: {QOP.all}") from error
