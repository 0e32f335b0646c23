"""QueryContextAttributes: what is known, and when."""

import pytest

from saslsspi import errors, sspi
from sspi_program import ACCEPT_SEAL, ACCEPT_SIGN, SEAL, SIGN, Acceptor, Initiator, connected, inbound, outbound

EARLY = [sspi.SecPkgContextPackageInfo]
LATE = [
    sspi.SecPkgContextFlags,
    sspi.SecPkgContextKeyInfo,
    sspi.SecPkgContextLifespan,
    sspi.SecPkgContextNames,
    sspi.SecPkgContextSessionKey,
    sspi.SecPkgContextSizes,
    sspi.SecPkgContextTarget,
]


@pytest.mark.parametrize("kind", LATE)
def test_attributes_wait_for_the_final_success(kind: type[sspi.SecPkgContext]) -> None:
    client, server = Initiator(outbound(), int(SEAL)), Acceptor(inbound(), int(ACCEPT_SEAL))
    response = client.step(server.step(None))
    for side in (client, server):
        with pytest.raises(errors.ContextMisuse):
            sspi.query_context_attributes(side.handle, kind)
    client.step(server.step(response))
    for side in (client, server):
        assert isinstance(sspi.query_context_attributes(side.handle, kind), kind)


def test_the_package_is_known_at_once() -> None:
    server = Acceptor(inbound(), 0)
    server.step(None)
    info = sspi.query_context_attributes(server.handle, sspi.SecPkgContextPackageInfo)
    assert (info.name, info.max_token, info.rpcid) == ("WDigest", 4096, 21)


def test_names_tell_the_user_on_both_sides() -> None:
    for side in connected():
        assert sspi.query_context_attributes(side.handle, sspi.SecPkgContextNames).username == "alice"


@pytest.mark.parametrize(
    ("ciphers", "block", "bits"), [(("rc4",), 1, 128), (("3des",), 8, 112), (("des",), 8, 55), (("rc4-40",), 1, 40)]
)
def test_sizes_and_key_info_tell_the_cipher(ciphers: tuple[str, ...], block: int, bits: int) -> None:
    environment = sspi.Environment(policy=sspi.Policy(ciphers=ciphers))
    for side in connected(SEAL, ACCEPT_SEAL, environment=environment):
        sizes = sspi.query_context_attributes(side.handle, sspi.SecPkgContextSizes)
        assert (sizes.max_signature, sizes.block_size) == (16, block)
        info = sspi.query_context_attributes(side.handle, sspi.SecPkgContextKeyInfo)
        assert (info.signature_algorithm_name, info.encryption_algorithm_name) == ("HMAC-MD5", ciphers[0])
        assert info.key_size == bits


def test_both_sides_hold_the_same_session_key_and_hide_it() -> None:
    client, server = connected(SIGN, ACCEPT_SIGN)
    keys = [sspi.query_context_attributes(side.handle, sspi.SecPkgContextSessionKey) for side in (client, server)]
    assert keys[0].session_key == keys[1].session_key
    assert len(keys[0].session_key) == 16
    assert "session_key" not in repr(keys[0])


def test_an_attribute_that_the_package_lacks_is_unsupported() -> None:
    client, _ = connected(SIGN, ACCEPT_SIGN)
    with pytest.raises(errors.UnsupportedFunction):
        sspi.query_context_attributes(client.handle, sspi.SecPkgContextStreamSizes)
    with pytest.raises(errors.UnsupportedFunction):
        sspi.set_context_attributes(client.handle, sspi.SecPkgContextNames("x"))
    with pytest.raises(errors.UnsupportedFunction):
        sspi.set_credentials_attributes(client.credential, sspi.SecPkgCredNames("x"))


@pytest.mark.parametrize("package", ["WDigest", "NTLM", "Negotiate"])
def test_what_no_package_has_is_unsupported(package: str) -> None:
    credential = outbound(package=package)
    with pytest.raises(errors.UnsupportedFunction):
        sspi.query_credentials_attributes(credential, sspi.SecPkgCredKdcProxySettings)
    settings = sspi.SecPkgCredKdcProxySettings(proxy_server="kdc.example.test")
    with pytest.raises(errors.UnsupportedFunction):
        sspi.set_credentials_attributes(credential, settings)
    client, server = Initiator(credential, int(SIGN)), Acceptor(inbound(package=package), 0)
    token = client.step(None)
    while not (client.done and server.done):
        token = server.step(token)
        token = token if client.done else client.step(token)
    control = sspi.SecBufferDesc([sspi.SecBuffer(sspi.SCHANNEL_SHUTDOWN, sspi.SecBufferType.SECBUFFER_TOKEN)])
    for side in (client, server):
        with pytest.raises(errors.UnsupportedFunction):
            sspi.apply_control_token(side.handle, control)
        with pytest.raises(errors.UnsupportedFunction):
            sspi.set_context_attributes(side.handle, sspi.SecPkgContextFlags(0))
    sspi.free_credentials_handle(credential)
    with pytest.raises(errors.ContextMisuse):
        sspi.query_credentials_attributes(credential, sspi.SecPkgCredNames)
    with pytest.raises(errors.ContextMisuse):
        sspi.set_credentials_attributes(credential, settings)


def test_packages_tell_of_themselves() -> None:
    packages = {info.name: info for info in sspi.enumerate_security_packages()}
    assert packages["WDigest"].max_token == 4096
    assert packages["WDigest"].capabilities & sspi.SecurityPackageCapability.SECPKG_FLAG_PRIVACY
