"""A Django project's logon by django-python3-ldap, as its documents have it for Active Directory."""

import json
import sys

from django.conf import settings

realm, base = sys.argv[1:]
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_python3_ldap"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    AUTHENTICATION_BACKENDS=["django_python3_ldap.auth.LDAPBackend"],
    LDAP_AUTH_URL=["ldap://127.0.0.1"],
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
