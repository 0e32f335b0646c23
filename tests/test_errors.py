"""Errors that a user can sort: every class stands in exactly one branch, and what is told by a peer in the peer's."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import saslsspi
import saslsspi_mechanisms
from saslsspi import errors
from saslsspi.adapters.ldap.refusal import bind_refused
from saslsspi.adapters.mail.dialogue import Refused, Reply, ReplyKind
from saslsspi.errors import CallerError, LocalError, RemoteError, SaslError
from saslsspi.packages.credssp.failures import failure_of
from saslsspi.status import NTSTATUS, SecurityStatus

BRANCHES = (CallerError, LocalError, RemoteError)


def _import_everything() -> None:
    for package in (saslsspi, saslsspi_mechanisms):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


def _subclasses(base: type[SaslError]) -> Iterator[type[SaslError]]:
    for child in base.__subclasses__():
        yield child
        yield from _subclasses(child)


def classes() -> list[type[SaslError]]:
    _import_everything()
    return [kind for kind in dict.fromkeys(_subclasses(SaslError)) if kind.__module__.startswith("saslsspi")]


def raised(kind: type[SaslError]) -> type[SaslError]:
    """What `raise kind(...)` raises."""
    return type(kind.__new__(kind, ""))


def test_every_error_stands_in_exactly_one_branch() -> None:
    found = [raised(kind) for kind in classes() if kind not in BRANCHES and not kind.__name__.startswith("_")]
    assert len(found) > 50
    stray = {kind.__name__: [b.__name__ for b in BRANCHES if issubclass(kind, b)] for kind in found}
    assert {name: branches for name, branches in stray.items() if len(branches) != 1} == {}


def test_a_class_shared_by_branches_catches_its_errors_in_all_of_them() -> None:
    for kind in (errors.QopNotSupported, errors.NotProtected):
        with pytest.raises(errors.QopNotSupported, match="SEC_E_QOP_NOT_SUPPORTED"):
            raise kind("none")
    assert issubclass(raised(errors.QopNotSupported), RemoteError)
    assert issubclass(errors.NotProtected, CallerError)


def test_a_subclass_by_somebody_else_stands_where_its_base_is_usual() -> None:
    class Theirs(errors.InvalidToken):
        pass

    assert isinstance(Theirs("x", requirement="X-1"), RemoteError)
    assert Theirs("x", requirement="X-1").requirement == "X-1"


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name[0].isupper()])
def test_an_error_keeps_its_class_in_another_process(name: str) -> None:
    error = getattr(errors, name)("why")
    error.token = b"token"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.token) == (str(error), b"token")


def test_a_status_has_one_class() -> None:
    own = [kind for name in errors.__all__ if isinstance(kind := getattr(errors, name), type)]
    statuses = [kind.status for kind in own if "status" in vars(kind) and kind is not SaslError]
    assert sorted(statuses) == sorted(set(statuses))
    assert all(status >= 0x80000000 for status in statuses)


@pytest.mark.parametrize("code", [*SecurityStatus, *NTSTATUS, 0xC0001234])
def test_a_status_that_a_credssp_server_names_is_the_servers_fault(code: int) -> None:
    assert isinstance(failure_of(int(code)), RemoteError)


@pytest.mark.parametrize("code", range(1, 123))
def test_a_refused_bind_is_the_servers_doing(code: int) -> None:
    error = bind_refused("PLAIN", "alice", {"result": code, "description": "", "message": ""})
    assert isinstance(error, RemoteError)
    assert not isinstance(error, LocalError | CallerError)
    assert isinstance(error, OSError)


@pytest.mark.parametrize("kind", [kind for kind in ReplyKind if kind not in (ReplyKind.CHALLENGE, ReplyKind.SUCCESS)])
def test_a_refusal_in_mail_is_the_servers_doing(kind: ReplyKind) -> None:
    assert isinstance(Refused("PLAIN", Reply(kind, b"no")).error(), RemoteError)
