"""The constants: names with their prefixes and the values of the Win32 headers."""

import enum

import pytest

from saslsspi import sspi
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet

FAMILIES = [(IscReq, "ISC_REQ_"), (IscRet, "ISC_RET_"), (AscReq, "ASC_REQ_"), (AscRet, "ASC_RET_")]


@pytest.mark.requirement("SSPI-ISC-DIGEST-19", "SSPI-ISC-DIGEST-57", "SSPI-ASC-40", "SSPI-ASC-54")
@pytest.mark.parametrize(("family", "prefix"), FAMILIES)
def test_flag_names_carry_their_prefix(family: type[enum.IntFlag], prefix: str) -> None:
    assert all(name.startswith(prefix) for name in family.__members__)


@pytest.mark.requirement("SSPI-ISC-DIGEST-99", "SSPI-ASC-89")
@pytest.mark.parametrize(("family", "prefix"), FAMILIES)
def test_flags_are_single_bits_that_combine(family: type[enum.IntFlag], prefix: str) -> None:
    values = {int(flag) for flag in family.__members__.values()}
    assert all(value.bit_count() == 1 for value in values)
    everything = family(sum(values))
    assert all(flag in everything for flag in family.__members__.values())


@pytest.mark.parametrize(
    ("name", "initiating", "accepting"),
    [
        ("DELEGATE", 0x1, 0x1),
        ("MUTUAL_AUTH", 0x2, 0x2),
        ("REPLAY_DETECT", 0x4, 0x4),
        ("SEQUENCE_DETECT", 0x8, 0x8),
        ("CONFIDENTIALITY", 0x10, 0x10),
        ("USE_SESSION_KEY", 0x20, 0x20),
        ("ALLOCATE_MEMORY", 0x100, 0x100),
        ("DATAGRAM", 0x400, 0x400),
        ("CONNECTION", 0x800, 0x800),
        ("EXTENDED_ERROR", 0x4000, 0x8000),
        ("STREAM", 0x8000, 0x10000),
        ("INTEGRITY", 0x10000, 0x20000),
        ("IDENTIFY", 0x20000, 0x80000),
        ("FRAGMENT_TO_FIT", 0x200000, 0x800000),
        ("HTTP", 0x10000000, 0x10000000),
    ],
)
def test_request_flags_have_the_values_of_the_header(name: str, initiating: int, accepting: int) -> None:
    assert IscReq["ISC_REQ_" + name] == initiating
    assert AscReq["ASC_REQ_" + name] == accepting


@pytest.mark.requirement("SSPI-ISC-DIGEST-58")
@pytest.mark.parametrize(("requests", "results"), [(IscReq, IscRet), (AscReq, AscRet)])
def test_result_flags_mirror_the_requests(requests: type[enum.IntFlag], results: type[enum.IntFlag]) -> None:
    renamed = {
        "ALLOCATE_MEMORY": "ALLOCATED_MEMORY", "USE_DCE_STYLE": "USED_DCE_STYLE", "FRAGMENT_TO_FIT": "FRAGMENT_ONLY",
        "USE_SUPPLIED_CREDS": "USED_SUPPLIED_CREDS", "PROMPT_FOR_CREDS": "USED_COLLECTED_CREDS",
        "USE_HTTP_STYLE": "USED_HTTP_STYLE", "ALLOW_NULL_SESSION": "NULL_SESSION",
    }  # fmt: skip
    only_asked = {"CALL_LEVEL", "FRAGMENT_SUPPLIED", "UNVERIFIED_TARGET_NAME", "ALLOW_MISSING_BINDINGS"}
    for name, value in requests.__members__.items():
        stem = name[8:]
        if stem not in only_asked:
            assert results[results.__name__[:3].upper() + "_RET_" + renamed.get(stem, stem)] == value


def test_the_http_bit_of_digest_is_the_missing_bindings_bit_of_others() -> None:
    assert AscReq.ASC_REQ_HTTP == AscReq.ASC_REQ_ALLOW_MISSING_BINDINGS


@pytest.mark.requirement("SSPI-ISC-DIGEST-70", "SSPI-ISC-DIGEST-71")
def test_statuses_have_the_values_of_the_header() -> None:
    status = sspi.SecurityStatus
    assert status.SEC_I_CONTINUE_NEEDED == 0x00090312
    assert status.SEC_I_INCOMPLETE_CREDENTIALS == 0x00090320
    assert status.SEC_E_INVALID_HANDLE == 0x80090301  # some pages print 0x80100003, a smart card code
    assert status.SEC_E_BAD_BINDINGS == 0x80090346
    assert sspi.NtStatus is status


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SEC_E_BAD_BINDINGS", 0x80090346),
        ("SEC_E_INCOMPLETE_MESSAGE", 0x80090318),
        ("SEC_E_INSUFFICIENT_MEMORY", 0x80090300),
        ("SEC_E_INTERNAL_ERROR", 0x80090304),
        ("SEC_E_INVALID_TOKEN", 0x80090308),
        ("SEC_E_LOGON_DENIED", 0x8009030C),
        ("SEC_E_NO_AUTHENTICATING_AUTHORITY", 0x80090311),
        ("SEC_E_NO_CREDENTIALS", 0x8009030E),
        ("SEC_E_OK", 0),
        ("SEC_E_SECURITY_QOS_FAILED", 0x80090332),
        ("SEC_E_UNSUPPORTED_FUNCTION", 0x80090302),
        ("SEC_I_COMPLETE_AND_CONTINUE", 0x00090314),
        ("SEC_I_COMPLETE_NEEDED", 0x00090313),
        ("SEC_I_CONTINUE_NEEDED", 0x00090312),
    ],
)
def test_status_values_are_those_the_page_prints(name: str, value: int) -> None:
    assert sspi.SecurityStatus[name] == value


def test_logon_failure_is_an_ntstatus() -> None:
    assert sspi.NTSTATUS.STATUS_LOGON_FAILURE == 0xC000006D


def test_winerror_is_the_signed_form_of_the_status() -> None:
    error = sspi.WindowsError("x")
    assert isinstance(error, OSError)
    assert error.winerror == sspi.SecurityStatus.SEC_E_INTERNAL_ERROR - 2**32
    assert error.token is None


def test_members_are_those_of_sspilib() -> None:
    raw = pytest.importorskip("sspilib.raw")
    for name in ("AscReq", "AscRet", "IscReq", "IscRet", "CredentialUse", "KdcProxySettingsFlags", "QopFlags",
                 "SecBufferFlags", "SecBufferType", "SecurityPackageCapability", "TargetDataRep", "WinNTAuthFlags",
                 "NtStatus"):  # fmt: skip
        ours = getattr(sspi, name).__members__
        for member, value in getattr(raw, name).__members__.items():
            assert int(ours[member]) & 0xFFFFFFFF == int(value) & 0xFFFFFFFF, member
    assert not [name for name in raw.__all__ if not hasattr(sspi, name)]
