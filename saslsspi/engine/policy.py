"""What is acceptable: the one record of limits and permissions that packages and mechanisms obey."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from saslsspi.errors import InvalidParameter
from saslsspi.kinds import check_defaults
from saslsspi.prep import Preparation

__all__ = [
    "DEFAULT_POLICY",
    "SSF_UNLIMITED",
    "ChannelBindingPolicy",
    "CredSspCredentials",
    "CredSspPolicy",
    "HttpDigestPolicy",
    "NegotiatePolicy",
    "NtlmPolicy",
    "NtlmResponses",
    "NtlmTarget",
    "Policy",
    "Property",
    "PublicKeyLeg",
    "Tolerances",
]

SSF_UNLIMITED: Final = 1 << 16
"""Above the security strength factor of every layer."""


class Tolerances(enum.IntFlag):
    """Departures from the grammar or from RFC 2831 that we accept from peers, each by name.

    What we send is always strict, but for the encoding of names and passwords beyond ASCII: a client writes and hashes
    them as HASH_UTF8, HASH_MIXED or UTF8_WITHOUT_CHARSET say where a policy names one. An acceptor tries the same
    password in each encoding that it tolerates, as one attempt. Each tolerance that an exchange needed is named in its
    outcome.
    """

    NONE = 0
    QUOTED_QOP = 0x0001  # qop="auth" in a response, as Windows sends it (MS-DPSP 3.2.1)
    QUOTED_CHARSET = 0x0002  # charset="utf-8", as Dovecot and ldap3 send it
    QUOTED_ALGORITHM = 0x0004  # algorithm="md5-sess", as Dovecot sends it
    QUOTED_CIPHER = 0x0008  # cipher="rc4" in a response, as OpenJDK sends it
    QUOTED_NUMBER = 0x0010  # quotes around maxbuf, nc, stale, response or rspauth
    BARE_LIST = 0x0020  # qop=auth or cipher=rc4 in a challenge (MS-DPSP 3.2.5.2)
    BARE_BACKSLASH = 0x0040  # username="DOM\user": a backslash that nobody doubled (MS-DPSP 2.2)
    TEXT_BEFORE_NTLM = 0x0080  # "334 NTLM supported" for an empty challenge, as Exchange and Exim send it
    UTF8_WITHOUT_CHARSET = 0x0100  # UTF-8 that charset=utf-8 did not announce, as Cyrus SASL and pure-sasl send it
    HASH_UTF8 = 0x0200  # A1 from the UTF-8 octets, as Cyrus SASL, Dovecot and pure-sasl hash
    HASH_MIXED = 0x0400  # A1 from a UTF-8 name and a Latin-1 password, as GNU SASL hashes
    SIZE_WITHOUT_LAYER = 0x0800  # GSSAPI: a size where no layer is offered, as OpenJDK's server sends it, or chosen
    LAYER_WITHOUT_SIZE = 0x1000  # GSSAPI: a layer with a size of 0, as Cyrus SASL before 2.1.27 offers it
    HASH_LATIN1 = 0x2000  # HTTP: A1 in ISO 8859-1 although the challenge said UTF-8, as old browsers hash
    OTHER_ENCODINGS = 0x4000  # accepting: HASH_*, UTF8_WITHOUT_CHARSET in any client; without it, those that are named
    DEFAULT = 0x58FF


def tolerance_names(bits: int) -> tuple[str, ...]:
    """Return the names of the tolerances in a mask."""
    return tuple(tolerance.name or "" for tolerance in Tolerances(bits))


class Property(enum.IntFlag):
    """Security properties of a mechanism (RFC 4422 section 6 names the attacks)."""

    NONE = 0
    MUTUAL = 0x01  # the server proves that it knows the secret, or who it is
    NO_PLAINTEXT = 0x02  # the password does not cross the wire
    NO_ANONYMOUS = 0x04  # somebody is authenticated
    NO_DICTIONARY = 0x08  # an eavesdropper cannot try passwords at home
    FORWARD_SECRECY = 0x10
    DELEGATES = 0x20  # the server receives credentials it can use


class ChannelBindingPolicy(enum.Enum):
    """What to do about channel bindings (TLS around the exchange)."""

    NONE = "none"
    ALLOW = "allow"
    REQUIRE = "require"


class NtlmResponses(enum.IntFlag):
    """The answers to an NTLM challenge (MS-NLMP section 3.3); which of them is used is not negotiated."""

    V2 = 1
    V1 = 2  # off by default: single DES, with or without the client's challenge
    LM = 4  # off by default: the LAN Manager hash beside, or instead of, NTLMv1


class NtlmTarget(enum.Enum):
    """What an acceptor of NTLM compares of the service that a client means; a name marked untrusted counts as none."""

    HOST = "host"  # any class for one of its own names
    STRICT = "strict"  # the class as well
    REPORT = "report"  # nothing: the program looks at SecPkgContextTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class NtlmPolicy:
    """What NTLM may do (MS-NLMP). The names are those that go out; "" takes the system's own.

    Attributes:
        responses: A client sends the strongest that is named, an acceptor takes all that are named.
        extended_session_security: Whether a layer must have it; without it there is a CRC-32 for a signature.
        min_key_bits: Least strength of a layer's key: 128, 56 or 40.
        require_mic: Accepting: whether the three messages must be protected by a MIC.
        require_timestamp: Accepting: whether an NTLMv2 answer without a MIC must repeat the timestamp of our challenge.
            One that does not comes from a very old client, or answers a challenge that was changed on its way.
        max_lifetime: Accepting: how far a client's time may be from ours, in seconds.
        zero_bindings: Initiating: whether the absence of channel bindings is said with 16 zeros, as section
            3.1.5.1.2 has it; acceptors take that for knowing about bindings and refuse it where they check.
        target: Accepting: what is compared of the service that the client means, where the acceptor has a principal or
            own names.
        own_names: Accepting: hosts by which clients know this machine, beside those of its principals and their short
            names: aliases, short names, addresses.
        computer_name: The NetBIOS name of this machine.
        domain_name: Accepting: the NetBIOS domain of this machine.
    """

    responses: NtlmResponses = NtlmResponses.V2
    extended_session_security: bool = True
    min_key_bits: int = 128
    require_mic: bool = False
    require_timestamp: bool = True
    max_lifetime: float = 36 * 3600.0
    zero_bindings: bool = False
    target: NtlmTarget = NtlmTarget.HOST
    own_names: tuple[str, ...] = ()
    computer_name: str = ""
    domain_name: str = ""

    def __post_init__(self) -> None:
        check_defaults(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatePolicy:
    """What Negotiate may choose.

    Attributes:
        packages: Names in order of preference, "!" before one that is out, as "kerberos,!ntlm"; "" is all there
            are. The package_list of a credential goes before it.
        fallback: Initiating: whether the next package is offered when the one before it cannot begin.
        optimistic: Initiating: whether the first package's token goes with the offer.
        bare_ntlm: Initiating: whether NTLM alone is used, without SPNEGO around its messages, for servers that know
            nothing else. An acceptor takes both.
        kdc_timeout: Initiating: how long Kerberos may look for a KDC where the next package could begin, in seconds;
            a realm without an answer is not asked again for a minute. Policy.kdc_timeout where Kerberos is alone.
    """

    packages: str = ""
    fallback: bool = True
    optimistic: bool = True
    bare_ntlm: bool = False
    kdc_timeout: float = 2.0

    def __post_init__(self) -> None:
        check_defaults(self)


class PublicKeyLeg(enum.Enum):
    """When a CredSSP client sends pubKeyAuth."""

    WITH_LAST_TOKEN = "with_last_token"  # MS-CSSP section 3.1.5 step 3
    AFTER_NEGOTIATE = "after_negotiate"  # in a step of its own, as FreeRDP 3's server wants it


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpDigestPolicy:
    """What Digest for HTTP may do (RFC 2617, RFC 7616).

    Attributes:
        algorithms: Names of the algorithms, the preferred first. An acceptor offers them, one challenge a line of its
            token; empty offers SHA-256, and MD5 where accounts hold its hash alone. An initiator answers those only;
            empty answers every one that it knows.
        userhash: Accepting: whether clients are asked to send their names hashed.
        require_userhash: Accepting: whether a client that does not is refused (RFC 7616 section 3.4).
        domain: Accepting: the protection space, URIs.
        nextnonce: Accepting: whether each success brings a new nonce.
        answer_without_qop: Initiating: whether a challenge without qop is answered, which proves no server.
        accept_without_qop: Accepting: whether credentials without qop are taken, which can be replayed.
        nonce_key: Accepting: a secret of the nonces beside that of the nonce store, the same at all servers that share
            the store; None needs none. It makes no nonce valid where its uses are not remembered.
    """

    algorithms: tuple[str, ...] = ()
    userhash: bool = False
    require_userhash: bool = False
    domain: tuple[str, ...] = ()
    nextnonce: bool = False
    answer_without_qop: bool = True
    accept_without_qop: bool = False
    nonce_key: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        check_defaults(self)


class CredSspCredentials(enum.IntFlag):
    """The kinds of credentials that CredSSP hands over (MS-CSSP section 2.2.1.2)."""

    PASSWORD = 1  # and empty ones
    SMART_CARD = 2
    REMOTE_GUARD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CredSspPolicy:
    """What CredSSP may do (MS-CSSP, and the group policy for delegation).

    The lists name targets, as "ldap/host.example", with at most one "*" in a name. There are three kinds of
    credentials; what is in an ntlm_only list may also go to a server that has not proved who it is.

    Attributes:
        minimum_version: Least version of the protocol that is taken, 2 to 6; below 5 a man in the middle can get
            past the key binding (CVE-2018-0886).
        version: The version to speak, 2 to 6.
        public_key_leg: Initiating: when pubKeyAuth is sent.
        bare_ntlm: Initiating: whether negoTokens hold NTLM without SPNEGO, as FreeRDP's servers want it; see
            NegotiatePolicy. An acceptor takes both.
        takes: Accepting: the kinds of credentials that may be handed over. Others are read and refused: a smart card's
            are of use to who has the card, those of Remote Credential Guard to who speaks its protocol.
        delegate: Initiating, SASL: whether the credentials are handed over (ISC_REQ_DELEGATE).
        allow_default: Targets for the credentials of the user's own logon.
        allow_fresh: Targets for credentials that were given for this.
        allow_saved: Targets for credentials of a credential manager.
        allow_default_ntlm_only: As allow_default, whatever the server proved.
        allow_fresh_ntlm_only: As allow_fresh, whatever the server proved.
        allow_saved_ntlm_only: As allow_saved, whatever the server proved.
        certificate: Accepting: PEM file with the certificate chain; "" makes a self-signed one.
        private_key: Accepting: PEM file with its key; "" looks in the same file.
        authorities: Initiating: PEM file with the authorities whose servers count as proved; "" trusts none.
    """

    minimum_version: int = 5
    version: int = 6
    public_key_leg: PublicKeyLeg = PublicKeyLeg.WITH_LAST_TOKEN
    bare_ntlm: bool = False
    takes: CredSspCredentials = CredSspCredentials.PASSWORD
    delegate: bool = False
    allow_default: tuple[str, ...] = ()
    allow_fresh: tuple[str, ...] = ()
    allow_saved: tuple[str, ...] = ()
    allow_default_ntlm_only: tuple[str, ...] = ()
    allow_fresh_ntlm_only: tuple[str, ...] = ()
    allow_saved_ntlm_only: tuple[str, ...] = ()
    certificate: str = ""
    private_key: str = ""
    authorities: str = ""

    def __post_init__(self) -> None:
        check_defaults(self)
        if not 2 <= self.minimum_version <= self.version <= 6:
            raise InvalidParameter(
                f"minimum_version {self.minimum_version} must lie between 2 and version {self.version}, at most 6"
            )
        lists = (
            self.allow_default, self.allow_fresh, self.allow_saved, self.allow_default_ntlm_only,
            self.allow_fresh_ntlm_only, self.allow_saved_ntlm_only,
        )  # fmt: skip
        for name in (name for names in lists for name in names):
            if name.count("*") > 1:
                raise InvalidParameter(f"{name!r} has more than one wildcard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a side accepts. Checked before a choice is made and again after completion.

    Attributes:
        min_ssf: Least security strength factor of the layer; 0 accepts none, 1 demands integrity, above
            that the bits of the cipher.
        max_ssf: Greatest factor; 0 forbids a layer, 1 forbids encryption.
        max_buffer: Largest protected buffer that we take, in octets, 17 to 16,777,215.
        min_peer_buffer: Least size of a protected buffer that a peer must take, in octets, or max_buffer where that is
            smaller. Below it each message would be cut into many, which costs us both time and octets.
        max_unannounced: Largest protected buffer that we take where the exchange says nothing about sizes (GSS-SPNEGO,
            NTLM), in octets up to 16,777,215; max_buffer where that is larger.
        properties: What a mechanism must have.
        channel_binding: Whether bindings are used, and whether their absence is fatal.
        ciphers: The DIGEST-MD5 ciphers that may be used, the preferred first. The weak ones (des, rc4-56,
            rc4-40) exist for old peers and are used only where they are named here.
        weak_mechanisms: Mechanisms that are used only where they are named here: LOGIN and CRAM-MD5, for old peers.
        tolerances: Which departures of peers are accepted.
        nonce_lifetime: How long after its issue a nonce serves subsequent authentication, in seconds. There is none
            in DIGEST-MD5 where a layer is wanted: its keys would be those of the connection before.
        kdc_timeout: How long a step may wait for the KDCs of a Kerberos realm altogether, in seconds.
        ntlm: What NTLM may do.
        negotiate: What Negotiate may choose.
        credssp: What CredSSP may do.
        http_digest: What Digest for HTTP may do.
        allow_plaintext: Whether a password, or a token of OAuth, may cross a channel that nothing encrypts (RFC 4616
            section 5, RFC 7628 section 3).
        allow_anonymous: Whether a server lets in who authenticates as nobody (RFC 4505 section 5).
        min_iterations: Least SCRAM iteration count that is taken or announced (RFC 7677 section 3).
        max_iterations: Greatest SCRAM iteration count that is taken; above it a peer only costs us time.
        username_preparation: What SCRAM on both sides, and a server's PLAIN, do with a user name.
        password_preparation: The same with a password. Take TRIED for PostgreSQL, where a password may hold what
            SASLprep refuses, such as a tab or a character younger than Unicode 3.2.
    """

    min_ssf: int = 0
    max_ssf: int = SSF_UNLIMITED
    max_buffer: int = 65536
    min_peer_buffer: int = 256
    max_unannounced: int = 0xFFFFFF
    properties: Property = Property.NONE
    channel_binding: ChannelBindingPolicy = ChannelBindingPolicy.ALLOW
    ciphers: tuple[str, ...] = ("rc4", "3des")
    weak_mechanisms: tuple[str, ...] = ()
    tolerances: Tolerances = Tolerances.DEFAULT
    nonce_lifetime: float = 300.0
    kdc_timeout: float = 30.0
    ntlm: NtlmPolicy = NtlmPolicy()
    negotiate: NegotiatePolicy = NegotiatePolicy()
    credssp: CredSspPolicy = CredSspPolicy()
    http_digest: HttpDigestPolicy = HttpDigestPolicy()
    allow_plaintext: bool = False
    allow_anonymous: bool = False
    min_iterations: int = 4096
    max_iterations: int = 1_000_000
    username_preparation: Preparation = Preparation.REQUIRED
    password_preparation: Preparation = Preparation.REQUIRED

    def __post_init__(self) -> None:
        check_defaults(self)
        if not 0 <= self.min_ssf <= self.max_ssf:
            raise InvalidParameter(f"min_ssf {self.min_ssf} must lie between 0 and max_ssf {self.max_ssf}")
        if not 16 < self.max_buffer <= 0xFFFFFF:
            raise InvalidParameter(f"max_buffer {self.max_buffer} must lie between 17 and 16777215 octets")
        if not 0 <= self.min_peer_buffer <= 0xFFFFFF:
            raise InvalidParameter(f"min_peer_buffer {self.min_peer_buffer} must lie between 0 and 16777215 octets")
        if not 0 <= self.max_unannounced <= 0xFFFFFF:
            raise InvalidParameter(f"max_unannounced {self.max_unannounced} must lie between 0 and 16777215 octets")
        if not 0 < self.min_iterations <= self.max_iterations:
            raise InvalidParameter(
                f"min_iterations {self.min_iterations} must lie between 1 and max_iterations {self.max_iterations}"
            )


DEFAULT_POLICY: Final = Policy()
