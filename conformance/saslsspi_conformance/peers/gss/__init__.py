"""Both sides of GSSAPI's layer negotiation over a stand-in for Kerberos."""
