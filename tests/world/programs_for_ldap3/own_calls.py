"""ldap3's own calls, in one strategy: what each comes to."""

import json
import ssl
import sys
from typing import Any

import ldap3

# Samba ends a connection on which ldap3's own NTLM was tried; ldap3 would try again for a minute, or wait as long.
ldap3.set_config_parameter("RESTARTABLE_TRIES", 2)
ldap3.set_config_parameter("RESTARTABLE_SLEEPTIME", 0.1)
ldap3.set_config_parameter("RESPONSE_WAITING_TIMEOUT", 3)

strategy, base, ca_file = sys.argv[1:]
TLS = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
CLEAR = ldap3.Server("ldap://localhost", get_info=ldap3.NONE, tls=TLS)
LDAPS = ldap3.Server("ldaps://localhost", get_info=ldap3.NONE, tls=TLS)
# The ticket is for the controller's full name, and it is reached by another one.
KERBEROS = {
    "authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS, "sasl_credentials": ("dc.example.test",),
}  # fmt: skip
NTLM = {"authentication": ldap3.NTLM}
ALICE = {"user": "EXAMPLE\\alice", "password": "wonderland"}
CALLS: dict[str, tuple[ldap3.Server, dict[str, Any]]] = {
    "NTLM": (CLEAR, {**ALICE, **NTLM}),
    "NTLM beyond ASCII": (CLEAR, {"user": "EXAMPLE\\jörg", "password": "grüße", **NTLM}),
    "user@domain": (CLEAR, {"user": "alice@EXAMPLE.TEST", "password": "wonderland"}),
    "DOMAIN\\user": (CLEAR, ALICE),
    "Kerberos": (CLEAR, KERBEROS),
    "NTLM in LDAPS": (LDAPS, {**ALICE, **NTLM}),
    "simple in LDAPS": (LDAPS, ALICE),
    "Kerberos in LDAPS": (LDAPS, KERBEROS),
    "NTLM after StartTLS": (CLEAR, {**ALICE, **NTLM, "auto_bind": ldap3.AUTO_BIND_TLS_BEFORE_BIND}),
    "simple after StartTLS": (CLEAR, {**ALICE, "auto_bind": ldap3.AUTO_BIND_TLS_BEFORE_BIND}),
    "wrong password, NTLM": (CLEAR, {**ALICE, **NTLM, "password": "not hers"}),
    "wrong password, simple": (CLEAR, {**ALICE, "password": "not hers"}),
    "wrong password, LDAPS": (LDAPS, {**ALICE, **NTLM, "password": "not hers"}),
}


def attempt(name: str, server: ldap3.Server, options: dict[str, Any]) -> str:
    pool = {"pool_name": name, "pool_size": 1} if strategy == "REUSABLE" else {}
    connection = None
    try:
        connection = ldap3.Connection(server, client_strategy=strategy, receive_timeout=20, **pool, **options)
        if not connection.bound:
            answer = connection.bind()
            if not (answer[0] if isinstance(answer, tuple) else answer):
                return "refused"
        found = connection.search(base, "(sAMAccountName=alice)", attributes=["cn"])
        if isinstance(found, tuple):
            response = found[2]
        else:
            response = connection.response if connection.strategy.sync else connection.get_response(found, 20)[0]
        entries = [entry for entry in response or () if entry["type"] == "searchResEntry"]
        return "found" if len(entries) == 1 else "nothing found"
    except Exception as error:
        print(name, type(error).__name__, error, file=sys.stderr)
        return "refused"
    finally:
        try:
            if connection is not None:
                connection.unbind()
        except Exception as error:
            print(name, "unbind", type(error).__name__, file=sys.stderr)


print(json.dumps({name: attempt(name, *call) for name, call in CALLS.items()}))
