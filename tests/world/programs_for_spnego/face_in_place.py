"""A pytest plugin: pyspnego's own tests with the face in pyspnego's place.

It runs in an environment that has both. pyspnego's tests take some private modules for tools (its ASN.1 reader, its
hashes); those are read from pyspnego itself. What they test is the face.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import saslsspi.compat


def _take_place() -> None:
    found = importlib.util.find_spec("spnego")
    assert found is not None
    assert found.origin is not None
    original = Path(found.origin).parent
    saslsspi.compat.install("spnego")
    import spnego

    assert "compat" in spnego.__file__
    spnego.__path__.append(str(original))
    # Tests of SSPI's NTLM run, since use_sspi chooses nothing on the face; GSS-API's want a plugin of MIT's library.
    for name, kind, there in (("_gss", "GSSAPIProxy", []), ("_sspi", "SSPIProxy", ["ntlm"])):
        module = sys.modules[f"spnego.{name}"] = ModuleType(f"spnego.{name}")
        setattr(
            module,
            kind,
            type(kind, (), {"available_protocols": classmethod(lambda cls, options=None, there=there: there)}),
        )
        setattr(spnego, name, module)
    spec = importlib.util.spec_from_file_location("original_context", original / "_context.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    importlib.import_module("spnego._context").GSSMech = module.GSSMech


_take_place()
