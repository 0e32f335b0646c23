"""RFC 4513 section 5.2.1.4 and RFC 4422 section 3.8: layers, one after the other, and what a bind does to them."""

from __future__ import annotations

from saslsspi_conformance.case import DELIVERED, NotApplicable, Observation, Reaction, against_server
from saslsspi_conformance.case_run import CaseRun
from saslsspi_conformance.peers import ldap_messages as ldap
from saslsspi_conformance.peers.digest.client import Protected, ScriptedDigestClient


@against_server("LDAP4513-5.2.1.4-01", "RFC4422-3.7-01", "RFC4422-4-16", accept=DELIVERED,
                carrier="ldap")  # fmt: skip
def layer_begins(run: CaseRun) -> Observation:
    """The success itself is in clear, and what follows is protected both ways."""
    layer = ScriptedDigestClient(run, qop="auth-int").layer()
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("LDAP4513-5.2.1.4-02", "LDAP4513-5.2.1.4-03", "RFC4422-3.6-11", "RFC4422-3.8-06",
                accept=DELIVERED, carrier="ldap")  # fmt: skip
def layer_outlives_a_simple_bind(run: CaseRun) -> Observation:
    """A simple bind leaves the layer in force."""
    layer = ScriptedDigestClient(run, qop="auth-int").layer()
    layer.send(layer.out.wrap(ldap.message(800, ldap.bind(ldap.simple("")))))
    buffer = layer.stream.buffer()
    if buffer is None or layer.back.unwrap(buffer)[1]:
        return Observation(Reaction.BROKEN, "the answer to the bind is not protected")
    return layer.ask(layer.out.wrap(layer.probe))


@against_server("RFC4422-3.8-03", "RFC4422-3.8-02", "RFC4422-6.3-02", accept=DELIVERED,
                carrier="ldap")  # fmt: skip
def new_layer_replaces_the_old(run: CaseRun) -> Observation:
    """A bind under a layer that ends in another replaces it, with new keys and counters."""
    first = ScriptedDigestClient(run, qop="auth-int")
    layer = first.layer()
    second = ScriptedDigestClient(run, qop="auth-int", on=first.connection)
    code = _bind_again(layer, second)
    if code != 0:
        raise NotApplicable(f"the server refuses a second bind under a layer with {code}")
    fresh = Protected(second)
    return fresh.ask(fresh.out.wrap(fresh.probe))


def _bind_again(layer: Protected, second: ScriptedDigestClient) -> int | None:
    """Run an exchange under a layer and return its result code."""

    def ask(number: int, credentials: bytes | None) -> ldap.LdapAnswer:
        layer.send(layer.out.wrap(ldap.message(number, ldap.bind(ldap.sasl("DIGEST-MD5", credentials)))))
        return ldap.parse(layer.back.unwrap(layer.stream.buffer() or b"")[0])

    second.take(ask(801, None).credentials or b"")
    return ask(802, second.write()).code


@against_server("RFC4422-3.8-04", "RFC4422-3.6-10", accept=DELIVERED, carrier="ldap")
def bind_without_a_layer_leaves_the_old_one(run: CaseRun) -> Observation:
    """A bind under a layer that ends in none leaves the layer in force."""
    first = ScriptedDigestClient(run, qop="auth-int")
    layer = first.layer()
    code = _bind_again(layer, ScriptedDigestClient(run, qop="auth", on=first.connection))
    if code != 0:
        raise NotApplicable(f"the server refuses a second bind under a layer with {code}")
    return layer.ask(layer.out.wrap(layer.probe))
