"""ASC_REQ_STREAM and ASC_REQ_MUTUAL_AUTH are "supported only by Schannel": elsewhere they are taken and do nothing.

Digest is a stream by its own page (ISC_REQ_STREAM) and its capabilities, and so its acceptor grants STREAM as asked.
"""

import pytest

from saslsspi.sspi import AscReq, AscRet
from sspi_program import SIGN, Acceptor, Initiator, inbound, outbound


@pytest.mark.requirement("SSPI-ASC-39", "SSPI-ASC-32")
@pytest.mark.parametrize("package", ["WDigest", "NTLM", "Negotiate"])
@pytest.mark.parametrize("flag", [AscReq.ASC_REQ_STREAM, AscReq.ASC_REQ_MUTUAL_AUTH])
def test_a_flag_that_only_schannel_has_is_taken_and_does_nothing(package: str, flag: AscReq) -> None:
    def granted(flags: int) -> int:
        client, server = Initiator(outbound(package=package), int(SIGN)), Acceptor(inbound(package=package), flags)
        token = None if package == "WDigest" else client.step(None)
        while not (client.done and server.done):
            token = server.step(token)
            token = token if client.done else client.step(token)
        return server.attributes

    own = AscRet.ASC_RET_STREAM if (package, flag) == ("WDigest", AscReq.ASC_REQ_STREAM) else 0
    assert granted(int(flag)) == granted(0) | own
    assert not granted(0) & AscRet.ASC_RET_STREAM
