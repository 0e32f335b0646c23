"""A Django project's logon by django-python3-ldap, as its documents have it for Active Directory.

django_login.py REALM BASE [account] [CA-FILE]: with an account that looks users up, on the connection that they have
bound; with a file, inside TLS.
"""

import json
import ssl
import sys

from django.conf import settings

realm, base, *ways = sys.argv[1:]
more = {}
if "account" in ways:
    more |= {"LDAP_AUTH_CONNECTION_USERNAME": "bob", "LDAP_AUTH_CONNECTION_PASSWORD": "builder"}
if ca_files := [way for way in ways if way != "account"]:
    arguments = {"ca_certs_file": ca_files[0], "validate": ssl.CERT_REQUIRED}
    more |= {
        "LDAP_AUTH_USE_TLS": True,
        "LDAP_AUTH_TLS_VERSION": ssl.PROTOCOL_TLS_CLIENT,
        "LDAP_AUTH_TLS_ARGS": arguments,
    }
settings.configure(
    **more,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_python3_ldap"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    AUTHENTICATION_BACKENDS=["django_python3_ldap.auth.LDAPBackend"],
    LDAP_AUTH_URL=["ldap://localhost"],
    LDAP_AUTH_SEARCH_BASE=base,
    LDAP_AUTH_OBJECT_CLASS="user",
    LDAP_AUTH_USER_FIELDS={"username": "sAMAccountName"},
    LDAP_AUTH_FORMAT_USERNAME="django_python3_ldap.utils.format_username_active_directory_principal",
    LDAP_AUTH_ACTIVE_DIRECTORY_DOMAIN=realm,
)

import django  # noqa: E402

django.setup()

from django.contrib.auth import authenticate  # noqa: E402
from django.core.management import call_command  # noqa: E402

call_command("migrate", verbosity=0)


def logon(user: str, password: str) -> object:
    found = authenticate(username=user, password=password)
    return None if found is None else found.get_username()


people = {"alice": "wonderland", "jörg": "grüße"}
print(json.dumps({**{who: logon(who, password) for who, password in people.items()}, "wrong": logon("alice", "x")}))
