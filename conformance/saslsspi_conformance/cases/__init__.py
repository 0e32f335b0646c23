"""The cases: one module for a part of a specification, one function a case."""
