"""A HiveServer2 in small: thrift_sasl's frames, OpenJDK's SASL server, and Hive's own service with one row.

hive_peer.py MECHANISM QOP USER PASSWORD [with-complete] [JAVA-OPTION ...]; prints its port. PLAIN, which the JDK has no
server for, is compared here. The mechanism's last word comes in a frame of its own, or as Hive sends it: with COMPLETE.
"""

import base64
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

from TCLIService import TCLIService, ttypes
from thrift.protocol import TBinaryProtocol
from thrift.transport import TTransport

MECHANISM, QOP, USER, PASSWORD = sys.argv[1:5]
WITH_COMPLETE = "with-complete" in sys.argv
OPTIONS = [word for word in sys.argv[5:] if word != "with-complete"]
START, OK, BAD, _, COMPLETE = range(1, 6)
ROW = "secret row " * 2000
GOOD = ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)


class Jdk:
    def __init__(self):
        source = Path(__file__).with_name("SaslServer.java")
        self.process = subprocess.Popen(
            ["java", *OPTIONS, str(source), MECHANISM, "hive", "localhost", QOP, USER, PASSWORD],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.done = False

    def ask(self, word, data):
        self.process.stdin.write(f"{word}={base64.b64encode(data).decode()}\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline().strip()
        kind, _, text = line.partition("=")
        answer = None if not text else base64.b64decode(text)
        if kind == "refused":
            raise PermissionError(answer.decode())
        self.done = self.done or kind.startswith("done")
        return answer

    def step(self, data):
        return self.ask("step", data)

    def wrap(self, data):
        return self.ask("wrap", data)

    def unwrap(self, data):
        return self.ask("unwrap", data)

    def close(self):
        self.process.kill()
        self.process.communicate()


class Plain:
    done = False

    def step(self, data):
        if data.split(b"\0")[1:] != [USER.encode(), PASSWORD.encode()]:
            raise PermissionError("wrong password")
        self.done = True

    def close(self):
        pass


class Service:
    def __init__(self):
        self.fetched = False

    def __getattr__(self, name):
        def answer(request):
            made = getattr(ttypes, f"T{name}Resp")(status=GOOD)
            handle = ttypes.THandleIdentifier(guid=b"g" * 16, secret=b"s" * 16)
            if name == "OpenSession":
                made.serverProtocolVersion = ttypes.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V6
                made.sessionHandle = ttypes.TSessionHandle(sessionId=handle)
            elif name == "ExecuteStatement":
                kind = ttypes.TOperationType.EXECUTE_STATEMENT
                made.operationHandle = ttypes.TOperationHandle(
                    operationId=handle, operationType=kind, hasResultSet=True
                )
                self.fetched = False
            elif name == "GetOperationStatus":
                made.operationState = ttypes.TOperationState.FINISHED_STATE
            elif name == "GetResultSetMetadata":
                text = ttypes.TPrimitiveTypeEntry(type=ttypes.TTypeId.STRING_TYPE)
                kind = ttypes.TTypeDesc(types=[ttypes.TTypeEntry(primitiveEntry=text)])
                made.schema = ttypes.TTableSchema([ttypes.TColumnDesc(columnName="c", typeDesc=kind, position=1)])
            elif name == "FetchResults":
                column = ttypes.TStringColumn(values=[] if self.fetched else [ROW], nulls=b"\0")
                self.fetched = True
                made.hasMoreRows = False
                made.results = ttypes.TRowSet(0, [], [ttypes.TColumn(stringVal=column)])
            return made

        return answer


def read(stream, size):
    data = b""
    while len(data) < size:
        piece = stream.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def frame(stream):
    status, size = struct.unpack(">BI", read(stream, 5))
    return status, read(stream, size)


def serve(stream):
    peer = Plain() if MECHANISM == "PLAIN" else Jdk()
    try:
        assert frame(stream) == (START, MECHANISM.encode())
        answer = peer.step(frame(stream)[1])
        while not peer.done:
            stream.sendall(struct.pack(">BI", OK, len(answer or b"")) + (answer or b""))
            answer = peer.step(frame(stream)[1])
        if answer and not WITH_COMPLETE:  # thrift_sasl reads none that comes with COMPLETE
            stream.sendall(struct.pack(">BI", OK, len(answer)) + answer)
            frame(stream)
            answer = b""
        stream.sendall(struct.pack(">BI", COMPLETE, len(answer or b"")) + (answer or b""))
        processor = TCLIService.Processor(Service())
        while True:
            (size,) = struct.unpack(">I", read(stream, 4))
            wire = read(stream, size)
            come = TTransport.TMemoryBuffer(wire if QOP == "auth" else peer.unwrap(wire))
            going = TTransport.TMemoryBuffer()
            processor.process(TBinaryProtocol.TBinaryProtocol(come), TBinaryProtocol.TBinaryProtocol(going))
            sent = going.getvalue() if QOP == "auth" else peer.wrap(going.getvalue())
            assert (b"secret row" in sent) == (QOP != "auth-conf" and b"secret row" in going.getvalue())
            stream.sendall(struct.pack(">I", len(sent)) + sent)
    except EOFError:
        pass
    except PermissionError as error:
        print("refused:", error, flush=True)
        text = str(error).encode()
        stream.sendall(struct.pack(">BI", BAD, len(text)) + text)
    finally:
        stream.close()
        peer.close()


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
