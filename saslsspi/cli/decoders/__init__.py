"""The token types that `saslsspi decode` reads: one module a family, each a function from octets to a Node."""
