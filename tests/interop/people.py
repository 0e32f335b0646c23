"""The accounts that every real server of the tests knows, and the realm they live in."""

from dataclasses import dataclass
from typing import Final

REALM: Final = "example.test"


@dataclass(frozen=True)
class Person:
    """An account with its clear-text password, which DIGEST-MD5 servers have to know."""

    name: str
    password: str


ALICE: Final = Person("alice", "wonderland")
BOB: Final = Person("bob", "builder")
# Both fit ISO 8859-1, so RFC 2831's section 2.1.2.1 has two encodings to choose from.
JOERG: Final = Person("jörg", "grüße")
# Neither fits ISO 8859-1: only UTF-8 is left.
HANAKO: Final = Person("花子", "さくら")

PEOPLE: Final = {person.name: person for person in (ALICE, BOB, JOERG, HANAKO)}
