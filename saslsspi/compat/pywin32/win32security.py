"""The SSPI part of pywin32's win32security: its functions, its handles with methods, its buffers."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Any, Final

from saslsspi.compat.pywin32.attributes import attribute, package_info, time_of
from saslsspi.compat.pywin32.buffers import PySecBufferDescType, PySecBufferType, passed
from saslsspi.compat.pywin32.machine import Identity, identity_of, own_identity, surroundings
from saslsspi.compat.pywin32.pywintypes import error, translated
from saslsspi.compat.pywin32.sspicon import _ATTRIBUTES
from saslsspi.engine.attributes import SecPkgCredNames
from saslsspi.engine.environment import Environment
from saslsspi.engine.flags import CredentialUse
from saslsspi.errors import NoCredentials, UnsupportedFunction, signed_status
from saslsspi.sspi import functions, message_functions, tokens
from saslsspi.sspi.handles import CredHandle, CtxtHandle

__all__ = [
    "AcceptSecurityContext",
    "AcquireCredentialsHandle",
    "EnumerateSecurityPackages",
    "InitializeSecurityContext",
    "PyCredHandleType",
    "PyCtxtHandleType",
    "PySecBufferDescType",
    "PySecBufferType",
    "QuerySecurityPackageInfo",
    "error",
]

_OUTBOUND: Final = int(CredentialUse.SECPKG_CRED_OUTBOUND)
_NAMES: Final = _ATTRIBUTES["SECPKG_CRED_ATTR_NAMES"]
_MASK: Final = 0xFFFFFFFF


class PyCredHandleType(CredHandle):
    """A credential."""

    def FreeCredentialsHandle(self) -> None:
        """Give it back."""
        with translated("FreeCredentialsHandle"):
            functions.free_credentials_handle(self)

    def QueryCredentialsAttributes(self, Attribute: int) -> str:
        """Return the user, for SECPKG_CRED_ATTR_NAMES."""
        with translated("QueryCredentialsAttributes"):
            if Attribute != _NAMES:
                raise UnsupportedFunction(f"attribute {Attribute} of a credential is none that this module knows")
            try:
                return functions.query_credentials_attributes(self, SecPkgCredNames).username
            except NoCredentials:  # a server's, which on Windows is the machine's or the user's
                return str(own_identity("NTLM") or getpass.getuser())


class PyCtxtHandleType(CtxtHandle):
    """A security context."""

    def MakeSignature(self, fqop: int, Message: PySecBufferDescType, MessageSeqNo: int) -> None:
        """Sign the DATA buffers into the TOKEN buffer."""
        with translated("MakeSignature"):
            passed(lambda it: message_functions.make_signature(self, fqop & _MASK, it, MessageSeqNo), Message)

    def VerifySignature(self, Message: PySecBufferDescType, MessageSeqNo: int) -> int:
        """Verify what MakeSignature made; return the quality of protection."""
        with translated("VerifySignature"):
            quality = passed(lambda it: message_functions.verify_signature(self, it, MessageSeqNo), Message)
            return signed_status(int(quality))

    def EncryptMessage(self, fqop: int, Message: PySecBufferDescType, MessageSeqNo: int) -> None:
        """Encrypt in place."""
        with translated("EncryptMessage"):
            passed(lambda it: message_functions.encrypt_message(self, fqop & _MASK, it, MessageSeqNo), Message)

    def DecryptMessage(self, Message: PySecBufferDescType, MessageSeqNo: int) -> int:
        """Decrypt in place; return the quality of protection."""
        with translated("DecryptMessage"):
            quality = passed(
                lambda it: message_functions.decrypt_message(self, it, MessageSeqNo), Message, finds_memory=True
            )
            return signed_status(int(quality))

    def CompleteAuthToken(self, Token: PySecBufferDescType) -> None:
        """Finish a token after SEC_I_COMPLETE_NEEDED."""
        with translated("CompleteAuthToken"):
            passed(lambda it: functions.complete_auth_token(self, it), Token)

    def QueryContextAttributes(self, Attribute: int) -> Any:
        """Return an attribute by its number; what each is, docs/porting.md lists."""
        with translated("QueryContextAttributes"):
            return attribute(self, Attribute)

    def DeleteSecurityContext(self) -> None:
        """End it."""
        with translated("DeleteSecurityContext"):
            functions.delete_security_context(self)

    def QuerySecurityContextToken(self) -> tokens.SecurityToken:
        """Return the client of an accepted context, as saslsspi.sspi describes it."""
        with translated("QuerySecurityContextToken"):
            return tokens.query_security_context_token(self)

    def ImpersonateSecurityContext(self) -> None:
        """Act as the client: win32api.GetUserName says so, the operating system knows nothing of it."""
        with translated("ImpersonateSecurityContext"):
            tokens.impersonate_security_context(self)

    def RevertSecurityContext(self) -> None:
        """Act as oneself again."""
        with translated("RevertSecurityContext"):
            tokens.revert_security_context(self)


def AcquireCredentialsHandle(
    Principal: str | None,
    Package: str,
    CredentialUse: int,
    LogonID: object = None,
    AuthData: Identity | None = None,
    *,
    environment: Environment | None = None,
) -> tuple[PyCredHandleType, datetime]:
    """Return a credential and when it ends.

    Args:
        Principal: Whose; inbound the service's principal.
        Package: Its name.
        CredentialUse: SECPKG_CRED_INBOUND or _OUTBOUND.
        LogonID: Not used.
        AuthData: A user, a domain and a password; an identity of saslsspi.sspi; None is who is logged on.
        environment: Ours: accounts, policy, clock for this credential; None is what configure said.
    """
    with translated("AcquireCredentialsHandle"):
        identity = identity_of(AuthData)
        if identity is None and Principal is None and CredentialUse & _OUTBOUND:
            identity = own_identity(Package)
        around = surroundings(Package) if environment is None else environment
        found = functions.acquire_credentials_handle(
            Principal, Package, CredentialUse, auth_data=identity, environment=around
        )
        handle = PyCredHandleType()
        vars(handle).update(vars(found.credential))
        return handle, time_of(found.expiry)


def InitializeSecurityContext(
    Credential: PyCredHandleType,
    Context: PyCtxtHandleType | None,
    TargetName: str | None,
    ContextReq: int,
    TargetDataRep: int,
    pInput: PySecBufferDescType | None,
    NewContext: PyCtxtHandleType,
    pOutput: PySecBufferDescType,
) -> tuple[int, int, datetime]:
    """Take the client's side one step further; return status, attributes and when the context ends."""
    handle = NewContext if Context is None else Context
    with translated("InitializeSecurityContext"):
        result = passed(
            lambda given, made: functions.initialize_security_context(
                Credential, handle, TargetName, ContextReq & _MASK, TargetDataRep, given, made
            ),
            pInput,
            pOutput,
            spare=True,
        )
    return signed_status(int(result.status)), int(result.attributes), time_of(result.expiry)


def AcceptSecurityContext(
    Credential: PyCredHandleType,
    Context: PyCtxtHandleType | None,
    pInput: PySecBufferDescType | None,
    ContextReq: int,
    TargetDataRep: int,
    NewContext: PyCtxtHandleType,
    pOutput: PySecBufferDescType,
) -> tuple[int, int, datetime]:
    """Take the server's side one step further; return status, attributes and when the context ends."""
    handle = NewContext if Context is None else Context
    with translated("AcceptSecurityContext"):
        result = passed(
            lambda given, made: functions.accept_security_context(
                Credential, handle, given, ContextReq & _MASK, TargetDataRep, made
            ),
            pInput,
            pOutput,
            spare=True,
        )
    return signed_status(int(result.status)), int(result.attributes), time_of(result.expiry)


def QuerySecurityPackageInfo(PackageName: str) -> dict[str, int | str]:
    """Return what a package says of itself."""
    with translated("QuerySecurityPackageInfo"):
        return package_info(functions.query_security_package_info(PackageName))


def EnumerateSecurityPackages() -> tuple[dict[str, int | str], ...]:
    """Return what each package says of itself."""
    return tuple(map(package_info, functions.enumerate_security_packages()))
