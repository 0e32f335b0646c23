"""PyHive or impyla, as their users write: hive_client.py pyhive|impyla MECHANISM PORT USER PASSWORD."""

import sys

WHO, MECHANISM, PORT, USER, PASSWORD = *sys.argv[1:3], int(sys.argv[3]), *sys.argv[4:6]


def pyhive():
    from pyhive import hive

    if MECHANISM == "GSSAPI":
        return hive.connect("localhost", PORT, auth="KERBEROS", kerberos_service_name="hive")
    if MECHANISM == "PLAIN":
        return hive.connect("localhost", PORT, username=USER, password=PASSWORD, auth="LDAP")
    import thrift_sasl
    from thrift.transport import TSocket

    import sasl

    def client():
        made = sasl.Client()
        values = {"host": "localhost", "service": "hive", "username": USER, "password": PASSWORD}
        for name, value in values.items():
            made.setAttr(name, value)
        made.init()
        return made

    socket = TSocket.TSocket("127.0.0.1", PORT)
    return hive.connect(thrift_transport=thrift_sasl.TSaslClientTransport(client, MECHANISM, socket))


def impyla():
    from impala.dbapi import connect

    more = {"kerberos_service_name": "hive"} if MECHANISM == "GSSAPI" else {"user": USER, "password": PASSWORD}
    return connect("localhost", PORT, auth_mechanism=MECHANISM, timeout=30, **more)


try:
    connection = {"pyhive": pyhive, "impyla": impyla}[WHO]()
    cursor = connection.cursor()
    texts = []
    for _ in range(2):
        cursor.execute("select c from t")
        texts.append(cursor.fetchall()[0][0])
    ssf = connection._transport.sasl.getSSF()[1] if WHO == "pyhive" else "-"
    print("in", texts == ["secret row " * 2000] * 2, ssf, sys.modules.get("sasl", sys.modules.get("puresasl")).__name__)
except Exception as error:
    print("refused:", type(error).__name__, error)
