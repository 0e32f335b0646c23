"""InitializeSecurityContext (CredSSP) as its caller drives it: the target name, the steps, the buffers."""

from __future__ import annotations

import pytest

from packages.credssp.ours import TOLD, client_side, server_side
from packages.schannel.stream import OK, TOKEN
from saslsspi import sspi
from saslsspi.sspi import IscReq, SecBuffer, SecBufferDesc, SecurityStatus

CONTINUE = SecurityStatus.SEC_I_CONTINUE_NEEDED


@pytest.mark.requirement("SSPI-ISC-CREDSSP-15")
def test_the_host_of_the_target_is_the_server_name_of_tls() -> None:
    for host in ("host.example", "other.example"):
        assert host.encode() in client_side(target=f"HTTP/{host}").step()


@pytest.mark.requirement("SSPI-ISC-CREDSSP-59", "SSPI-ISC-CREDSSP-28", "SSPI-ISC-CREDSSP-58")
def test_an_output_buffer_gets_memory_size_and_keeps_its_type() -> None:
    client = client_side()
    output = SecBuffer(None, TOKEN)
    flags = int(TOLD | IscReq.ISC_REQ_ALLOCATE_MEMORY)
    sspi.initialize_security_context(client.credential, None, client.target, flags, 16, None, SecBufferDesc([output]))
    assert (output.buffer_type, output.data[0]) == (TOKEN, 22)
    assert output.count == len(output.data) == 5 + int.from_bytes(output.data[3:5])


@pytest.mark.requirement("SSPI-ISC-CREDSSP-113", "SSPI-ISC-CREDSSP-114", "SSPI-ISC-CREDSSP-115")
def test_the_status_alone_says_whether_a_token_is_due() -> None:
    client, server = client_side(), server_side()
    token = client.step()
    assert client.status is CONTINUE
    for _ in range(20):
        answer = server.step(token)
        assert server.status in (CONTINUE, OK)
        if client.done:
            break
        assert answer, "a client that was told to continue gets a token"
        token = client.step(answer)
        assert client.status in (CONTINUE, OK)
        if client.status is CONTINUE:
            assert token
    assert (client.status, server.status) == (OK, OK)
