"""SSPI's functions."""

from typing import assert_type

from saslsspi import sspi
from saslsspi.sspi import CredentialUse, IscReq, SecBuffer, SecBufferDesc, SecBufferType, TargetDataRep

acquired = sspi.acquire_credentials_handle(
    None,
    "NTLM",
    CredentialUse.SECPKG_CRED_OUTBOUND,
    auth_data=sspi.WinNTAuthIdentity("alice", "example.test", "wonderland"),
)
token = SecBuffer(None, SecBufferType.SECBUFFER_TOKEN)
result = sspi.initialize_security_context(
    acquired.credential,
    None,
    "http/host.example",
    IscReq.ISC_REQ_CONFIDENTIALITY,
    TargetDataRep.SECURITY_NATIVE_DREP,
    None,
    SecBufferDesc([token]),
)
assert_type(result.status, sspi.NtStatus)
names = [info.name for info in sspi.enumerate_security_packages()]
assert_type(names, list[str])
