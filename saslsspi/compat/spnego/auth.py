"""client and server: how callers of pyspnego make contexts."""

from __future__ import annotations

from typing import Any, Final

from saslsspi.compat.spnego._context import ContextProxy, ContextReq
from saslsspi.compat.spnego._credential import Credential, unify_credentials
from saslsspi.compat.spnego._credssp import CredSSPProxy
from saslsspi.compat.spnego.channel_bindings import GssChannelBindings
from saslsspi.compat.spnego.exceptions import NegotiateOptions

__all__ = ["client", "server"]

_PROTOCOLS: Final = ("kerberos", "negotiate", "ntlm", "credssp")


def client(
    username: str | Credential | list[Credential] | None = None,
    password: str | None = None,
    hostname: str = "unspecified",
    service: str = "host",
    channel_bindings: GssChannelBindings | None = None,
    context_req: ContextReq = ContextReq.default,
    protocol: str = "negotiate",
    options: NegotiateOptions = NegotiateOptions.none,
    **kwargs: Any,
) -> ContextProxy:
    """Begin a client's side.

    Args:
        username: A name, a credential or a list of them; None takes what the user has.
        password: Of the name; "LM:NT" in hexadecimal digits are hashes of one.
        hostname: The server's name.
        service: The service of its principal.
        channel_bindings: Of the TLS around the exchange.
        context_req: What to ask for.
        protocol: kerberos, negotiate, ntlm or credssp.
        options: See NegotiateOptions.
        kwargs: Of CredSSPProxy.

    Raises:
        ValueError: there is no such protocol here.
        SpnegoError: there is nothing to log on with.
    """
    return _made(
        username, password, hostname, service, channel_bindings, context_req, protocol, options, "initiate", kwargs
    )


def server(
    hostname: str = "unspecified",
    service: str = "host",
    channel_bindings: GssChannelBindings | None = None,
    context_req: ContextReq = ContextReq.default,
    protocol: str = "negotiate",
    options: NegotiateOptions = NegotiateOptions.none,
    *,
    credentials: str | Credential | list[Credential] | None = None,
    **kwargs: Any,
) -> ContextProxy:
    """Begin a server's side; see client. A KerberosKeytab among the credentials is the server's own."""
    return _made(
        credentials, None, hostname, service, channel_bindings, context_req, protocol, options, "accept", kwargs
    )


def _made(
    username: str | Credential | list[Credential] | None,
    password: str | None,
    hostname: str | None,
    service: str | None,
    channel_bindings: GssChannelBindings | None,
    context_req: ContextReq,
    protocol: str,
    options: NegotiateOptions,
    usage: str,
    kwargs: dict[str, Any],
) -> ContextProxy:
    chosen = protocol.lower()
    if chosen not in _PROTOCOLS:
        raise ValueError(f"Invalid protocol specified '{protocol}', must be kerberos, negotiate, or ntlm")
    required = chosen if usage == "initiate" and chosen != "negotiate" else None
    credentials = unify_credentials(username, password, required)
    if chosen == "credssp":
        return CredSSPProxy(
            credentials, hostname, service, channel_bindings, context_req, usage, chosen, options, **kwargs
        )
    if chosen == "negotiate" and options & NegotiateOptions.use_ntlm and not options & _OTHERS:
        chosen = "ntlm"
    return ContextProxy(credentials, hostname, service, channel_bindings, context_req, usage, chosen, options)


_OTHERS: Final = NegotiateOptions.use_sspi | NegotiateOptions.use_gssapi | NegotiateOptions.use_negotiate
