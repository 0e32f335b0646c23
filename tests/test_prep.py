from __future__ import annotations

import stringprep
import sys
from unicodedata import ucd_3_2_0

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saslsspi import prep
from saslsspi.errors import InvalidParameter
from saslsspi.prep import MAX_CODE_POINTS, saslprep
from saslsspi.status import SecurityStatus


# RFC 4013 section 3, examples 1 to 5.
@pytest.mark.requirement("RFC4013-2-01", "RFC4013-2-02", "RFC4013-2-06")
@pytest.mark.parametrize(
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")],
)
@pytest.mark.parametrize("stored", [False, True])
def test_saslprep_gives_the_examples_of_rfc_4013(text: str, prepared: str, stored: bool) -> None:
    assert saslprep(text, stored=stored) == prepared


# RFC 4013 section 3, examples 6 and 7.
@pytest.mark.requirement("RFC4013-2-03", "RFC4013-2-04")
@pytest.mark.parametrize(("text", "rule"), [("\u0007", "C.2.1"), ("\u06271", "right-to-left")])
def test_saslprep_refuses_the_examples_of_rfc_4013(text: str, rule: str) -> None:
    with pytest.raises(InvalidParameter, match=rule) as caught:
        saslprep(text)
    assert caught.value.status is SecurityStatus.SEC_E_INVALID_PARAMETER


@pytest.mark.requirement("RFC4013-2-01")
@pytest.mark.parametrize("space", ["\u00a0", "\u1680", "\u2003", "\u202f", "\u3000"])
def test_saslprep_maps_every_space_to_a_space(space: str) -> None:
    assert saslprep(f"a{space}b") == "a b"


@pytest.mark.requirement("RFC4013-2-03")
@pytest.mark.parametrize(
    ("character", "table"),
    [
        ("\x7f", "C.2.1"),
        ("\u0085", "C.2.2"),
        ("\ue000", "C.3"),
        ("\ufdd0", "C.4"),
        ("\ud800", "C.5"),
        ("\ufffd", "C.6"),
        ("\u2ff0", "C.7"),
        ("\u202a", "C.8"),
        ("\U000e0041", "C.9"),
    ],
)
def test_saslprep_prohibits_each_table(character: str, table: str) -> None:
    with pytest.raises(InvalidParameter, match=table):
        saslprep(f"a{character}b")


@pytest.mark.requirement("RFC4013-2-04")
@pytest.mark.parametrize("text", ["\u0627a\u0628", "1\u0627", "\u05d0a\u05d1"])
def test_saslprep_refuses_mixed_directions(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"section 2\.4"):
        saslprep(text)


@pytest.mark.requirement("RFC4013-2-04")
def test_saslprep_takes_right_to_left_text_at_both_ends() -> None:
    assert saslprep("\u06271\u0628") == "\u06271\u0628"


@pytest.mark.requirement("RFC4013-2-05")
def test_saslprep_takes_unassigned_code_points_in_queries_only() -> None:
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(InvalidParameter, match="unassigned"):
        saslprep("\u0221", stored=True)


@pytest.mark.requirement("RFC4013-2-02")
def test_saslprep_normalises_by_unicode_3_2() -> None:
    # U+1D2C is a compatibility form since Unicode 4.0; 3.2 knows nothing of it.
    assert saslprep("\u1d2c") == "\u1d2c"


def test_saslprep_is_bounded() -> None:
    assert saslprep("a" * MAX_CODE_POINTS) == "a" * MAX_CODE_POINTS
    with pytest.raises(InvalidParameter):
        saslprep("a" * (MAX_CODE_POINTS + 1))


def test_saslprep_may_leave_nothing() -> None:
    assert saslprep("") == ""
    assert saslprep("\u00ad\u200b") == ""


def refusal(text: str) -> str:
    try:
        saslprep(text)
    except InvalidParameter as error:
        return f"{error} {error!r}"
    return ""


@given(st.text(st.characters(codec=None), max_size=20))
def test_saslprep_errors_never_show_the_text(text: str) -> None:
    assert "tell-tale" not in refusal(f"tell-tale{text}\x07")


@given(st.text(st.characters(codec=None), max_size=20))
def test_saslprep_raises_nothing_but_invalid_parameter(text: str) -> None:
    refusal(text)


def test_what_is_looked_up_at_once_is_what_the_tables_of_stringprep_hold() -> None:
    """Every code point: mapped, prohibited, right to left and unassigned as the tables of RFC 3454 have it."""
    for character in map(chr, range(sys.maxunicode + 1)):
        removed, space = stringprep.in_table_b1(character), stringprep.in_table_c12(character)
        assert character.translate(prep._MAPPED) == ("" if removed else " " if space else character)
        prohibited = any(contains(character) for _, contains in prep._PROHIBITED)
        assert (prep._ANY_PROHIBITED.search(character) is not None) == prohibited, hex(ord(character))
        direction = ucd_3_2_0.bidirectional(character)
        assert (direction in prep._RIGHT_TO_LEFT) == stringprep.in_table_d1(character)
        assert (direction == "L") == stringprep.in_table_d2(character)
        unassigned = ucd_3_2_0.category(character) == "Cn" and not prohibited
        assert unassigned == (stringprep.in_table_a1(character) and not prohibited)
