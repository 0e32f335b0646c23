"""The upper floor: what SASL adds to security contexts (RFC 4422)."""
