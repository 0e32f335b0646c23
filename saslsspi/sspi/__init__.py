"""The lower floor: SSPI's functions and types by their own names, on any operating system.

A program written for `sspilib.raw` moves here by changing its import. Contexts are made with
acquire_credentials_handle, initialize_security_context and accept_security_context; messages go through
encrypt_message, decrypt_message, make_signature and verify_signature. Nothing in here opens a socket.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from saslsspi.errors import SaslError
from saslsspi.sspi.attributes import (
    NEVER,
    SecPkgContext,
    SecPkgContextChannelBindings,
    SecPkgContextFlags,
    SecPkgContextKeyInfo,
    SecPkgContextLifespan,
    SecPkgContextNames,
    SecPkgContextNegotiationInfo,
    SecPkgContextPackageInfo,
    SecPkgContextSessionKey,
    SecPkgContextSizes,
    SecPkgContextStreamSizes,
    SecPkgContextTarget,
    SecPkgCred,
    SecPkgCredKdcProxySettings,
    SecPkgCredNames,
    SecPkgInfo,
)
from saslsspi.sspi.buffers import SECBUFFER_VERSION, SecBuffer, SecBufferDesc, SecChannelBindings
from saslsspi.sspi.environment import Account, Authority, Environment, NonceStore, Question, Secret
from saslsspi.sspi.flags import (
    AscReq,
    AscRet,
    ChannelBindingsResult,
    CredentialUse,
    ExportFlags,
    IscReq,
    IscRet,
    KdcProxySettingsFlags,
    NegotiationState,
    QopFlags,
    SecBufferFlags,
    SecBufferType,
    SecurityPackageCapability,
    TargetDataRep,
    WinNTAuthFlags,
)
from saslsspi.sspi.functions import (
    accept_security_context,
    acquire_credentials_handle,
    complete_auth_token,
    delete_security_context,
    enumerate_security_packages,
    free_context_buffer,
    free_credentials_handle,
    initialize_security_context,
    query_context_attributes,
    query_credentials_attributes,
    query_security_package_info,
    set_context_attributes,
    set_credentials_attributes,
)
from saslsspi.sspi.handles import (
    AcceptContextResult,
    AcquireCredentialsResult,
    CredHandle,
    CtxtHandle,
    InitializeContextResult,
)
from saslsspi.sspi.identity import (
    AuthIdentity,
    WinNTAuthCredentialType,
    WinNTAuthIdentity,
    WinNTAuthIdentityPackedCredential,
)
from saslsspi.sspi.message_functions import decrypt_message, encrypt_message, make_signature, verify_signature
from saslsspi.sspi.policy import (
    ChannelBindingPolicy,
    NegotiatePolicy,
    NtlmPolicy,
    NtlmResponses,
    Policy,
    Property,
    Tolerances,
)
from saslsspi.status import NTSTATUS, SecurityStatus

NtStatus = SecurityStatus
"""sspilib's name for SecurityStatus; the same object."""

if TYPE_CHECKING or sys.platform != "win32":
    WindowsError = SaslError
else:
    WindowsError = WindowsError  # Python's own, so that it is found here on every platform

__all__ = [
    "NEVER",
    "NTSTATUS",
    "SECBUFFER_VERSION",
    "AcceptContextResult",
    "Account",
    "AcquireCredentialsResult",
    "AscReq",
    "AscRet",
    "AuthIdentity",
    "Authority",
    "ChannelBindingPolicy",
    "ChannelBindingsResult",
    "CredHandle",
    "CredentialUse",
    "CtxtHandle",
    "Environment",
    "ExportFlags",
    "InitializeContextResult",
    "IscReq",
    "IscRet",
    "KdcProxySettingsFlags",
    "NegotiatePolicy",
    "NegotiationState",
    "NonceStore",
    "NtStatus",
    "NtlmPolicy",
    "NtlmResponses",
    "Policy",
    "Property",
    "QopFlags",
    "Question",
    "SecBuffer",
    "SecBufferDesc",
    "SecBufferFlags",
    "SecBufferType",
    "SecChannelBindings",
    "SecPkgContext",
    "SecPkgContextChannelBindings",
    "SecPkgContextFlags",
    "SecPkgContextKeyInfo",
    "SecPkgContextLifespan",
    "SecPkgContextNames",
    "SecPkgContextNegotiationInfo",
    "SecPkgContextPackageInfo",
    "SecPkgContextSessionKey",
    "SecPkgContextSizes",
    "SecPkgContextStreamSizes",
    "SecPkgContextTarget",
    "SecPkgCred",
    "SecPkgCredKdcProxySettings",
    "SecPkgCredNames",
    "SecPkgInfo",
    "Secret",
    "SecurityPackageCapability",
    "SecurityStatus",
    "TargetDataRep",
    "Tolerances",
    "WinNTAuthCredentialType",
    "WinNTAuthFlags",
    "WinNTAuthIdentity",
    "WinNTAuthIdentityPackedCredential",
    "WindowsError",
    "accept_security_context",
    "acquire_credentials_handle",
    "complete_auth_token",
    "decrypt_message",
    "delete_security_context",
    "encrypt_message",
    "enumerate_security_packages",
    "free_context_buffer",
    "free_credentials_handle",
    "initialize_security_context",
    "make_signature",
    "query_context_attributes",
    "query_credentials_attributes",
    "query_security_package_info",
    "set_context_attributes",
    "set_credentials_attributes",
    "verify_signature",
]
