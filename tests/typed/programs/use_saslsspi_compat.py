"""Faces in the places of other libraries."""

from saslsspi import compat

compat.install("spnego", "pywin32")
modules: list[str] = [name for face in compat.FACES.values() for name in face.modules]
