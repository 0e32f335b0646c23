"""A directory in memory, generated: the suffix, people, and as many numbered entries as one likes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from saslsspi.der import element, octet_string, sequence
from saslsspi.testbed.ldap.filters import Values
from saslsspi.testbed.ldap.messages import Scope
from saslsspi.testbed.ldap.names import Name, leaf, parse_name, prepare

__all__ = ["Directory", "Entry", "generate"]

Attributes = Mapping[str, Sequence[str]]

_SET: Final = 0x31
_ALL_USER, _ALL_OPERATIONAL, _NOTHING = "*", "+", "1.1"


class Entry:
    """An entry: its attributes as text, prepared for filters, and encoded for results.

    Args:
        dn: Its name as text.
        attributes: User attributes.
        operational: Attributes that are returned only when asked for.
    """

    __slots__ = ("_encoded", "attributes", "dn", "encoded_name", "operational", "values")

    def __init__(self, dn: str, attributes: Attributes, operational: Attributes) -> None:
        self.dn = dn
        self.attributes = attributes
        self.operational = operational
        self.values: Values = {
            kind.lower(): tuple(map(prepare, values)) for kind, values in {**attributes, **operational}.items()
        }
        self.encoded_name = octet_string(dn.encode())
        self._encoded: dict[tuple[tuple[str, ...], bool], bytes] = {}

    def encode(self, wanted: tuple[str, ...], *, types_only: bool) -> bytes:
        """Return the PartialAttributeList of what is wanted, in lower case (RFC 4511 section 4.5.1.8)."""
        key = (wanted, types_only)
        encoded = self._encoded.get(key)
        if encoded is None:
            parts = [_attribute(kind, () if types_only else values) for kind, values in self._select(wanted)]
            encoded = sequence(*parts)
            self._encoded = {key: encoded}  # one selection: the clients of a test repeat theirs
        return encoded

    def _select(self, wanted: tuple[str, ...]) -> Iterator[tuple[str, Sequence[str]]]:
        names = set(wanted) - {_NOTHING}
        everything = not wanted or _ALL_USER in names
        for kind, values in self.attributes.items():
            if everything or kind.lower() in names:
                yield kind, values
        for kind, values in self.operational.items():
            if _ALL_OPERATIONAL in names or kind.lower() in names:
                yield kind, values


def _attribute(kind: str, values: Sequence[str]) -> bytes:
    encoded = [octet_string(value.encode()) for value in values]
    return sequence(octet_string(kind.encode()), element(_SET, *encoded))


class Directory:
    """A tree of entries below one suffix. It does not change.

    Attributes:
        suffix: The name at its root, as text.
        known: The attribute types that occur, in lower case.
    """

    def __init__(self, suffix: str) -> None:
        self.suffix = suffix
        self.known: set[str] = set()
        self._root = parse_name(suffix)
        self._people = parse_name(f"ou=people,{suffix}")
        self._entries: dict[Name, Entry] = {}
        self._children: dict[Name, list[Name]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, dn: str, attributes: Attributes) -> None:
        """Put an entry in; its superior comes first."""
        name = parse_name(dn)
        entry = self._entries[name] = Entry(dn, attributes, {"entryDN": (dn,)})
        self._children.setdefault(name[1:], []).append(name)
        self.known.update(entry.values)

    def find(self, name: Name) -> Entry | None:
        """Return an entry by name."""
        return self._entries.get(name)

    def nearest(self, name: Name) -> str:
        """Return the name of the nearest entry at or above a name, "" without one."""
        while name and name not in self._entries:
            name = name[1:]
        return self._entries[name].dn if name else ""

    def scope(self, base: Name, scope: Scope) -> Iterator[Entry]:
        """Yield the entries that a search from base looks at."""
        if scope is Scope.ONE:
            yield from (self._entries[child] for child in self._children.get(base, ()))
            return
        pending = [base]
        while pending:
            name = pending.pop()
            yield self._entries[name]
            if scope is Scope.SUBTREE:
                pending.extend(reversed(self._children.get(name, ())))

    def person(self, user: str) -> Name:
        """Return the name of a user, uid=USER below the people, whether or not there is an entry."""
        return (frozenset({("uid", prepare(user))}), *self._people)

    def user_name(self, dn: str) -> str | None:
        """Return the user whose name this is, or None."""
        kind, value = leaf(dn)
        return value if kind == "uid" and parse_name(dn) == self.person(value) else None


def generate(suffix: str, count: int) -> Directory:
    """Make a directory: the suffix, ou=people, and count entries below ou=many."""
    directory = Directory(suffix)
    kind, _, value = suffix.partition(",")[0].partition("=")
    directory.add(suffix, {"objectClass": ("top", "organization", "dcObject"), "o": ("Example",), kind: (value,)})
    for unit in ("people", "many"):
        directory.add(f"ou={unit},{suffix}", {"objectClass": ("top", "organizationalUnit"), "ou": (unit,)})
    for number in range(count):
        name = f"entry{number:05}"
        directory.add(
            f"uid={name},ou=many,{suffix}",
            {
                "objectClass": ("top", "person", "organizationalPerson", "inetOrgPerson"),
                "uid": (name,),
                "cn": (f"Entry {number}",),
                "sn": ("Entry",),
                "employeeNumber": (str(number),),
                "mail": (f"{name}@example.test",),
                "description": (f"Entry number {number} of many, long enough to fill a security layer's buffers",),
            },
        )
    return directory
