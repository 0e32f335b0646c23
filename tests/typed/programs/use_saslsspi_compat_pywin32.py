"""pywin32's face."""

from saslsspi.compat import pywin32

client = pywin32.ClientAuth("NTLM", auth_info=("alice", "", "wonderland"), targetspn="http/h")
status, tokens = client.authorize(None)
