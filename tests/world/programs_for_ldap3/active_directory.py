"""ms_active_directory: active_directory.py REALM USER PASSWORD; finds a user."""

import sys

from ms_active_directory import ADDomain

realm, user, password = sys.argv[1:]
try:
    domain = ADDomain(
        realm, encrypt_connections=False, ldap_servers_or_uris=["ldap://localhost"],
        kerberos_uris=["localhost:88"], site=None,
    )  # fmt: skip
    session = domain.create_session_as_user(user, password)
    found = session.find_user_by_sam_name("jörg", ["cn", "userPrincipalName"])
    print(found.get("cn"), session.is_authenticated())
except Exception as error:
    print("refused:", type(error).__name__, error)
