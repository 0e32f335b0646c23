"""The security packages, one room each. They are loaded by entry point and never import each other."""
