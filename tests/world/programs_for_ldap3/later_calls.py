"""What ldap3's development line has beside own_calls: session_security and channel_binding, in one strategy."""

import json
import ssl
import sys
from typing import Any

import ldap3

ldap3.set_config_parameter("RESTARTABLE_TRIES", 2)
ldap3.set_config_parameter("RESTARTABLE_SLEEPTIME", 0.1)
ldap3.set_config_parameter("RESPONSE_WAITING_TIMEOUT", 3)

strategy, base, ca_file = sys.argv[1:]
TLS = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
CLEAR = ldap3.Server("ldap://localhost", get_info=ldap3.NONE, tls=TLS)
LDAPS = ldap3.Server("ldaps://localhost", get_info=ldap3.NONE, tls=TLS)
KERBEROS = {
    "authentication": ldap3.SASL, "sasl_mechanism": ldap3.KERBEROS, "sasl_credentials": ("dc.example.test",),
}  # fmt: skip
ALICE = {"user": "EXAMPLE\\alice", "password": "wonderland"}
NTLM = {**ALICE, "authentication": ldap3.NTLM}
JOERG = {**NTLM, "user": "EXAMPLE\\jörg", "password": "grüße"}
WRONG = {**NTLM, "password": "not hers"}
SEALED = {"session_security": ldap3.ENCRYPT}
BOUND = {"channel_binding": ldap3.TLS_CHANNEL_BINDING}
STARTTLS = {"auto_bind": ldap3.AUTO_BIND_TLS_BEFORE_BIND}
CALLS: dict[str, tuple[ldap3.Server, dict[str, Any]]] = {
    "NTLM, sealed": (CLEAR, {**NTLM, **SEALED}),
    "NTLM beyond ASCII, sealed": (CLEAR, {**JOERG, **SEALED}),
    "Kerberos, sealed": (CLEAR, {**KERBEROS, **SEALED}),
    "NTLM, bound": (LDAPS, {**NTLM, **BOUND}),
    "NTLM, bound, StartTLS": (CLEAR, {**NTLM, **BOUND, **STARTTLS}),
    "NTLM, bound and sealed": (LDAPS, {**NTLM, **BOUND, **SEALED}),
    "Kerberos, sealed, LDAPS": (LDAPS, {**KERBEROS, **SEALED}),
    "wrong password, sealed": (CLEAR, {**WRONG, **SEALED}),
    "wrong password, bound": (LDAPS, {**WRONG, **BOUND}),
    "wrong password, bound, StartTLS": (CLEAR, {**WRONG, **BOUND, **STARTTLS}),
    "no TLS to bind to": (CLEAR, {**NTLM, **BOUND}),
    "simple cannot be sealed": (CLEAR, {**ALICE, **SEALED}),
    "simple cannot be bound": (LDAPS, {**ALICE, **BOUND}),
    "Kerberos cannot be bound by name": (LDAPS, {**KERBEROS, **BOUND}),
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
        found = connection.search(base, "(objectClass=user)", attributes=["cn"])
        if isinstance(found, tuple):
            response = found[2]
        else:
            response = connection.response if connection.strategy.sync else connection.get_response(found, 20)[0]
        names = {entry["attributes"]["cn"][0] for entry in response or () if entry["type"] == "searchResEntry"}
        return "found" if {"alice", "jörg", "Administrator"} <= names else "nothing found"
    except ldap3.core.exceptions.LDAPInvalidValueError:
        return "invalid value"
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
