"""exchangelib asks for a folder: exchange_client.py URL USER PASSWORD; says its name, and who has logged on."""

import sys

from exchangelib import DELEGATE, Account, Configuration, Credentials, FailFast, Version, transport
from exchangelib.version import EXCHANGE_2016

_, url, user, password = sys.argv
configuration = Configuration(
    service_endpoint=url,
    credentials=Credentials(user, password),
    auth_type=transport.NTLM,
    version=Version(EXCHANGE_2016),
    retry_policy=FailFast(),
)
account = Account("alice@example.com", config=configuration, autodiscover=False, access_type=DELEGATE)
try:
    print(account.root.name, transport.AUTH_TYPE_MAP[transport.NTLM].__module__, sys.modules["spnego"].__name__)
except Exception as error:
    print(type(error).__name__)
account.protocol.close()
