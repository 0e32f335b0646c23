"""Faces: programs that were written for other libraries run on this one, unchanged.

    import saslsspi.compat
    saslsspi.compat.install("ldap3")

Nothing of this project lies at top level under another library's name; a face takes that place in this process only,
and only when it is asked to. `python -m saslsspi.compat run --as ldap3 PROGRAM ...` asks from outside.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from saslsspi.compat.places import check_free, take
from saslsspi.errors import InvalidParameter, PackageNotFound

__all__ = ["FACES", "Face", "install"]


@dataclass(frozen=True, slots=True)
class Face:
    """How a face takes its place: as whole modules, or inside the real library.

    Attributes:
        modules: Modules of other libraries, and ours that stand in for them, submodules and all. They must not be
            imported yet.
        within: The module of ours whose `install` puts a class into the real library; "" without.
        options: The options that install takes for this face.
    """

    modules: Mapping[str, str] = field(default_factory=dict)
    within: str = ""
    options: frozenset[str] = frozenset()


FACES: Final[Mapping[str, Face]] = {
    "pywin32": Face(
        modules={
            name: f"saslsspi.compat.pywin32.{name}"
            for name in ("pywintypes", "sspi", "sspicon", "win32api", "win32security")
        }
    ),
    "sasl": Face(modules={"sasl": "saslsspi.compat.sasl"}),
    "puresasl": Face(modules={"puresasl": "saslsspi.compat.puresasl"}),
    "spnego": Face(modules={"spnego": "saslsspi.compat.spnego"}),
    "ldap3": Face(within="saslsspi.compat.ldap3", options=frozenset({"clear", "lookup"})),
}
"""The faces that install and `run --as` know, by the name of the library that a program imports."""


def install(*names: str, **options: object) -> None:
    """Put faces into the places of other libraries, in this process.

    Call it first: a program that holds another library's classes already would keep them. All faces that are named are
    installed, or none is. Doing it twice is no error.

    Args:
        names: Of FACES.
        options: Of the faces that are named; what a face takes is said in docs/compat.md.

    Raises:
        InvalidParameter: there is no such face, or none of those named takes such an option.
        ContextMisuse: the real library is in use already; the text says where.
        PackageNotFound: a face that lives inside the real library cannot find it.
    """
    if unknown := [name for name in names if name not in FACES]:
        raise InvalidParameter(f"there is no face named {', '.join(unknown)}; there are {', '.join(FACES)}")
    if not names:
        raise InvalidParameter(f"install takes the names of faces: {', '.join(FACES)}")
    known = frozenset[str]().union(*(FACES[name].options for name in names))
    if unknown := sorted(options.keys() - known):
        raise InvalidParameter(
            f"{', '.join(names)} takes no option {', '.join(unknown)}; it takes {', '.join(sorted(known)) or 'none'}"
        )
    places = {theirs: ours for name in names for theirs, ours in FACES[name].modules.items()}
    check_free(places)
    for name in names:
        face = FACES[name]
        if face.within:
            if importlib.util.find_spec(name) is None:
                raise PackageNotFound(
                    f"the face of {name} lives inside {name} itself, which is missing: pip install {name}"
                )
            own = {option: value for option, value in options.items() if option in face.options}
            importlib.import_module(face.within).install(**own)
    take(places)  # last: what is refused before leaves nothing in its place
