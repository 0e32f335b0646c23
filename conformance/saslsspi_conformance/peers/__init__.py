"""Players: peers that do as a case tells them, and the specifications' formulas in a second, plain writing.

Nothing in here uses the code of a mechanism: what is wrong there must not be wrong here in the same way.
"""
