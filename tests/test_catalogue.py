"""The catalogue, the vectors and the claims are well-formed and agree with each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import vector_files
from requirement_coverage import COMPLETE, ClaimCollector, Claims, Listed, State, problems, read_listed, tally
from saslsspi_conformance import catalogue

_ENTRY = {
    "id": "RFC9999-1.2-01",
    "spec": "RFC 9999",
    "section": "1.2 Rules",
    "level": "MUST",
    "binds": "both",
    "text": "A rule.",
    "observable": "wire",
    "test": "input -> expected",
    "source": "text",
    "basis": "text",
}


def _file(*entries: dict[str, Any], **head: Any) -> str:
    head = {"spec": "RFC 9999", "title": "Rules", "status": "draft", "text_read": "all", **head}
    return json.dumps({"catalogue": head, "requirements": entries})


def _catalogue(*entries: dict[str, Any]) -> catalogue.CatalogueFile:
    return catalogue.parse_file("rfc9999", _file(*entries))


def test_shipped_files_hold_every_requirement() -> None:
    assert {name: len(file.requirements) for name, file in catalogue.files().items()} == {
        "gssapi-plain-anonymous-prep": 57,
        "http-digest": 76,
        "ms-cssp": 71,
        "ms-dpsp-rfc6331": 37,
        "ms-nlmp": 45,
        "profile-ldap": 55,
        "profile-mail": 159,
        "rfc2195": 7,
        "rfc2831": 252,
        "rfc4178-ms-spng": 82,
        "rfc4422": 112,
        "rfc5801": 24,
        "rfc5804": 53,
        "rfc7628": 16,
        "scram-channel-binding": 77,
        "sspi-asc-general": 99,
        "sspi-isc-credssp": 129,
        "sspi-isc-digest": 118,
    }
    assert len(catalogue.load()) == 1469


def test_a_requirement_is_found_by_its_id() -> None:
    entry = catalogue.load()["RFC2831-2.1.1-53"]
    assert entry.level is catalogue.RequirementLevel.MUST
    assert entry.binds is catalogue.Binds.SERVER
    assert entry.text == "The digest-challenge is shorter than 2048 octets."
    assert entry.keyword is None
    assert entry.reason is None


def test_optional_fields_of_an_entry_are_kept() -> None:
    entry = catalogue.load()["SSPI-ASC-67"]
    assert (entry.value, entry.value_source) == ("0x80100003", catalogue.ValueSource.PAGE)
    assert entry.contradiction is not None
    assert catalogue.load()["RFC2831-2.1.2-24"].clarified_by is not None


def test_a_clarification_names_its_source() -> None:
    unnamed = [
        entry.id
        for entry in catalogue.load().values()
        if entry.basis is catalogue.Basis.CLARIFICATION and entry.clarified_by is None
    ]
    assert unnamed == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "unknown fields"),
        ({"level": "OUGHT"}, "no level"),
        ({"level": "must"}, "no level"),
        ({"keyword": "uppercase"}, "no keyword"),
        ({"text": ""}, "text is not a text"),
        ({"test": None}, "test is not a text"),
        ({"id": "RFC9999-1.2"}, "not an id"),
        ({"id": "rfc9999-1.2-01"}, "not an id"),
        ({"id": "RFC9999-1.2-1"}, "not an id"),
        ({"id": "RFC9999-1.2-01 "}, "not an id"),
    ],
)
def test_a_malformed_entry_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(catalogue.CatalogueError, match=words):
        catalogue.parse_file("rfc9999", _file({**_ENTRY, **change}))


def test_a_missing_field_is_refused() -> None:
    with pytest.raises(catalogue.CatalogueError, match="'basis'"):
        catalogue.parse_file("rfc9999", _file({name: value for name, value in _ENTRY.items() if name != "basis"}))


def test_an_id_used_twice_is_refused() -> None:
    with pytest.raises(catalogue.CatalogueError, match="used twice"):
        catalogue.parse_file("rfc9999", _file(_ENTRY, _ENTRY))


def test_an_unknown_field_of_the_head_is_refused() -> None:
    with pytest.raises(catalogue.CatalogueError, match="unknown fields"):
        catalogue.parse_file("rfc9999", _file(_ENTRY, author="nobody"))


def test_vector_files_hold_named_vectors_with_their_origin() -> None:
    assert vector_files.names() == [
        "cram-md5",
        "credssp",
        "digest-md5",
        "digest-md5-captured",
        "http-digest",
        "ntlm",
        "saslprep",
        "scram",
    ]
    for name in vector_files.names():
        vectors = vector_files.load(name)
        ids = [vector["id"] for vector in vectors]
        assert len(set(ids)) == len(ids) > 0
        assert all(vector["verified"] for vector in vectors)
        assert vector_files.head(name)["mechanism"]


def test_a_loaded_vector_may_be_changed_without_harm() -> None:
    vector_files.load("digest-md5")[0].clear()
    assert vector_files.load("digest-md5")[0]["id"]


def test_every_claim_and_every_listed_entry_names_a_requirement(claims: Claims) -> None:
    assert problems(catalogue.files(), claims, read_listed()) == []


def test_files_declared_complete_exist() -> None:
    assert set(COMPLETE) <= catalogue.files().keys()


def test_each_requirement_falls_into_one_group() -> None:
    entries = [{**_ENTRY, "id": f"RFC9999-1-{number:02}"} for number in range(1, 7)]
    entries[3]["reason"] = entries[4]["reason"] = "a rule for writers"
    listed = {
        "RFC9999-1-01": Listed(State.LATER, "HTTP mode"),
        "RFC9999-1-02": Listed(State.NOT_APPLICABLE, "documentation"),
        "RFC9999-1-06": Listed(State.LATER, "HTTP mode"),
    }
    row = tally(_catalogue(*entries), {"RFC9999-1-04": ["t"], "RFC9999-1-06": ["t"]}, listed)
    assert row.later == ("RFC9999-1-01",)
    assert row.not_applicable == ("RFC9999-1-02", "RFC9999-1-05")
    assert row.missing == ("RFC9999-1-03",)
    assert row.claimed == ("RFC9999-1-04", "RFC9999-1-06")
    assert (row.total, row.percent) == (6, 50)


def test_a_claim_of_no_requirement_is_a_problem() -> None:
    files = {"rfc9999": _catalogue(_ENTRY)}
    assert problems(files, {"RFC9999-1.2-01": ["t"]}, {}) == []
    assert problems(files, {"RFC9999-1.2-02": ["t"]}, {}) == ["t claims 'RFC9999-1.2-02': no such id"]
    assert problems(files, {"": ["t"]}, {}) == ["t claims '': no such id"]


def test_a_claim_of_what_is_listed_as_not_applicable_is_a_problem() -> None:
    files = {"rfc9999": _catalogue(_ENTRY)}
    listed = {"rfc9999": {"RFC9999-1.2-01": Listed(State.NOT_APPLICABLE, "documentation")}}
    assert problems(files, {}, listed) == []
    assert len(problems(files, {"RFC9999-1.2-01": ["t"]}, listed)) == 1
    later = {"rfc9999": {"RFC9999-1.2-01": Listed(State.LATER, "HTTP mode")}}
    assert problems(files, {"RFC9999-1.2-01": ["t"]}, later) == []


def test_an_entry_listed_under_another_file_is_a_problem() -> None:
    entry = {"RFC9999-1.2-01": Listed(State.LATER, "HTTP mode")}
    files = {"rfc9999": _catalogue(_ENTRY), "rfc9998": _catalogue()}
    assert len(problems(files, {}, {"rfc9998": entry})) == 1
    assert len(problems(files, {}, {"rfc9997": entry})) == 1


@pytest.mark.parametrize(
    "entry",
    [{"state": "later"}, {"state": "later", "reason": " "}, {"state": "never", "reason": "x"}],
    ids=["no reason", "empty reason", "unknown state"],
)
def test_a_listed_entry_without_state_or_reason_is_refused(tmp_path: Path, entry: dict[str, str]) -> None:
    (tmp_path / "rfc9999.json").write_text(json.dumps({"RFC9999-1.2-01": entry}))
    with pytest.raises(ValueError, match=r"needs a state|'never'"):
        read_listed(tmp_path)


def test_markers_are_collected_with_the_tests_that_carry_them(request: pytest.FixtureRequest) -> None:
    collector = ClaimCollector()
    collector.pytest_collection_modifyitems([request.node])
    assert collector.claims == {}
    request.node.add_marker(pytest.mark.requirement("RFC9999-1-01", "RFC9999-1-02"))
    request.node.add_marker(pytest.mark.requirement())
    collector.pytest_collection_modifyitems([request.node])
    assert collector.claims == {claim: [request.node.nodeid] for claim in ("RFC9999-1-01", "RFC9999-1-02", "")}
