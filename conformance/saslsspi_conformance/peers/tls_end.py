"""One end of a TLS connection over octets, for the cases of CREDSSP; on the `ssl` of the standard library."""

from __future__ import annotations

import functools
import ssl
import tempfile
import time
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from saslsspi.der import Reader, Tag
from saslsspi.testbed.certificates import make_certificates

__all__ = ["TlsEnd", "record_count"]

_CERTIFICATE_REQUEST: Final = 13


def record_count(octets: bytes) -> int:
    """How many records of application data begin in a run of whole records."""
    count = 0
    while len(octets) >= 5:
        count += octets[0] == 0x17
        octets = octets[5 + int.from_bytes(octets[3:5]) :]
    return count


class TlsEnd:
    """One end; octets go in with take and come out with flight.

    Attributes:
        closed: Whether the peer has sent close_notify or an alert.
        asked: Whether the peer has asked for a certificate.
        certificate: The server's, in DER.
    """

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, host: str | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=host)
        self._own_certificate = b""
        self.closed = False

    @classmethod
    def client(cls, host: str) -> TlsEnd:
        """A client that trusts everybody, as CredSSP's does."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return cls(context, server_side=False, host=host)

    @classmethod
    def server(cls, *, self_signed: bool = False, tickets: bool = False) -> TlsEnd:
        """A server with a certificate of an authority that nobody knows, or with one that it signed itself."""
        context, certificate = _server_context(self_signed, tickets)
        end = cls(context, server_side=True)
        end._own_certificate = certificate
        return end

    def take(self, octets: bytes) -> None:
        """Take octets of the peer."""
        self._in.write(octets)

    def flight(self) -> bytes:
        """Return what is to go to the peer."""
        return self._out.read()

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is over."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def seal(self, *texts: bytes) -> bytes:
        """Return texts as records, after what else is to go out."""
        for text in texts:
            self._tls.write(text)
        return self.flight()

    def read(self) -> bytes:
        """Return all text that has come."""
        text = b""
        while True:
            try:
                more = self._tls.read(1 << 16)
            except ssl.SSLWantReadError:
                return text
            except ssl.SSLError:
                self.closed = True
                return text
            if not more:
                self.closed = True
                return text
            text += more

    @property
    def resumed(self) -> bool:
        """Whether an earlier session was taken up again."""
        return bool(self._tls.session_reused)

    @property
    def has_ticket(self) -> bool:
        """Client: whether the server has given a ticket for another time."""
        session = self._tls.session
        return session is not None and session.has_ticket

    @property
    def key(self) -> bytes:
        """The contents of the BIT STRING subjectPublicKey of the server's certificate."""
        certificate = self._own_certificate or self._tls.getpeercert(binary_form=True) or b""
        public = x509.load_der_x509_certificate(certificate).public_key()
        info = Reader(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).enter()
        info.encoded(Tag.SEQUENCE)
        return info.contents(Tag.BIT_STRING)[1:]


@functools.cache
def _server_context(self_signed: bool, tickets: bool) -> tuple[ssl.SSLContext, bytes]:
    from saslsspi.packages.schannel.certificate import self_signed as make_self_signed

    with tempfile.TemporaryDirectory() as folder:
        if self_signed:
            file = Path(folder) / "server.pem"
            file.write_bytes(make_self_signed("localhost", now=time.time()).pem)
        else:
            file = make_certificates(Path(folder), "tester").server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        text = file.read_text(encoding="ascii")
    context.num_tickets = 2 if tickets else 0
    end = "-----END CERTIFICATE-----\n"
    return context, ssl.PEM_cert_to_DER_cert(text[text.index("-----BEGIN CERTIFICATE") : text.index(end) + len(end)])
