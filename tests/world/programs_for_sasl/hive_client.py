"""Clients of Hive as their users write: hive_client.py pyhive|impyla|thrift MECHANISM PORT USER PASSWORD [QOP].

thrift is the transport that Thrift's own library has, which stands on pure-sasl and asks for the qualities it is given.
"""

import sys

WHO, MECHANISM, PORT, USER, PASSWORD = *sys.argv[1:3], int(sys.argv[3]), *sys.argv[4:6]
QOP = sys.argv[6:]


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
    from impala import dbapi, hiveserver2

    if MECHANISM == "DIGEST-MD5":  # dbapi.connect does not know its name
        more = {"kerberos_service_name": "hive", "user": USER, "password": PASSWORD}
        service = hiveserver2.connect("localhost", PORT, auth_mechanism=MECHANISM, timeout=30, **more)
        return hiveserver2.HiveServer2Connection(service)
    more = {"kerberos_service_name": "hive"} if MECHANISM == "GSSAPI" else {"user": USER, "password": PASSWORD}
    return dbapi.connect("localhost", PORT, auth_mechanism=MECHANISM, timeout=30, **more)


def thrift():
    from pyhive import hive
    from thrift.transport import TSocket, TTransport

    more = {} if MECHANISM == "GSSAPI" else {"username": USER, "password": PASSWORD}
    if QOP:
        more["qops"] = QOP
    socket = TSocket.TSocket("127.0.0.1", PORT)
    return hive.connect(
        thrift_transport=TTransport.TSaslClientTransport(socket, "localhost", "hive", MECHANISM, **more)
    )


def quality(connection):
    """Return what protects the connection: SSF of the one face, qop of the other."""
    sasl = (connection.service.client._iprot.trans if WHO == "impyla" else connection._transport).sasl
    return sasl.getSSF()[1] if hasattr(sasl, "getSSF") else sasl.qop.decode()


try:
    connection = {"pyhive": pyhive, "impyla": impyla, "thrift": thrift}[WHO]()
    cursor = connection.cursor()
    texts = []
    for _ in range(2):
        cursor.execute("select c from t")
        texts.append(cursor.fetchall()[0][0])
    face = sys.modules.get("sasl", sys.modules.get("puresasl")).__name__
    print("in", texts == ["secret row " * 2000] * 2, quality(connection), face)
except Exception as error:
    print("refused:", type(error).__name__, error)
