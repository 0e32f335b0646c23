"""An established Kerberos context as a record for another process: what GSS_Export_sec_context makes of it.

The library takes the context away as it exports it (RFC 2743 section 2.2.8), so only the last of a context can go, and
nothing can begin anew.
"""

from __future__ import annotations

from saslsspi.engine.export import ProtectionState
from saslsspi.engine.protection import Protection
from saslsspi.errors import UnsupportedFunction
from saslsspi.packages.kerberos.enctypes import session_key
from saslsspi.packages.kerberos.failures import translated
from saslsspi.packages.kerberos.gss import library
from saslsspi.packages.kerberos.protection import KerberosLayer, KerberosProtection

__all__ = ["export_layer", "import_layer"]


def export_layer(protection: Protection, *, reset: bool, last: bool) -> ProtectionState | None:
    """See ProtectionTraveller.export_protection."""
    if isinstance(protection, KerberosLayer):
        raise UnsupportedFunction("a layer of SASL stays in its process")
    if not isinstance(protection, KerberosProtection):
        return None
    if reset or not last:
        raise UnsupportedFunction("the GSS-API exports a Kerberos context only as it is, and takes it away: DELETE_OLD")
    with translated("exporting a context"):
        token = library().export_sec_context(protection.context)
    return {"token": bytes(token).hex(), "encrypts": protection.encrypts, "dce": protection.by_parts}


def import_layer(state: ProtectionState) -> KerberosProtection:
    """See ProtectionTraveller.import_protection."""
    with translated("importing a context"):
        context = library().import_sec_context(bytes.fromhex(str(state["token"])))
    encrypts, dce = bool(state["encrypts"]), bool(state["dce"])
    # Whose context it is matters to the list of mechanisms alone, which was signed before.
    return KerberosProtection(context, session_key(context), encrypts=encrypts, initiates=False, dce=dce)
