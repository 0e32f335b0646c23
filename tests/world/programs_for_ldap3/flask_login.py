"""A Flask application's logon by flask-ldap3-login, as its documents have it for Active Directory.

flask_login.py REALM BASE [search]: as the user at once, or with the DN that an account's search has found.
"""

import json
import sys

from flask import Flask
from flask_ldap3_login import LDAP3LoginManager

realm, base, *ways = sys.argv[1:]
app = Flask("application")
app.config.update(
    LDAP_HOST="127.0.0.1",
    LDAP_BASE_DN=base,
    LDAP_USER_DN="CN=Users",
    LDAP_BIND_DIRECT_CREDENTIALS=not ways,
    LDAP_ALWAYS_SEARCH_BIND=bool(ways),
    LDAP_BIND_USER_DN=f"bob@{realm}",
    LDAP_BIND_USER_PASSWORD="builder",
    LDAP_BIND_DIRECT_SUFFIX=f"@{realm}",
    LDAP_BIND_DIRECT_GET_USER_INFO=True,
    LDAP_USER_LOGIN_ATTR="sAMAccountName",
    LDAP_USER_OBJECT_FILTER="(objectClass=user)",
    LDAP_USER_SEARCH_SCOPE="SUBTREE",
    LDAP_SEARCH_FOR_GROUPS=False,
)
manager = LDAP3LoginManager(app)


def logon(user: str, password: str) -> object:
    with app.app_context():
        try:
            found = manager.authenticate(user, password)
        except Exception as error:
            print(type(error).__name__, error, file=sys.stderr)
            return None
    name = (found.user_info or {}).get("sAMAccountName")
    return name[0] if isinstance(name, list) and name else name or None


people = {"alice": "wonderland", "jörg": "grüße"}
print(json.dumps({**{who: logon(who, password) for who, password in people.items()}, "wrong": logon("alice", "x")}))
