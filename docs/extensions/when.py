"""When to change a policy's field: a sentence each, for the page of policies. Where one is missing the build fails."""

__all__ = ["WHEN"]

WHEN = {
    "Policy": {
        "min_ssf": "Set 1 where the server demands signing, 56 or more where who listens must not read: and leave it 0 "
        "inside TLS.",
        "max_ssf": "Set 0 inside TLS, where a layer would only cost time; Active Directory refuses one there.",
        "max_buffer": "Raise it for large transfers under a layer; lower it on a server with many connections.",
        "min_peer_buffer": "Lower it for a device that takes small buffers only.",
        "max_unannounced": "Lower it where one connection must not make this side hold 16 MB.",
        "properties": "Name what every mechanism must have where you do not choose it yourself: MUTUAL where a server "
        "must prove itself, NO_ANONYMOUS.",
        "channel_binding": "REQUIRE on both sides where TLS must end at the server itself; NONE behind a proxy that "
        "ends TLS.",
        "ciphers": "Name a weak one for one old server, in a policy for that server alone.",
        "weak_mechanisms": "Name one for one old server that has no other, inside TLS.",
        "tolerances": "NONE to find out what a peer does wrong; add one that an error names, for that peer.",
        "nonce_lifetime": "Shorten it where a stolen nonce count matters; 0 makes every logon a whole one.",
        "kdc_timeout": "Shorten it where a user waits and NTLM can take over; lengthen it behind a slow line.",
        "ntlm": "Where NTLM is in use, on either side.",
        "negotiate": "Where Kerberos or NTLM alone is wanted, or a peer knows no SPNEGO.",
        "credssp": "Where a server is to have the password itself: WinRM's and RDP's second hop.",
        "http_digest": "Where Digest is used in HTTP.",
        "allow_plaintext": "Only for loopback and tests; inside TLS it is not needed.",
        "allow_anonymous": "For a server with public contents, which then gives `anonymous` no more than those.",
        "min_iterations": "Raise it as hardware gets faster; lower it for one old server.",
        "max_iterations": "Lower it on small machines; raise it for accounts that were made with more.",
        "username_preparation": "NONE for MongoDB, TRIED where names may hold what SASLprep refuses.",
        "password_preparation": "TRIED for PostgreSQL; REQUIRED, the RFC's, everywhere else.",
    },
    "NtlmPolicy": {
        "responses": "Add V1 for a server from before Windows NT 4 SP4, and nowhere else: it is broken in seconds.",
        "extended_session_security": "Turn it off for such a server only.",
        "min_key_bits": "Lower it for a peer that was made for export before the year 2000.",
        "require_mic": "Turn it on where all clients are of Windows Vista or later: it ends relays that change flags.",
        "require_timestamp": "Turn it off for clients that have none and send no MIC, such as old Samba.",
        "max_lifetime": "Shorten it where clocks are kept by NTP: captured answers are of use for as long.",
        "zero_bindings": "Turn it on for an acceptor that wants the bindings said though there are none.",
        "target": "STRICT where services of one host must not be confused; REPORT where the program decides itself.",
        "own_names": "Name the aliases and addresses by which clients reach this server, when they are refused with "
        "SEC_E_WRONG_PRINCIPAL.",
        "computer_name": "Set it where the system's name is not what clients or servers are to see.",
        "domain_name": "Set it on a server that stands for a domain.",
    },
    "NegotiatePolicy": {
        "packages": '"kerberos" where NTLM must not happen, "ntlm" where there is no realm to be looked for.',
        "fallback": "Turn it off where Kerberos has to work, and silence would hide that it does not.",
        "optimistic": "Turn it off for a server that stumbles over a token in the offer.",
        "bare_ntlm": "Turn it on for a server that answers SPNEGO with an error, such as an old proxy.",
        "kdc_timeout": "Raise it where KDCs are far away, and NTLM in their place would be wrong or refused.",
    },
    "HttpDigestPolicy": {
        "algorithms": '("SHA-256",) where MD5 is forbidden; ("MD5",) for clients that trip over a second challenge.',
        "userhash": "Turn it on where names must not cross the wire, and clients know RFC 7616.",
        "require_userhash": "Turn it on with it, where every client does.",
        "domain": "Name the URIs that share an account, where they are not all of this host.",
        "nextnonce": "Turn it on where a nonce is to serve one request; clients that pipeline are slowed.",
        "answer_without_qop": "Turn it off where the server must prove itself.",
        "accept_without_qop": "Turn it on for one old client (RFC 2069), inside TLS.",
        "nonce_key": "Set it where the store is shared with programs that must not make nonces.",
    },
    "CredSspPolicy": {
        "minimum_version": "Lower it for a server without the updates of 2018, on a network that you trust.",
        "version": "Lower it to speak as an older client does, in tests.",
        "public_key_leg": "AFTER_NEGOTIATE for FreeRDP 3's server.",
        "bare_ntlm": "Turn it on for FreeRDP's servers without SPNEGO.",
        "takes": "Widen it where the program knows what to do with a smart card's or Remote Guard's.",
        "delegate": "Turn it on where the server is to have the password, with a list that names the server.",
        "allow_default": "Name the servers that may have the credentials of whoever runs this.",
        "allow_fresh": "Name the servers that may have a password that was given for them: the usual one.",
        "allow_saved": "Name those that may have what a credential manager keeps.",
        "allow_default_ntlm_only": "As above, for servers that cannot prove who they are: better, give them a "
        "certificate.",
        "allow_fresh_ntlm_only": "For a server without Kerberos and without a known certificate, on a network that you "
        "trust.",
        "allow_saved_ntlm_only": "As allow_fresh_ntlm_only, for saved ones.",
        "certificate": "Set it on a server whose clients check who it is.",
        "private_key": "Set it where the key has a file of its own.",
        "authorities": "Set it where the servers' certificates come from an authority of yours: then allow_fresh is "
        "enough.",
    },
}
