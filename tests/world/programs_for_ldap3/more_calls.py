"""What programs do on a bound connection of ldap3's, and binds on other paths; each says what it came to."""

import concurrent.futures
import json
import ssl
import sys
from collections.abc import Callable
from typing import Any

import ldap3
from ldap3.core.exceptions import LDAPBindError, LDAPException, LDAPInvalidCredentialsResult
from ldap3.utils.dn import escape_rdn

ldap3.set_config_parameter("RESTARTABLE_TRIES", 2)
ldap3.set_config_parameter("RESTARTABLE_SLEEPTIME", 0.1)

base, ca_file = sys.argv[1:]
TLS = ldap3.Tls(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
PLAIN = ldap3.Server("ldap://localhost", get_info=ldap3.NONE, tls=TLS)
JOERG = {"user": "EXAMPLE\\jörg", "password": "grüße", "authentication": ldap3.NTLM}
HANAKO = {"user": "花子@EXAMPLE.TEST", "password": "さくら"}


def connect(**options: Any) -> ldap3.Connection:
    return ldap3.Connection(options.pop("server", PLAIN), receive_timeout=20, **options)


def found(connection: ldap3.Connection, name: str) -> bool:
    answer = connection.search(base, f"(sAMAccountName={name})", attributes=["cn"])
    if isinstance(answer, tuple):
        response = answer[2]
    else:
        response = connection.response if connection.strategy.sync else connection.get_response(answer, 20)[0]
    return any(entry["type"] == "searchResEntry" for entry in response or ())


def starttls(strategy: str) -> Callable[[], bool]:
    def call() -> bool:
        pool = {"pool_name": "starttls", "pool_size": 2} if strategy == ldap3.REUSABLE else {}
        good = connect(client_strategy=strategy, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND, **pool, **JOERG)
        seen = found(good, "jörg")
        if strategy != ldap3.REUSABLE:
            good.unbind()
        wrong = {**JOERG, "password": "falsch"}
        try:
            bad = connect(
                client_strategy=ldap3.SYNC if pool else strategy, auto_bind=ldap3.AUTO_BIND_TLS_BEFORE_BIND, **wrong
            )
        except LDAPBindError:
            return seen
        return seen and not bad.bound

    return call


def server_information() -> bool:
    with connect(server=ldap3.Server("ldap://localhost", get_info=ldap3.ALL), auto_bind=True, **JOERG) as connection:
        return "example" in str(connection.server.info.other["defaultNamingContext"]) and bool(connection.server.schema)


def paged() -> bool:
    with connect(auto_bind=True, **JOERG) as connection:
        pages = connection.extend.standard.paged_search(
            base, "(objectClass=*)", attributes=["cn"], paged_size=7, generator=True
        )
        return sum(1 for entry in pages if entry["type"] == "searchResEntry") > 100


def adding_is_denied() -> bool:
    name = escape_rdn("Grüße, Welt")
    with connect(auto_bind=True, **JOERG) as connection:
        denied = not connection.add(f"CN={name},CN=Users,{base}", "container")
        return denied and connection.result["description"] == "insufficientAccessRights"


def own_password() -> bool:
    with connect(auto_bind=True, **HANAKO) as connection:
        dn = f"CN=花子,CN=Users,{base}"
        changed = connection.extend.microsoft.modify_password(dn, "さくら2", "さくら")
    with connect(auto_bind=True, user=HANAKO["user"], password="さくら2") as connection:
        back = connection.extend.microsoft.modify_password(dn, "さくら", "さくら2")
    return bool(changed and back)


def rebind(strategy: str) -> Callable[[], bool]:
    def call() -> bool:
        pool = {"pool_name": "rebind", "pool_size": 2} if strategy == ldap3.REUSABLE else {}
        connection = connect(auto_bind=True, client_strategy=strategy, **pool, **HANAKO)
        seen = found(connection, "jörg")
        answer = connection.rebind(**JOERG)
        return seen and bool(answer[0] if isinstance(answer, tuple) else answer) and found(connection, "花子")

    return call


def rebind_wrong() -> bool:
    connection = connect(auto_bind=True, **HANAKO)
    answer = connection.rebind(user="EXAMPLE\\jörg", password="falsch", authentication=ldap3.NTLM)
    return not answer and connection.result["description"] == "invalidCredentials" and not connection.bound


def raised() -> bool:
    connection = connect(raise_exceptions=True, **{**JOERG, "password": "falsch"})
    try:
        connection.bind()
    except LDAPInvalidCredentialsResult:
        return True
    return False


def pool_of_servers() -> bool:
    away = ldap3.Server("ldap://localhost:9", get_info=ldap3.NONE, connect_timeout=1)
    servers = ldap3.ServerPool([away, PLAIN], ldap3.FIRST, active=True, exhaust=True)
    with connect(server=servers, auto_bind=True, **JOERG) as connection:
        return found(connection, "jörg")


def threads(strategy: str) -> Callable[[], bool]:
    def call() -> bool:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            if strategy == ldap3.SAFE_SYNC:
                shared = connect(client_strategy=strategy, auto_bind=True, **JOERG)
                return all(pool.map(lambda _: found(shared, "jörg"), range(64)))

            def alone(number: int) -> bool:
                person = JOERG if number % 2 else HANAKO
                wrong = number % 5 == 4
                connection = connect(
                    client_strategy=strategy, **{**person, **({"password": "falsch"} if wrong else {})}
                )
                answer = connection.bind()
                bound = answer[0] if isinstance(answer, tuple) else answer
                seen = bool(bound) and found(connection, "jörg")
                connection.unbind()
                return seen != wrong

            return all(pool.map(alone, range(40)))

    return call


def lazy() -> bool:
    connection = connect(lazy=True, auto_bind=True, **JOERG)
    return found(connection, "jörg")


def abstraction() -> bool:
    server = ldap3.Server("ldap://localhost", get_info=ldap3.SCHEMA)
    with connect(server=server, auto_bind=True, **JOERG) as connection:
        reader = ldap3.Reader(connection, ldap3.ObjectDef("user", connection), base, "cn: jörg")
        return [str(entry.cn) for entry in reader.search()] == ["jörg"]


CALLS: dict[str, Callable[[], bool]] = {
    **{f"StartTLS, {strategy}": starttls(strategy)
       for strategy in (ldap3.SYNC, ldap3.SAFE_SYNC, ldap3.ASYNC, ldap3.RESTARTABLE, ldap3.REUSABLE)},
    "server's information": server_information,
    "pages": paged,
    "adding is denied": adding_is_denied,
    "own password": own_password,
    **{f"rebind, {strategy}": rebind(strategy)
       for strategy in (ldap3.SYNC, ldap3.SAFE_SYNC, ldap3.ASYNC, ldap3.RESTARTABLE, ldap3.REUSABLE)},
    "rebind, wrong password": rebind_wrong,
    "raise_exceptions": raised,
    "pool of servers": pool_of_servers,
    "one connection in threads": threads(ldap3.SAFE_SYNC),
    "connections in threads, SYNC": threads(ldap3.SYNC),
    "connections in threads, ASYNC": threads(ldap3.ASYNC),
    "lazy": lazy,
    "abstraction layer": abstraction,
}  # fmt: skip


def told(call: Callable[[], bool]) -> str:
    try:
        return "good" if call() else "other"
    except (LDAPException, OSError) as error:
        return f"{type(error).__name__} {error}"


print(json.dumps({name: told(call) for name, call in CALLS.items()}))
