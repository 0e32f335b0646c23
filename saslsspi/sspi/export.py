"""ExportSecurityContext and ImportSecurityContext: SSPI's face of engine.export."""

from __future__ import annotations

from saslsspi.engine.export import export_context, import_context
from saslsspi.engine.flags import ExportFlags
from saslsspi.sspi.handles import CtxtHandle

__all__ = ["export_security_context", "import_security_context"]


def export_security_context(context: CtxtHandle, flags: ExportFlags | int = 0, *, key: bytes | None = None) -> bytes:
    """Return an established context as octets for another process (ExportSecurityContext).

    Args:
        context: What to export.
        flags: DELETE_OLD ends the context; RESET_NEW lets the imported one begin anew; TO_KERNEL has no meaning here.
        key: At least 16 octets; import wants the same. There is no export without one.

    Raises:
        InvalidParameter: there is no key, or it is too short.
        ContextMisuse: the context is not established.
        UnsupportedFunction: the package, or this context of it, cannot be exported.
    """
    return export_context(context._opened(), int(flags), key)


def import_security_context(package: str, packed_context: bytes, *, key: bytes | None = None) -> CtxtHandle:
    """Return a context that another process has exported (ImportSecurityContext).

    Args:
        package: Name of the package, which must be that of the context.
        packed_context: What export_security_context returned.
        key: The one of the export.

    Raises:
        InvalidToken: it is no exported context, or one of another version or package.
        MessageAltered: it was changed, or exported under another key.
    """
    handle = CtxtHandle()
    handle._context = import_context(package, packed_context, key)
    return handle
