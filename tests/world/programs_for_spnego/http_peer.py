"""An HTTP server on pyspnego: http_peer.py SCHEME [PEM right|wrong]; prints its port.

With a file of certificate and key it speaks TLS, and the acceptor is given the bindings of that certificate, or wrong
ones. A GET is answered with the user; a sealed POST, as WinRM has it, with a sealed count of octets; a request of EWS
with a folder that is named after the user. HTTP_PEER_HOST is the host of the acceptor's principal.
"""

import base64
import hashlib
import os
import re
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import spnego
from pypsrp.encryption import WinRMEncryption
from spnego.channel_bindings import GssChannelBindings

assert "compat" not in spnego.__file__
SCHEME, TLS = sys.argv[1], sys.argv[2:]
PROTOCOL = SCHEME.lower()
HOST = os.environ.get("HTTP_PEER_HOST", "127.0.0.1")
KIND = WinRMEncryption.CREDSSP if PROTOCOL == "credssp" else WinRMEncryption.SPNEGO
EWS = """\
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">
<s:Header><t:ServerVersionInfo MajorVersion="15" MinorVersion="1" MajorBuildNumber="1" MinorBuildNumber="1"/></s:Header>
<s:Body><m:GetFolderResponse><m:ResponseMessages><m:GetFolderResponseMessage ResponseClass="Success">
<m:ResponseCode>NoError</m:ResponseCode><m:Folders><t:Folder><t:FolderId Id="root" ChangeKey="1"/>
<t:DisplayName>{}</t:DisplayName></t:Folder></m:Folders>
</m:GetFolderResponseMessage></m:ResponseMessages></m:GetFolderResponse></s:Body></s:Envelope>
"""


def bindings():
    if not TLS:
        return None
    found = re.search(r"-----BEGIN C.*?END CERTIFICATE-----", Path(TLS[0]).read_text(), re.S)
    der = ssl.PEM_cert_to_DER_cert(found[0])
    digest = hashlib.sha256(der).digest() if TLS[1] == "right" else bytes(32)
    return GssChannelBindings(application_data=b"tls-server-end-point:" + digest)


BOUND = bindings()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    context = user = None

    def log_message(self, *words):
        pass

    def say(self, status, body=b"", kind="text/plain; charset=utf-8", challenge=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        out = b""
        if not self.user or token:
            if scheme.lower() != PROTOCOL:
                return self.say(401, challenge=SCHEME)
            if self.context is None or self.context.complete:
                self.context = spnego.server(HOST, "http", protocol=PROTOCOL, channel_bindings=BOUND)
            try:
                out = self.context.step(base64.b64decode(token)) or b""
            except Exception as error:
                print("refused:", type(error).__name__, error, flush=True)
                self.context = None
                return self.say(401, challenge=SCHEME)
            if not self.context.complete:
                return self.say(401, challenge=f"{SCHEME} {base64.b64encode(out).decode()}".rstrip())
            self.user = self.context.client_principal
        challenge = f"{SCHEME} {base64.b64encode(out).decode()}" if out else None
        if self.path.startswith("/EWS/"):
            return self.say(200, EWS.format(self.user).encode(), "text/xml; charset=utf-8", challenge)
        found = re.search('boundary="([^"]+)"', self.headers.get("Content-Type", ""))
        if not (body and found and self.headers["Content-Type"].startswith("multipart")):
            return self.say(200, self.user.encode(), challenge=challenge)
        sealing = WinRMEncryption(self.context, KIND)
        text = sealing.unwrap_message(body, found[1])
        answer = f"<echo user='{self.user}'>{len(text)}</echo>".encode() + b" " * (len(text) // 2)
        kind, wire = sealing.wrap_message(answer)
        kind = f'{kind};protocol="{KIND}";boundary="Encrypted Boundary"'
        return self.say(200, wire, kind, challenge)

    do_POST = do_GET  # noqa: N815


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if TLS:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS[0])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
