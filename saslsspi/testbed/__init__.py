"""Small servers on a loopback port: what the demo, the tests and the conformance runs talk to.

They are complete where SASL is concerned and small in everything else. Nothing here is for production use.
"""
