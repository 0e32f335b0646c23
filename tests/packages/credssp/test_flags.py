"""Every flag of both sides, once: refused, granted, or taken without a meaning; and what the page leaves open."""

from __future__ import annotations

import pytest

from packages.credssp.ours import FREELY, TARGET, client_side, logged_on, server_side
from packages.schannel.stream import TOKEN
from saslsspi import errors, sspi
from saslsspi.sspi import AscReq, AscRet, IscReq, IscRet, SecBuffer, SecBufferDesc

REFUSED = {
    "PROMPT_FOR_CREDS": "nobody can be asked",
    "DATAGRAM": "TLS is a stream",
    "USE_DCE_STYLE": "the number of legs is TLS's and Negotiate's to say",
    "NULL_SESSION": "there is always a user, inside",
    "NO_INTEGRITY": "TLS protects every octet",
}
REFUSED_OF_SERVERS = {"DATAGRAM", "USE_DCE_STYLE", "ALLOW_NULL_SESSION"}
ALWAYS = {"CONFIDENTIALITY", "INTEGRITY", "REPLAY_DETECT", "SEQUENCE_DETECT"}
AS_ASKED = {"DELEGATE", "EXTENDED_ERROR", "CONNECTION", "STREAM", "ALLOCATE_MEMORY"}
# MANUAL_CRED_VALIDATION is how it is, asked or not; the proof of MUTUAL_AUTH and the buffer of USE_SUPPLIED_CREDS are
# tried in test_delegation.py and test_page.py.
OTHERS = {"MANUAL_CRED_VALIDATION", "MUTUAL_AUTH", "USE_SUPPLIED_CREDS"}
RETURNED = {"ALLOCATE_MEMORY": "ALLOCATED_MEMORY"}
CLIENT = [flag.name.removeprefix("ISC_REQ_") for flag in IscReq if flag.name]
SERVER = [flag.name.removeprefix("ASC_REQ_") for flag in AscReq if flag.name]


def granted(attributes: int, family: type[IscRet] | type[AscRet], prefix: str) -> set[str]:
    return {(flag.name or "").removeprefix(prefix) for flag in family(attributes)}


@pytest.mark.requirement("SSPI-ISC-CREDSSP-89")
@pytest.mark.parametrize("name", sorted(set(CLIENT) - OTHERS))
def test_a_flag_of_a_client_is_refused_granted_or_without_a_meaning(name: str) -> None:
    client = client_side(int(IscReq["ISC_REQ_" + name]), FREELY)
    if name in REFUSED:
        with pytest.raises(errors.UnsupportedFunction):
            client.step()
        return
    client, _ = logged_on(client)
    plain, _ = logged_on(client_side(0))
    ours, without = (granted(side.attributes, IscRet, "ISC_RET_") for side in (client, plain))
    wanted = {RETURNED.get(name, name)} if name in ALWAYS | AS_ASKED else set()
    assert ours - without == wanted - without
    assert wanted <= ours
    assert ours >= ALWAYS | {"MANUAL_CRED_VALIDATION"}


@pytest.mark.parametrize("name", sorted(set(SERVER) - {"MUTUAL_AUTH"}))
def test_a_flag_of_a_server_is_refused_granted_or_without_a_meaning(name: str) -> None:
    server = server_side(int(AscReq["ASC_REQ_" + name]))
    if name in REFUSED_OF_SERVERS:
        with pytest.raises(errors.UnsupportedFunction):
            server.step(client_side().step())
        return
    _, server = logged_on(server=server)
    _, plain = logged_on(server=server_side(0))
    ours, without = (granted(side.attributes, AscRet, "ASC_RET_") for side in (server, plain))
    assert ours - without == ({name} if name in {"EXTENDED_ERROR", "CONNECTION", "STREAM"} else set())


@pytest.mark.requirement("SSPI-ISC-CREDSSP-07")
def test_the_target_is_named_on_the_first_call_and_stays_in_force() -> None:
    nameless = client_side(target="")
    with pytest.raises(errors.TargetUnknown):
        nameless.step()
    client, server = client_side(), server_side()
    token = client.step()
    while not server.done:
        reply = server.step(token)
        outputs = SecBufferDesc([SecBuffer(None, TOKEN)])
        if client.done:
            continue
        result = sspi.initialize_security_context(
            None, client.handle, None, 0, 16, SecBufferDesc([SecBuffer(bytearray(reply), TOKEN)]), outputs
        )
        client.status, token = result.status, outputs[0].data
    assert client.query(sspi.SecPkgContextTarget).target_name == TARGET
