"""Distinguished names in comparable form."""

import pytest

from saslsspi.errors import InvalidParameter
from saslsspi.testbed.ldap.names import leaf, parse_name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a,dc=b", "CN = A , DC = B"),
        ("cn=a\\,b", "cn=a\\2Cb"),
        ("cn=a+sn=b,dc=c", "sn=b+cn=a,dc=c"),
        ("cn=a  b", "cn=A b"),
        ("cn=j\\C3\\B6rg", "cn=JÖRG"),
        ("cn=a\\ ", "cn=a"),
        ("cn=a=b", "cn=a\\=b"),
        ("1.2.3=x", "1.2.3=X"),
        ("", "  "),
    ],
)
def test_names_that_mean_the_same_compare_equal(one: str, other: str) -> None:
    assert parse_name(one) == parse_name(other)


@pytest.mark.parametrize(
    ("one", "other"), [("cn=a,dc=b", "dc=b,cn=a"), ("cn=a", "sn=a"), ("cn=a\\,dc=b", "cn=a,dc=b"), ("cn=a", "")]
)
def test_names_that_differ_compare_different(one: str, other: str) -> None:
    assert parse_name(one) != parse_name(other)


@pytest.mark.parametrize(
    "text",
    ["a", "=a", "cn", "cn=a,", ",cn=a", "cn=a,,dc=b", "cn=a+", "c n=a", "cn=a\\", "cn=\\zz", 'cn="a"', "cn=a;dc=b",
     "cn=<a>", "cn=a\0", "cn=\\FF", "cn=a," * 65 + "cn=a"],
)  # fmt: skip
def test_text_that_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_name(text)


def test_leaf_keeps_the_value_as_it_was_written() -> None:
    assert leaf("UID=Alice,dc=b") == ("uid", "Alice")
    assert leaf("uid=a\\2Cb\\ ,dc=b") == ("uid", "a,b ")
