"""Who the client is: QuerySecurityContextToken, ImpersonateSecurityContext, RevertSecurityContext."""

from __future__ import annotations

import asyncio
import threading

import pytest

from saslsspi import Account, MemoryAuthority, errors, sspi
from saslsspi.sspi import Environment, ImpersonationLevel
from sspi_context import DOMAIN, SEAL, TARGET, Context, client_credential, run, server_credential
from sspi_program import Acceptor, connected, inbound

PEOPLE = MemoryAuthority([Account(username="alice", domain=DOMAIN, password="wonderland", groups=("tea", "cards"))])


def ntlm_server() -> Context:
    client = Context(client_credential(), SEAL, TARGET)
    server = Context(server_credential(environment=Environment(authority=PEOPLE)), 0)
    run(client, server)
    return server


def test_the_token_names_user_domain_package_and_groups() -> None:
    token = sspi.query_security_context_token(ntlm_server())
    assert token.username == f"{DOMAIN}\\alice"
    assert token.realm == DOMAIN
    assert token.package == "NTLM"
    assert token.groups == ("tea", "cards")
    assert token.level is ImpersonationLevel.SECURITY_IMPERSONATION
    assert token.delegated is None


def test_with_negotiate_the_token_names_the_package_that_was_chosen() -> None:
    client = Context(client_credential("Negotiate", package_list="ntlm"), SEAL, TARGET)
    server = Context(server_credential("Negotiate", package_list="ntlm"), 0)
    run(client, server)
    assert sspi.query_security_context_token(server).package == "NTLM"
    key = b"the key of both processes"
    there = sspi.import_security_context("Negotiate", sspi.export_security_context(server, key=key), key=key)
    assert sspi.query_security_context_token(there) == sspi.query_security_context_token(server)


def test_only_an_established_server_context_has_a_client() -> None:
    client, server = connected()
    with pytest.raises(errors.NoImpersonation):
        sspi.query_security_context_token(client.handle)
    with pytest.raises(errors.NoImpersonation):
        sspi.impersonate_security_context(client.handle)
    begun = Acceptor(inbound(), 0)
    begun.step(None)
    with pytest.raises(errors.ContextMisuse):
        sspi.query_security_context_token(begun.handle)
    sspi.delete_security_context(server.handle)
    with pytest.raises(errors.ContextMisuse):
        sspi.query_security_context_token(server.handle)


def test_impersonation_is_in_force_until_it_is_reverted() -> None:
    _, server = connected()
    assert sspi.current_token() is None
    sspi.impersonate_security_context(server.handle)
    assert sspi.current_token() == sspi.query_security_context_token(server.handle)
    sspi.revert_security_context(server.handle)
    assert sspi.current_token() is None
    with pytest.raises(errors.NoImpersonation):
        sspi.revert_security_context(server.handle)


def test_another_context_takes_the_place_and_only_it_can_be_reverted() -> None:
    (_, one), (_, other) = connected(), connected()
    sspi.impersonate_security_context(one.handle)
    sspi.impersonate_security_context(other.handle)
    with pytest.raises(errors.NoImpersonation):
        sspi.revert_security_context(one.handle)
    sspi.revert_security_context(other.handle)
    assert sspi.current_token() is None


def test_a_block_restores_what_was_before_whatever_happens() -> None:
    (_, one), (_, other) = connected(), connected()
    with sspi.impersonated(one.handle) as outer:
        with pytest.raises(ZeroDivisionError), sspi.impersonated(other.handle):
            raise ZeroDivisionError
        assert sspi.current_token() is outer
    assert sspi.current_token() is None


def test_a_context_that_was_deleted_meanwhile_can_still_be_reverted() -> None:
    _, server = connected()
    sspi.impersonate_security_context(server.handle)
    sspi.delete_security_context(server.handle)
    sspi.revert_security_context(server.handle)
    assert sspi.current_token() is None


def test_threads_and_tasks_have_identities_of_their_own() -> None:
    _, server = connected()
    seen: list[object] = []
    with sspi.impersonated(server.handle) as token:
        thread = threading.Thread(target=lambda: seen.append(sspi.current_token()))
        thread.start()
        thread.join()

        async def inner() -> None:
            seen.append(sspi.current_token())
            sspi.revert_security_context(server.handle)
            seen.append(sspi.current_token())

        async def outer() -> None:
            await asyncio.create_task(inner())
            seen.append(sspi.current_token())

        asyncio.run(outer())
        assert sspi.current_token() is token
    assert seen == [None, token, None, token]


def test_who_only_wants_to_be_identified_is_not_impersonated() -> None:
    _, server = connected()
    context = server.handle._context
    assert context is not None
    assert context.outcome is not None
    context.outcome = context.outcome._replace(flags=context.outcome.flags | sspi.AscRet.ASC_RET_IDENTIFY)
    assert sspi.query_security_context_token(server.handle).level is ImpersonationLevel.SECURITY_IDENTIFICATION
    with pytest.raises(errors.NoImpersonation):
        sspi.impersonate_security_context(server.handle)


def test_nobody_is_not_impersonated() -> None:
    _, server = connected()
    context = server.handle._context
    assert context is not None
    assert context.outcome is not None
    context.outcome = context.outcome._replace(username="")
    assert sspi.query_security_context_token(server.handle).level is ImpersonationLevel.SECURITY_ANONYMOUS
    with pytest.raises(errors.NoImpersonation):
        sspi.impersonate_security_context(server.handle)


def test_delegated_credentials_stay_out_of_repr() -> None:
    class Secret(sspi.Delegated):
        def __repr__(self) -> str:
            return "wonderland"

    token = sspi.SecurityToken("alice", "", "", "X", (), ImpersonationLevel.SECURITY_DELEGATION, Secret())
    assert "wonderland" not in repr(token)
